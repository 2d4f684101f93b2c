#include "run/unit_worker.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include <arrow/util/byte_size.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "run/read_ahead.h"
#include "run/row_place.h"
#include "run/transforms.h"
#include "run/unit_cache.h"

namespace bulkhaul {
namespace {

// A row that makes a batch of its own stands in memory as the answer that holds it, the next answer
// on its way, the column that grows, the batch, and the writer's page, plain and compressed.
constexpr int64_t kCopiesOfHugeRow = 8;

using Clock = std::chrono::steady_clock;

struct StopLink {
  std::stop_source target;
  void operator()() { target.request_stop(); }
};

// The source may have changed since it was described; what is read must be what was promised.
Status CheckSchema(const Dataset& dataset, const arrow::Schema& read) {
  const arrow::Schema& planned = *dataset.schema;
  if (planned.num_fields() != read.num_fields()) {
    return UserError(fmt::format("{} has changed since it was planned: {} columns then, {} now; "
                                 "start a new job",
                                 dataset.id.ToString(), planned.num_fields(), read.num_fields()),
                     "schema_changed");
  }
  for (int i = 0; i < planned.num_fields(); ++i) {
    const auto& then = *planned.field(i);
    const auto& now = *read.field(i);
    if (then.name() == now.name() && then.type()->Equals(*now.type())) continue;
    return UserError(fmt::format("{} has changed since it was planned: column {} was {} {}, is {} "
                                 "{}; start a new job",
                                 dataset.id.ToString(), i + 1, then.name(), then.type()->ToString(),
                                 now.name(), now.type()->ToString()),
                     "schema_changed");
  }
  return Status::OK();
}

// Rows of the table's limit that this attempt has taken; given back unless kept.
class LimitShare {
 public:
  explicit LimitShare(TableRun& table) : table_(table) {}
  ~LimitShare() {
    if (!kept_) table_.limit_taken -= taken_;
  }
  bool limited() const { return table_.limit_rows > 0; }
  bool exhausted() const { return limited() && table_.limit_taken >= table_.limit_rows; }
  int64_t Take(int64_t rows) {
    if (!limited()) return rows;
    int64_t seen = table_.limit_taken;
    for (;;) {
      const int64_t share = std::clamp<int64_t>(table_.limit_rows - seen, 0, rows);
      if (!table_.limit_taken.compare_exchange_weak(seen, seen + share)) continue;
      taken_ += share;
      return share;
    }
  }
  void Keep() { kept_ = true; }

 private:
  TableRun& table_;
  int64_t taken_ = 0;
  bool kept_ = false;
};

// Leaves out what stands behind the last row that a limit takes of the batch at hand.
void DropBehind(const UnitReader& reader, int64_t rows, std::vector<RefusedRow>& refused) {
  if (rows == 0) return refused.clear();
  const RowPlace last = reader.PlaceOf(rows - 1);
  std::erase_if(refused, [&](const RefusedRow& row) {
    return row.place.file == last.file && row.place.line > last.line;
  });
}

void Merge(std::map<std::string, int64_t>& into, const std::map<std::string, int64_t>& from) {
  for (const auto& [name, count] : from) into[name] += count;
}

}  // namespace

// What lives as long as one attempt. The counters are also read by the progress.
struct UnitWorker::Attempt {
  explicit Attempt(RunContext& run, const Task& task, int worker)
      : run(run), table(*task.table), limit(table), started(Clock::now()) {
    record.id = fmt::format("{}-{}", task.unit.unit.id, NewId());
    record.dataset_index = table.record.index;
    record.epoch = table.record.epoch;
    record.stage = task.unit.stage;
    record.ordinal = task.unit.unit.ordinal;
    record.worker = worker;
    ++table.units_running;
  }
  ~Attempt() {
    --table.units_running;
    if (kept) return;
    table.rows -= shown_rows;
    run.progress.bytes -= shown_bytes;
  }
  void Show(int64_t rows_now, int64_t bytes_now) {
    rows = rows_now;
    bytes = bytes_now;
    table.rows += rows_now - shown_rows;
    run.progress.bytes += bytes_now - shown_bytes;
    shown_rows = rows_now;
    shown_bytes = bytes_now;
  }
  int64_t elapsed_ms() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started).count();
  }

  RunContext& run;
  TableRun& table;
  LimitShare limit;
  AttemptRecord record;
  std::stop_source stop;
  Reservation reservation;
  UnitContext context;
  std::atomic<int64_t> rows{0}, bytes{0};  // what the unit context points to
  int64_t shown_rows = 0, shown_bytes = 0;
  int64_t rows_written = 0;  // of the result that the ledger has
  bool kept = false;
  const Clock::time_point started;
};

