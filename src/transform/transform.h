// Room 3: what happens to rows between reading and writing. A file a transform.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "base/error.h"
#include "plan/context.h"
#include "plan/values.h"

namespace bulkhaul {

// What a transform that holds rows may use. The runner has reserved it.
struct TransformResources {
  int64_t bytes_max = 64 << 20;       // of memory, beside the batch at hand
  std::string spill_folder = "/tmp";  // where nameless files may be made
  std::string job_folder = "/tmp";    // files that last until the job is done
  AttemptId attempt;                  // names files there: no two attempts share one
};

// Where row `row` of the batch that is about to be applied comes from; -1: the file alone.
using RowLocator = std::function<RowPlace(int64_t row)>;

// One instance a unit; not thread-safe.
//
// A batch goes in with Apply; what comes out is what Apply gives and then what Next gives, until
// Next has no more. After the last batch of the unit come End and Next again. So a transform may
// keep rows, or make many of few.
//
// scope kRow and kUnit: Bind, Apply…. scope kJob (shrink): while units are read, Bind and Apply
// pass rows on unchanged and observe them; FinishUnit() gives what was seen; the runner merges the
// states of all units of the dataset with Merge() and runs the transform again over the staged
// rows, made by Decide() with the decision. Then Bind gives the final schema.
class Transform {
 public:
  enum class Scope { kRow, kUnit, kJob };
  virtual ~Transform() = default;
  virtual std::string name() const = 0;  // key of its state in StagedResult
  virtual Scope scope() const { return Scope::kRow; }
  // Scope kJob: all rows of the table must pass through one instance in the second pass.
  virtual bool one_assembly() const { return false; }
  // Whether it wants TransformResources::bytes_max.
  virtual bool holds_rows() const { return one_assembly(); }
  // What of it a table of so many rows fills, all units together; -1: not known. After Bind.
  virtual int64_t HeldBytes(int64_t rows) const { return holds_rows() ? -1 : 0; }
  // Before Bind.
  virtual void Use(const TransformResources& resources) {}
  // Before the first Apply of the read stage; rows must not have been merged before. For messages.
  virtual void Locate(const RowLocator& locator) {}
  // The schema that Apply gives for this one. kUser when the options do not fit the schema.
  virtual Result<std::shared_ptr<arrow::Schema>> Bind(
      const std::shared_ptr<arrow::Schema>& schema) = 0;
  // After the Bind of the first pass: the schema of the published rows, as far as it is known then;
  // nullptr: what Bind gave.
  virtual std::shared_ptr<arrow::Schema> PlannedSchema() const { return nullptr; }
  // Rows that the source set aside, before those that Apply gets next. False: it is not the
  // transform that takes them. They count as rows that went in and were put aside.
  virtual Result<bool> Refused(std::span<const RefusedRow> rows, arrow::MemoryPool* pool) {
    return false;
  }
  // nullptr: no rows now. The batch is the transform's until Next has no more.
  virtual Result<std::shared_ptr<arrow::RecordBatch>> Apply(
      const std::shared_ptr<arrow::RecordBatch>& batch, arrow::MemoryPool* pool) = 0;
  // No further batch will come.
  virtual Status End(arrow::MemoryPool* pool) { return Status::OK(); }
  // nullptr: no more rows now.
  virtual Result<std::shared_ptr<arrow::RecordBatch>> Next(arrow::MemoryPool* pool) {
    return nullptr;
  }
  // Rows that went in less rows that came out, so far. A total of no rows is a row: -1.
  virtual int64_t rows_merged() const { return 0; }
  // Rows that went in and were put aside, so far.
  virtual int64_t rows_rejected() const { return 0; }
  // Which of the rows that went in became the one that came out as `row`; both from 0. -1: none by
  // itself.
  virtual int64_t RowBefore(int64_t row) const { return row; }
  // After an error of Apply: which of the unit's rows that went in it is about, from 0; -1: none.
  virtual int64_t row_at_fault() const { return -1; }
  // What it did to values, for the report.
  virtual std::map<std::string, int64_t> counters() const { return {}; }
  // JSON; "" when there is none.
  virtual Result<std::string> FinishUnit() { return std::string(); }
  // The decision for the dataset from all units' states, as JSON. Pure.
  virtual Result<std::string> Merge(std::span<const std::string> states) { return std::string(); }
  // The last word before rows are published, from the results of all units of the read stage. An
  // error: nothing is published. Whatever the scope; after Bind.
  virtual Status Conclude(std::span<const StagedResult> units) { return Status::OK(); }
  virtual Status Decide(const std::string& decision) { return Status::OK(); }
  // For the report, after Decide: lines such as "l_quantity: decimal(15,2) → int16, 48 % smaller".
  virtual std::vector<std::string> Explain() const { return {}; }
};

// The transforms that a dataset's options ask for, in the order they run: select, drop, rename,
// naming, cast, contract, group_by, shrink. Empty when none. kUser on options that contradict each
// other.
Result<std::vector<std::unique_ptr<Transform>>> MakeTransforms(const Dataset& dataset);
// "contract: more than 5 rows of events break rules"; `of`: " of events", or "".
std::string TooManyRejects(int64_t max_rejects, const std::string& of, bool contract);
// Writes the rows that the units of the read stage have put aside into a Parquet file, durable when
// it returns; replaces one of the same name. Rows written; 0: no file. kBug when they are not those
// that the units count.
Result<int64_t> WriteQuarantine(std::span<const StagedResult> units, const std::string& path);
// What those units have put aside by rule, and whether all rows were looked at: lines for the
// report, whatever becomes of the table.
Result<std::vector<std::string>> DescribeRejects(const Dataset& dataset,
                                                 std::span<const StagedResult> units);
// The schema that the contract sees: what select to cast make of the dataset's.
Result<std::shared_ptr<arrow::Schema>> SchemaForContract(const Dataset& dataset);

}  // namespace bulkhaul
