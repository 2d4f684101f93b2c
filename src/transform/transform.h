// Room 3: what happens to rows between reading and writing. A file a transform.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "base/error.h"
#include "plan/values.h"

namespace bulkhaul {

// One instance a unit; not thread-safe.
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
  // The schema that Apply gives for this one. kUser when the options do not fit the schema.
  virtual Result<std::shared_ptr<arrow::Schema>> Bind(
      const std::shared_ptr<arrow::Schema>& schema) = 0;
  virtual Result<std::shared_ptr<arrow::RecordBatch>> Apply(
      const std::shared_ptr<arrow::RecordBatch>& batch, arrow::MemoryPool* pool) = 0;
  // JSON; "" when there is none.
  virtual Result<std::string> FinishUnit() { return std::string(); }
  // The decision for the dataset from all units' states, as JSON. Pure.
  virtual Result<std::string> Merge(std::span<const std::string> states) { return std::string(); }
  virtual Status Decide(const std::string& decision) { return Status::OK(); }
  // For the report, after Decide: lines such as "l_quantity: decimal(15,2) → int16, 48 % smaller".
  virtual std::vector<std::string> Explain() const { return {}; }
};

// The transforms that a dataset's options ask for, in the order they run: select, drop, rename,
// naming, cast, shrink. Empty when none. kUser on options that contradict each other.
Result<std::vector<std::unique_ptr<Transform>>> MakeTransforms(const Dataset& dataset);

}  // namespace bulkhaul
