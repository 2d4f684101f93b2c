// What a job that goes on finds of itself.
#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "commit/committer.h"
#include "run/job_planner.h"

namespace bulkhaul {
namespace {

// Results that the ledger has and the destination must still hold.
struct Expected {
  TableRun* table;
  UnitStage stage;
  StagedResult result;
};

// The stages whose staged bytes matter in the table's state.
std::vector<UnitStage> StagesToCheck(const DatasetRecord& record) {
  switch (record.state) {
    case DatasetState::kPlanned:
      return {UnitStage::kRead};
    case DatasetState::kRead:
      return {UnitStage::kRead, UnitStage::kAssemble};
    case DatasetState::kStaged:
      // Intermediate rows may have been discarded already.
      return {record.intermediate ? UnitStage::kAssemble : UnitStage::kRead};
    default:
      return {};
  }
}

Status ForgetMissing(RunContext& run, std::span<const std::unique_ptr<TableRun>> tables) {
  std::vector<Expected> expected;
  std::vector<StagedResult> with_parts;
  for (const auto& table : tables) {
    for (const UnitStage stage : StagesToCheck(table->record)) {
      ARROW_ASSIGN_OR_RAISE(auto results, run.ledger.Staged(table->record.index, stage));
      for (auto& result : results) {
        if (!result.parts.empty()) with_parts.push_back(result);
        expected.push_back({table.get(), stage, std::move(result)});
      }
    }
  }
  std::set<AttemptId> whole;
  if (!with_parts.empty()) {
    ARROW_ASSIGN_OR_RAISE(const auto held, run.sink.Recover(run.job, with_parts));
    for (const auto& result : held) whole.insert(result.attempt_id);
  }
  for (const auto& [table, stage, result] : expected) {
    // A result without parts needs nothing of the destination.
    if (result.parts.empty() || whole.contains(result.attempt_id)) continue;
    DatasetRecord& record = table->record;
    ARROW_RETURN_NOT_OK(run.ledger.ForgetResult(record.index, stage, result.ordinal));
    const DatasetState back =
        stage == UnitStage::kRead ? DatasetState::kPlanned : DatasetState::kRead;
    if (record.state > back && record.state <= DatasetState::kStaged) record.state = back;
    run.progress.Warn(
        fmt::format("{}: the staged rows of unit {} are gone or damaged; it is done "
                    "again",
                    record.dataset.id.ToString(), result.unit_id));
  }
  return Status::OK();
}

// An assembled part is gone, and so may be the rows that it was made from: they are discarded once
// a table is staged, so they were not looked at above.
Status CheckIntermediate(RunContext& run, TableRun& table) {
  DatasetRecord& record = table.record;
  ARROW_ASSIGN_OR_RAISE(auto results, run.ledger.Staged(record.index, UnitStage::kRead));
  std::erase_if(results, [](const StagedResult& result) { return result.parts.empty(); });
  if (results.empty()) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const auto held, run.sink.Recover(run.job, results));
  std::set<AttemptId> whole;
  for (const auto& result : held) whole.insert(result.attempt_id);
  for (const auto& result : results) {
    if (whole.contains(result.attempt_id)) continue;
    ARROW_RETURN_NOT_OK(run.ledger.ForgetResult(record.index, UnitStage::kRead, result.ordinal));
    record.state = DatasetState::kPlanned;
  }
  return Status::OK();
}

Status CountWhatIsDone(RunContext& run, TableRun& table) {
  DatasetRecord& record = table.record;
  ARROW_ASSIGN_OR_RAISE(const auto totals, run.ledger.Totals(record.index));
  table.units = totals.units;
  table.plan.units = totals.units;
  table.units_done = totals.units_done;
  table.rows = record.receipt ? record.receipt->rows : totals.rows;
  if (table.limit_rows == 0) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const auto results, run.ledger.Staged(record.index, UnitStage::kRead));
  int64_t taken = 0;
  for (const auto& result : results) taken += result.rows_read;
  table.limit_taken = taken;
  return Status::OK();
}

// Without a view that holds them, rows that were read may not be those of today: units of what has
// changed are forgotten, and a table that was whole is half read again.
Status ForgetChanged(RunContext& run, const Snapshot& snapshot, TableRun& table) {
  DatasetRecord& record = table.record;
  if (record.state > DatasetState::kStaged) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const auto axes, run.source.ChangedAxes(snapshot, record.dataset));
  if (axes.empty()) return Status::OK();
  const std::set<std::string> changed(axes.begin(), axes.end());
  ARROW_ASSIGN_OR_RAISE(const auto results, run.ledger.Staged(record.index, UnitStage::kRead));
  int64_t forgotten = 0;
  for (const auto& result : results) {
    const bool touched =
        std::any_of(result.ranges.begin(), result.ranges.end(),
                    [&](const auto& range) { return changed.contains(range.axis); });
    if (!touched) continue;
    ARROW_RETURN_NOT_OK(run.ledger.ForgetResult(record.index, UnitStage::kRead, result.ordinal));
    ++forgotten;
  }
  if (forgotten == 0) return Status::OK();
  run.progress.Warn(fmt::format(
      "{}: {} units are read again, because {} changed since", record.dataset.id.ToString(),
      forgotten, axes.size() == 1 ? axes[0] : fmt::format("{} places of it", axes.size())));
  // Of a staged table's rows in their intermediate form nothing may be left.
  if (record.intermediate && record.state == DatasetState::kStaged) {
    ARROW_RETURN_NOT_OK(CheckIntermediate(run, table));
  }
  record.state = DatasetState::kPlanned;
  return CountWhatIsDone(run, table);
}

