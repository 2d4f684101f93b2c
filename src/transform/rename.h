// Gives columns the names that `rename` asks for; types and rows stay.
#pragma once

#include "plan/options.h"
#include "transform/transform.h"

namespace bulkhaul {

class RenameTransform : public Transform {
 public:
  explicit RenameTransform(StringPairs names) : names_(std::move(names)) {}
  std::string name() const override { return "rename"; }
  // All new names take effect at once, so that two columns can swap theirs. kUser on an unknown
  // column and on names that would occur twice.
  Result<std::shared_ptr<arrow::Schema>> Bind(
      const std::shared_ptr<arrow::Schema>& schema) override;
  Result<std::shared_ptr<arrow::RecordBatch>> Apply(
      const std::shared_ptr<arrow::RecordBatch>& batch, arrow::MemoryPool* pool) override;

 private:
  const StringPairs names_;  // old, new
  std::shared_ptr<arrow::Schema> schema_;
};

}  // namespace bulkhaul
