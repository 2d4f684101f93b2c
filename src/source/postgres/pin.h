// The consistent view that all workers of a job share.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "client/postgres/connection.h"
#include "plan/values.h"
#include "source/postgres/table_state.h"

namespace bulkhaul::postgres {

// What the holder does, as SQL made ahead, so that another process can do the same.
struct HoldPlan {
  int64_t lock_timeout_ms = 30'000;
  std::vector<std::string> locks;      // LOCK TABLE …, before the snapshot is taken
  std::vector<std::string> row_locks;  // SELECT … LIMIT 0, where LOCK is not allowed
  std::vector<std::pair<uint32_t, std::string>> fingerprints;  // table oid, as planned
  std::vector<uint32_t> select_locked;  // oids to look at again after their locks

  std::string ToJson() const;
  static Result<HoldPlan> FromJson(std::string_view json);
};
// kUser when a dataset cannot be read as a whole (row security).
Result<HoldPlan> MakeHoldPlan(std::span<const Dataset> datasets, int64_t lock_timeout_ms);

struct HeldSnapshot {
  std::string id;
  std::string description;
  ServerAddress address;
};

// Where a snapshot is held: in this process or in one of its own. Thread-safe.
class SnapshotLease {
 public:
  virtual ~SnapshotLease() = default;
  virtual Status Check() = 0;  // kSnapshotLost when it is gone
  virtual void Release() noexcept = 0;
};

// The transaction that exported the snapshot and holds the locks. Thread-safe after Take().
class SnapshotHolder final : public SnapshotLease {
 public:
  // Locks, takes and exports the snapshot, then checks that what was planned is still there.
  static Result<std::unique_ptr<SnapshotHolder>> Take(const ConnectionSettings& settings,
                                                      const HoldPlan& plan, std::stop_token stop);
  const HeldSnapshot& snapshot() const { return snapshot_; }
  // kSnapshotLost when the transaction is gone.
  Status Check() override;
  void Release() noexcept override {}  // the transaction ends with this object

 private:
  SnapshotHolder(std::unique_ptr<Connection> connection, HeldSnapshot snapshot)
      : connection_(std::move(connection)), snapshot_(std::move(snapshot)) {}
  std::mutex mutex_;
  const std::unique_ptr<Connection> connection_;  // used under mutex_
  const HeldSnapshot snapshot_;
};

// Statements that join a connection to the snapshot; "" as id: a transaction without one.
std::string JoinSnapshotSql(const std::string& snapshot_id);

}  // namespace bulkhaul::postgres
