#include "run/table_finisher.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "base/crash_point.h"
#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "plan/splitting.h"
#include "run/contract_plan.h"
#include "run/transforms.h"
#include "run/unit_cache.h"
#include "run/unit_worker.h"
#include "transform/transform.h"

namespace bulkhaul {
namespace {

// Neighbours are joined until a group reaches the size; with single_file there is one group.
std::vector<AssemblyRange> Group(const Options& options, bool one,
                                 const std::vector<StagedResult>& units) {
  if (one || options.GetBool("single_file")) {
    return {{0, std::max<int64_t>(0, static_cast<int64_t>(units.size()) - 1)}};
  }
  const int64_t bytes_wanted = options.GetBytes("merge_small_parts");
  std::vector<AssemblyRange> groups;
  int64_t bytes = 0;
  for (size_t i = 0; i < units.size(); ++i) {
    const auto ordinal = static_cast<int64_t>(i);
    if (groups.empty() || bytes_wanted == 0 || bytes >= bytes_wanted) {
      groups.push_back({ordinal, ordinal});
      bytes = 0;
    }
    groups.back().last = ordinal;
    bytes += units[i].stored_bytes;
  }
  return groups;
}

Status PlanAssembly(RunContext& run, TableRun& table) {
  DatasetRecord& record = table.record;
  ARROW_ASSIGN_OR_RAISE(const auto units, run.ledger.Staged(record.index, UnitStage::kRead));
  ARROW_ASSIGN_OR_RAISE(const std::string decision, TransformChain::Decide(record.dataset, units));
  ARROW_ASSIGN_OR_RAISE(const auto outlook, TransformChain::Foresee(record.dataset));
  std::vector<WorkUnit> planned;
  for (const auto& group : Group(record.dataset.options, outlook.one_assembly, units)) {
    WorkUnit unit;
    unit.ordinal = static_cast<int64_t>(planned.size());
    unit.id = fmt::format("{}.a{}", record.index, unit.ordinal);
    unit.dataset = record.dataset.id;
    unit.source_state = group.ToJson();
    planned.push_back(std::move(unit));
  }
  ARROW_ASSIGN_OR_RAISE(const bool begun,
                        run.ledger.BeginAssembly(record.index, decision, planned));
  if (!begun) return BugError("units of " + record.dataset.id.ToString() + " are not all staged");
  record.decision = decision;
  record.state = DatasetState::kRead;
  return Status::OK();
}

Status Stage(RunContext& run, TableRun& table) {
  DatasetRecord& record = table.record;
  ARROW_ASSIGN_OR_RAISE(const bool staged, run.ledger.MarkStaged(record.index));
  if (!staged) return BugError("units of " + record.dataset.id.ToString() + " are not all staged");
  const bool assembled = record.state == DatasetState::kRead;
  record.state = DatasetState::kStaged;
  if (!assembled) return Status::OK();
  // The rows are in their final form now, so that the intermediate one only takes space.
  ARROW_ASSIGN_OR_RAISE(const auto units, run.ledger.Staged(record.index, UnitStage::kRead));
  std::vector<AttemptId> attempts;
  for (const auto& unit : units) attempts.push_back(unit.attempt_id);
  const Status discarded = run.sink.Discard(run.job, attempts);
  if (!discarded.ok()) run.progress.Warn(MessageOf(discarded));
  ARROW_ASSIGN_OR_RAISE(auto chain, TransformChain::ForAssembling(record.dataset, record.decision,
                                                                  record.output_schema));
  for (auto& line : chain.Explain()) table.explanations.push_back(std::move(line));
  return Status::OK();
}

Status PublishTable(RunContext& run, TableRun& table) {
  DatasetRecord& record = table.record;
  StageScope stage(run.monitor, MemoryStage::kPublish);
  CommitInput input;
  input.record = record;
  ARROW_ASSIGN_OR_RAISE(input.schema, FinalSchema(record));
  if (table.epoch) input.snapshot = table.epoch->snapshot;
  input.split_key = table.plan.split_key;
  input.source_description = run.source_description;
  auto committed = Committer(run.ledger, run.sink).Commit(input);
  if (!committed.ok()) {
    // How far it went is in the ledger, and the next try goes on from there.
    ARROW_ASSIGN_OR_RAISE(record.journal, run.ledger.Journal(record.index));
    if (record.journal) record.state = DatasetState::kPublishing;
    return committed.status();
  }
  const CommitReceipt receipt = committed.MoveValueUnsafe();
  for (const auto& warning : receipt.warnings) run.progress.Warn(warning);
  record.receipt = receipt;
  record.state = DatasetState::kPublished;
  table.published = true;
  table.finished_ms = run.progress.elapsed_ms();
  Log(LogLevel::kDetailed, fmt::format("{}: {} rows published at {}", record.dataset.id.ToString(),
                                       FormatCount(receipt.rows), receipt.location));
  ProgressEvent event;
  event.kind = ProgressKind::kTablePublished;
  event.dataset = record.dataset.id;
  event.location = receipt.location;
  event.rows = receipt.rows;
  event.bytes = receipt.bytes;
  event.units = table.units;
  event.elapsed_ms = table.started_ms >= 0 ? table.finished_ms - table.started_ms : 0;
  run.progress.Emit(std::move(event));
  return Status::OK();
}

// The source counts too. What it finds wanting is forgotten, so that resume reads it again.
Status CheckRows(RunContext& run, TableRun& table) {
  DatasetRecord& record = table.record;
  if (!run.source_traits.checks_rows || table.limit_rows > 0) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const auto units, run.ledger.Staged(record.index, UnitStage::kRead));
  std::map<std::string, int64_t> rows;
  for (const auto& unit : units) {
    if (!unit.ranges.empty()) rows[unit.ranges[0].axis] += unit.rows_read;
  }
  RowFindings found;
  const Status status = run.source.CheckRows(table.epoch->snapshot, record.dataset, rows, &found);
  // The request that failed has been tried again.
  table.check_tries_used = !status.ok() && run.source_traits.retries_requests;
  for (const auto& note : found.notes) {
    run.progress.Warn(record.dataset.id.ToString() + ": " + note);
  }
  const auto& wrong = found.wrong;
  for (const auto& unit : units) {
    const bool forget = !unit.ranges.empty() &&
                        std::find(wrong.begin(), wrong.end(), unit.ranges[0].axis) != wrong.end();
    if (!forget) continue;
    ARROW_RETURN_NOT_OK(run.ledger.ForgetResult(record.index, UnitStage::kRead, unit.ordinal));
  }
  return status;
}

// The units of `twin` are done with what those of `table` have staged.
Status Duplicate(RunContext& run, const TableRun& table, TableRun& twin) {
  const DatasetRecord& record = twin.record;
  ARROW_ASSIGN_OR_RAISE(const auto staged, run.ledger.Staged(table.record.index, UnitStage::kRead));
  ARROW_ASSIGN_OR_RAISE(const auto units, run.ledger.Units(record.index, UnitStage::kRead));
  if (units.size() != staged.size()) {
    return BugError(fmt::format("{} units instead of {}", units.size(), staged.size()));
  }
  for (size_t i = 0; i < units.size(); ++i) {
    if (units[i].done) continue;
    AttemptRecord attempt;
    attempt.id = fmt::format("{}-{}", units[i].unit.id, NewId());
    attempt.dataset_index = record.index;
    attempt.epoch = record.epoch;
    attempt.stage = UnitStage::kRead;
    attempt.ordinal = units[i].unit.ordinal;
    ARROW_RETURN_NOT_OK(run.ledger.BeginAttempt(attempt));
    ARROW_ASSIGN_OR_RAISE(StagedResult result, run.sink.Duplicate(staged[i], attempt.id));
    result.unit_id = units[i].unit.id;
    result.attempt_id = attempt.id;
    result.dataset = record.dataset.id;
    result.epoch = record.epoch;
    result.ordinal = attempt.ordinal;
    // Nothing was received or looked up for it.
    result.source_bytes = result.elapsed_ms = 0;
    std::erase_if(result.counters,
                  [](const auto& one) { return one.first.starts_with(kCacheCounters); });
    ARROW_ASSIGN_OR_RAISE(const bool won, run.ledger.FinishAttempt(attempt, result, false));
    if (!won) return BugError("unit " + result.unit_id + " was done twice");
    twin.rows += result.rows_written;
    ++twin.units_done;
    CrashPoint("run.unit_duplicated");
  }
  return Status::OK();
}

// Before the staged results go where readers find them.
void GiveToTwins(RunContext& run, TableRun& table, const std::function<void(TableRun*)>& add) {
  for (TableRun* twin : table.twins) {
    if (twin->twin_of != &table || twin->stop.stop_requested()) continue;
    const Status status = Duplicate(run, table, *twin);
    if (run.control.stopping()) return;
    if (status.ok()) {
      twin->explanations.push_back("the same query as " + table.record.dataset.id.ToString() +
                                   ", which was read once for both");
    } else {
      run.progress.Warn(fmt::format("{} is read by itself, though {} asks for the same rows: {}",
                                    twin->record.dataset.id.ToString(),
                                    table.record.dataset.id.ToString(), MessageOf(status)));
    }
    twin->twin_of = nullptr;
    add(twin);
  }
}

// Rows that were put aside are on the disk before the others are published.
Status WriteRejects(RunContext& run, TableRun& table) {
  const DatasetRecord& record = table.record;
  if (!record.dataset.judges_rows()) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const auto units, run.ledger.Staged(record.index, UnitStage::kRead));
  const auto path = QuarantineFile(run.spec, record.dataset, record.output_name, run.job);
  ARROW_ASSIGN_OR_RAISE(const int64_t rows, WriteQuarantine(units, path));
  if (rows == 0) return Status::OK();
  table.rejected_to = path;
  if (!run.announce_rejects) return Status::OK();
  run.progress.Warn(fmt::format(
      "{}: {} rows that {} were put into {}", record.dataset.id.ToString(), FormatCount(rows),
      record.dataset.contract.empty() ? "cannot be read" : "break the contract", path));
  return Status::OK();
}

