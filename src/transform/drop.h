// Leaves out the columns that `drop` names.
#pragma once

#include "plan/options.h"
#include "transform/transform.h"

namespace bulkhaul {

class DropTransform : public Transform {
 public:
  explicit DropTransform(StringList columns) : columns_(std::move(columns)) {}
  std::string name() const override { return "drop"; }
  // kUser for unknown columns and when none would be left.
  Result<std::shared_ptr<arrow::Schema>> Bind(
      const std::shared_ptr<arrow::Schema>& schema) override;
  Result<std::shared_ptr<arrow::RecordBatch>> Apply(
      const std::shared_ptr<arrow::RecordBatch>& batch, arrow::MemoryPool* pool) override;

 private:
  const StringList columns_;
  std::vector<int> kept_;
};

}  // namespace bulkhaul
