#include "wire/pg_copy/copy_encoder.h"

#include <arrow/util/bit_util.h>
#include <arrow/util/utf8.h>
#include <fmt/format.h>

#include "base/copy_text.h"
#include "wire/pg_copy/bytes.h"
#include "wire/pg_copy/encode_plan.h"

namespace bulkhaul::pg {
namespace {

constexpr int64_t kFieldBytesMax = (int64_t{1} << 30) - 1;  // of one value, as the server allows
constexpr uint32_t kNullLength = 0xffffffff;

// The whole block's text at once; only when something is wrong is each value looked at.
template <typename Offset>
bool MayHoldBadText(const arrow::ArrayData& array, int64_t begin, int64_t rows) {
  const Offset* const offsets = array.GetValues<Offset>(1) + begin;
  const auto size = static_cast<size_t>(offsets[rows] - offsets[0]);
  if (size == 0) return false;
  const uint8_t* const text = array.buffers[2]->data() + offsets[0];
  return std::memchr(text, 0, size) != nullptr ||
         !arrow::util::ValidateUTF8(text, static_cast<int64_t>(size));
}

template <typename Offset>
int64_t MeasureBytes(const EncodePlan& plan, const EncodeSlice& slice, int64_t* sizes) {
  const auto& array = *slice.array;
  const Offset* const offsets = array.GetValues<Offset>(1) + slice.begin;
  const int64_t prefix = plan.prefix >= 0 ? 1 : 0;
  const bool nulls = array.GetNullCount() != 0;
  for (int64_t row = 0; row < slice.rows; ++row) {
    if (nulls && array.IsNull(slice.begin + row)) continue;
    const int64_t size = offsets[row + 1] - offsets[row] + prefix;
    if (size > kFieldBytesMax) return row;
    sizes[row] += size;
  }
  return -1;
}

template <typename Offset>
void WriteBytes(const EncodePlan& plan, const EncodeSlice& slice, uint8_t** cursors) {
  const auto& array = *slice.array;
  const Offset* const offsets = array.GetValues<Offset>(1) + slice.begin;
  const uint8_t* const bytes = array.buffers[2] ? array.buffers[2]->data() : nullptr;
  const uint32_t prefix = plan.prefix >= 0 ? 1 : 0;
  const bool nulls = array.GetNullCount() != 0;
  for (int64_t row = 0; row < slice.rows; ++row) {
    uint8_t* out = cursors[row];
    if (nulls && array.IsNull(slice.begin + row)) {
      Store32(out, kNullLength);
      cursors[row] = out + 4;
      continue;
    }
    const auto size = static_cast<size_t>(offsets[row + 1] - offsets[row]);
    Store32(out, static_cast<uint32_t>(size) + prefix);
    out += 4;
    if (prefix != 0) *out++ = static_cast<uint8_t>(plan.prefix);
    CopyText({reinterpret_cast<const char*>(bytes + offsets[row]), size}, out);
    cursors[row] = out + size;
  }
}

}  // namespace

// A column of the block that is being encoded.
struct CopyEncoder::Column {
  EncodeColumn spec;
  EncodeSlice slice{};
  // Shapes kDecimal and kValues: the fields as they go out, length words included.
  ByteBuffer fields;
  std::vector<size_t> ends;
  std::unique_ptr<NumericMemo> memo;  // kDecimal
};

CopyEncoder::CopyEncoder(std::vector<EncodeColumn> columns, int64_t order_from)
    : order_next_(order_from), ordered_(order_from >= 0) {
  for (auto& column : columns) {
    columns_.emplace_back();
    if (column.plan->shape == EncodePlan::Shape::kDecimal) {
      columns_.back().memo = std::make_unique<NumericMemo>();
    }
    columns_.back().spec = std::move(column);
  }
}
CopyEncoder::~CopyEncoder() = default;

std::string_view CopyEncoder::Header() { return {"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", 19}; }
std::string_view CopyEncoder::Trailer() { return {"\xff\xff", 2}; }

Status CopyEncoder::ValueError(const Column& column, int64_t row, std::string_view why) {
  row_at_fault_ = rows_ + row + 1;
  std::string what(why);
  if (why.empty()) what = fmt::format("does not fit into {}", column.spec.plan->type_name);
  const arrow::DataType& type = *column.slice.array->type;
  if (why.empty() && type.id() == arrow::Type::TIMESTAMP &&
      static_cast<const arrow::TimestampType&>(type).unit() == arrow::TimeUnit::NANO) {
    what += fmt::format("; PostgreSQL's have six digits of a second: cast: {}: string keeps all",
                        column.spec.name);
  }
  return UserError(
      fmt::format("column \"{}\", row {}: the value {}", column.spec.name, row_at_fault_, what),
      "value");
}

Status CopyEncoder::Measure(Column& column, int64_t rows, int64_t* every_row) {
  const EncodePlan& plan = *column.spec.plan;
  const arrow::ArrayData& array = *column.slice.array;
  int64_t* const sizes = sizes_.data();
  *every_row += 4;
  switch (plan.shape) {
    case EncodePlan::Shape::kFixed:
      if (array.GetNullCount() == 0) {
        *every_row += plan.bytes;
      } else {
        for (int64_t row = 0; row < rows; ++row) {
          sizes[row] += array.IsNull(column.slice.begin + row) ? 0 : plan.bytes;
        }
      }
      return Status::OK();
    case EncodePlan::Shape::kBytes32:
    case EncodePlan::Shape::kBytes64: {
      const bool wide = plan.shape == EncodePlan::Shape::kBytes64;
      if (plan.text && (wide ? MayHoldBadText<int64_t>(array, column.slice.begin, rows)
                             : MayHoldBadText<int32_t>(array, column.slice.begin, rows))) {
        std::string why;
        for (int64_t row = 0; row < rows; ++row) {
          const int64_t place = column.slice.begin + row;
          if (!array.IsNull(place) && !CheckText(plan, BytesOf(array, place), &why)) {
            return ValueError(column, row, why);
          }
        }
      }
      const int64_t too_long = wide ? MeasureBytes<int64_t>(plan, column.slice, sizes)
                                    : MeasureBytes<int32_t>(plan, column.slice, sizes);
      if (too_long >= 0) return ValueError(column, too_long, "is longer than PostgreSQL's 1 GB");
      return Status::OK();
    }
    default:
      break;
  }
  column.fields.Clear();
  column.ends.resize(static_cast<size_t>(rows));
  std::string why;
  size_t last = 0;
  const bool nulls = array.type->id() == arrow::Type::NA || array.GetNullCount() != 0;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t place = column.slice.begin + row;
    int64_t unscaled;
    if (nulls && IsNull(array, place)) {
      column.fields.AppendU32(kNullLength);
    } else if (column.memo != nullptr && plan.scale >= 0 && SmallDecimal(array, place, &unscaled)) {
      if (!column.memo->AppendField(plan, unscaled, &column.fields, &why)) {
        return ValueError(column, row, why);
      }
      sizes[row] += static_cast<int64_t>(column.fields.size() - last - 4);
    } else {
      column.fields.Extend(4);
      if (!plan.value(plan, array, place, &column.fields, &why)) {
        return ValueError(column, row, why);
      }
      const size_t size = column.fields.size() - last - 4;
      if (static_cast<int64_t>(size) > kFieldBytesMax) {
        return ValueError(column, row, "is longer than PostgreSQL's 1 GB");
      }
      Store32(column.fields.data() + last, static_cast<uint32_t>(size));
      sizes[row] += static_cast<int64_t>(size);
    }
    last = column.fields.size();
    column.ends[static_cast<size_t>(row)] = last;
  }
  return Status::OK();
}

