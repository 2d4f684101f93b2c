#include "transform/rename.h"

#include <set>

#include <fmt/format.h>

#include "transform/column_lookup.h"

namespace bulkhaul {

Result<std::shared_ptr<arrow::Schema>> RenameTransform::Bind(
    const std::shared_ptr<arrow::Schema>& schema) {
  auto fields = schema->fields();
  std::set<int> renamed;
  for (const auto& [old_name, new_name] : names_) {
    ARROW_ASSIGN_OR_RAISE(const int index, FindColumn(*schema, old_name, "rename"));
    if (new_name.empty()) {
      return UserError(fmt::format("rename: column '{}' needs a new name", old_name));
    }
    if (!renamed.insert(index).second) {
      return UserError(fmt::format("rename: column '{}' is given two names", old_name));
    }
    fields[static_cast<size_t>(index)] = schema->field(index)->WithName(new_name);
  }
  std::set<std::string> taken;
  for (const auto& field : fields) {
    if (!taken.insert(field->name()).second) {
      return UserError(fmt::format("rename: two columns would be called '{}'", field->name()));
    }
  }
  schema_ = arrow::schema(std::move(fields), schema->metadata());
  return schema_;
}

Result<std::shared_ptr<arrow::RecordBatch>> RenameTransform::Apply(
    const std::shared_ptr<arrow::RecordBatch>& batch, arrow::MemoryPool*) {
  return arrow::RecordBatch::Make(schema_, batch->num_rows(), batch->column_data());
}

}  // namespace bulkhaul
