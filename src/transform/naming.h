// Gives all columns names in one style, as `column_naming` asks; types and rows stay.
#pragma once

#include "transform/transform.h"

namespace bulkhaul {

class NamingTransform : public Transform {
 public:
  // `kept`: names that `rename` gave, which stay.
  NamingTransform(std::string style, std::vector<std::string> kept)
      : style_(std::move(style)), kept_(std::move(kept)) {}
  std::string name() const override { return "column_naming"; }
  // kUser when two columns would have one name.
  Result<std::shared_ptr<arrow::Schema>> Bind(
      const std::shared_ptr<arrow::Schema>& schema) override;
  Result<std::shared_ptr<arrow::RecordBatch>> Apply(
      const std::shared_ptr<arrow::RecordBatch>& batch, arrow::MemoryPool* pool) override;

 private:
  const std::string style_;
  const std::vector<std::string> kept_;
  std::shared_ptr<arrow::Schema> schema_;
};

}  // namespace bulkhaul