// Where one unit's rows come from.
struct UnitWorker::Reading {
  std::unique_ptr<UnitReader> reader;
  std::unique_ptr<RowKeeper> keeper;        // null when the rows are not to be kept
  std::map<std::string, int64_t> counters;  // what the cache did
  bool kept = false;                        // the rows come from the cache
};

UnitWorker::UnitWorker(RunContext& run, int number) : run_(run) {
  context_.job_id = run.job;
  context_.worker = number;
  context_.stop = run.control.stop();
  context_.options = &run.spec.options;
}

void UnitWorker::Disconnect() {
  session_.reset();
  session_epoch_.reset();
}

Status UnitWorker::Connect(const std::shared_ptr<Epoch>& epoch) {
  if (session_ && session_epoch_ == epoch && session_->ok()) return Status::OK();
  Disconnect();
  ARROW_ASSIGN_OR_RAISE(session_, run_.source.Open(epoch->snapshot, epoch->datasets, context_));
  session_epoch_ = epoch;
  return Status::OK();
}

Result<int64_t> UnitWorker::Run(const Task& task) {
  Attempt attempt(run_, task, context_.worker);
  const bool reads = task.unit.stage == UnitStage::kRead;
  std::stop_callback on_job(run_.control.stop(), StopLink{attempt.stop});
  std::stop_callback on_table(attempt.table.stop.get_token(), StopLink{attempt.stop});
  std::optional<std::stop_callback<StopLink>> on_epoch;
  if (reads) on_epoch.emplace(attempt.table.epoch->stop.get_token(), StopLink{attempt.stop});
  const Options& options = attempt.table.record.dataset.options;
  const int64_t timeout_ms = options.GetDurationMs("unit_timeout");

  // The strategy may have changed since the memory was planned.
  int64_t wanted_bytes =
      run_.memory.worker_bytes - run_.memory.read_ahead_bytes + (reads ? run_.ReadAheadBytes() : 0);
  if (task.unit.unit.row_bytes > run_.memory.batch_bytes) {
    wanted_bytes += kCopiesOfHugeRow * task.unit.unit.row_bytes;
    ReturnLargeBlocks();
  }
  ARROW_ASSIGN_OR_RAISE(attempt.reservation,
                        run_.budget.Reserve(wanted_bytes, attempt.stop.get_token()));
  StageScope stage(run_.monitor, reads ? MemoryStage::kRead : MemoryStage::kAssemble);
  Watchdog::Watch watch(run_.watchdog, timeout_ms, attempt.stop);
  UnitContext& context = attempt.context;
  context.stop = attempt.stop.get_token();
  context.attempt_id = attempt.record.id;
  context.pool = arrow::default_memory_pool();
  context.reservation = &attempt.reservation;
  context.batch_bytes_max = std::min(run_.memory.batch_bytes, options.GetBytes("batch_bytes"));
  context.batch_rows_max = options.GetInt("batch_rows");
  context.timeout_ms = timeout_ms;
  context.rows_read = &attempt.rows;
  context.bytes_read = &attempt.bytes;

  Status status = run_.ledger.BeginAttempt(attempt.record);
  if (!status.ok()) {
    run_.control.Fail(status);
    return status;
  }
  status = RunAttempt(task, attempt);
  if (status.ok()) return attempt.rows_written;
  if (watch.expired() && KindOf(status) == ErrorKind::kCancelled && !run_.control.stopping()) {
    status = TransientError(
        fmt::format("not finished within unit_timeout of {}", FormatDurationMs(timeout_ms)),
        "unit_timeout");
  }
  status = WithContext(
      status,
      fmt::format("{}, unit {}", attempt.table.record.dataset.id.ToString(), task.unit.unit.id));
  // Of a cancelled attempt the ledger knows enough: it never finished.
  if (KindOf(status) != ErrorKind::kCancelled) {
    const Status written = run_.ledger.FailAttempt(attempt.record, status);
    if (!written.ok()) run_.control.Fail(written);
  }
  return status;
}

Status UnitWorker::RunAttempt(const Task& task, Attempt& attempt) {
  ARROW_ASSIGN_OR_RAISE(StagedResult result, task.unit.stage == UnitStage::kRead
                                                 ? Read(task, attempt)
                                                 : Assemble(task, attempt));
  return FinishAttempt(task, attempt, std::move(result));
}

