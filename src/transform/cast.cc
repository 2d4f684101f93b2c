#include "transform/cast.h"

#include <cmath>

#include <arrow/array/array_primitive.h>
#include <arrow/compute/cast.h>
#include <arrow/compute/exec.h>
#include <arrow/scalar.h>
#include <arrow/type_traits.h>
#include <fmt/format.h>

#include "plan/type_name.h"
#include "transform/column_lookup.h"

namespace bulkhaul {
namespace {

constexpr size_t kCastShownBytesMax = 80;

using ArrayPtr = std::shared_ptr<arrow::Array>;
using TypePtr = std::shared_ptr<arrow::DataType>;

Result<ArrayPtr> SafeCast(const ArrayPtr& array, const TypePtr& type, arrow::MemoryPool* pool) {
  arrow::compute::ExecContext context(pool);
  context.set_use_threads(false);
  return arrow::compute::Cast(*array, type, arrow::compute::CastOptions::Safe(type), &context);
}

// Whether Arrow's safe cast may still drop something: the time of day of a timestamp, the digits of
// a double. Such a result is cast back and compared.
bool NeedsWayBack(const arrow::DataType& from, const arrow::DataType& to) {
  if (arrow::is_temporal(from.id()) && arrow::is_temporal(to.id())) return true;
  return from.id() == arrow::Type::DOUBLE && to.id() == arrow::Type::FLOAT;
}

Result<ArrayPtr> TryCast(const ArrayPtr& array, const TypePtr& type, arrow::MemoryPool* pool) {
  ARROW_ASSIGN_OR_RAISE(auto result, SafeCast(array, type, pool));
  if (!NeedsWayBack(*array->type(), *type)) return result;
  ARROW_ASSIGN_OR_RAISE(const auto back, SafeCast(result, array->type(), pool));
  if (back->Equals(*array, arrow::EqualOptions::Defaults().nans_equal(true))) return result;
  return Status::Invalid("the value would change");
}

// The first row that alone cannot be cast; the batch as a whole cannot.
int64_t FirstFailingRow(const ArrayPtr& array, const TypePtr& type, arrow::MemoryPool* pool) {
  int64_t begin = 0, count = array->length();
  while (count > 1) {
    const int64_t half = count / 2;
    if (TryCast(array->Slice(begin, half), type, pool).ok()) {
      begin += half;
      count -= half;
    } else {
      count = half;
    }
  }
  return begin;
}

}  // namespace

Result<ArrayPtr> CastExactly(const ArrayPtr& array, const TypePtr& type, const std::string& column,
                             arrow::MemoryPool* pool) {
  auto result = TryCast(array, type, pool);
  if (result.ok()) return result;
  if (result.status().IsOutOfMemory() || array->length() == 0) return result.status();
  const int64_t row = FirstFailingRow(array, type, pool);
  const Status reason = TryCast(array->Slice(row, 1), type, pool).status();
  ARROW_ASSIGN_OR_RAISE(const auto value, array->GetScalar(row));
  std::string shown = value->ToString();
  if (shown.size() > kCastShownBytesMax) shown = shown.substr(0, kCastShownBytesMax) + "…";
  return UserError(fmt::format("cast: column '{}' holds {}, which is not a {}: {}", column, shown,
                               TypeName(*type), reason.message()),
                   "cast");
}

Result<std::shared_ptr<arrow::Schema>> CastTransform::Bind(
    const std::shared_ptr<arrow::Schema>& schema) {
  indices_.clear();
  auto fields = schema->fields();
  for (const auto& [column, type_name] : types_) {
    ARROW_ASSIGN_OR_RAISE(const int index, FindColumn(*schema, column, "cast"));
    auto type = ParseTypeName(type_name);
    if (!type.ok()) return WithContext(type.status(), "cast: column '" + column + "'");
    const auto& field = schema->field(index);
    if (!arrow::compute::CanCast(*field->type(), **type)) {
      return UserError(fmt::format("cast: column '{}' is {}, which cannot become {}", column,
                                   TypeName(*field->type()), type_name));
    }
    if (std::find(indices_.begin(), indices_.end(), index) != indices_.end()) {
      return UserError(fmt::format("cast: column '{}' is given two types", column));
    }
    indices_.push_back(index);
    fields[static_cast<size_t>(index)] = field->WithType(*type);
  }
  schema_ = arrow::schema(std::move(fields), schema->metadata());
  return schema_;
}

Result<std::shared_ptr<arrow::RecordBatch>> CastTransform::Apply(
    const std::shared_ptr<arrow::RecordBatch>& batch, arrow::MemoryPool* pool) {
  auto columns = batch->columns();
  for (const int index : indices_) {
    const auto& field = schema_->field(index);
    auto& column = columns[static_cast<size_t>(index)];
    ARROW_ASSIGN_OR_RAISE(column, CastExactly(column, field->type(), field->name(), pool));
  }
  return arrow::RecordBatch::Make(schema_, batch->num_rows(), std::move(columns));
}

}  // namespace bulkhaul
