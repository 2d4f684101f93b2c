// Changes column types as `cast` asks for. A value that the new type cannot hold is an error that
// names it; nothing is cut, wrapped or rounded, but for decimals and text that become floating
// point, which is what that cast means.
#pragma once

#include "plan/options.h"
#include "transform/transform.h"

namespace bulkhaul {

class CastTransform : public Transform {
 public:
  explicit CastTransform(StringPairs types) : types_(std::move(types)) {}
  std::string name() const override { return "cast"; }
  // kUser on unknown columns and types, and on types that cannot become one another.
  Result<std::shared_ptr<arrow::Schema>> Bind(
      const std::shared_ptr<arrow::Schema>& schema) override;
  Result<std::shared_ptr<arrow::RecordBatch>> Apply(
      const std::shared_ptr<arrow::RecordBatch>& batch, arrow::MemoryPool* pool) override;

 private:
  const StringPairs types_;  // column, type
  std::vector<int> indices_;
  std::shared_ptr<arrow::Schema> schema_;
};

// `array` as `type`, exactly, or kUser with the first value that does not fit.
Result<std::shared_ptr<arrow::Array>> CastExactly(const std::shared_ptr<arrow::Array>& array,
                                                  const std::shared_ptr<arrow::DataType>& type,
                                                  const std::string& column,
                                                  arrow::MemoryPool* pool);

}  // namespace bulkhaul