Status UnitWorker::FinishAttempt(const Task& task, Attempt& attempt, StagedResult result) {
  result.unit_id = task.unit.unit.id;
  result.attempt_id = attempt.record.id;
  result.dataset = attempt.table.record.dataset.id;
  result.epoch = attempt.record.epoch;
  result.ordinal = attempt.record.ordinal;
  result.elapsed_ms = attempt.elapsed_ms();
  // A table of one unit is staged with it, in one transaction instead of two: of thousands of small
  // tables that is a good part of the cost.
  TableRun& table = attempt.table;
  const bool only_unit = table.units == 1 && !table.record.intermediate &&
                         !run_.source_traits.checks_rows && !table.record.dataset.judges_rows();
  if (only_unit && table.epoch->snapshot.consistent) {
    ARROW_RETURN_NOT_OK(run_.source.CheckPin(table.epoch->snapshot));
  }
  auto won = run_.ledger.FinishAttempt(attempt.record, result, only_unit);
  if (!won.ok()) {
    run_.control.Fail(won.status());
    return won.status();
  }
  if (!*won) {
    const AttemptId ids[] = {attempt.record.id};
    return run_.sink.Discard(run_.job, ids);
  }
  attempt.kept = true;
  attempt.rows_written = result.rows_written;
  attempt.limit.Keep();
  if (only_unit) table.record.state = DatasetState::kStaged;
  if (task.unit.stage == UnitStage::kRead) {
    ++table.units_done;
    if (result.counters.contains(kCacheHits)) ++run_.progress.units_cached;
  }
  const int64_t rejected = table.rows_rejected += result.rows_rejected;
  if (const int64_t most = table.record.dataset.options.GetInt("max_rejects"); rejected > most) {
    // The same as at the end of the table, only sooner.
    const Dataset& dataset = table.record.dataset;
    return UserError(
        TooManyRejects(most, " of " + dataset.id.ToString(), !dataset.contract.empty()) +
            " (max_rejects)",
        "contract_rows");
  }
  run_.progress.stored_bytes += result.stored_bytes;
  ProgressEvent event;
  event.kind = ProgressKind::kUnitDone;
  event.dataset = result.dataset;
  event.unit_id = result.unit_id;
  event.rows = result.rows_written;
  event.bytes = result.stored_bytes;
  event.elapsed_ms = result.elapsed_ms;
  if (LogEnabled(LogLevel::kExtra)) {
    Log(LogLevel::kExtra,
        fmt::format("{} unit {}: {} rows, {} staged in {}", result.dataset.ToString(),
                    result.unit_id, FormatCount(result.rows_written),
                    FormatBytes(result.stored_bytes), FormatDurationMs(result.elapsed_ms)));
  }
  run_.progress.Emit(std::move(event));
  return Status::OK();
}

Result<StagedResult> UnitWorker::Read(const Task& task, Attempt& attempt) {
  TableRun& table = attempt.table;
  const WorkUnit& unit = task.unit.unit;
  StagedResult result;
  if (attempt.limit.exhausted()) {  // nothing of this unit is wanted
    result.ranges = {unit.range};
    return result;
  }
  ARROW_RETURN_NOT_OK(Connect(table.epoch));
  TransformResources resources = run_.transform_resources;
  resources.attempt = attempt.record.id;
  ARROW_ASSIGN_OR_RAISE(auto chain, TransformChain::ForReading(table.record.dataset, resources));
  ARROW_ASSIGN_OR_RAISE(auto reading, OpenReading(task, attempt));
  ARROW_RETURN_NOT_OK(CheckSchema(table.record.dataset, *reading.reader->schema()));
  const WriteStage stage{table.record.intermediate};
  ARROW_ASSIGN_OR_RAISE(auto writer, run_.sink.Begin(table.plan, unit, attempt.record.id,
                                                     chain.schema(), stage, attempt.context));
  const Status status = ReadRows(task, attempt, reading, chain, *writer, result);
  if (!status.ok()) {
    int64_t row = chain.row_at_fault();
    if (row < 0 && writer->row_at_fault() > 0) row = chain.RowBefore(writer->row_at_fault() - 1);
    writer->Abort();
    return Placed(status, row, unit, attempt, reading);
  }
  KeepRows(task, attempt, reading, result);
  return result;
}

