#include "transform/naming.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "plan/column_naming.h"

namespace bulkhaul {

Result<std::shared_ptr<arrow::Schema>> NamingTransform::Bind(
    const std::shared_ptr<arrow::Schema>& schema) {
  arrow::FieldVector fields;
  std::map<std::string, std::string> taken;
  for (const auto& field : schema->fields()) {
    const bool kept = std::find(kept_.begin(), kept_.end(), field->name()) != kept_.end();
    const std::string styled = kept ? field->name() : NameInStyle(field->name(), style_);
    const auto [other, fresh] = taken.emplace(styled, field->name());
    if (!fresh) {
      return UserError(
          fmt::format("column_naming: columns '{}' and '{}' would both be called '{}'; "
                      "rename one of them",
                      other->second, field->name(), styled),
          "name_collision");
    }
    fields.push_back(field->WithName(styled));
  }
  schema_ = arrow::schema(std::move(fields), schema->metadata());
  return schema_;
}

Result<std::shared_ptr<arrow::RecordBatch>> NamingTransform::Apply(
    const std::shared_ptr<arrow::RecordBatch>& batch, arrow::MemoryPool*) {
  return arrow::RecordBatch::Make(schema_, batch->num_rows(), batch->column_data());
}

}  // namespace bulkhaul
