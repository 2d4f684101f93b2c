// One view of the database for all workers.
//
// The view is a set of connections whose read transactions were all begun at the same commit. In
// WAL mode a writer that holds BEGIN IMMEDIATE keeps the others out while they begin; with a
// rollback journal the first reader's lock does (https://www.sqlite.org/lockingv3.html,
// https://www.sqlite.org/isolation.html). Connections wait in a pool for the sessions.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "plan/values.h"
#include "source/sqlite/connection.h"

namespace bulkhaul {

struct PinSettings {
  std::string path;
  int64_t lock_timeout_ms = 30'000;
  int64_t connections = 2;  // for sessions
  bool consistent = true;   // false: each unit sees its own moment
};

// Thread-safe after it is made.
class Pin {
 public:
  // kTransient while a writer holds the database for longer than the lock timeout.
  static Result<std::shared_ptr<Pin>> Take(const PinSettings& settings);

  // For the planner; one user at a time.
  template <typename Work>
  auto WithPlanner(Work work) {
    std::lock_guard lock(planner_mutex_);
    return work(*planner_);
  }
  // A connection inside the view. kUser when more are wanted than the view can give.
  Result<std::unique_ptr<Connection>> Acquire();
  void GiveBack(std::unique_ptr<Connection> connection);
  // kSnapshotLost when the file was changed under a view without locks.
  Status Check() const;

  // What the file was when the view was taken: equal for two views of the same commit.
  const std::string& fingerprint() const { return fingerprint_; }
  // "wal", "rollback", "immutable" or "none".
  const std::string& mode() const { return mode_; }

 private:
  explicit Pin(PinSettings settings) : settings_(std::move(settings)) {}
  Status TakeImmutable();
  Status TakeRollback();
  Status TakeWal();
  Status TakeWalWithoutLock();
  Result<std::unique_ptr<Connection>> Open(OpenMode mode) const;
  // Opens the planner's and the pool's connections, each in its read transaction.
  Status OpenAll();
  Result<std::unique_ptr<Connection>> OpenLate();

  const PinSettings settings_;
  std::string mode_, fingerprint_;
  OpenMode open_mode_ = OpenMode::kReadOnly;
  std::mutex planner_mutex_;
  std::unique_ptr<Connection> planner_;  // guarded by planner_mutex_
  std::mutex pool_mutex_;
  std::vector<std::unique_ptr<Connection>> pool_;  // guarded by pool_mutex_, as the two below
  std::unique_ptr<Connection> monitor_;  // WAL: outside of a transaction, sees later commits
  int64_t monitored_version_ = 0;
};

}  // namespace bulkhaul
