#include "source/postgres/postgres_source.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>

#include <fmt/format.h>

#include "base/units.h"
#include "source/postgres/discover.h"
#include "source/postgres/hold_process.h"
#include "source/postgres/key_bounds.h"
#include "source/postgres/pin.h"
#include "source/postgres/session.h"
#include "source/postgres/split.h"

namespace bulkhaul::postgres {
namespace {

constexpr int64_t kCatalogMs = 300'000;

// A connection inside a snapshot, for what planning asks of the server.
struct Planner {
  std::string snapshot_id;
  std::unique_ptr<Connection> connection;
};

class PostgresSource final : public Source {
 public:
  PostgresSource(const JobSpec& spec, JobId job)
      : options_(spec.options), job_(std::move(job)), conninfo_(spec.source_uri) {}

  SourceTraits Traits() const override;
  void StopOn(std::stop_token stop) override { stop_ = std::move(stop); }
  Result<std::vector<Dataset>> Discover(const Selector& selector) override;
  Result<Snapshot> Pin(std::span<const Dataset> datasets) override;
  Status Adopt(const Snapshot& snapshot) override;
  Status CheckPin(const Snapshot& snapshot) override;
  void Release(const Snapshot& snapshot) noexcept override;
  Result<UnitPage> Split(const Snapshot& snapshot, const Dataset& dataset, const SplitHint& hint,
                         std::string_view cursor) override;
  Result<std::unique_ptr<Session>> Open(const Snapshot& snapshot, std::span<const Dataset> datasets,
                                        WorkerContext& context) override;

 private:
  ConnectionSettings Settings(std::string_view what) const;
  Result<std::shared_ptr<const std::vector<WorkUnit>>> UnitsOf(const Snapshot& snapshot,
                                                               const Dataset& dataset,
                                                               const SplitHint& hint);
  Result<std::vector<WorkUnit>> MakeUnits(const Snapshot& snapshot, Dataset dataset,
                                          const SplitHint& hint);
  Result<std::vector<WorkUnit>> MakeKeyUnits(const Snapshot& snapshot, Dataset* dataset,
                                             const TableState& state, const SplitChoice& choice,
                                             const UnitSize& size);
  Status UsePlanner(const Snapshot& snapshot, const std::function<Status(Connection&)>& use);

