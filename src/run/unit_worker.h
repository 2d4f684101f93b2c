// One thread's work: units, one after the other, on one connection. Inside run/ only.
#pragma once

#include <memory>
#include <string>

#include "run/run_context.h"
#include "run/scheduler.h"

namespace bulkhaul {

// Counters of a StagedResult that the assemble stage sets: Arrow bytes of the rows before and after
// the job-wide transforms.
inline constexpr char kBytesBeforeTransform[] = "bulkhaul.bytes_before_transform";
inline constexpr char kBytesAfterTransform[] = "bulkhaul.bytes_after_transform";

// Not thread-safe; lives on its thread.
class UnitWorker {
 public:
  UnitWorker(RunContext& run, int number);

  // Runs one attempt of the task's unit. Once the ledger has its result: the rows written. After an
  // error nothing of the attempt counts, and its staged bytes are gone or will be discarded.
  Result<int64_t> Run(const Task& task);
  // An error of the table's publication, with the place of the row that it is about, where the
  // destination knows the value and the source the place.
  Status PlacedByValue(TableRun& table, const Status& status);
  // Whether a connection is open; the last worker with one must not retire.
  bool connected() const { return session_ != nullptr; }
  void Disconnect();

 private:
  struct Attempt;
  Status RunAttempt(const Task& task, Attempt& attempt);
  struct Reading;
  Result<StagedResult> Read(const Task& task, Attempt& attempt);
  // From the cache where the rows are kept there, else from the source.
  Result<Reading> OpenReading(const Task& task, Attempt& attempt);
  // What the unit would read; without an address when the cache has nothing to do with it.
  Result<UnitContent> ContentOf(const Task& task, Attempt& attempt);
  Status ReadRows(const Task& task, Attempt& attempt, Reading& reading, class TransformChain& chain,
                  UnitWriter& writer, StagedResult& result);
  void KeepRows(const Task& task, Attempt& attempt, Reading& reading, const StagedResult& result);
  // An error of the writer or a transform that no further try mends, with the place of the unit's
  // row that it is about, from 0; -1: of none. The reading is over.
  Status Placed(const Status& status, int64_t row, const WorkUnit& unit, Attempt& attempt,
                Reading& reading);
  Result<std::string> PlaceOfValue(TableRun& table, const FaultyValue& fault);
  Result<StagedResult> Assemble(const Task& task, Attempt& attempt);
  Status Connect(const std::shared_ptr<Epoch>& epoch);
  Status FinishAttempt(const Task& task, Attempt& attempt, StagedResult result);

  RunContext& run_;
  WorkerContext context_;
  std::shared_ptr<Epoch> session_epoch_;  // outlives the session
  std::unique_ptr<Session> session_;
};

// What a unit of the assemble stage joins: ordinals of the read stage, [first, last].
struct AssemblyRange {
  int64_t first = 0, last = 0;
  std::string ToJson() const;
  static Result<AssemblyRange> FromJson(const std::string& json);
};

// The plan that writers of the stage and the sink's commit see.
DatasetPlan AssemblyPlan(const TableRun& table, std::shared_ptr<arrow::Schema> schema,
                         int64_t units);

}  // namespace bulkhaul