Status UnitWorker::Placed(const Status& status, int64_t row, const WorkUnit& unit, Attempt& attempt,
                          Reading& reading) {
  const ErrorKind kind = KindOf(status);
  const bool final = kind == ErrorKind::kUser || kind == ErrorKind::kPermanent;
  if (row < 0 || !final || !run_.source_traits.places_rows) return status;
  reading.keeper.reset();
  reading.reader.reset();
  const RowPlace place = FindRow(*session_, unit, row, attempt.context);
  return place.file.empty() ? status : WithContext(status, place.ToString(row + 1));
}

Status UnitWorker::PlacedByValue(TableRun& table, const Status& status) {
  const auto fault = run_.sink.TakeFault(table.record.dataset.id);
  if (!fault || fault->ordinal < 0 || !table.epoch || !run_.source_traits.places_rows) {
    return status;
  }
  const auto place = PlaceOfValue(table, *fault);
  return place.ok() && !place->empty() ? WithContext(status, *place) : status;
}

Result<std::string> UnitWorker::PlaceOfValue(TableRun& table, const FaultyValue& fault) {
  ARROW_ASSIGN_OR_RAISE(const auto units, run_.ledger.Units(table.record.index, UnitStage::kRead));
  const auto found = std::find_if(units.begin(), units.end(), [&](const UnitRecord& unit) {
    return unit.unit.ordinal == fault.ordinal;
  });
  if (found == units.end()) return "";
  ARROW_RETURN_NOT_OK(Connect(table.epoch));
  TransformResources resources = run_.transform_resources;
  resources.attempt = fmt::format("{}-{}", found->unit.id, NewId());
  ARROW_ASSIGN_OR_RAISE(auto chain, TransformChain::ForReading(table.record.dataset, resources));
  UnitContext context;
  context.stop = run_.control.stop();
  context.attempt_id = resources.attempt;
  context.pool = arrow::default_memory_pool();
  ARROW_ASSIGN_OR_RAISE(auto reservation,
                        run_.budget.Reserve(run_.memory.worker_bytes, context.stop));
  context.reservation = &reservation;
  context.batch_bytes_max = run_.memory.batch_bytes;
  ARROW_ASSIGN_OR_RAISE(const int64_t row, FindText(*session_, found->unit, chain, fault, context));
  if (row < 0) return "";
  const RowPlace place = FindRow(*session_, found->unit, row, context);
  return place.file.empty() ? "" : place.ToString(row + 1);
}

Result<UnitContent> UnitWorker::ContentOf(const Task& task, Attempt& attempt) {
  // With a limit nobody knows beforehand which of the unit's rows are wanted.
  if (run_.cache == nullptr || attempt.limit.limited() || !run_.source_traits.describes_content) {
    return UnitContent();
  }
  auto content = session_->Content(task.unit.unit, attempt.context);
  if (content.ok() || KindOf(content.status()) != ErrorKind::kUser) return content;
  // Whoever may read need not be allowed to look.
  run_.cache->WarnOnce(content.status());
  return UnitContent();
}

Result<UnitWorker::Reading> UnitWorker::OpenReading(const Task& task, Attempt& attempt) {
  const WorkUnit& unit = task.unit.unit;
  const auto& schema = attempt.table.record.dataset.schema;
  Reading reading;
  ARROW_ASSIGN_OR_RAISE(const UnitContent content, ContentOf(task, attempt));
  if (run_.cache != nullptr) {
    run_.cache->SayWhyNot(content);
    ARROW_ASSIGN_OR_RAISE(reading.reader, run_.cache->Find(content, unit, schema, attempt.context));
    reading.kept = reading.reader != nullptr;
    if (!reading.kept) reading.keeper = run_.cache->Begin(content, schema, attempt.context);
    reading.counters[reading.kept ? kCacheHits : reading.keeper ? kCacheMisses : kCachePassed] = 1;
  }
  if (!reading.kept) {
    ARROW_ASSIGN_OR_RAISE(reading.reader, session_->Read(unit, attempt.context));
  }
  return reading;
}

void UnitWorker::KeepRows(const Task& task, Attempt& attempt, Reading& reading,
                          const StagedResult& result) {
  if (reading.keeper == nullptr) return;
  const auto counters = reading.reader->counters();
  reading.reader.reset();
  const auto after = session_->Content(task.unit.unit, attempt.context);
  if (after.ok()) {
    run_.cache->Publish(*reading.keeper, *after, result.rows_read, counters);
  } else if (KindOf(after.status()) != ErrorKind::kCancelled) {
    run_.cache->WarnOnce(after.status());
  }
}

