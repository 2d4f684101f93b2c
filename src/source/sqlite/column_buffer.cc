#include "source/sqlite/column_buffer.h"

#include <cmath>
#include <cstring>

#include <arrow/util/bit_util.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include "base/text.h"
#include "source/sqlite/value_text.h"

namespace bulkhaul {
namespace {

constexpr int64_t kFirstBytes = 4096;
constexpr size_t kShownBytesMax = 60;

const char* StorageName(int storage) {
  switch (storage) {
    case SQLITE_INTEGER:
      return "INTEGER";
    case SQLITE_FLOAT:
      return "REAL";
    case SQLITE_TEXT:
      return "TEXT";
    case SQLITE_BLOB:
      return "BLOB";
    default:
      return "NULL";
  }
}

std::string_view TextOf(sqlite3_value* value) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(value));
  if (text == nullptr) return {};
  return {text, static_cast<size_t>(sqlite3_value_bytes(value))};
}

// The start of a value for a message: quoted, without control characters.
std::string Shown(sqlite3_value* value, int storage) {
  if (storage == SQLITE_BLOB) return fmt::format("of {} bytes", sqlite3_value_bytes(value));
  std::string text(TextOf(value).substr(0, kShownBytesMax));
  if (!IsValidUtf8(text)) return "(not UTF-8)";
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return fmt::format("'{}{}'", text,
                     static_cast<size_t>(sqlite3_value_bytes(value)) > text.size() ? "…" : "");
}

bool IsAscii(const uint8_t* data, int64_t count) {
  uint64_t seen = 0;
  int64_t i = 0;
  for (; i + 32 <= count; i += 32) {
    uint64_t words[4];
    std::memcpy(words, data + i, 32);
    seen |= words[0] | words[1] | words[2] | words[3];
  }
  for (; i < count; ++i) seen |= data[i];
  return (seen & 0x8080808080808080) == 0;
}

// Invalid sequences become U+FFFD, one for each byte that starts none.
std::string WithReplacements(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    size_t length = std::min<size_t>(4, text.size());
    while (length > 0 && !(IsValidUtf8(text.substr(0, length)))) --length;
    if (length == 0) {
      out += "\xEF\xBF\xBD";
      length = 1;
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  return out;
}

Result<std::shared_ptr<arrow::ResizableBuffer>> Resizable(int64_t bytes, arrow::MemoryPool* pool) {
  ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateResizableBuffer(bytes, pool));
  return std::shared_ptr<arrow::ResizableBuffer>(std::move(buffer));
}

// The buffer itself when nobody else holds it and it is large enough, else a new one.
Status Reuse(std::shared_ptr<arrow::ResizableBuffer>* buffer, int64_t bytes,
             arrow::MemoryPool* pool) {
  if (*buffer != nullptr && buffer->use_count() == 1 && (*buffer)->capacity() >= bytes) {
    return (*buffer)->Resize(std::max(bytes, (*buffer)->size()), /*shrink_to_fit=*/false);
  }
  buffer->reset();
  ARROW_ASSIGN_OR_RAISE(*buffer, Resizable(bytes, pool));
  return Status::OK();
}

}  // namespace

ColumnBuffer::ColumnBuffer(ColumnPlan plan, arrow::MemoryPool* pool)
    : plan_(std::move(plan)), pool_(pool), conversion_(plan_.type.conversion) {
  const auto& type = *plan_.type.type;
  if (type.id() == arrow::Type::BOOL) {
    kind_ = Kind::kBits;
  } else if (type.id() == arrow::Type::STRING || type.id() == arrow::Type::BINARY) {
    kind_ = Kind::kVariable;
  } else {
    width_ = type.byte_width();
  }
  if (conversion_ == Conversion::kDecimal) {
    precision_ = static_cast<const arrow::Decimal128Type&>(type).precision();
    scale_ = static_cast<const arrow::Decimal128Type&>(type).scale();
  }
}