Status CopyEncoder::Write(Column& column, int64_t rows) {
  const EncodePlan& plan = *column.spec.plan;
  switch (plan.shape) {
    case EncodePlan::Shape::kFixed: {
      const int64_t bad = plan.fixed(plan, column.slice, cursors_.data());
      return bad < 0 ? Status::OK() : ValueError(column, bad, "");
    }
    case EncodePlan::Shape::kBytes32:
      WriteBytes<int32_t>(plan, column.slice, cursors_.data());
      return Status::OK();
    case EncodePlan::Shape::kBytes64:
      WriteBytes<int64_t>(plan, column.slice, cursors_.data());
      return Status::OK();
    default:
      break;
  }
  const uint8_t* from = column.fields.data();
  size_t begin = 0;
  for (int64_t row = 0; row < rows; ++row) {
    const size_t end = column.ends[static_cast<size_t>(row)];
    CopyText({reinterpret_cast<const char*>(from + begin), end - begin},
             cursors_[static_cast<size_t>(row)]);
    cursors_[static_cast<size_t>(row)] += end - begin;
    begin = end;
  }
  return Status::OK();
}

Status CopyEncoder::EncodeBlock(const arrow::RecordBatch& batch, int64_t begin, int64_t rows,
                                ByteBuffer* out) {
  sizes_.assign(static_cast<size_t>(rows), 0);
  cursors_.resize(static_cast<size_t>(rows));
  int64_t every_row = 2 + (ordered_ ? 12 : 0);
  for (Column& column : columns_) {
    column.slice = {batch.column_data(column.spec.index).get(), begin, rows};
    ARROW_RETURN_NOT_OK(Measure(column, rows, &every_row));
  }
  int64_t total = rows * every_row;
  for (const int64_t size : sizes_) total += size;
  const uint16_t fields =
      __builtin_bswap16(static_cast<uint16_t>(columns_.size() + (ordered_ ? 1 : 0)));
  uint8_t* place = out->Extend(static_cast<size_t>(total));
  for (int64_t row = 0; row < rows; ++row) {
    std::memcpy(place, &fields, 2);
    cursors_[static_cast<size_t>(row)] = place + 2;
    place += every_row + sizes_[static_cast<size_t>(row)];
  }
  for (Column& column : columns_) ARROW_RETURN_NOT_OK(Write(column, rows));
  if (ordered_) {
    for (int64_t row = 0; row < rows; ++row) {
      uint8_t* const cursor = cursors_[static_cast<size_t>(row)];
      const uint64_t order = __builtin_bswap64(static_cast<uint64_t>(order_next_++));
      Store32(cursor, 8);
      std::memcpy(cursor + 4, &order, 8);
    }
  }
  rows_ += rows;
  return Status::OK();
}

Status CopyEncoder::Encode(const arrow::RecordBatch& batch, int64_t begin, int64_t rows,
                           ByteBuffer* out) {
  while (rows > 0) {
    const int64_t block = std::min(rows, kBlockRows);
    ARROW_RETURN_NOT_OK(EncodeBlock(batch, begin, block, out));
    begin += block;
    rows -= block;
  }
  return Status::OK();
}

}  // namespace bulkhaul::pg
