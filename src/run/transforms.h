// How a table's transforms are chained in its two stages. Inside run/ only.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "plan/memory_plan.h"
#include "plan/values.h"
#include "transform/transform.h"

namespace bulkhaul {

// The transforms of one unit, bound one after the other. Not thread-safe.
class TransformChain {
 public:
  // Takes what comes out; never a batch without rows.
  using Taker = std::function<Status(std::shared_ptr<arrow::RecordBatch>)>;

  // All transforms of the dataset, job-wide ones observing: for the read stage.
  static Result<TransformChain> ForReading(const Dataset& dataset,
                                           const TransformResources& resources = {});
  // Only the job-wide ones, with their decisions: for the assemble stage. `decision` is what
  // Decide() gave; `schema` that of the intermediate rows.
  static Result<TransformChain> ForAssembling(const Dataset& dataset, const std::string& decision,
                                              const std::shared_ptr<arrow::Schema>& schema,
                                              const TransformResources& resources = {});
  // The decisions of the job-wide transforms, as JSON by name, from the states of all units.
  static Result<std::string> Decide(const Dataset& dataset, const std::vector<StagedResult>& units);

  // What they say of the table before it is published, from the units of the read stage.
  static Status Conclude(const Dataset& dataset, const TransformResources& resources,
                         const std::vector<StagedResult>& units);

  // What the dataset's staged rows need, before anything runs.
  struct Outlook {
    bool intermediate = false;  // rows must be staged before their final form is known
    bool one_assembly = false;  // and put together by one unit
    bool holds_rows = false;    // a transform wants memory of its own
    int64_t held_bytes = 0;     // what of it the table fills; -1: not known
    std::shared_ptr<arrow::Schema> planned_schema;  // of the published rows, as far as it is known
  };
  static Result<Outlook> Foresee(const Dataset& dataset);

  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }
  bool empty() const { return transforms_.empty(); }
  // Rows that the source set aside. kBug when no transform takes them.
  Status Refused(std::span<const RefusedRow> rows, arrow::MemoryPool* pool);
  Status Apply(std::shared_ptr<arrow::RecordBatch> batch, arrow::MemoryPool* pool,
               const Taker& take);
  // After the last batch.
  Status End(arrow::MemoryPool* pool, const Taker& take);
  void Locate(const RowLocator& locator);
  Result<std::map<std::string, std::string>> FinishUnit();
  int64_t rows_rejected() const;
  // Which of the unit's rows became the one that came out as `row`; both from 0. -1: none by
  // itself.
  int64_t RowBefore(int64_t row) const;
  // After an error: which of the unit's rows that went in it is about, from 0; -1: none.
  int64_t row_at_fault() const;
  std::map<std::string, int64_t> counters() const;
  int64_t rows_merged() const;
  std::vector<std::string> Explain() const;

 private:
  Status Bind(const std::shared_ptr<arrow::Schema>& schema);
  // Of the rows that came out before the transform.
  int64_t RowBefore(size_t transform, int64_t row) const;
  // Through the transforms from `first` on.
  Status Pass(size_t first, std::shared_ptr<arrow::RecordBatch> batch, arrow::MemoryPool* pool,
              const Taker& take);

  std::vector<std::unique_ptr<Transform>> transforms_;
  std::shared_ptr<arrow::Schema> schema_;
};

// What transforms that hold rows want of the memory.
class HeldRows {
 public:
  void Add(const Dataset& dataset);
  // What all datasets together want.
  void Wish(MemoryWishes* wishes) const;

 private:
  bool any_ = false;
  int64_t bytes_ = 0;  // -1: not known
};

}  // namespace bulkhaul