Status ColumnBuffer::Start(int64_t rows_max) {
  rows_max_ = rows_max;
  const int64_t bytes = kind_ == Kind::kBits       ? arrow::bit_util::BytesForBits(rows_max)
                        : kind_ == Kind::kVariable ? (rows_max + 1) * 4
                                                   : rows_max * width_;
  ARROW_RETURN_NOT_OK(Reuse(&values_, bytes, pool_));
  value_data_ = values_->mutable_data();
  if (kind_ == Kind::kVariable) {
    reinterpret_cast<int32_t*>(value_data_)[0] = 0;
    ARROW_RETURN_NOT_OK(Reuse(&bytes_, bytes_ ? bytes_->size() : kFirstBytes, pool_));
    byte_data_ = bytes_->mutable_data();
    bytes_capacity_ = bytes_->size();
  }
  bytes_used_ = nulls_ = 0;
  validity_data_ = nullptr;
  problem_ = Status::OK();
  return Status::OK();
}

bool ColumnBuffer::Append(sqlite3_value* value, int64_t row) {
  const int storage = sqlite3_value_type(value);
  switch (conversion_) {
    case Conversion::kInt64:
      if (storage == SQLITE_INTEGER) {
        reinterpret_cast<int64_t*>(value_data_)[row] = sqlite3_value_int64(value);
        return true;
      }
      break;
    case Conversion::kDouble:
      if (storage == SQLITE_FLOAT) {
        reinterpret_cast<double*>(value_data_)[row] = sqlite3_value_double(value);
        return true;
      }
      break;
    case Conversion::kText:
      if (storage == SQLITE_TEXT) {
        const void* text = sqlite3_value_text(value);
        return AppendBytes(text, sqlite3_value_bytes(value), row);
      }
      break;
    case Conversion::kBinary:
      if (storage == SQLITE_BLOB) {
        const void* blob = sqlite3_value_blob(value);
        return AppendBytes(blob, sqlite3_value_bytes(value), row);
      }
      break;
    default:
      break;
  }
  if (storage == SQLITE_NULL) return AppendNull(row);
  switch (conversion_) {
    case Conversion::kInt64:
    case Conversion::kDouble:
    case Conversion::kBool:
      return AppendNumber(value, row, storage);
    case Conversion::kDecimal:
      return AppendDecimal(value, row, storage);
    case Conversion::kNumberText:
    case Conversion::kAnyText:
      return AppendAsText(value, row, storage);
    case Conversion::kDate:
    case Conversion::kTime:
    case Conversion::kTimestamp:
    case Conversion::kTimestampUtc:
      return AppendTemporal(value, row, storage);
    default:
      return Mismatch(value, row, storage);
  }
}

bool ColumnBuffer::AppendNumber(sqlite3_value* value, int64_t row, int storage) {
  if (conversion_ == Conversion::kInt64 && storage == SQLITE_FLOAT) {
    const double real = sqlite3_value_double(value);
    if (std::fabs(real) <= 0x1p53 && std::nearbyint(real) == real) {
      reinterpret_cast<int64_t*>(value_data_)[row] = static_cast<int64_t>(real);
      return true;
    }
  } else if (conversion_ == Conversion::kDouble && storage == SQLITE_INTEGER) {
    const int64_t integer = sqlite3_value_int64(value);
    if (integer >= -(int64_t{1} << 53) && integer <= (int64_t{1} << 53)) {
      reinterpret_cast<double*>(value_data_)[row] = static_cast<double>(integer);
      return true;
    }
  } else if (conversion_ == Conversion::kBool && storage == SQLITE_INTEGER) {
    const int64_t integer = sqlite3_value_int64(value);
    if (integer == 0 || integer == 1) return SetBool(integer == 1, row);
  } else if (conversion_ == Conversion::kBool && storage == SQLITE_TEXT) {
    if (const auto parsed = BoolFromText(TextOf(value))) return SetBool(parsed, row);
  }
  return Mismatch(value, row, storage);
}

bool ColumnBuffer::SetBool(std::optional<bool> value, int64_t row) {
  arrow::bit_util::SetBitTo(value_data_, row, *value);
  return true;
}

