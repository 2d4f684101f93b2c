#include "commit/committer.h"

#include <chrono>
#include <set>

#include <fmt/format.h>

#include "base/crash_point.h"
#include "base/units.h"
#include "plan/splitting.h"

namespace bulkhaul {
namespace {

Status CheckResult(const CommitRequest& request, const StagedResult& result) {
  const int64_t accounted =
      result.rows_written + result.rows_filtered + result.rows_rejected + result.rows_merged;
  if (result.rows_read != accounted) {
    return BugError(
        fmt::format("unit {}: {} rows read, but {} written, {} filtered, {} rejected and {} merged",
                    result.unit_id, result.rows_read, result.rows_written, result.rows_filtered,
                    result.rows_rejected, result.rows_merged));
  }
  int64_t rows = 0, bytes = 0;
  for (const auto& part : result.parts) {
    rows += part.rows;
    bytes += part.bytes;
  }
  if (rows != result.rows_written || bytes != result.stored_bytes) {
    return BugError(
        fmt::format("unit {}: its parts hold {} rows and {} bytes, its result says {} "
                    "and {}",
                    result.unit_id, rows, bytes, result.rows_written, result.stored_bytes));
  }
  if (result.epoch != request.plan.epoch) {
    return BugError(fmt::format("unit {} was read in epoch {}, its table in epoch {}",
                                result.unit_id, result.epoch, request.plan.epoch));
  }
  if (result.dataset != request.plan.dataset.id) {
    return BugError(fmt::format("unit {} belongs to {}, not to {}", result.unit_id,
                                result.dataset.ToString(), request.plan.dataset.id.ToString()));
  }
  return Status::OK();
}

}  // namespace

Status CheckRangesTile(std::span<const UnitRange> planned, std::span<const UnitRange> covered) {
  std::set<std::string> axes;
  for (const auto& range : planned) axes.insert(range.axis);
  std::vector<UnitRange> whole;
  for (const auto& axis : axes) whole.push_back({axis, "", ""});
  // An empty range would be a link from a bound to itself.
  for (const auto& range : covered) {
    if (range.begin == range.end && !range.begin.empty()) {
      return BugError(
          fmt::format("a result covers nothing at '{}' of '{}'", range.begin, range.axis));
    }
  }
  return CheckCovered(whole, covered);
}

Status CheckCounts(const CommitRequest& request) {
  int64_t rows = 0, bytes = 0, last_ordinal = -1;
  for (const auto& result : request.staged) {
    ARROW_RETURN_NOT_OK(CheckResult(request, result));
    if (result.ordinal <= last_ordinal) {
      return BugError(fmt::format("unit {} is out of order", result.unit_id));
    }
    last_ordinal = result.ordinal;
    rows += result.rows_written;
    bytes += result.stored_bytes;
  }
  if (rows != request.rows || bytes != request.bytes) {
    return BugError(fmt::format("the units hold {} rows and {} bytes, the request says {} and {}",
                                rows, bytes, request.rows, request.bytes));
  }
  return Status::OK();
}

Status CheckReceipt(const CommitRequest& request, const CommitReceipt& receipt) {
  if (receipt.rows_left_out < 0 || receipt.rows + receipt.rows_left_out != request.rows) {
    return BugError(fmt::format("{} rows were staged, but {} published at '{}' and {} left out",
                                request.rows, receipt.rows, receipt.location,
                                receipt.rows_left_out));
  }
  if (receipt.dataset != request.plan.dataset.id) {
    return BugError(fmt::format("the receipt is for {}", receipt.dataset.ToString()));
  }
  return Status::OK();
}

Result<CommitRequest> Committer::Request(const CommitInput& input) {
  const DatasetRecord& record = input.record;
  const UnitStage stage = record.intermediate ? UnitStage::kAssemble : UnitStage::kRead;
  CommitRequest request;
  request.job_id = ledger_.job();
  request.idempotency_key =
      fmt::format("{}.{}/{}", ledger_.job(), ledger_.instance(), record.index);
  request.plan.job_id = ledger_.job();
  request.plan.instance = ledger_.instance();
  request.plan.dataset = record.dataset;
  request.plan.schema = input.schema;
  request.plan.output_name = record.output_name;
  request.plan.epoch = record.epoch;
  request.plan.split_key = input.split_key;
  request.schema = input.schema;
  request.snapshot = input.snapshot;
  ARROW_ASSIGN_OR_RAISE(request.staged, ledger_.Staged(record.index, stage));
  request.plan.units = static_cast<int64_t>(request.staged.size());
  for (const auto& result : request.staged) {
    request.rows += result.rows_written;
    request.bytes += result.stored_bytes;
  }
  request.source_description = input.source_description;
  ARROW_ASSIGN_OR_RAISE(request.started_at, ledger_.StartedAt(record.index));
  request.finished_at = FormatUtc(std::chrono::system_clock::now());
  return request;
}

Result<CommitReceipt> Committer::Commit(const CommitInput& input) {
  CrashPoint("committer.begin");
  const DatasetRecord& record = input.record;
  ARROW_ASSIGN_OR_RAISE(CommitRequest request, Request(input));
  // The ranges of the read stage's plan; assembled results carry those of what they joined.
  ARROW_ASSIGN_OR_RAISE(const auto units, ledger_.Units(record.index, UnitStage::kRead));
  std::vector<UnitRange> planned, covered;
  for (const auto& unit : units) planned.push_back(unit.unit.range);
  for (const auto& result : request.staged) {
    covered.insert(covered.end(), result.ranges.begin(), result.ranges.end());
  }
  const std::string name = record.dataset.id.ToString();
  ARROW_RETURN_NOT_OK(WithContext(CheckRangesTile(planned, covered), name));
  ARROW_RETURN_NOT_OK(WithContext(CheckCounts(request), name));
  CrashPoint("committer.checked");

  CommitContext context;
  context.record = [&](const std::string& state) {
    return ledger_.SaveJournal(record.index, state);
  };
  context.recovered = record.journal;
  ARROW_ASSIGN_OR_RAISE(CommitReceipt receipt, sink_.Commit(request, context));
  CrashPoint("committer.sink_committed");
  ARROW_RETURN_NOT_OK(WithContext(CheckReceipt(request, receipt), name));
  ARROW_RETURN_NOT_OK(
      ledger_.Publish(record.index, receipt, FormatUtc(std::chrono::system_clock::now())));
  CrashPoint("committer.done");
  return receipt;
}

Status Committer::TakeBack(DatasetRecord* record) {
  if (record->state != DatasetState::kPublishing || !record->journal) return Status::OK();
  CommitInput input;
  input.record = *record;
  ARROW_ASSIGN_OR_RAISE(const CommitRequest request, Request(input));
  ARROW_ASSIGN_OR_RAISE(const bool nothing, sink_.LeftNothing(request, *record->journal));
  if (!nothing) return Status::OK();
  ARROW_RETURN_NOT_OK(ledger_.ForgetJournal(record->index));
  record->journal.reset();
  record->state = DatasetState::kStaged;
  return Status::OK();
}

}  // namespace bulkhaul