// Takes over the views of tables that are half read. Tables whose view is gone begin again.
Status TakeOver(RunContext& run, const std::map<int64_t, Snapshot>& snapshots,
                std::map<int64_t, std::vector<TableRun*>>& half_read, Resumption& resumption) {
  for (auto& [number, tables] : half_read) {
    const auto known = snapshots.find(number);
    if (known == snapshots.end()) {
      resumption.to_read_again.insert(resumption.to_read_again.end(), tables.begin(), tables.end());
      continue;
    }
    auto epoch = std::make_shared<Epoch>();
    epoch->snapshot = known->second;
    for (const TableRun* table : tables) epoch->datasets.push_back(table->record.dataset);
    Status status;
    if (epoch->snapshot.consistent) {
      status = run.source.Adopt(epoch->snapshot);
    } else {
      // There is no view to lose: what was read stays read.
      auto pinned = run.source.Pin(epoch->datasets);
      status = pinned.status();
      if (status.ok()) {
        epoch->snapshot = pinned.MoveValueUnsafe();
        epoch->snapshot.epoch = number;
      }
      for (TableRun* table : tables) {
        if (status.ok()) status = ForgetChanged(run, known->second, *table);
      }
    }
    if (status.ok()) {
      for (TableRun* table : tables) table->epoch = epoch;
      resumption.adopted.push_back(epoch);
      continue;
    }
    if (KindOf(status) != ErrorKind::kSnapshotLost) return status;
    resumption.to_read_again.insert(resumption.to_read_again.end(), tables.begin(), tables.end());
  }
  return Status::OK();
}

}  // namespace

Result<Resumption> Resume(RunContext& run, std::span<const std::unique_ptr<TableRun>> tables) {
  StageScope stage(run.monitor, MemoryStage::kPlan);
  Resumption resumption;
  std::map<int64_t, Snapshot> snapshots;
  ARROW_ASSIGN_OR_RAISE(auto saved, run.ledger.Snapshots());
  for (auto& snapshot : saved) snapshots[snapshot.epoch] = std::move(snapshot);
  for (const auto& table : tables) {
    ARROW_RETURN_NOT_OK(Committer(run.ledger, run.sink).TakeBack(&table->record));
  }
  std::map<int64_t, DatasetState> state_before;
  for (const auto& table : tables) state_before[table->record.index] = table->record.state;
  ARROW_RETURN_NOT_OK(ForgetMissing(run, tables));
  std::map<int64_t, std::vector<TableRun*>> half_read;
  for (const auto& table : tables) {
    DatasetRecord& record = table->record;
    const bool was_staged = state_before[record.index] == DatasetState::kStaged;
    if (was_staged && record.state == DatasetState::kRead) {
      ARROW_RETURN_NOT_OK(CheckIntermediate(run, *table));
    }
    ARROW_RETURN_NOT_OK(CountWhatIsDone(run, *table));
    table->published_before = record.state == DatasetState::kPublished;
    if (const auto known = snapshots.find(record.epoch); known != snapshots.end()) {
      table->epoch = std::make_shared<Epoch>();
      table->epoch->snapshot = known->second;
      if (!known->second.consistent && record.state != DatasetState::kPlanned) {
        ARROW_RETURN_NOT_OK(ForgetChanged(run, known->second, *table));
      }
    }
    if (record.state != DatasetState::kPlanned) continue;
    // Without units it was never planned whole.
    if (table->units == 0) {
      resumption.to_read_again.push_back(table.get());
    } else {
      half_read[record.epoch].push_back(table.get());
    }
  }
  ARROW_RETURN_NOT_OK(TakeOver(run, snapshots, half_read, resumption));
  const std::set<TableRun*> again(resumption.to_read_again.begin(), resumption.to_read_again.end());
  // What goes on needs its place at the destination again, and no leftovers of the crash. A table
  // whose commit has begun finds its place in the journal.
  for (const auto& table : tables) {
    const DatasetState state = table->record.state;
    if (state >= DatasetState::kPublishing || again.contains(table.get())) continue;
    ARROW_RETURN_NOT_OK(run.sink.Prepare(table->plan, false).status());
    ARROW_ASSIGN_OR_RAISE(const auto loose, run.ledger.LooseAttempts(table->record.index));
    if (loose.empty()) continue;
    ARROW_RETURN_NOT_OK(run.sink.Discard(run.job, loose));
    ARROW_RETURN_NOT_OK(run.ledger.ForgetAttempts(loose));
  }
  return resumption;
}

}  // namespace bulkhaul