bool ColumnBuffer::AppendDecimal(sqlite3_value* value, int64_t row, int storage) {
  std::optional<arrow::Decimal128> decimal;
  if (storage == SQLITE_INTEGER) {
    decimal = DecimalFromInteger(sqlite3_value_int64(value), precision_, scale_);
  } else if (storage == SQLITE_FLOAT) {
    decimal = DecimalFromReal(sqlite3_value_double(value), precision_, scale_);
  } else if (storage == SQLITE_TEXT) {
    decimal = DecimalFromText(TextOf(value), precision_, scale_);
  }
  if (!decimal) return Mismatch(value, row, storage);
  decimal->ToBytes(value_data_ + row * 16);
  return true;
}

bool ColumnBuffer::AppendTemporal(sqlite3_value* value, int64_t row, int storage) {
  std::optional<int64_t> number;
  if (storage == SQLITE_TEXT) {
    const std::string_view text = TextOf(value);
    if (conversion_ == Conversion::kDate)
      number = DateFromText(text);
    else if (conversion_ == Conversion::kTime)
      number = TimeFromText(text);
    else
      number = TimestampFromText(text, conversion_ == Conversion::kTimestampUtc);
  } else if (conversion_ != Conversion::kTime && storage != SQLITE_BLOB) {
    number = storage == SQLITE_INTEGER ? TimestampFromSeconds(sqlite3_value_int64(value))
                                       : TimestampFromReal(sqlite3_value_double(value));
    if (conversion_ == Conversion::kDate) number = DateFromTimestamp(number);
  }
  if (!number) return Mismatch(value, row, storage);
  if (width_ == 4)
    reinterpret_cast<int32_t*>(value_data_)[row] = static_cast<int32_t>(*number);
  else
    reinterpret_cast<int64_t*>(value_data_)[row] = *number;
  return true;
}

bool ColumnBuffer::AppendAsText(sqlite3_value* value, int64_t row, int storage) {
  char number[40];
  switch (storage) {
    case SQLITE_TEXT: {
      const std::string_view text = TextOf(value);
      return AppendBytes(text.data(), static_cast<int64_t>(text.size()), row);
    }
    case SQLITE_INTEGER: {
      const char* end = fmt::format_to(number, "{}", sqlite3_value_int64(value));
      return AppendBytes(number, end - number, row);
    }
    case SQLITE_FLOAT: {
      const size_t length = RealToText(sqlite3_value_double(value), number);
      return AppendBytes(number, static_cast<int64_t>(length), row);
    }
    default: {
      if (conversion_ != Conversion::kAnyText) return Mismatch(value, row, storage);
      const auto* blob = static_cast<const uint8_t*>(sqlite3_value_blob(value));
      std::string literal = "X'";
      for (int i = 0; i < sqlite3_value_bytes(value); ++i) {
        literal += "0123456789ABCDEF"[blob[i] >> 4];
        literal += "0123456789ABCDEF"[blob[i] & 15];
      }
      literal += '\'';
      return AppendBytes(literal.data(), static_cast<int64_t>(literal.size()), row);
    }
  }
}

bool ColumnBuffer::AppendBytes(const void* bytes, int64_t count, int64_t row) {
  if (bytes == nullptr && count > 0) {
    problem_ = Status::OutOfMemory("SQLite has no memory for a value of column ", plan_.name);
    return false;
  }
  const int64_t end = bytes_used_ + count;
  if (end > bytes_capacity_ && !GrowBytes(end)) return false;
  if (count > 0) std::memcpy(byte_data_ + bytes_used_, bytes, static_cast<size_t>(count));
  bytes_used_ = end;
  reinterpret_cast<int32_t*>(value_data_)[row + 1] = static_cast<int32_t>(end);
  return true;
}

bool ColumnBuffer::GrowBytes(int64_t needed) {
  if (needed > INT32_MAX) {
    problem_ = UserError(fmt::format(
        "column '{}': one batch would hold more than 2 GiB of it; lower batch_rows", plan_.name));
    return false;
  }
  const int64_t capacity = std::min<int64_t>(INT32_MAX, std::max(needed, bytes_capacity_ * 2));
  problem_ = bytes_->Resize(capacity, /*shrink_to_fit=*/false);
  if (!problem_.ok()) return false;
  byte_data_ = bytes_->mutable_data();
  bytes_capacity_ = capacity;
  return true;
}