Status UnitWorker::ReadRows(const Task& task, Attempt& attempt, Reading& reading,
                            TransformChain& chain, UnitWriter& writer, StagedResult& result) {
  UnitReader& reader = *reading.reader;
  int64_t rows_read = 0, rows_passed = 0;
  bool complete = false;
  // With a limit nobody knows how much is wanted; of a unit of one batch nothing is ahead; and a
  // contract asks the reader where rows of the batch at hand came from.
  std::optional<ReadAhead> ahead;
  const int64_t unit_bytes = UnitMemoryBytes(attempt.table.record.dataset, task.unit.unit);
  const bool several = unit_bytes < 0 || unit_bytes > attempt.context.batch_bytes_max;
  if (several && run_.ReadAheadBytes() > 0 && !attempt.limit.limited() &&
      attempt.table.record.dataset.contract.empty()) {
    ahead.emplace(
        reader, [this] { return run_.ReadAheadBytes(); },
        [&attempt](int64_t rows, int64_t bytes) { attempt.Show(rows, bytes); });
  }
  const auto write = [&](const std::shared_ptr<arrow::RecordBatch>& rows) {
    rows_passed += rows->num_rows();
    return writer.Write(*rows);
  };
  chain.Locate([&](int64_t row) { return reader.PlaceOf(row); });
  std::shared_ptr<arrow::RecordBatch> batch;
  for (;;) {
    if (attempt.context.stop.stop_requested()) return CancelledError();
    if (ahead) {
      ARROW_ASSIGN_OR_RAISE(batch, ahead->Next());
    } else {
      ARROW_RETURN_NOT_OK(reader.ReadNext(&batch));
    }
    if (!batch) {
      complete = true;
      break;
    }
    auto refused = ahead ? ahead->TakeRefused() : reader.TakeRefused();
    const int64_t wanted = attempt.limit.Take(batch->num_rows());
    if (!refused.empty() && attempt.limit.exhausted()) DropBehind(reader, wanted, refused);
    if (wanted < batch->num_rows()) batch = batch->Slice(0, wanted);
    if (!refused.empty()) {
      rows_read += static_cast<int64_t>(refused.size());
      // Kept rows are all that their files have.
      if (reading.keeper) reading.counters = {{kCachePassed, 1}};
      reading.keeper.reset();
      ARROW_RETURN_NOT_OK(chain.Refused(refused, attempt.context.pool));
    }
    rows_read += wanted;
    if (!ahead) attempt.Show(rows_read, reader.bytes_read());
    if (reading.keeper) reading.keeper->Add(*batch);
    ++run_.progress.batches;
    // Passed on whole: the reader may fill the same buffers again.
    ARROW_RETURN_NOT_OK(chain.Apply(std::move(batch), attempt.context.pool, write));
    if (attempt.limit.exhausted()) break;
  }
  ahead.reset();
  ARROW_RETURN_NOT_OK(chain.End(attempt.context.pool, write));
  ARROW_ASSIGN_OR_RAISE(auto states, chain.FinishUnit());
  const UnitRange& planned = task.unit.unit.range;
  if (complete && reader.covered() != planned) {
    return BugError(fmt::format("the source gave range '{}' to '{}' instead of '{}' to '{}'",
                                reader.covered().begin, reader.covered().end, planned.begin,
                                planned.end));
  }
  ARROW_ASSIGN_OR_RAISE(result, writer.Finish());
  if (result.rows_written != rows_passed) {
    return BugError(fmt::format("{} rows were given to the writer, which says it wrote {}",
                                rows_passed, result.rows_written));
  }
  // A limit that ended the unit early still settles what becomes of its whole range.
  result.ranges = {planned};
  result.rows_read = rows_read;
  result.rows_merged = chain.rows_merged();
  result.rows_rejected = chain.rows_rejected();
  // No transform leaves rows out: what is neither written, rejected nor merged is lost.
  if (rows_read != rows_passed + result.rows_rejected + result.rows_merged) {
    return BugError(fmt::format("{} rows were read, but {} passed on, {} rejected and {} merged",
                                rows_read, rows_passed, result.rows_rejected, result.rows_merged));
  }
  result.source_bytes = reader.bytes_read();
  Merge(result.counters, reader.counters());
  Merge(result.counters, reading.counters);
  Merge(result.counters, chain.counters());
  result.transform_states = std::move(states);
  attempt.Show(rows_read, reader.bytes_read());
  return Status::OK();
}

