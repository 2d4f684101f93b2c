#include "sink/parquet/narrow_decimals.h"

#include <cstring>
#include <utility>

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/util/bit_util.h>
#include <arrow/util/bitmap_ops.h>
#include <arrow/util/checked_cast.h>

namespace bulkhaul {
namespace {

constexpr int64_t kWideBytes = 16;

std::shared_ptr<arrow::DataType> NarrowType(const std::shared_ptr<arrow::DataType>& type) {
  if (type->id() != arrow::Type::DECIMAL128) return type;
  const auto& decimal = arrow::internal::checked_cast<const arrow::DecimalType&>(*type);
  if (decimal.precision() <= arrow::Decimal32Type::kMaxPrecision) {
    return arrow::decimal32(decimal.precision(), decimal.scale());
  }
  if (decimal.precision() <= arrow::Decimal64Type::kMaxPrecision) {
    return arrow::decimal64(decimal.precision(), decimal.scale());
  }
  return type;
}

// The low bytes of each value: within its precision a value fits, and under a NULL it may be
// anything. Little-endian, as Arrow's buffers are on every machine that bulkhaul runs on.
template <typename Narrow>
void CopyLow(const uint8_t* wide, int64_t length, uint8_t* narrow) {
  for (int64_t i = 0; i < length; ++i) {
    std::memcpy(narrow + i * static_cast<int64_t>(sizeof(Narrow)), wide + i * kWideBytes,
                sizeof(Narrow));
  }
}

Result<std::shared_ptr<arrow::Array>> Narrowed(const arrow::ArrayData& wide,
                                               const std::shared_ptr<arrow::DataType>& type,
                                               arrow::MemoryPool* pool) {
  const bool small = type->id() == arrow::Type::DECIMAL32;
  const int64_t width = small ? sizeof(int32_t) : sizeof(int64_t);
  ARROW_ASSIGN_OR_RAISE(std::unique_ptr<arrow::Buffer> values,
                        arrow::AllocateBuffer(wide.length * width, pool));
  const uint8_t* from = wide.buffers[1]->data() + wide.offset * kWideBytes;
  if (small) {
    CopyLow<int32_t>(from, wide.length, values->mutable_data());
  } else {
    CopyLow<int64_t>(from, wide.length, values->mutable_data());
  }
  std::shared_ptr<arrow::Buffer> validity = wide.buffers[0];
  if (validity != nullptr && wide.offset != 0) {
    ARROW_ASSIGN_OR_RAISE(
        validity, arrow::internal::CopyBitmap(pool, validity->data(), wide.offset, wide.length));
  }
  return arrow::MakeArray(arrow::ArrayData::Make(
      type, wide.length, {std::move(validity), std::move(values)}, wide.null_count.load()));
}

}  // namespace

std::shared_ptr<arrow::Schema> NarrowDecimalSchema(const arrow::Schema& schema) {
  arrow::FieldVector fields;
  for (const auto& field : schema.fields()) {
    fields.push_back(field->WithType(NarrowType(field->type())));
  }
  return arrow::schema(std::move(fields), schema.metadata());
}

Result<std::shared_ptr<arrow::RecordBatch>> NarrowDecimals(
    const arrow::RecordBatch& batch, const std::shared_ptr<arrow::Schema>& narrow,
    arrow::MemoryPool* pool) {
  arrow::ArrayVector columns;
  for (int i = 0; i < batch.num_columns(); ++i) {
    const auto& type = narrow->field(i)->type();
    std::shared_ptr<arrow::Array> column = batch.column(i);
    if (column->type_id() != type->id()) {
      ARROW_ASSIGN_OR_RAISE(column, Narrowed(*column->data(), type, pool));
    }
    columns.push_back(std::move(column));
  }
  return arrow::RecordBatch::Make(narrow, batch.num_rows(), std::move(columns));
}

}  // namespace bulkhaul
