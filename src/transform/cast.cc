#include "transform/cast.h"

#include <algorithm>

#include <fmt/format.h>

#include "plan/type_name.h"
#include "transform/column_lookup.h"
#include "transform/exact_cast.h"

namespace bulkhaul {

Result<std::shared_ptr<arrow::Schema>> CastTransform::Bind(
    const std::shared_ptr<arrow::Schema>& schema) {
  indices_.clear();
  auto fields = schema->fields();
  for (const auto& [column, type_name] : types_) {
    ARROW_ASSIGN_OR_RAISE(const int index, FindColumn(*schema, column, "cast"));
    auto type = ParseTypeName(type_name);
    if (!type.ok()) return WithContext(type.status(), "cast: column '" + column + "'");
    const auto& field = schema->field(index);
    if (!CanCastExactly(*field->type(), **type)) {
      return UserError(fmt::format("cast: column '{}' is {}, which cannot become {}", column,
                                   TypeName(*field->type()), type_name));
    }
    if (std::find(indices_.begin(), indices_.end(), index) != indices_.end()) {
      return UserError(fmt::format("cast: column '{}' is given two types", column));
    }
    indices_.push_back(index);
    auto& changed = fields[static_cast<size_t>(index)];
    changed = field->WithType(*type);
    if (misfits_null_) changed = changed->WithNullable(true);
  }
  schema_ = arrow::schema(std::move(fields), schema->metadata());
  return schema_;
}

Result<std::shared_ptr<arrow::RecordBatch>> CastTransform::Apply(
    const std::shared_ptr<arrow::RecordBatch>& batch, arrow::MemoryPool* pool) {
  auto columns = batch->columns();
  if (misfits_) misfits_->clear();
  for (const int index : indices_) {
    const auto& field = schema_->field(index);
    auto& column = columns[static_cast<size_t>(index)];
    if (misfits_null_ || misfits_) {
      std::vector<int64_t> rows;
      const auto from = column;
      ARROW_ASSIGN_OR_RAISE(column, CastOrNull(from, field->type(), pool, &rows));
      if (misfits_null_) {
        nulled_ += static_cast<int64_t>(rows.size());
        continue;
      }
      for (const int64_t row : rows) misfits_->push_back({row, index, ValueShown(*from, row)});
      continue;
    }
    int64_t row = -1;
    auto cast = CastExactly(column, field->type(), field->name(), pool, &row);
    if (!cast.ok()) {
      if (row >= 0) row_at_fault_ = rows_seen_ + row;
      return cast.status();
    }
    column = *std::move(cast);
  }
  rows_seen_ += batch->num_rows();
  return arrow::RecordBatch::Make(schema_, batch->num_rows(), std::move(columns));
}

std::map<std::string, int64_t> CastTransform::counters() const {
  if (nulled_ == 0) return {};
  return {{"type_mismatch_null", nulled_}};
}

}  // namespace bulkhaul
