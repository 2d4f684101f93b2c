#include "sink/postgres/open_loads.h"

#include <fmt/format.h>

namespace bulkhaul::postgres {

namespace {

Status LostError(const DatasetId& id) {
  return PermanentError(
      fmt::format("{}: the connection is lost that held all its rows in one transaction "
                  "(skip_wal), and nothing of them is left; 'bulkhaul resume' loads the table "
                  "from its beginning",
                  id.ToString()),
      "staged_rows_gone");
}

}  // namespace

Result<std::unique_ptr<Connection>> OpenLoads::Take(const Key& key, const LoadPlan& plan,
                                                    const Opener& open, const WaitLimit& limit) {
  const std::string target = plan.target.ToString();
  {
    std::lock_guard lock(mutex_);
    Load& load = loads_[key];
    if (load.taken) return BugError(target + ": two units are loaded by one connection at once");
    if (load.connection && load.connection->ok()) {
      load.taken = true;
      return std::move(load.connection);
    }
    if (load.holds_rows) return LostError(key.first);
    load.taken = true;
  }
  const auto begin = [&]() -> Result<std::unique_ptr<Connection>> {
    ARROW_ASSIGN_OR_RAISE(auto connection, open());
    ARROW_RETURN_NOT_OK(connection->Execute(fmt::format("BEGIN; TRUNCATE {}", plan.side.quoted()),
                                            limit, "load into " + target));
    return connection;
  };
  auto connection = begin();
  if (!connection.ok()) {
    std::lock_guard lock(mutex_);
    loads_[key].taken = false;
  }
  return connection;
}

void OpenLoads::PutBack(const Key& key, std::unique_ptr<Connection> connection, bool holds_rows) {
  std::lock_guard lock(mutex_);
  Load& load = loads_[key];
  load.connection = std::move(connection);
  load.taken = false;
  load.holds_rows = load.holds_rows || holds_rows;
}

Result<std::unique_ptr<Connection>> OpenLoads::TakeLast(const Key& key) {
  std::lock_guard lock(mutex_);
  Load& load = loads_[key];
  if (!load.holds_rows) return nullptr;
  if (!load.connection || !load.connection->ok()) return LostError(key.first);
  return std::move(load.connection);
}

void OpenLoads::Clear() {
  std::map<Key, Load> ended;  // closed without the lock
  std::lock_guard lock(mutex_);
  ended.swap(loads_);
}

}  // namespace bulkhaul::postgres
