#include "transform/select.h"

#include "transform/column_lookup.h"

namespace bulkhaul {

Result<std::shared_ptr<arrow::Schema>> SelectTransform::Bind(
    const std::shared_ptr<arrow::Schema>& schema) {
  indices_.clear();
  arrow::FieldVector fields;
  for (const auto& column : columns_) {
    ARROW_ASSIGN_OR_RAISE(const int index, FindColumn(*schema, column, "columns"));
    indices_.push_back(index);
    fields.push_back(schema->field(index));
  }
  return arrow::schema(std::move(fields), schema->metadata());
}

Result<std::shared_ptr<arrow::RecordBatch>> SelectTransform::Apply(
    const std::shared_ptr<arrow::RecordBatch>& batch, arrow::MemoryPool*) {
  return batch->SelectColumns(indices_);
}

}  // namespace bulkhaul
