// Changes column types as `cast` asks for. A value that the new type cannot hold is an error that
// names it, NULL with type_mismatch: null, or with reject: quarantine a row that the contract
// transform puts aside; nothing is cut, wrapped or rounded.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "plan/options.h"
#include "transform/transform.h"

namespace bulkhaul {

// A value of the batch at hand that its column's new type cannot hold; NULL stands there instead.
struct CastMisfit {
  int64_t row = 0;  // of the batch
  int column = 0;
  std::string value;
};
using CastMisfits = std::vector<CastMisfit>;

class CastTransform : public Transform {
 public:
  // `misfits`: takes those of each batch, for the one that puts rows aside; nullptr: nobody does.
  explicit CastTransform(StringPairs types, bool misfits_null = false,
                         std::shared_ptr<CastMisfits> misfits = nullptr)
      : types_(std::move(types)), misfits_null_(misfits_null), misfits_(std::move(misfits)) {}
  std::string name() const override { return "cast"; }
  // kUser on unknown columns and types, and on types that cannot become one another.
  Result<std::shared_ptr<arrow::Schema>> Bind(
      const std::shared_ptr<arrow::Schema>& schema) override;
  Result<std::shared_ptr<arrow::RecordBatch>> Apply(
      const std::shared_ptr<arrow::RecordBatch>& batch, arrow::MemoryPool* pool) override;
  int64_t row_at_fault() const override { return row_at_fault_; }
  std::map<std::string, int64_t> counters() const override;

 private:
  const StringPairs types_;  // column, type
  const bool misfits_null_;
  const std::shared_ptr<CastMisfits> misfits_;
  std::vector<int> indices_;
  std::shared_ptr<arrow::Schema> schema_;
  int64_t rows_seen_ = 0, row_at_fault_ = -1, nulled_ = 0;
};

}  // namespace bulkhaul
