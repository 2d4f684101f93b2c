// How a table's transforms are chained in its two stages. Inside run/ only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "plan/values.h"
#include "transform/transform.h"

namespace bulkhaul {

// The transforms of one unit, bound one after the other. Not thread-safe.
class TransformChain {
 public:
  // All transforms of the dataset, job-wide ones observing: for the read stage.
  static Result<TransformChain> ForReading(const Dataset& dataset);
  // Only the job-wide ones, with their decisions: for the assemble stage. `decision` is what
  // Decide() gave; `schema` that of the intermediate rows.
  static Result<TransformChain> ForAssembling(const Dataset& dataset, const std::string& decision,
                                              const std::shared_ptr<arrow::Schema>& schema);
  // The decisions of the job-wide transforms, as JSON by name, from the states of all units.
  static Result<std::string> Decide(const Dataset& dataset,
                                    const std::shared_ptr<arrow::Schema>& schema,
                                    const std::vector<StagedResult>& units);
  // Whether rows must be staged before their final form is known.
  static Result<bool> NeedsAssembly(const Dataset& dataset);

  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }
  bool empty() const { return transforms_.empty(); }
  Result<std::shared_ptr<arrow::RecordBatch>> Apply(std::shared_ptr<arrow::RecordBatch> batch,
                                                    arrow::MemoryPool* pool);
  Result<std::map<std::string, std::string>> FinishUnit();
  std::vector<std::string> Explain() const;

 private:
  Status Bind(const std::shared_ptr<arrow::Schema>& schema);

  std::vector<std::unique_ptr<Transform>> transforms_;
  std::shared_ptr<arrow::Schema> schema_;
};

}  // namespace bulkhaul
