#include "run/job_planner.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <map>
#include <set>

#include <fmt/format.h>

#include "base/hash.h"
#include "base/text.h"
#include "commit/job_index.h"
#include "plan/option_table.h"
#include "plan/parallelism.h"
#include "plan/splitting.h"
#include "run/transforms.h"

namespace bulkhaul {
namespace {

// Units saved in one transaction of the ledger.
constexpr int64_t kUnitsPerTransaction = 10'000;

// Thousands of small tables wait for fsync, not for a core: with eight workers the waits overlap,
// and the ledger's transactions share theirs. Measured with 2,000 tables of 100 rows on 2 cores and
// a disk with slow syncs: 87 tables/s with two workers, 572 with eight.
constexpr int kWorkersForSmallTables = 8;
constexpr size_t kManyTables = 64;
constexpr int64_t kSmallTableBytes = 1 << 20;

Status Refuse(const std::string& what, const std::string& way_out) {
  return UserError(what + "; " + way_out, "unsupported");
}

// Which of the datasets cannot be pinned, by halves, so that one of a thousand costs few tries.
Status FindUnpinnable(RunContext& run, std::span<TableRun* const> tables,
                      std::map<TableRun*, Status>& failed) {
  if (tables.empty() || run.control.stopping()) return run.control.reason();
  std::vector<Dataset> datasets;
  for (const TableRun* table : tables) datasets.push_back(table->record.dataset);
  auto pinned = run.source.Pin(datasets);
  if (pinned.ok()) {
    run.source.Release(*pinned);
    return Status::OK();
  }
  const ErrorKind kind = KindOf(pinned.status());
  if (kind != ErrorKind::kUser && kind != ErrorKind::kPermanent) return pinned.status();
  if (tables.size() == 1) {
    failed[tables[0]] = pinned.status();
    return Status::OK();
  }
  const size_t half = tables.size() / 2;
  ARROW_RETURN_NOT_OK(FindUnpinnable(run, tables.first(half), failed));
  return FindUnpinnable(run, tables.subspan(half), failed);
}

// Pins the tables; those that cannot be are failed and taken out when the job goes on without them.
Result<Snapshot> PinTables(RunContext& run, std::vector<TableRun*>& tables) {
  Snapshot snapshot;
  const auto pin = [&]() -> Status {
    std::vector<Dataset> datasets;
    for (const TableRun* table : tables) datasets.push_back(table->record.dataset);
    ARROW_ASSIGN_OR_RAISE(snapshot, run.source.Pin(datasets));
    return Status::OK();
  };
  Status status = RetryTransient(run, "pin the snapshot", pin);
  if (status.ok()) return snapshot;
  const ErrorKind kind = KindOf(status);
  const bool one_may_be_to_blame = kind == ErrorKind::kUser || kind == ErrorKind::kPermanent;
  if (!run.continue_on_error || !one_may_be_to_blame) return status;
  std::map<TableRun*, Status> failed;
  ARROW_RETURN_NOT_OK(FindUnpinnable(run, tables, failed));
  if (failed.empty()) return status;
  for (const auto& [table, error] : failed) FailTable(run, *table, error);
  std::erase_if(tables, [&](TableRun* table) { return failed.contains(table); });
  if (tables.empty()) return snapshot;
  ARROW_RETURN_NOT_OK(RetryTransient(run, "pin the snapshot", pin));
  return snapshot;
}

// The table's, with its contract as it was when the job was planned: the user's file may have been
// edited, or be out of reach from this working directory.
Result<Options> OptionsToDescribe(const RunContext& run, const DatasetRecord& record) {
  Options options = record.dataset.options;
  if (record.dataset.contract.empty()) return options;
  const std::string path =
      fmt::format("{}/contract-{}.yaml", JobFolder(run.state_folder, run.job), record.index);
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << record.dataset.contract;
  file.close();
  if (!file) return ErrnoError(errno != 0 ? errno : EIO, "write", path);
  ARROW_RETURN_NOT_OK(options.Set("contract", path));
  return options;
}

// A selector for just these tables, each with its own settings: its columns decide its schema. As a
// glob, so that an absent table is no error.
Result<Selector> SelectorFor(const RunContext& run, std::span<TableRun* const> tables) {
  const Selector whole = Selector::FromJob(run.spec);
  Selector selector;
  selector.options = whole.options;
  for (const TableRun* table : tables) {
    const std::string name = table->record.dataset.id.ToString();
    std::string pattern;
    for (size_t i = 0; i < name.size(); ++i) {
      const char c = name[i];
      const bool last = i + 1 == name.size();
      if (last && std::isalnum(static_cast<unsigned char>(c))) {
        pattern += fmt::format("[{}]", c);  // a glob that only the name matches
        continue;
      }
      if (c == '*' || c == '?' || c == '[' || c == ']' || c == '\\') pattern += '\\';
      pattern += c;
      if (last) pattern += '*';
    }
    ARROW_ASSIGN_OR_RAISE(auto options, OptionsToDescribe(run, table->record));
    selector.tables.push_back({pattern, std::move(options)});
  }
  for (const auto& query : whole.queries) {
    const bool wanted = std::any_of(tables.begin(), tables.end(), [&](const TableRun* table) {
      return table->record.dataset.kind == "query" && table->record.dataset.id.name == query.name;
    });
    if (wanted) selector.queries.push_back(query);
  }
  return selector;
}

// What the transforms make of the dataset's schema, and whether its units are only a first stage.
Status BindTransforms(DatasetRecord& record) {
  auto chain = TransformChain::ForReading(record.dataset);
  if (!chain.ok()) return WithContext(chain.status(), record.dataset.id.ToString());
  record.output_schema = chain->schema();
  const Options& options = record.dataset.options;
  ARROW_ASSIGN_OR_RAISE(const auto outlook, TransformChain::Foresee(record.dataset));
  record.intermediate = outlook.intermediate || options.GetBool("single_file") ||
                        options.GetBytes("merge_small_parts") > 0;
  return Status::OK();
}

// What sinks see of the table before its rows are in their final form.
void PlanOutput(const DatasetRecord& record, DatasetPlan* plan) {
  plan->schema = record.output_schema;
  const auto outlook = TransformChain::Foresee(record.dataset);
  if (outlook.ok()) plan->schema = outlook->planned_schema;
  // Groups do not lie in the ranges that their rows were read in.
  const std::string& split_by = record.dataset.options.GetString("split_by");
  const bool kept = !(outlook.ok() && outlook->one_assembly);
  plan->split_key = kept && plan->schema->GetFieldIndex(split_by) >= 0 ? split_by : "";
}

// Looks at the tables again; those that are gone or look different fail.
Status DescribeAgain(RunContext& run, std::vector<TableRun*>& tables) {
  std::vector<Dataset> found;
  ARROW_ASSIGN_OR_RAISE(const auto selector, SelectorFor(run, tables));
  ARROW_RETURN_NOT_OK(RetrySource(run, "discover", [&]() -> Status {
    ARROW_ASSIGN_OR_RAISE(found, run.source.Discover(selector));
    return Status::OK();
  }));
  std::map<DatasetId, Dataset*> by_id;
  for (auto& dataset : found) by_id[dataset.id] = &dataset;
  std::vector<TableRun*> kept;
  for (TableRun* table : tables) {
    Dataset& before = table->record.dataset;
    const auto now = by_id.find(before.id);
    // A table without columns could not be read then: nothing was promised of it.
    const bool unknown = before.schema->num_fields() == 0;
    Status status;
    if (now == by_id.end()) {
      status = UserError(before.id.ToString() + " is not there any more", "table_gone");
    } else if (!unknown && !now->second->schema->Equals(*before.schema, false)) {
      status = UserError(fmt::format("{} has changed since it was planned; start a new job. Then: "
                                     "{}. Now: {}",
                                     before.id.ToString(), before.schema->ToString(),
                                     now->second->schema->ToString()),
                         "schema_changed");
    }
    if (!status.ok()) {
      FailTable(run, *table, status);
      if (!run.continue_on_error) return status;
      continue;
    }
    // Sizes and what the source keeps for itself are those of today; the options are the job's.
    Options options = before.options;
    std::string contract = before.contract;
    before = std::move(*now->second);
    before.options = std::move(options);
    before.contract = std::move(contract);
    table->estimated_rows = before.estimated_rows;
    if (unknown) {
      ARROW_RETURN_NOT_OK(BindTransforms(table->record));
      PlanOutput(table->record, &table->plan);
    }
    kept.push_back(table);
  }
  tables = std::move(kept);
  return Status::OK();
}

Status DiscardLoose(RunContext& run, std::span<TableRun* const> tables) {
  std::vector<AttemptId> attempts;
  for (const TableRun* table : tables) {
    ARROW_ASSIGN_OR_RAISE(auto loose, run.ledger.LooseAttempts(table->record.index));
    attempts.insert(attempts.end(), loose.begin(), loose.end());
  }
  if (attempts.empty()) return Status::OK();
  ARROW_RETURN_NOT_OK(run.sink.Discard(run.job, attempts));
  return run.ledger.ForgetAttempts(attempts);
}

std::vector<WorkUnit> UnitsForTwin(std::vector<WorkUnit> units, const DatasetRecord& twin) {
  for (WorkUnit& unit : units) {
    unit.dataset = twin.dataset.id;
    unit.id = UnitIdFor(twin.index, unit.ordinal);
  }
  return units;
}

// Splits, saves and prepares each table; the units of thousands of small ones share transactions.
Status PlanUnits(RunContext& run, const Epoch& epoch, std::vector<TableRun*>& tables) {
  std::vector<Ledger::PlannedUnits> unsaved;
  int64_t unsaved_units = 0;
  const auto save = [&] {
    Status status = run.ledger.SaveUnits(epoch.snapshot.epoch, unsaved);
    unsaved.clear();
    unsaved_units = 0;
    return status;
  };
  std::map<const TableRun*, std::vector<WorkUnit>> of_twins;
  for (TableRun* table : tables) {
    if (run.control.stopping()) return run.control.reason();
    if (table->stop.stop_requested()) continue;  // with a table before it, or its twin
    DatasetRecord& record = table->record;
    std::vector<WorkUnit> units;
    Status status;
    if (table->twin_of != nullptr) {
      units = UnitsForTwin(of_twins[table->twin_of], record);
    } else {
      status = RetrySource(run, "plan " + record.dataset.id.ToString(), [&]() -> Status {
        ARROW_ASSIGN_OR_RAISE(units, SplitDataset(run.source, epoch.snapshot, record,
                                                  run.sink_traits, run.control.stop()));
        return Status::OK();
      });
      if (!table->twins.empty()) of_twins[table] = units;
    }
    if (status.ok()) {
      table->units = static_cast<int64_t>(units.size());
      table->plan.units = table->units;
      table->plan.epoch = record.epoch;
      status = run.sink.Prepare(table->plan, false).status();
    }
    if (!status.ok()) {
      const ErrorKind kind = KindOf(status);
      if (kind == ErrorKind::kSnapshotLost || kind == ErrorKind::kCancelled) return status;
      FailTable(run, *table, WithContext(status, record.dataset.id.ToString()));
      if (!run.continue_on_error) return status;
      continue;
    }
    unsaved_units += table->units;
    unsaved.push_back({record.index, UnitStage::kRead, std::move(units)});
    if (unsaved_units >= kUnitsPerTransaction) ARROW_RETURN_NOT_OK(save());
  }
  return save();
}

// The job's, and what becomes of them for each of its tables and queries.
std::vector<Options> AllOptions(const JobSpec& spec) {
  std::vector<Options> all = {spec.options};
  for (const auto& table : spec.tables) all.push_back(spec.options.With(table.options));
  for (const auto& query : spec.queries) all.push_back(spec.options.With(query.options));
  return all;
}

// Of a sink whose rows, once written, cannot be read again.
Status CheckOneStage(const JobSpec& spec, const SinkTraits& sink) {
  for (const Options& options : AllOptions(spec)) {
    for (const char* name : {"shrink", "single_file"}) {
      if (!options.GetBool(name)) continue;
      return Refuse(
          fmt::format("sink {} cannot write staged rows again, as {} needs", sink.name, name),
          fmt::format("leave out {}", name));
    }
    for (const char* name : {"group_by", "aggregates"}) {
      if (!options.Has(name)) continue;
      return Refuse(
          fmt::format("sink {} cannot write staged rows again, as {} needs", sink.name, name),
          "write the groups into files and load those, or group in a query of the source");
    }
    if (options.GetBytes("merge_small_parts") > 0) {
      return Refuse(fmt::format("sink {} has no parts to merge", sink.name),
                    "leave out merge_small_parts");
    }
  }
  return Status::OK();
}

// Options that are about another kind of source or destination: a condition that nobody looks at
// would let all rows through.
Status CheckSubjects(const JobSpec& spec, const SourceTraits& source, const SinkTraits& sink) {
  const auto looks = [](const std::vector<std::string>& options, const OptionSpec& option) {
    return std::find(options.begin(), options.end(), option.group) != options.end() ||
           std::find(options.begin(), options.end(), option.name) != options.end();
  };
  for (const Options& options : AllOptions(spec)) {
    for (const auto& [name, value] : options.values()) {
      const OptionSpec* const option = FindOption(name);
      const char* const subject = SubjectOf(option->group);
      if (subject == nullptr || looks(source.options, *option) || looks(sink.options, *option) ||
          !IsChanged(options, name)) {
        continue;
      }
      return Refuse(fmt::format("{} does nothing from source {} to sink {}: it is about {}", name,
                                source.name, sink.name, subject),
                    fmt::format("leave out {}", name));
    }
  }
  return Status::OK();
}

// Options that were given, and that no table of the job looks at: who wrote them expects something.
// A job's options may be for one of its tables, and those of a table be completed by a pattern.
Status CheckIdle(const JobSpec& spec, const SourceTraits& source) {
  const std::vector<Options> all = AllOptions(spec);
  const auto any = [&](const auto& holds) { return std::any_of(all.begin(), all.end(), holds); };
  const bool upserts =
      any([](const Options& options) { return options.GetString("if_exists") == "upsert"; });
  const bool contracts =
      any([](const Options& options) { return !options.GetString("contract").empty(); });
  const auto asked = [&](const std::string& name) {
    return any([&](const Options& options) {
      const bool may_be_default = name == "duplicates" || name == "reject";
      return options.Has(name) && !(may_be_default && options.GetString(name) == "fail");
    });
  };
  for (const char* name : {"key", "duplicates"}) {
    if (upserts || !asked(name)) continue;
    return Refuse(fmt::format("{} does nothing without if_exists: upsert", name),
                  fmt::format("set that, or leave out {}", name));
  }
  for (const char* name : {"reject", "max_rejects", "quarantine", "sample"}) {
    // Files have rows that cannot be read.
    const bool refuses =
        source.refuses_rows && std::string_view(name) != "sample" &&
        any([](const Options& options) { return options.GetString("reject") == "quarantine"; });
    if (contracts || refuses || !asked(name)) continue;
    if (source.refuses_rows && std::string_view(name) != "sample") {
      return Refuse(fmt::format("{} does nothing without reject: quarantine", name),
                    fmt::format("set that, or leave out {}", name));
    }
    return Refuse(fmt::format("{} does nothing without a contract", name),
                  fmt::format("name its file with contract ('bulkhaul contract init SOURCE' writes "
                              "one), or leave out {}",
                              name));
  }
  return Status::OK();
}

// Before a row is read, whatever on_error says: nothing is published of a job that asks for this.
Status CheckOneTable(const JobSpec& spec, std::span<const Dataset> datasets) {
  constexpr size_t kNamesMax = 3;
  if (spec.options.GetString("layout") != "file" || datasets.size() <= 1) return Status::OK();
  std::string names;
  for (size_t i = 0; i < std::min(kNamesMax, datasets.size()); ++i) {
    names += (i > 0 ? ", " : "") + datasets[i].id.ToString();
  }
  if (datasets.size() > kNamesMax) names += ", …";
  return UserError(
      fmt::format("the destination '{}' is one file, and {} tables are selected ({}); name a "
                  "folder as destination, or select one table",
                  spec.destination_uri, datasets.size(), names),
      "several_tables");
}

}  // namespace

Status CheckWishes(const JobSpec& spec, const SourceTraits& source, const SinkTraits& sink) {
  const Options& options = spec.options;
  const bool snapshot = options.GetString("consistency") == "snapshot";
  // The default asks for a view where there can be one; only who writes it insists.
  if (snapshot && !source.consistent_snapshot && options.Has("consistency")) {
    return Refuse(fmt::format("source {} cannot give all workers one view", source.name),
                  "set consistency: none");
  }
  if (options.GetBool("strict") && !(snapshot && source.consistent_snapshot)) {
    return Refuse("strict asks for one view of all tables",
                  snapshot ? "leave it out: source " + source.name + " has none"
                           : "leave out consistency: none");
  }
  if (options.GetDurationMs("keep_snapshot") > 0 && !source.kept_snapshot) {
    return Refuse(fmt::format("source {} cannot keep a snapshot after the process", source.name),
                  "leave out keep_snapshot");
  }
  if (options.GetBool("cache") && !source.describes_content) {
    return Refuse(fmt::format("source {} cannot show that rows did not change, as cache needs it",
                              source.name),
                  "leave out cache");
  }
  if (!spec.queries.empty() && !source.queries) {
    return Refuse(fmt::format("source {} takes no queries", source.name), "name tables instead");
  }
  if (options.GetString("commit") == "unit" && !sink.unit_commit) {
    return Refuse(fmt::format("sink {} publishes whole tables only", sink.name),
                  "set commit: table");
  }
  if (!sink.second_stage) ARROW_RETURN_NOT_OK(CheckOneStage(spec, sink));
  if (options.GetString("commit") == "job" && !sink.job_commit) {
    return Refuse(fmt::format("sink {} cannot publish all tables in one step", sink.name),
                  "set commit: table");
  }
  ARROW_RETURN_NOT_OK(CheckSubjects(spec, source, sink));
  return CheckIdle(spec, source);
}

Result<std::vector<std::string>> OutputNames(const JobSpec& spec,
                                             std::span<const Dataset> datasets) {
  const bool by_schema = spec.options.GetString("layout") == "by-schema";
  std::set<std::string> taken;
  std::vector<std::string> names(datasets.size());
  const auto place = [&](const Dataset& dataset, const std::string& name) {
    const std::string folder = by_schema ? SafeFileName(dataset.id.schema) + "/" : std::string();
    return AsciiLower(folder + name);
  };
  // Names that were asked for come first: a generated one has to give way.
  for (const bool given : {true, false}) {
    for (size_t i = 0; i < datasets.size(); ++i) {
      const Dataset& dataset = datasets[i];
      const std::string& wished = dataset.options.GetString("output_name");
      if (wished.empty() == given) continue;
      std::string name = SafeFileName(given ? wished
                                      : by_schema || dataset.id.schema.empty()
                                          ? dataset.id.name
                                          : dataset.id.schema + "_" + dataset.id.name);
      if (given && taken.contains(place(dataset, name))) {
        return UserError(fmt::format("output_name '{}' of {} is taken by another table; names must "
                                     "differ in more than the case of letters",
                                     wished, dataset.id.ToString()),
                         "output_name");
      }
      while (taken.contains(place(dataset, name))) {
        name += "_" + HashText(Xxh3Of(fmt::format("{}:{}{}", dataset.id.schema.size(),
                                                  dataset.id.schema, dataset.id.name)))
                          .substr(0, 8);
      }
      taken.insert(place(dataset, name));
      names[i] = std::move(name);
    }
  }
  return names;
}

Result<std::vector<DatasetRecord>> MakeRecords(const JobSpec& spec, std::vector<Dataset> datasets) {
  ARROW_RETURN_NOT_OK(CheckOneTable(spec, datasets));
  ARROW_ASSIGN_OR_RAISE(auto names, OutputNames(spec, datasets));
  std::vector<DatasetRecord> records;
  records.reserve(datasets.size());
  for (size_t i = 0; i < datasets.size(); ++i) {
    DatasetRecord record;
    record.index = static_cast<int64_t>(i);
    record.dataset = std::move(datasets[i]);
    record.output_name = std::move(names[i]);
    ARROW_RETURN_NOT_OK(BindTransforms(record));
    records.push_back(std::move(record));
  }
  return records;
}

void WishWorkersForSmallTables(size_t tables, int64_t bytes, Options* options) {
  const bool many_small =
      tables >= kManyTables && bytes / static_cast<int64_t>(tables) < kSmallTableBytes;
  if (!many_small || options->Has("workers")) return;
  (void)options->Set("workers", std::max<int64_t>(kWorkersForSmallTables, AvailableCores()));
}

std::unique_ptr<TableRun> MakeTable(const JobId& job, DatasetRecord record,
                                    const std::string& instance) {
  auto table = std::make_unique<TableRun>();
  const Dataset& dataset = record.dataset;
  table->plan.job_id = job;
  table->plan.instance = instance;
  table->plan.dataset = dataset;
  table->plan.output_name = record.output_name;
  table->plan.epoch = record.epoch;
  PlanOutput(record, &table->plan);
  table->limit_rows = dataset.options.GetInt("limit");
  // About a hundred bytes a row where only the rows are known.
  table->weight = std::max({dataset.estimated_bytes, dataset.estimated_rows * 100, int64_t{0}});
  table->id = dataset.id;
  table->estimated_rows = dataset.estimated_rows;
  table->record = std::move(record);
  return table;
}

Result<std::vector<WorkUnit>> SplitDataset(Source& source, const Snapshot& snapshot,
                                           const DatasetRecord& record, const SinkTraits& sink,
                                           std::stop_token stop) {
  const Options& options = record.dataset.options;
  SplitHint hint;
  hint.unit_bytes = options.GetBytes("unit_bytes");
  hint.unit_rows = options.GetInt("unit_rows");
  if (hint.unit_bytes == 0 && hint.unit_rows == 0 && !sink.units_visible) {
    hint.unit_bytes = BalancedUnitBytes(record.dataset.estimated_bytes);
  }
  hint.units_max = options.GetInt("units_max");
  std::vector<WorkUnit> units;
  std::string cursor;
  do {
    if (stop.stop_requested()) return CancelledError();
    ARROW_ASSIGN_OR_RAISE(UnitPage page, source.Split(snapshot, record.dataset, hint, cursor));
    for (auto& unit : page.units) {
      unit.dataset = record.dataset.id;
      unit.ordinal = static_cast<int64_t>(units.size());
      unit.id = UnitIdFor(record.index, unit.ordinal);
      units.push_back(std::move(unit));
    }
    cursor = std::move(page.next_cursor);
  } while (!cursor.empty());
  return units;
}

Result<std::shared_ptr<Epoch>> PlanEpoch(RunContext& run, std::span<TableRun* const> wanted,
                                         bool described_before) {
  StageScope stage(run.monitor, MemoryStage::kPlan);
  std::vector<TableRun*> tables(wanted.begin(), wanted.end());
  if (described_before) ARROW_RETURN_NOT_OK(DescribeAgain(run, tables));
  auto epoch = std::make_shared<Epoch>();
  if (tables.empty()) return epoch;
  ARROW_ASSIGN_OR_RAISE(epoch->snapshot, PinTables(run, tables));
  if (tables.empty()) return epoch;
  ARROW_ASSIGN_OR_RAISE(const auto earlier, run.ledger.Snapshots());
  epoch->snapshot.epoch = earlier.empty() ? 1 : earlier.back().epoch + 1;
  std::vector<int64_t> indexes;
  std::vector<DatasetRecord> records;
  for (TableRun* table : tables) {
    DatasetRecord& record = table->record;
    record.epoch = epoch->snapshot.epoch;
    record.state = DatasetState::kPlanned;
    record.decision.clear();
    record.journal.reset();
    table->plan.dataset = record.dataset;
    table->epoch = epoch;
    table->units_done = 0;
    table->rows = 0;
    table->limit_taken = 0;
    epoch->datasets.push_back(record.dataset);
    indexes.push_back(record.index);
    records.push_back(record);
  }
  ARROW_RETURN_NOT_OK(run.ledger.BeginEpoch(epoch->snapshot, indexes));
  if (described_before) ARROW_RETURN_NOT_OK(run.ledger.SaveDatasets(records));
  ARROW_RETURN_NOT_OK(DiscardLoose(run, tables));
  ARROW_RETURN_NOT_OK(PlanUnits(run, *epoch, tables));
  return epoch;
}

void FindTwins(const RunContext& run, std::span<const std::unique_ptr<TableRun>> tables,
               std::span<TableRun* const> to_plan) {
  if (!run.source.Traits().states_tell_rows || !run.sink.Traits().duplicates_staged) return;
  const std::set<const TableRun*> planned(to_plan.begin(), to_plan.end());
  std::map<std::string, TableRun*> first;
  for (const auto& table : tables) {
    const Dataset& dataset = table->record.dataset;
    if (table->record.state != DatasetState::kPlanned || table->limit_rows > 0) continue;
    // What a contract saw of the rows belongs to one table.
    if (!dataset.contract.empty() || dataset.source_state.empty()) continue;
    Options options = dataset.options;
    (void)options.Set("output_name", std::string());
    const std::string key =
        fmt::format("{}\n{}\n{}\n{}", planned.contains(table.get()), table->record.epoch,
                    options.ToJson(), dataset.source_state);
    const auto [place, added] = first.try_emplace(key, table.get());
    if (added) continue;
    table->twin_of = place->second;
    place->second->twins.push_back(table.get());
  }
}

Result<std::vector<TableRun*>> TablesOfNewEpoch(const RunContext& run,
                                                std::span<const std::unique_ptr<TableRun>> tables,
                                                std::vector<TableRun*> lost) {
  if (!run.spec.options.GetBool("strict") || lost.empty()) return lost;
  std::vector<TableRun*> all;
  for (const auto& table : tables) {
    const DatasetState state = table->record.state;
    if (state == DatasetState::kPublished || state == DatasetState::kPublishing) {
      return SnapshotLostError(
          fmt::format("the snapshot is gone and {} was published from it: strict refuses tables "
                      "from two snapshots; start a new job, or leave out strict",
                      table->record.dataset.id.ToString()),
          "strict");
    }
    if (!table->stop.stop_requested()) all.push_back(table.get());
  }
  return all;
}

}  // namespace bulkhaul