// What rows as a whole must be, before any of them is published.
Status Conclude(RunContext& run, const TableRun& table) {
  const DatasetRecord& record = table.record;
  if (!record.dataset.judges_rows()) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const auto units, run.ledger.Staged(record.index, UnitStage::kRead));
  return TransformChain::Conclude(record.dataset, run.transform_resources, units);
}

}  // namespace

Result<std::shared_ptr<arrow::Schema>> FinalSchema(const DatasetRecord& record) {
  if (!record.intermediate) return record.output_schema;
  ARROW_ASSIGN_OR_RAISE(auto chain, TransformChain::ForAssembling(record.dataset, record.decision,
                                                                  record.output_schema));
  return chain.schema();
}

Result<NextStep> FinishStage(RunContext& run, TableRun& table,
                             const std::function<void(TableRun*)>& add_twin) {
  DatasetRecord& record = table.record;
  if (record.state == DatasetState::kPlanned) {
    // Units count only if the view, and the locks that keep it true, outlived the last of them.
    if (table.epoch->snapshot.consistent) {
      ARROW_RETURN_NOT_OK(run.source.CheckPin(table.epoch->snapshot));
    }
    ARROW_RETURN_NOT_OK(CheckRows(run, table));
    if (const Status concluded = Conclude(run, table); !concluded.ok()) {
      // Whoever mends the data wants to see those rows too.
      const Status written = WriteRejects(run, table);
      if (!written.ok()) run.progress.Warn(MessageOf(written));
      return concluded;
    }
    GiveToTwins(run, table, add_twin);
    if (record.intermediate) {
      ARROW_RETURN_NOT_OK(PlanAssembly(run, table));
      return NextStep::kUnits;
    }
    ARROW_RETURN_NOT_OK(Stage(run, table));
  } else if (record.state == DatasetState::kRead) {
    ARROW_RETURN_NOT_OK(Stage(run, table));
  }
  if (!run.publish_now) return NextStep::kOver;
  if (const Predecessor* first = table.WaitsFor()) {
    Log(LogLevel::kDetailed,
        fmt::format("{} is staged and waits for {}", table.Name(),
                    ComesAfter{first->table->Name(), first->reason}.ToString()));
    return NextStep::kWait;
  }
  ARROW_RETURN_NOT_OK(WriteRejects(run, table));
  ARROW_RETURN_NOT_OK(PublishTable(run, table));
  RememberSchema(run, record.dataset);
  return NextStep::kOver;
}

}  // namespace bulkhaul
