#include "transform/drop.h"

#include <set>

#include "transform/column_lookup.h"

namespace bulkhaul {

Result<std::shared_ptr<arrow::Schema>> DropTransform::Bind(
    const std::shared_ptr<arrow::Schema>& schema) {
  std::set<int> dropped;
  for (const auto& column : columns_) {
    ARROW_ASSIGN_OR_RAISE(const int index, FindColumn(*schema, column, "drop"));
    dropped.insert(index);
  }
  arrow::FieldVector fields;
  kept_.clear();
  for (int i = 0; i < schema->num_fields(); ++i) {
    if (dropped.contains(i)) continue;
    kept_.push_back(i);
    fields.push_back(schema->field(i));
  }
  if (fields.empty()) return UserError("drop: no column would be left");
  return arrow::schema(std::move(fields), schema->metadata());
}

Result<std::shared_ptr<arrow::RecordBatch>> DropTransform::Apply(
    const std::shared_ptr<arrow::RecordBatch>& batch, arrow::MemoryPool*) {
  return batch->SelectColumns(kept_);
}

}  // namespace bulkhaul