  const Options options_;
  const JobId job_;
  const Secret conninfo_;
  std::stop_token stop_;  // constant after StopOn()
  mutable std::mutex mutex_;
  int64_t connections_free_ = -1;  // guarded by mutex_, as the next three
  std::map<std::string, std::shared_ptr<SnapshotLease>> leases_;  // by snapshot id
  // The last plan that was made, while its pages are asked for.
  std::string last_plan_key_;
  std::shared_ptr<const std::vector<WorkUnit>> last_plan_;
  std::mutex planner_mutex_;
  Planner planner_;  // guarded by planner_mutex_
};

ConnectionSettings PostgresSource::Settings(std::string_view what) const {
  return {.conninfo = conninfo_,
          .application_name = fmt::format("bulkhaul:{}:{}", job_, what),
          .connect_timeout_ms = options_.GetDurationMs("connect_timeout"),
          .address = {}};
}

SourceTraits PostgresSource::Traits() const {
  std::lock_guard lock(mutex_);
  return {.name = "postgres",
          .consistent_snapshot = true,
          .kept_snapshot = true,
          .queries = true,
          .connections_max = connections_free_,
          .options = {"PostgreSQL"}};
}

Result<std::vector<Dataset>> PostgresSource::Discover(const Selector& selector) {
  ARROW_ASSIGN_OR_RAISE(auto connection, Connection::Open(Settings("discover"), stop_));
  ARROW_ASSIGN_OR_RAISE(
      auto discovered,
      DiscoverDatasets(*connection, selector, {.deadline = DeadlineIn(kCatalogMs), .stop = stop_}));
  std::lock_guard lock(mutex_);
  // This connection is closed again, and the one that holds the snapshot takes its place.
  connections_free_ = discovered.facts.connections_free;
  return std::move(discovered.datasets);
}

Result<Snapshot> PostgresSource::Pin(std::span<const Dataset> datasets) {
  Snapshot snapshot;
  snapshot.taken_at = FormatUtc(std::chrono::system_clock::now());
  if (options_.GetString("consistency") == "none") {
    snapshot.description = "none: each unit its own moment";
    return snapshot;
  }
  ARROW_ASSIGN_OR_RAISE(const auto plan,
                        MakeHoldPlan(datasets, options_.GetDurationMs("lock_timeout")));
  const int64_t keep_ms = options_.GetDurationMs("keep_snapshot");
  std::shared_ptr<SnapshotLease> lease;
  HeldSnapshot held;
  std::string holder_socket;
  if (keep_ms > 0) {
    ARROW_ASSIGN_OR_RAISE(auto process,
                          HolderProcess::Start(Settings("snapshot"), plan, keep_ms, stop_));
    held = process->snapshot();
    holder_socket = process->socket_name();
    lease = std::move(process);
  } else {
    ARROW_ASSIGN_OR_RAISE(auto holder, SnapshotHolder::Take(Settings("snapshot"), plan, stop_));
    held = holder->snapshot();
    lease = std::move(holder);
  }
  snapshot.id = held.id;
  snapshot.consistent = true;
  snapshot.description = held.description;
  snapshot.source_state =
      SnapshotState{.address = held.address, .holder_socket = holder_socket}.ToJson();
  std::lock_guard lock(mutex_);
  leases_[snapshot.id] = std::move(lease);
  return snapshot;
}

Status PostgresSource::Adopt(const Snapshot& snapshot) {
  if (!snapshot.consistent) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const auto state, SnapshotState::FromJson(snapshot.source_state));
  if (state.holder_socket.empty()) {
    return SnapshotLostError(
        "the snapshot ended with the process that took it; keep_snapshot keeps it longer");
  }
  ARROW_ASSIGN_OR_RAISE(auto process, HolderProcess::Connect(state.holder_socket));
  std::lock_guard lock(mutex_);
  leases_[snapshot.id] = std::move(process);
  return Status::OK();
}

Status PostgresSource::CheckPin(const Snapshot& snapshot) {
  if (!snapshot.consistent) return Status::OK();
  std::shared_ptr<SnapshotLease> lease;
  {
    std::lock_guard lock(mutex_);
    const auto found = leases_.find(snapshot.id);
    if (found != leases_.end()) lease = found->second;
  }
  if (!lease) return SnapshotLostError(fmt::format("snapshot {} is not held", snapshot.id));
  return lease->Check();
}

void PostgresSource::Release(const Snapshot& snapshot) noexcept {
  std::shared_ptr<SnapshotLease> lease;
  {
    std::lock_guard lock(mutex_);
    const auto found = leases_.find(snapshot.id);
    if (found == leases_.end()) return;
    lease = std::move(found->second);
    leases_.erase(found);
  }
  lease->Release();
  std::lock_guard lock(planner_mutex_);
  if (planner_.snapshot_id == snapshot.id) planner_ = {};
}

// One connection for all planning; a failed statement costs it.
Status PostgresSource::UsePlanner(const Snapshot& snapshot,
                                  const std::function<Status(Connection&)>& use) {
  std::lock_guard lock(planner_mutex_);
  if (!planner_.connection || planner_.snapshot_id != snapshot.id) {
    planner_ = {};
    ARROW_ASSIGN_OR_RAISE(const auto state, SnapshotState::FromJson(snapshot.source_state));
    ConnectionSettings settings = Settings("plan");
    settings.address = state.address;
    ARROW_ASSIGN_OR_RAISE(auto connection, Connection::Open(settings, stop_));
    ARROW_ASSIGN_OR_RAISE(
        const auto sql, SessionStartSql(snapshot.consistent ? snapshot.id : "", options_,
                                        connection->server_version(), IsRawEncoding(*connection)));
    connection->situation.importing_snapshot = snapshot.consistent;
    RETURN_NOT_OK(
        connection->Execute(sql, {.deadline = DeadlineIn(kCatalogMs), .stop = stop_}, "planning"));
    connection->situation.importing_snapshot = false;
    planner_ = {.snapshot_id = snapshot.id, .connection = std::move(connection)};
  }
  const Status status = use(*planner_.connection);
  if (!status.ok()) planner_ = {};
  return status;
}

Result<std::vector<WorkUnit>> PostgresSource::MakeKeyUnits(const Snapshot& snapshot,
                                                           Dataset* dataset,
                                                           const TableState& state,
                                                           const SplitChoice& choice,
                                                           const UnitSize& size) {
  std::vector<WorkUnit> units;
  RETURN_NOT_OK(UsePlanner(snapshot, [&](Connection& connection) -> Status {
    const WaitLimit limit{.deadline = DeadlineIn(dataset->options.GetDurationMs("unit_timeout")),
                          .stop = stop_};
    RETURN_NOT_OK(CheckSplittable(connection, *dataset, state, limit));
    if (dataset->estimated_rows < 0 || dataset->estimated_bytes < 0) {
      RETURN_NOT_OK(EstimateByPlanner(connection, state, dataset, limit));
    }
    const int64_t wanted = WantedUnits(*dataset, size);
    if (choice.mode == UnitMode::kHash) {
      units = HashUnits(*dataset, state, choice.key, wanted);
      return Status::OK();
    }
    ARROW_ASSIGN_OR_RAISE(const auto bounds,
                          FindKeyBounds(connection, *dataset, state, choice.key, wanted, limit));
    units = KeyUnits(*dataset, choice.key, bounds.type, bounds.cuts, bounds.nullable);
    return Status::OK();
  }));
  return units;
}

Result<std::vector<WorkUnit>> PostgresSource::MakeUnits(const Snapshot& snapshot, Dataset dataset,
                                                        const SplitHint& hint) {
  ARROW_ASSIGN_OR_RAISE(const auto state, TableState::FromJson(dataset.source_state));
  if (state.denied) return WholeUnit(dataset);
  const Options& options = dataset.options;
  const UnitSize size{
      .bytes = hint.unit_bytes > 0 ? hint.unit_bytes : options.GetBytes("unit_bytes"),
      .rows = hint.unit_rows > 0 ? hint.unit_rows : options.GetInt("unit_rows"),
      .units_max = std::min(hint.units_max, options.GetInt("units_max"))};
  ARROW_ASSIGN_OR_RAISE(const auto choice, ChooseSplit(state, options, snapshot.consistent));
  switch (choice.mode) {
    case UnitMode::kPages:
      if (size.rows > 0 && dataset.estimated_rows < 0) {
        RETURN_NOT_OK(UsePlanner(snapshot, [&](Connection& connection) {
          return EstimateByPlanner(connection, state, &dataset,
                                   {.deadline = DeadlineIn(kCatalogMs), .stop = stop_});
        }));
      }
      return PageUnits(dataset, state, size);
    case UnitMode::kScan:
      return ScanUnits(dataset, state);
    case UnitMode::kKey:
    case UnitMode::kHash:
      return MakeKeyUnits(snapshot, &dataset, state, choice, size);
    default:
      return WholeUnit(dataset);
  }
}

Result<std::shared_ptr<const std::vector<WorkUnit>>> PostgresSource::UnitsOf(
    const Snapshot& snapshot, const Dataset& dataset, const SplitHint& hint) {
  const std::string key =
      fmt::format("{}/{}/{}/{}/{}/{}", snapshot.id, dataset.id.schema, dataset.id.name,
                  hint.unit_bytes, hint.unit_rows, hint.units_max);
  {
    std::lock_guard lock(mutex_);
    if (last_plan_ && last_plan_key_ == key) return last_plan_;
  }
  auto units = MakeUnits(snapshot, dataset, hint);
  if (!units.ok()) return WithContext(units.status(), dataset.id.ToString());
  auto plan = std::make_shared<const std::vector<WorkUnit>>(*std::move(units));
  std::lock_guard lock(mutex_);
  last_plan_key_ = key;
  last_plan_ = plan;
  return plan;
}

Result<UnitPage> PostgresSource::Split(const Snapshot& snapshot, const Dataset& dataset,
                                       const SplitHint& hint, std::string_view cursor) {
  size_t begin = 0;
  if (!cursor.empty()) {
    const auto parsed = std::from_chars(cursor.data(), cursor.data() + cursor.size(), begin);
    if (parsed.ec != std::errc()) return BugError(fmt::format("cursor '{}' is not ours", cursor));
  } else {
    std::lock_guard lock(mutex_);
    last_plan_.reset();
  }
  ARROW_ASSIGN_OR_RAISE(const auto units, UnitsOf(snapshot, dataset, hint));
  const size_t end = std::min(
      units->size(), begin + static_cast<size_t>(std::max<int64_t>(1, hint.page_units_max)));
  UnitPage page;
  page.units.assign(units->begin() + static_cast<ptrdiff_t>(std::min(begin, end)),
                    units->begin() + static_cast<ptrdiff_t>(end));
  if (end < units->size()) {
    page.next_cursor = std::to_string(end);
  } else {
    std::lock_guard lock(mutex_);
    last_plan_.reset();
  }
  return page;
}

Result<std::unique_ptr<Session>> PostgresSource::Open(const Snapshot& snapshot,
                                                      std::span<const Dataset> datasets,
                                                      WorkerContext& context) {
  ARROW_ASSIGN_OR_RAISE(const auto state, SnapshotState::FromJson(snapshot.source_state));
  ConnectionSettings settings = Settings(fmt::format("worker {}", context.worker));
  settings.address = state.address;
  auto session = OpenSession(settings, snapshot, datasets, context);
  if (session.ok() || KindOf(session.status()) != ErrorKind::kSnapshotLost) return session;
  // The snapshot lives and cannot be imported: the connection reached another server.
  if (!CheckPin(snapshot).ok()) return session.status();
  return UserError(
      fmt::format("{}; the snapshot is still held, so that this connection must have reached "
                  "another server: connect to one server, or use consistency: none",
                  MessageOf(session.status())),
      CodeOf(session.status()));
}

}  // namespace
}  // namespace bulkhaul::postgres

namespace bulkhaul {

Result<std::unique_ptr<Source>> MakePostgresSource(const JobSpec& spec, const JobId& job) {
  RETURN_NOT_OK(postgres::CheckConninfo(Secret(spec.source_uri)));
  return std::make_unique<postgres::PostgresSource>(spec, job);
}

}  // namespace bulkhaul