bool ColumnBuffer::AppendNull(int64_t row) {
  if (validity_data_ == nullptr) {
    const int64_t bytes = arrow::bit_util::BytesForBits(rows_max_);
    problem_ = Reuse(&validity_, bytes, pool_);
    if (!problem_.ok()) return false;
    validity_data_ = validity_->mutable_data();
    std::memset(validity_data_, 0xff, static_cast<size_t>(bytes));
  }
  arrow::bit_util::ClearBit(validity_data_, row);
  ++nulls_;
  if (kind_ == Kind::kVariable) {
    reinterpret_cast<int32_t*>(value_data_)[row + 1] = static_cast<int32_t>(bytes_used_);
  } else if (kind_ == Kind::kBits) {
    arrow::bit_util::ClearBit(value_data_, row);
  } else {
    std::memset(value_data_ + row * width_, 0, static_cast<size_t>(width_));
  }
  return true;
}

bool ColumnBuffer::Mismatch(sqlite3_value* value, int64_t row, int storage) {
  if (plan_.mismatch == BadValuePolicy::kNull) {
    ++mismatches_as_null_;
    return AppendNull(row);
  }
  problem_ = UserError(
      fmt::format("column '{}', declared {} and read as {}, holds the {} value {}; find such rows "
                  "with typeof({}), or choose type_mismatch: string or null",
                  plan_.name, plan_.declared.empty() ? "without a type" : plan_.declared,
                  plan_.type.type->ToString(), StorageName(storage), Shown(value, storage),
                  plan_.name),
      "type_mismatch");
  return false;
}

Result<std::shared_ptr<arrow::ArrayData>> ColumnBuffer::Finish(int64_t rows) {
  if (plan_.type.type->id() == arrow::Type::STRING) ARROW_RETURN_NOT_OK(CheckText(rows));
  std::vector<std::shared_ptr<arrow::Buffer>> buffers = {
      validity_data_ != nullptr ? validity_ : nullptr, values_};
  if (kind_ == Kind::kVariable) buffers.push_back(bytes_);
  return arrow::ArrayData::Make(plan_.type.type, rows, std::move(buffers), nulls_);
}

Status ColumnBuffer::CheckText(int64_t rows) {
  if (IsAscii(byte_data_, bytes_used_)) return Status::OK();
  const auto* offsets = reinterpret_cast<const int32_t*>(value_data_);
  for (int64_t row = 0; row < rows; ++row) {
    const auto count = static_cast<size_t>(offsets[row + 1] - offsets[row]);
    if (IsValidUtf8({reinterpret_cast<const char*>(byte_data_) + offsets[row], count})) continue;
    if (plan_.invalid_utf8 != BadValuePolicy::kError) return RewriteText(rows);
    return UserError(fmt::format("column '{}' holds text that is not valid UTF-8, in row {} of the "
                                 "batch; choose invalid_utf8: replace or null, or cast(\"{}\" as "
                                 "blob) in a query",
                                 plan_.name, row + 1, plan_.name),
                     "invalid_utf8");
  }
  return Status::OK();
}

Status ColumnBuffer::RewriteText(int64_t rows) {
  const std::string old(reinterpret_cast<const char*>(byte_data_),
                        static_cast<size_t>(bytes_used_));
  auto* offsets = reinterpret_cast<int32_t*>(value_data_);
  bytes_used_ = 0;
  int32_t begin = offsets[0];
  for (int64_t row = 0; row < rows; ++row) {
    const int32_t end = offsets[row + 1];
    const std::string_view text =
        std::string_view(old).substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
    begin = end;
    bool ok = true;
    if (IsValidUtf8(text)) {
      ok = AppendBytes(text.data(), static_cast<int64_t>(text.size()), row);
    } else if (plan_.invalid_utf8 == BadValuePolicy::kNull) {
      ++texts_as_null_;
      ok = AppendNull(row);
    } else {
      ++texts_replaced_;
      const std::string replaced = WithReplacements(text);
      ok = AppendBytes(replaced.data(), static_cast<int64_t>(replaced.size()), row);
    }
    if (!ok) return problem_;
  }
  return Status::OK();
}

}  // namespace bulkhaul
