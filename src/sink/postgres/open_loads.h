// Loads that are one open transaction each: the option skip_wal.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "client/postgres/connection.h"
#include "plan/values.h"
#include "sink/postgres/load_plan.h"

namespace bulkhaul::postgres {

// With wal_level = minimal PostgreSQL writes no WAL for rows of a table whose file is of the same
// transaction, and syncs the file when that commits (PostgreSQL manual, "Populating a Database").
// So one connection empties the table that is loaded beside, copies every unit into it, each behind
// a savepoint, and publishes it. Thread-safe; a connection is used by one thread at a time.
class OpenLoads {
 public:
  using Key = std::pair<DatasetId, int64_t>;  // dataset and epoch
  using Opener = std::function<Result<std::unique_ptr<Connection>>()>;

  // The load's connection, inside its transaction. kPermanent when the one that held units' rows
  // is lost, and they with it; so does TakeLast().
  Result<std::unique_ptr<Connection>> Take(const Key& key, const LoadPlan& plan, const Opener& open,
                                           const WaitLimit& limit);
  // `holds_rows`: a unit's rows are in.
  void PutBack(const Key& key, std::unique_ptr<Connection> connection, bool holds_rows);
  // To publish. nullptr when no unit had rows.
  Result<std::unique_ptr<Connection>> TakeLast(const Key& key);
  // Ends the transactions: nothing of them stays.
  void Clear();

 private:
  struct Load {
    std::unique_ptr<Connection> connection;  // nullptr: taken, or not begun
    bool taken = false;
    bool holds_rows = false;
  };
  std::mutex mutex_;
  std::map<Key, Load> loads_;  // guarded by mutex_
};

}  // namespace bulkhaul::postgres
