#include "source/postgres/postgres_source.h"

#include <chrono>
#include <map>
#include <mutex>
#include <optional>

#include <fmt/format.h>

#include "base/units.h"
#include "source/postgres/discover.h"
#include "source/postgres/pin.h"
#include "source/postgres/session.h"
#include "source/postgres/split.h"

namespace bulkhaul::postgres {
namespace {

constexpr int64_t kCatalogMs = 300'000;

class PostgresSource final : public Source {
 public:
  PostgresSource(const JobSpec& spec, JobId job)
      : options_(spec.options), job_(std::move(job)), conninfo_(spec.source_uri) {}

  SourceTraits Traits() const override;
  Result<std::vector<Dataset>> Discover(const Selector& selector) override;
  Result<Snapshot> Pin(std::span<const Dataset> datasets) override;
  Status CheckPin(const Snapshot& snapshot) override;
  void Release(const Snapshot& snapshot) noexcept override;
  Result<UnitPage> Split(const Snapshot& snapshot, const Dataset& dataset, const SplitHint& hint,
                         std::string_view cursor) override;
  Result<std::unique_ptr<Session>> Open(const Snapshot& snapshot, std::span<const Dataset> datasets,
                                        WorkerContext& context) override;

 private:
  ConnectionSettings Settings(std::string_view what) const;
  Result<std::vector<WorkUnit>> MakeUnits(const Snapshot& snapshot, const Dataset& dataset,
                                          const SplitHint& hint);

  const Options options_;
  const JobId job_;
  const Secret conninfo_;
  mutable std::mutex mutex_;
  int64_t connections_free_ = -1;  // guarded by mutex_, as all below
  std::map<std::string, std::shared_ptr<SnapshotHolder>> holders_;  // by snapshot id
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
          .connections_max = connections_free_};
}

Result<std::vector<Dataset>> PostgresSource::Discover(const Selector& selector) {
  ARROW_ASSIGN_OR_RAISE(auto connection, Connection::Open(Settings("discover"), {}));
  ARROW_ASSIGN_OR_RAISE(
      auto discovered,
      DiscoverDatasets(*connection, selector, {.deadline = DeadlineIn(kCatalogMs), .stop = {}}));
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
  ARROW_ASSIGN_OR_RAISE(auto holder, SnapshotHolder::Take(Settings("snapshot"), plan, {}));
  const HeldSnapshot& held = holder->snapshot();
  snapshot.id = held.id;
  snapshot.consistent = true;
  snapshot.description = held.description;
  snapshot.source_state = SnapshotState{.address = held.address, .holder_socket = ""}.ToJson();
  std::lock_guard lock(mutex_);
  holders_[snapshot.id] = std::move(holder);
  return snapshot;
}

Status PostgresSource::CheckPin(const Snapshot& snapshot) {
  if (!snapshot.consistent) return Status::OK();
  std::shared_ptr<SnapshotHolder> holder;
  {
    std::lock_guard lock(mutex_);
    const auto found = holders_.find(snapshot.id);
    if (found != holders_.end()) holder = found->second;
  }
  if (!holder) return SnapshotLostError(fmt::format("snapshot {} is not held", snapshot.id));
  return holder->Check();
}

void PostgresSource::Release(const Snapshot& snapshot) noexcept {
  std::shared_ptr<SnapshotHolder> holder;  // closes its connection outside of the lock
  std::lock_guard lock(mutex_);
  const auto found = holders_.find(snapshot.id);
  if (found == holders_.end()) return;
  holder = std::move(found->second);
  holders_.erase(found);
}

Result<std::vector<WorkUnit>> PostgresSource::MakeUnits(const Snapshot& snapshot,
                                                        const Dataset& dataset,
                                                        const SplitHint& hint) {
  ARROW_ASSIGN_OR_RAISE(const auto state, TableState::FromJson(dataset.source_state));
  if (state.denied) return WholeUnit(dataset);
  const UnitSize size{
      .bytes = hint.unit_bytes > 0 ? hint.unit_bytes : dataset.options.GetBytes("unit_bytes"),
      .rows = hint.unit_rows > 0 ? hint.unit_rows : dataset.options.GetInt("unit_rows"),
      .units_max = hint.units_max};
  ARROW_ASSIGN_OR_RAISE(const auto choice,
                        ChooseSplit(state, dataset.options, snapshot.consistent));
  switch (choice.mode) {
    case UnitMode::kPages:
      return PageUnits(dataset, state, size);
    case UnitMode::kScan:
      return ScanUnits(dataset, state);
    case UnitMode::kHash:
      return HashUnits(dataset, state, choice.key, WantedUnits(dataset, size));
    default:
      return WholeUnit(dataset);
  }
}

Result<UnitPage> PostgresSource::Split(const Snapshot& snapshot, const Dataset& dataset,
                                       const SplitHint& hint, std::string_view cursor) {
  auto units = MakeUnits(snapshot, dataset, hint);
  if (!units.ok()) return WithContext(units.status(), dataset.id.ToString());
  return UnitPage{.units = *std::move(units), .next_cursor = "", .retracted = {}};
}

Result<std::unique_ptr<Session>> PostgresSource::Open(const Snapshot& snapshot,
                                                      std::span<const Dataset> datasets,
                                                      WorkerContext& context) {
  ARROW_ASSIGN_OR_RAISE(const auto state, SnapshotState::FromJson(snapshot.source_state));
  ConnectionSettings settings = Settings(fmt::format("worker {}", context.worker));
  settings.address = state.address;
  return OpenSession(settings, snapshot, datasets, context);
}

}  // namespace
}  // namespace bulkhaul::postgres

namespace bulkhaul {

Result<std::unique_ptr<Source>> MakePostgresSource(const JobSpec& spec, const JobId& job) {
  RETURN_NOT_OK(postgres::CheckConninfo(Secret(spec.source_uri)));
  return std::make_unique<postgres::PostgresSource>(spec, job);
}

}  // namespace bulkhaul