Result<StagedResult> UnitWorker::Assemble(const Task& task, Attempt& attempt) {
  TableRun& table = attempt.table;
  const DatasetRecord& record = table.record;
  ARROW_ASSIGN_OR_RAISE(const auto range, AssemblyRange::FromJson(task.unit.unit.source_state));
  ARROW_ASSIGN_OR_RAISE(const auto members, run_.ledger.Staged(record.index, UnitStage::kRead,
                                                               range.first, range.last));
  ARROW_ASSIGN_OR_RAISE(
      auto chain, TransformChain::ForAssembling(record.dataset, record.decision,
                                                record.output_schema, run_.transform_resources));
  const DatasetPlan plan = AssemblyPlan(table, chain.schema(), task.unit.unit.ordinal + 1);
  ARROW_ASSIGN_OR_RAISE(auto writer,
                        run_.sink.Begin(plan, task.unit.unit, attempt.record.id, chain.schema(),
                                        WriteStage{false}, attempt.context));
  StagedResult sums;
  int64_t bytes_after = 0;
  const auto write = [&](const std::shared_ptr<arrow::RecordBatch>& rows) -> Status {
    if (attempt.context.stop.stop_requested()) return CancelledError();
    if (!chain.empty()) {
      ARROW_ASSIGN_OR_RAISE(const int64_t bytes, arrow::util::ReferencedBufferSize(*rows));
      bytes_after += bytes;
    }
    return writer->Write(*rows);
  };
  const auto join = [&]() -> Result<StagedResult> {
    for (const auto& member : members) {
      sums.ranges.insert(sums.ranges.end(), member.ranges.begin(), member.ranges.end());
      sums.rows_read += member.rows_read;
      sums.rows_filtered += member.rows_filtered;
      sums.rows_rejected += member.rows_rejected;
      sums.rows_merged += member.rows_merged;
      sums.source_bytes += member.source_bytes;
      sums.rows_written += member.rows_written;
      Merge(sums.counters, member.counters);
      if (member.rows_written == 0) continue;
      ARROW_ASSIGN_OR_RAISE(auto rows, run_.sink.OpenStaged(table.plan, member, attempt.context));
      for (;;) {
        if (attempt.context.stop.stop_requested()) return CancelledError();
        ARROW_ASSIGN_OR_RAISE(auto batch, rows->Next());
        if (!batch) break;
        if (!chain.empty()) {
          ARROW_ASSIGN_OR_RAISE(const int64_t before, arrow::util::ReferencedBufferSize(*batch));
          sums.counters[kBytesBeforeTransform] += before;
        }
        ARROW_RETURN_NOT_OK(chain.Apply(std::move(batch), attempt.context.pool, write));
      }
    }
    ARROW_RETURN_NOT_OK(chain.End(attempt.context.pool, write));
    if (!chain.empty()) sums.counters[kBytesAfterTransform] += bytes_after;
    return writer->Finish();
  };
  auto finished = join();
  if (!finished.ok()) {
    writer->Abort();
    return finished.status();
  }
  StagedResult result = finished.MoveValueUnsafe();
  if (result.rows_written + chain.rows_merged() != sums.rows_written) {
    return BugError(fmt::format("{} rows were staged, but {} put together", sums.rows_written,
                                result.rows_written));
  }
  result.ranges = std::move(sums.ranges);
  result.rows_read = sums.rows_read;
  result.rows_filtered = sums.rows_filtered;
  result.rows_rejected = sums.rows_rejected;
  result.rows_merged = sums.rows_merged + chain.rows_merged();
  result.source_bytes = sums.source_bytes;
  Merge(result.counters, sums.counters);
  return result;
}

std::string AssemblyRange::ToJson() const {
  return nlohmann::json{{"first", first}, {"last", last}}.dump();
}

Result<AssemblyRange> AssemblyRange::FromJson(const std::string& text) {
  const auto value = nlohmann::json::parse(text, nullptr, false);
  if (!value.is_object() || !value.contains("first") || !value.contains("last")) {
    return BugError("a unit of the assemble stage does not say what it joins");
  }
  return AssemblyRange{value["first"].get<int64_t>(), value["last"].get<int64_t>()};
}

DatasetPlan AssemblyPlan(const TableRun& table, std::shared_ptr<arrow::Schema> schema,
                         int64_t units) {
  DatasetPlan plan = table.plan;
  plan.schema = std::move(schema);
  plan.units = units;
  return plan;
}

}  // namespace bulkhaul
