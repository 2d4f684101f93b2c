// Keeps the columns that `columns` names, in that order.
#pragma once

#include "plan/options.h"
#include "transform/transform.h"

namespace bulkhaul {

class SelectTransform : public Transform {
 public:
  explicit SelectTransform(StringList columns) : columns_(std::move(columns)) {}
  std::string name() const override { return "select"; }
  Result<std::shared_ptr<arrow::Schema>> Bind(
      const std::shared_ptr<arrow::Schema>& schema) override;
  Result<std::shared_ptr<arrow::RecordBatch>> Apply(
      const std::shared_ptr<arrow::RecordBatch>& batch, arrow::MemoryPool* pool) override;

 private:
  const StringList columns_;
  std::vector<int> indices_;
};

}  // namespace bulkhaul
