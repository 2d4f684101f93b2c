#include "run/job_run.h"

#include <algorithm>
#include <chrono>
#include <filesystem>

#include <fmt/format.h>

#include "base/crash_point.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/units.h"
#include "run/contract_plan.h"
#include "run/table_order.h"
#include "run/transforms.h"
#include "run/unit_worker.h"
#include "store/folders.h"

namespace bulkhaul {
namespace {

constexpr int64_t kMemorySampleMs = 100;

// Where staged parts lie, for people and for `clean`; the sink decides, by the same rule.
std::string WorkspaceOf(const JobSpec& spec, const JobId& job) {
  std::string root = spec.destination_uri;
  if (root.starts_with("file://")) root.erase(0, 7);
  if (root.find("://") != std::string::npos || IsConnectionString(root))
    return Redact(root) + "/.bulkhaul/" + job;
  std::error_code error;
  std::filesystem::path path = std::filesystem::absolute(root, error).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  if (DestinationAppears(spec.options)) path = path.parent_path();
  return (path / ".bulkhaul" / job).string();
}

// Beside the staged parts, where there is room for the rows that they are made of.
std::string SpillFolder(const std::string& workspace) {
  std::error_code error;
  if (std::filesystem::is_directory(workspace, error)) return workspace;
  return std::filesystem::temp_directory_path(error).string();
}

// Of <state>/jobs/<job>.
std::string StateFolderOf(const std::string& job_folder) {
  return std::filesystem::path(job_folder).parent_path().parent_path().string();
}

JobEntry MakeEntry(const JobSpec& spec, const RunOptions& options, const std::string& folder) {
  JobEntry entry;
  entry.id = options.job_id;
  entry.folder = folder;
  entry.source = Redact(spec.source_uri);
  entry.destination = Redact(spec.destination_uri);
  if (entry.destination.find("://") == std::string::npos &&
      !IsConnectionString(entry.destination)) {
    std::error_code error;
    entry.destination = std::filesystem::absolute(entry.destination, error).string();
  }
  entry.workspace = WorkspaceOf(spec, options.job_id);
  entry.state = "running";
  entry.updated_at = JobTime();
  return entry;
}

}  // namespace

Result<std::unique_ptr<JobRun>> JobRun::Begin(const JobSpec& spec, Source& source, Sink& sink,
                                              const RunOptions& options) {
  std::string state_folder = options.state_folder;
  if (state_folder.empty()) {
    ARROW_ASSIGN_OR_RAISE(state_folder, StateFolder());
  }
  const std::string folder = JobFolder(state_folder, options.job_id);
  std::unique_ptr<Ledger> ledger;
  bool left_nothing = true;
  if (options.resume) {
    ARROW_ASSIGN_OR_RAISE(ledger, Ledger::Open(folder));
    const auto before = ReadJobEntry(folder);
    left_nothing = before.ok() && before->left_nothing;
  } else {
    ARROW_ASSIGN_OR_RAISE(ledger, Ledger::Create(folder, options.job_id, spec.ToJson(true)));
  }
  JobEntry entry = MakeEntry(spec, options, folder);
  entry.created_at = ledger->created_at();
  ARROW_RETURN_NOT_OK(WriteJobEntry(entry));
  entry.left_nothing = left_nothing;  // only once the run has ended
  return std::unique_ptr<JobRun>(
      new JobRun(spec, source, sink, options, std::move(ledger), std::move(entry)));
}

JobRun::JobRun(const JobSpec& spec, Source& source, Sink& sink, const RunOptions& options,
               std::unique_ptr<Ledger> ledger, JobEntry entry)
    : spec_(spec),
      options_(options),
      memory_limit_bytes_(ResolveMemoryBudget(spec.options, AvailableMemoryBytes())),
      fixed_bytes_(ResidentBytes()),
      ledger_(std::move(ledger)),
      entry_(std::move(entry)),
      control_(options.stop),
      budget_(std::max<int64_t>(1, memory_limit_bytes_ - fixed_bytes_)),
      progress_(options.job_id, options.progress, [this] { return monitor_.resident_bytes(); }),
      monitor_(
          budget_, memory_limit_bytes_, [this](const std::string& text) { progress_.Warn(text); },
          ResidentBytes, kMemorySampleMs),
      run_{spec,          options.job_id, source,  sink,     source.Traits(),
           sink.Traits(), *ledger_,       budget_, monitor_, progress_,
           watchdog_,     control_,       {},      {},       Redact(spec.source_uri)},
      usage_before_(ReadProcessUsage()),
      started_at_(FormatUtc(std::chrono::system_clock::now())) {
  run_.continue_on_error = spec.options.GetString("on_error") == "continue";
  source.RetryBy([this](const std::string& what, const std::function<Status()>& action) {
    return RetryTransient(run_, what, action);
  });
  run_.commit_job = spec.options.GetString("commit") == "job";
  run_.publish_now = !run_.commit_job;
  run_.state_folder = StateFolderOf(entry_.folder);
  run_.announce_rejects = options.announce_rejects;
}

JobRun::~JobRun() = default;

JobReport JobRun::Run() {
  std::jthread ticker([this](std::stop_token stop) { Tick(stop); });
  Watchdog::Watch deadline(watchdog_, spec_.options.GetDurationMs("job_timeout"),
                           control_.source());
  Status status = Prepare();
  if (status.ok()) status = Execute();
  if (!status.ok()) control_.Fail(status);
  if (control_.stopping()) {
    status = control_.reason();
    // The watchdog only asks for the stop; nobody has said why yet.
    if (status.ok() && deadline.expired()) {
      status = TransientError(
          fmt::format("the job was not finished within job_timeout of {}; go on with 'bulkhaul "
                      "resume {}'",
                      FormatDurationMs(spec_.options.GetDurationMs("job_timeout")), run_.job),
          "job_timeout");
    }
  }
  JobReport report = Report(status);
  if (status.ok() && report.state == JobState::kDone) {
    status = PublishJob(report);
    if (!status.ok()) report = Report(status);
  }
  ReleaseViews(report.state != JobState::kDone);
  ticker.request_stop();
  ticker.join();
  End(report, status);
  return report;
}

Status JobRun::Prepare() {
  StageScope stage(monitor_, MemoryStage::kPlan);
  ARROW_ASSIGN_OR_RAISE(cache_, UnitCache::Open(spec_.options, [this](const std::string& text) {
                          progress_.Warn(text);
                        }));
  run_.cache = cache_.get();
  ARROW_ASSIGN_OR_RAISE(auto records, ledger_->Datasets());
  const bool fresh = records.empty();
  if (fresh) {
    ARROW_RETURN_NOT_OK(DiscoverTables());
  } else {
    for (auto& record : records) {
      if (record.state == DatasetState::kFailed) {
        ARROW_RETURN_NOT_OK(ledger_->Reopen(record.index));
      }
    }
    ARROW_ASSIGN_OR_RAISE(records, ledger_->Datasets());
    for (auto& record : records)
      tables_.push_back(MakeTable(run_.job, std::move(record), ledger_->instance()));
  }
  std::vector<TableRun*> to_plan;
  if (fresh) {
    for (const auto& table : tables_) to_plan.push_back(table.get());
  } else {
    ARROW_ASSIGN_OR_RAISE(auto found, Resume(run_, tables_));
    {
      std::lock_guard lock(mutex_);
      live_epochs_ = found.adopted;
    }
    to_plan = std::move(found.to_read_again);
    ARROW_ASSIGN_OR_RAISE(to_plan, TablesOfNewEpoch(run_, tables_, std::move(to_plan)));
  }
  FindTwins(run_, tables_, to_plan);
  std::vector<const TableRun*> shown;
  for (const auto& table : tables_) shown.push_back(table.get());
  progress_.SetTables(std::move(shown), memory_limit_bytes_);
  ARROW_RETURN_NOT_OK(OrderTables(run_, tables_));
  std::erase_if(to_plan, [](const TableRun* table) { return table->stop.stop_requested(); });
  if (!to_plan.empty()) ARROW_RETURN_NOT_OK(BeginEpoch(std::move(to_plan)));
  return PlanCapacity();
}

Status JobRun::DiscoverTables() {
  std::vector<Dataset> datasets;
  ARROW_RETURN_NOT_OK(RetrySource(run_, "discover", [&]() -> Status {
    ARROW_ASSIGN_OR_RAISE(datasets, run_.source.Discover(Selector::FromJob(spec_)));
    return Status::OK();
  }));
  if (datasets.empty()) return UserError("no table of the source is selected", "nothing_selected");
  ARROW_RETURN_NOT_OK(ApplyContracts(spec_, {run_.state_folder, run_.job, true}, &datasets));
  ARROW_ASSIGN_OR_RAISE(auto records, MakeRecords(spec_, std::move(datasets)));
  ARROW_RETURN_NOT_OK(ledger_->SaveDatasets(records));
  for (auto& record : records) {
    for (const auto& warning : record.dataset.warnings) {
      progress_.Warn(record.dataset.id.ToString() + ": " + warning);
    }
    tables_.push_back(MakeTable(run_.job, std::move(record), ledger_->instance()));
  }
  return Status::OK();
}

// After the pin, which holds a connection of its own.
Status JobRun::PlanCapacity() {
  const bool reads = std::any_of(tables_.begin(), tables_.end(), [](const auto& table) {
    return table->record.state == DatasetState::kPlanned;
  });
  run_.source_traits = run_.source.Traits();
  run_.sink_traits = run_.sink.Traits();
  const ParallelismLimits limits{AvailableCores(), reads ? run_.source_traits.connections_max : -1,
                                 run_.sink_traits.connections_max,
                                 run_.source_traits.workers_default,
                                 run_.source_traits.workers_max};
  Options options = spec_.options;
  size_t count = 0;
  int64_t weight = 0;
  for (const auto& table : tables_) {
    if (table->record.state >= DatasetState::kPublished) continue;
    ++count;
    weight += table->weight;
  }
  WishWorkersForSmallTables(count, weight, &options);
  ARROW_ASSIGN_OR_RAISE(run_.parallelism, PlanParallelism(options, limits));
  MemoryWishes wishes;
  wishes.budget_bytes = memory_limit_bytes_;
  wishes.fixed_bytes = fixed_bytes_;
  wishes.workers = run_.parallelism.workers;
  wishes.workers_least = run_.parallelism.workers_start;
  wishes.cores = limits.cores;
  wishes.batch_bytes = spec_.options.GetBytes("batch_bytes");
  wishes.writer_bytes = run_.sink_traits.writer_bytes;
  HeldRows held;
  for (const auto& table : tables_) held.Add(table->record.dataset);
  held.Wish(&wishes);
  // A batch is compressed once more on its way into the cache.
  if (cache_) wishes.writer_bytes += wishes.batch_bytes;
  ARROW_ASSIGN_OR_RAISE(const auto sizes, UnitSizes());
  ARROW_ASSIGN_OR_RAISE(auto memory, ChooseMemory(spec_.options, wishes, sizes,
                                                  AvailableMemoryBytes() + ResidentBytes()));
  run_.memory = std::move(memory.plan);
  decision_ = std::move(memory.decision);
  run_.strategy = decision_.strategy;
  if (run_.parallelism.workers_start > 0 && run_.memory.workers > run_.parallelism.workers_start) {
    ConcurrencySettings settings;
    settings.start = run_.parallelism.workers_start;
    settings.max = run_.memory.workers;
    governor_ = std::make_unique<ConcurrencyGovernor>(settings);
  }
  run_.transform_resources.bytes_max = run_.memory.transform_bytes;
  run_.transform_resources.spill_folder = SpillFolder(entry_.workspace);
  run_.transform_resources.job_folder = TransformFolder();
  if (std::any_of(tables_.begin(), tables_.end(),
                  [](const auto& table) { return !table->record.dataset.contract.empty(); })) {
    ARROW_RETURN_NOT_OK(MakeFolders(TransformFolder()));
  }
  for (const auto& note : run_.parallelism.notes) progress_.Warn(note);
  for (const auto& note : run_.memory.notes) progress_.Warn(note);
  for (const auto& table : tables_) {
    const Options& options = table->record.dataset.options;
    table->workers_max = WorkersForTable(options, run_.parallelism);
    table->workers_fixed = options.Has("workers_per_table");
    int most = run_.sink.UnitsAtOnceMax(table->record.dataset);
    if (table->limit_rows > 0) most = 1;  // units beyond the limit would be read for nothing
    if (most > 0) {
      table->workers_max = std::min(table->workers_max, most);
      table->workers_fixed = true;
    }
  }
  const SchedulerLimits scheduling{run_.parallelism.parallel_tables,
                                   spec_.options.Has("parallel_tables"),
                                   spec_.options.Has("workers_per_table")};
  scheduler_ =
      std::make_unique<Scheduler>(scheduling, [this](TableRun& table) { return LoadUnits(table); });
  return Status::OK();
}

Result<std::vector<int64_t>> JobRun::UnitSizes() {
  std::vector<int64_t> sizes;
  for (const auto& table : tables_) {
    if (table->record.state != DatasetState::kPlanned) continue;
    const Dataset& dataset = table->record.dataset;
    if (dataset.estimated_memory_bytes < 0) return std::vector<int64_t>{-1};
    ARROW_ASSIGN_OR_RAISE(const auto units, ledger_->Units(table->record.index, UnitStage::kRead));
    for (const auto& unit : units) {
      if (!unit.done) sizes.push_back(UnitMemoryBytes(dataset, unit.unit));
    }
  }
  return sizes;
}

Result<std::vector<UnitRecord>> JobRun::LoadUnits(TableRun& table) {
  const UnitStage stage =
      table.record.state == DatasetState::kPlanned ? UnitStage::kRead : UnitStage::kAssemble;
  ARROW_ASSIGN_OR_RAISE(auto units, ledger_->Units(table.record.index, stage));
  std::erase_if(units, [](const UnitRecord& unit) { return unit.done; });
  return units;
}

void JobRun::Schedule(TableRun* table) {
  if (table->stop.stop_requested() || table->twin_of != nullptr) return;
  switch (table->record.state) {
    case DatasetState::kPlanned:
    case DatasetState::kRead:
      return scheduler_->AddUnits(table);
    case DatasetState::kStaged:
    case DatasetState::kPublishing:
      return scheduler_->AddFinish(table);
    default:
      return;
  }
}

Status JobRun::Execute() {
  ProgressEvent event;
  event.kind = ProgressKind::kJobStarted;
  event.totals = progress_.Totals();
  progress_.Emit(std::move(event));
  for (const auto& table : tables_) {
    ProgressEvent planned;
    planned.kind = ProgressKind::kTablePlanned;
    planned.dataset = table->record.dataset.id;
    planned.units = table->units;
    planned.rows = table->record.dataset.estimated_rows;
    planned.bytes = table->record.dataset.estimated_bytes;
    progress_.Emit(std::move(planned));
    Schedule(table.get());
  }
  std::jthread watcher([this](std::stop_token stop) { WatchViews(stop); });
  std::jthread governing;
  if (governor_) governing = std::jthread([this](std::stop_token stop) { Govern(stop); });
  std::jthread memory_watcher([this](std::stop_token stop) { WatchMemory(stop); });
  std::vector<std::jthread> workers;
  const int count = std::min(run_.memory.workers, run_.parallelism.units_in_flight);
  workers_alive_ = count;
  for (int i = 0; i < count; ++i) workers.emplace_back([this, i] { Work(i); });
  Status status;
  while (!control_.stopping()) {
    const bool over = scheduler_->WaitForEvent(control_.stop());
    if (control_.stopping()) break;
    status = RenewLostEpochs();
    if (!status.ok()) break;
    if (!over) continue;
    const bool held_back = !run_.publish_now;
    const bool failed = std::any_of(tables_.begin(), tables_.end(),
                                    [](const auto& table) { return table->stop.stop_requested(); });
    if (!held_back || failed) break;
    run_.publish_now = true;
    for (const auto& table : tables_) Schedule(table.get());
  }
  if (!status.ok()) control_.Fail(status);
  scheduler_->Close();
  if (governor_) governor_->Close();
  workers.clear();
  return status;
}

Status JobRun::BeginEpoch(std::vector<TableRun*> wanted) {
  const bool described_before =
      std::any_of(tables_.begin(), tables_.end(),
                  [](const auto& table) { return table->record.epoch > 0; }) ||
      options_.resume;
  ARROW_ASSIGN_OR_RAISE(auto epoch, PlanEpoch(run_, wanted, described_before));
  std::lock_guard lock(mutex_);
  live_epochs_.push_back(std::move(epoch));
  return Status::OK();
}

void JobRun::MarkLost(const std::shared_ptr<Epoch>& epoch, const Status& reason) {
  if (epoch->lost.exchange(true)) return;
  progress_.Warn(
      fmt::format("the snapshot of epoch {} is lost: {}; tables that are not wholly "
                  "staged are read again in a new one",
                  epoch->snapshot.epoch, MessageOf(reason)));
  epoch->stop.request_stop();
  scheduler_->Wake();
}

// On the main thread, while workers run.
Status JobRun::RenewLostEpochs() {
  std::vector<TableRun*> concerned;
  for (const auto& table : tables_) {
    if (table->epoch && table->epoch->lost) concerned.push_back(table.get());
  }
  if (concerned.empty()) return Status::OK();
  const bool strict = spec_.options.GetBool("strict");
  // With strict every table may have to begin again, so that none may be at work.
  if (strict) {
    concerned.clear();
    for (const auto& table : tables_) concerned.push_back(table.get());
  }
  for (TableRun* table : concerned) scheduler_->Remove(table);
  scheduler_->WaitIdle(
      [&](const TableRun& table) { return strict || (table.epoch && table.epoch->lost); },
      control_.stop());
  if (control_.stopping()) return control_.reason();
  std::vector<TableRun*> lost;
  for (TableRun* table : concerned) {
    const bool gone = table->epoch && table->epoch->lost;
    if (gone && table->record.state == DatasetState::kPlanned && !table->stop.stop_requested()) {
      lost.push_back(table);
    }
  }
  std::vector<std::shared_ptr<Epoch>> over;
  {
    std::lock_guard lock(mutex_);
    for (const auto& epoch : live_epochs_) {
      if (epoch->lost) over.push_back(epoch);
    }
    std::erase_if(live_epochs_, [](const auto& epoch) { return epoch->lost.load(); });
  }
  for (const auto& epoch : over) run_.source.Release(epoch->snapshot);
  if (!lost.empty()) {
    epochs_lost_in_a_row_ = lost.size() == left_at_last_loss_ ? epochs_lost_in_a_row_ + 1 : 1;
    left_at_last_loss_ = lost.size();
    if (epochs_lost_in_a_row_ > spec_.options.GetInt("retries") + 1) {
      return SnapshotLostError(
          fmt::format("the snapshot was lost {} times before another table "
                      "was whole; the source does not hold one long enough",
                      epochs_lost_in_a_row_));
    }
    ARROW_ASSIGN_OR_RAISE(lost, TablesOfNewEpoch(run_, tables_, std::move(lost)));
    ARROW_RETURN_NOT_OK(BeginEpoch(std::move(lost)));
    RemoveFollowers();
  }
  for (TableRun* table : concerned) {
    // What is staged or published no longer depends on the view.
    if (table->epoch && table->epoch->lost) {
      auto settled = std::make_shared<Epoch>();
      settled->snapshot = table->epoch->snapshot;
      table->epoch = std::move(settled);
    }
    Schedule(table);
  }
  return Status::OK();
}

void JobRun::ReleaseViews(bool unfinished) {
  const bool keep = unfinished && spec_.options.GetDurationMs("keep_snapshot") > 0;
  std::lock_guard lock(mutex_);
  if (!keep) {
    for (const auto& epoch : live_epochs_) run_.source.Release(epoch->snapshot);
  }
  live_epochs_.clear();
}

}  // namespace bulkhaul
