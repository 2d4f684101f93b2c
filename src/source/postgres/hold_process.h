// A small process that keeps an exported snapshot and its locks alive after the job's process is
// gone (keep_snapshot), so that resume goes on in the same epoch.
//
// It is this program again, started with the hidden verb kHoldVerb. What it needs, the password
// among it, comes over a socket pair, never as an argument. It listens on an abstract Unix socket,
// where only processes of the same user are let in; while a job is connected it waits, and when the
// last one has gone it ends after the time given. Linux only.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "base/error.h"
#include "client/postgres/connection.h"
#include "source/postgres/pin.h"

namespace bulkhaul::postgres {

inline constexpr char kHoldVerb[] = "__hold-snapshot";

// What main() calls when its first argument is kHoldVerb. Gives the exit code.
int RunSnapshotHolder();

// The job's side. Thread-safe. Destroyed without Release(), it leaves the process to its timer.
class HolderProcess final : public SnapshotLease {
 public:
  // Starts the process and waits until it holds the snapshot.
  static Result<std::unique_ptr<HolderProcess>> Start(const ConnectionSettings& settings,
                                                      const HoldPlan& plan, int64_t keep_ms,
                                                      std::stop_token stop);
  // Connects to one that a process before this one started. kSnapshotLost when it is not there.
  static Result<std::unique_ptr<HolderProcess>> Connect(const std::string& socket_name);
  ~HolderProcess() override;
  HolderProcess(const HolderProcess&) = delete;
  HolderProcess& operator=(const HolderProcess&) = delete;

  const HeldSnapshot& snapshot() const { return snapshot_; }  // empty after Connect()
  const std::string& socket_name() const { return socket_name_; }
  Status Check() override;
  void Release() noexcept override;

 private:
  HolderProcess(int socket, std::string socket_name)
      : socket_(socket), socket_name_(std::move(socket_name)) {}
  Result<std::string> Ask(const std::string& question, int64_t timeout_ms);

  std::mutex mutex_;
  const int socket_;  // used under mutex_
  const std::string socket_name_;
  HeldSnapshot snapshot_;
};

}  // namespace bulkhaul::postgres
