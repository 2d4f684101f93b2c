#include "transform/group_keys.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include <arrow/array/builder_binary.h>
#include <arrow/compute/cast.h>
#include <arrow/compute/exec.h>
#include <arrow/extension_type.h>
#include <arrow/type_traits.h>
#include <arrow/util/bitmap_builders.h>
#include <fmt/format.h>

#include "plan/type_name.h"
#include "transform/column_lookup.h"

namespace bulkhaul {
namespace {

constexpr uint8_t kValue = 1, kNull = 2;  // NULL sorts last
// A zero byte of text is 0 255; 0 0 ends it. So a text sorts before its own continuations.
constexpr uint8_t kEscaped = 255;

template <typename Unsigned>
Unsigned FloatBits(const uint8_t* from) {
  using Float = std::conditional_t<sizeof(Unsigned) == 4, float, double>;
  Float value = 0;
  std::memcpy(&value, from, sizeof(value));
  if (std::isnan(value)) value = std::numeric_limits<Float>::quiet_NaN();
  if (value == 0) value = 0;  // one zero: the comparison holds for -0.0 too
  const auto bits = std::bit_cast<Unsigned>(value);
  constexpr Unsigned kSign = Unsigned{1} << (sizeof(Unsigned) * 8 - 1);
  return bits & kSign ? ~bits : bits | kSign;
}

template <typename Unsigned>
void EncodeFloat(const uint8_t* from, uint8_t* to) {
  const Unsigned bits = FloatBits<Unsigned>(from);
  for (size_t i = 0; i < sizeof(bits); ++i) {
    to[i] = static_cast<uint8_t>(bits >> (8 * (sizeof(bits) - 1 - i)));
  }
}

template <typename Unsigned>
void DecodeFloat(const uint8_t* from, uint8_t* to) {
  Unsigned bits = 0;
  for (size_t i = 0; i < sizeof(bits); ++i) bits = static_cast<Unsigned>(bits << 8 | from[i]);
  constexpr Unsigned kSign = Unsigned{1} << (sizeof(Unsigned) * 8 - 1);
  bits = bits & kSign ? bits & ~kSign : ~bits;
  std::memcpy(to, &bits, sizeof(bits));
}

// The values of a type of fixed width, the array's offset applied.
const uint8_t* FixedValues(const arrow::Array& array, size_t width) {
  const auto& data = *array.data();
  if (data.buffers[1] == nullptr) return nullptr;
  return data.buffers[1]->data() + static_cast<size_t>(data.offset) * width;
}

size_t EscapedLength(std::string_view text) {
  return text.size() + static_cast<size_t>(std::count(text.begin(), text.end(), '\0')) + 2;
}

uint8_t* EncodeText(std::string_view text, uint8_t* to) {
  if (!text.empty() && std::memchr(text.data(), 0, text.size()) == nullptr) {
    std::memcpy(to, text.data(), text.size());
    to += text.size();
  } else {
    for (const char c : text) {
      *to++ = static_cast<uint8_t>(c);
      if (c == '\0') *to++ = kEscaped;
    }
  }
  *to++ = 0;
  *to++ = 0;
  return to;
}

std::string_view DecodeText(const uint8_t** from, std::string* scratch) {
  const uint8_t* begin = *from;
  const auto* end = begin + std::strlen(reinterpret_cast<const char*>(begin));
  if (end[1] == 0) {
    *from = end + 2;
    return {reinterpret_cast<const char*>(begin), static_cast<size_t>(end - begin)};
  }
  scratch->clear();
  const uint8_t* at = begin;
  for (; at[0] != 0 || at[1] != 0; ++at) {
    scratch->push_back(static_cast<char>(*at));
    if (*at == 0) ++at;  // over kEscaped
  }
  *from = at + 2;
  return *scratch;
}

template <typename Visit>
void VisitText(const arrow::Array& array, Visit&& visit) {
  const auto each = [&](const auto& typed) {
    for (int64_t i = 0; i < typed.length(); ++i) {
      visit(i, typed.IsNull(i), typed.IsNull(i) ? std::string_view() : typed.GetView(i));
    }
  };
  const auto id = array.type_id();
  if (id == arrow::Type::LARGE_STRING || id == arrow::Type::LARGE_BINARY) {
    each(static_cast<const arrow::LargeBinaryArray&>(array));
  } else {
    each(static_cast<const arrow::BinaryArray&>(array));
  }
}

// What to do about a column whose type is no key's.
std::string InsteadOf(const arrow::DataType& type) {
  if (arrow::compute::CanCast(type, *arrow::utf8())) return "cast it to string, or leave it out";
  const bool list = arrow::is_list_like(type.id());
  if (list &&
      static_cast<const arrow::BaseListType&>(type).value_type()->id() == arrow::Type::STRUCT) {
    return "leave it out, or take it as text (nested: json, of a search index)";
  }
  if (list) {
    return "leave it out, or take it as text or its first value (arrays: json or first, of a "
           "search index)";
  }
  if (type.id() == arrow::Type::STRUCT) {
    return "leave it out, or take its fields as columns (objects: flatten, of a search index)";
  }
  return "leave it out";
}

}  // namespace

Result<KeyColumn> KeyColumn::Make(const GroupKey& key, const arrow::Field& input) {
  KeyColumn made;
  made.column_ = key.column;
  made.part_ = key.part;
  auto type = input.type();
  if (type->id() == arrow::Type::DICTIONARY) {
    type = static_cast<const arrow::DictionaryType&>(*type).value_type();
  }
  made.storage_ = type->id() == arrow::Type::EXTENSION
                      ? static_cast<const arrow::ExtensionType&>(*type).storage_type()
                      : type;
  made.field_ = arrow::field(key.name, type, input.nullable(),
                             key.part == TimePart::kNone ? input.metadata() : nullptr);
  const auto id = made.storage_->id();
  if (id == arrow::Type::BOOL) {
    made.form_ = Form::kBool;
    made.width_ = 1;
  } else if (id == arrow::Type::FLOAT || id == arrow::Type::DOUBLE) {
    made.form_ = Form::kFloat;
    made.width_ = id == arrow::Type::FLOAT ? 4 : 8;
  } else if (arrow::is_binary_like(id) || arrow::is_large_binary_like(id)) {
    made.form_ = Form::kText;
  } else if (id == arrow::Type::FIXED_SIZE_BINARY) {
    made.form_ = Form::kBytes;
    made.width_ = static_cast<size_t>(
        static_cast<const arrow::FixedSizeBinaryType&>(*made.storage_).byte_width());
  } else if (arrow::is_integer(id) || arrow::is_decimal(id) ||
             (arrow::is_temporal(id) && id != arrow::Type::INTERVAL_MONTHS &&
              id != arrow::Type::INTERVAL_DAY_TIME && id != arrow::Type::INTERVAL_MONTH_DAY_NANO)) {
    made.width_ = static_cast<size_t>(made.storage_->byte_width());
    made.signed_ = !arrow::is_unsigned_integer(id);
    made.reverse_ = true;
  } else {
    return UserError(fmt::format("group_by: column '{}' is {}, which cannot be a group's key; {}",
                                 key.column, TypeName(*input.type()), InsteadOf(*made.storage_)));
  }
  if (key.part != TimePart::kNone) {
    ARROW_ASSIGN_OR_RAISE(made.truncation_,
                          TimeTruncation::Make(*made.storage_, key.part, key.column));
  }
  return made;
}

Result<std::shared_ptr<arrow::Array>> KeyColumn::Prepare(const std::shared_ptr<arrow::Array>& array,
                                                         arrow::MemoryPool* pool) const {
  auto prepared = array;
  if (prepared->type_id() == arrow::Type::DICTIONARY) {
    arrow::compute::ExecContext context(pool);
    context.set_use_threads(false);
    ARROW_ASSIGN_OR_RAISE(
        prepared,
        arrow::compute::Cast(*prepared, field_->type(),
                             arrow::compute::CastOptions::Safe(field_->type()), &context));
  }
  if (prepared->type_id() == arrow::Type::EXTENSION) {
    prepared = static_cast<const arrow::ExtensionArray&>(*prepared).storage();
  }
  return prepared;
}

void KeyColumn::Measure(const arrow::Array& array, std::span<size_t> lengths) const {
  if (form_ != Form::kText) {
    for (size_t& length : lengths) length += 1 + width_;
    return;
  }
  VisitText(array, [&](int64_t row, bool null, std::string_view text) {
    lengths[static_cast<size_t>(row)] += null ? 1 : 1 + EscapedLength(text);
  });
}

Status KeyColumn::Encode(const arrow::Array& array, bool truncated, std::span<uint8_t*> places) {
  if (form_ == Form::kText) {
    VisitText(array, [&](int64_t row, bool null, std::string_view text) {
      uint8_t*& at = places[static_cast<size_t>(row)];
      *at++ = null ? kNull : kValue;
      if (!null) at = EncodeText(text, at);
    });
    return Status::OK();
  }
  const bool cut = truncation_.has_value() && !truncated;
  const uint8_t* values = form_ == Form::kBool ? nullptr : FixedValues(array, width_);
  const bool nulls = array.null_count() > 0;
  for (size_t row = 0; row < places.size(); ++row) {
    uint8_t* at = places[row];
    places[row] += 1 + width_;
    const auto index = static_cast<int64_t>(row);
    if (nulls && array.IsNull(index)) {
      *at = kNull;
      std::memset(at + 1, 0, width_);
      continue;
    }
    *at++ = kValue;
    uint8_t bit = 0;
    const uint8_t* from = &bit;
    if (values != nullptr) {
      from = values + row * width_;
    } else {
      bit = static_cast<const arrow::BooleanArray&>(array).Value(index) ? 1 : 0;
    }
    uint8_t cut_value[8];
    if (cut) {
      int64_t time = 0;
      if (width_ == 4) {
        int32_t days = 0;
        std::memcpy(&days, from, sizeof(days));
        time = days;
      } else {
        std::memcpy(&time, from, sizeof(time));
      }
      const auto begin = truncation_->Truncate(time);
      if (!begin || (width_ == 4 && *begin < INT32_MIN)) {
        return UserError(
            fmt::format("group_by: the {} of a time in column '{}' begins before what "
                        "{} can hold",
                        TimePartName(part_), column_, TypeName(*storage_)));
      }
      std::memcpy(cut_value, &*begin, width_);  // little-endian: the low bytes of 32 bits too
      from = cut_value;
    }
    switch (form_) {
      case Form::kBool:
        *at = bit;
        break;
      case Form::kFloat:
        width_ == 4 ? EncodeFloat<uint32_t>(from, at) : EncodeFloat<uint64_t>(from, at);
        break;
      case Form::kBytes:
        std::memcpy(at, from, width_);
        break;
      default:
        for (size_t i = 0; i < width_; ++i) at[i] = from[width_ - 1 - i];
        if (signed_) at[0] ^= 0x80;
    }
  }
  return Status::OK();
}

Result<std::shared_ptr<arrow::Array>> KeyColumn::Decode(std::span<const uint8_t*> places,
                                                        arrow::MemoryPool* pool) const {
  const auto rows = static_cast<int64_t>(places.size());
  std::shared_ptr<arrow::Array> array;
  if (form_ == Form::kText) {
    std::unique_ptr<arrow::ArrayBuilder> builder;
    ARROW_RETURN_NOT_OK(arrow::MakeBuilder(pool, storage_, &builder));
    std::string scratch;
    const auto large = arrow::is_large_binary_like(storage_->id());
    for (const uint8_t*& at : places) {
      if (*at++ == kNull) {
        ARROW_RETURN_NOT_OK(builder->AppendNull());
        continue;
      }
      const auto text = DecodeText(&at, &scratch);
      ARROW_RETURN_NOT_OK(large ? static_cast<arrow::LargeBinaryBuilder&>(*builder).Append(text)
                                : static_cast<arrow::BinaryBuilder&>(*builder).Append(text));
    }
    ARROW_RETURN_NOT_OK(builder->Finish(&array));
  } else {
    arrow::TypedBufferBuilder<bool> valid(pool), bits(pool);
    ARROW_RETURN_NOT_OK(valid.Reserve(rows));
    ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> values,
                          arrow::AllocateBuffer(rows * static_cast<int64_t>(width_), pool));
    if (form_ == Form::kBool) ARROW_RETURN_NOT_OK(bits.Reserve(rows));
    uint8_t* to = values->mutable_data();
    for (const uint8_t*& at : places) {
      valid.UnsafeAppend(*at++ == kValue);
      if (form_ == Form::kBool)
        bits.UnsafeAppend(*at == 1);
      else if (form_ == Form::kFloat && width_ == 4)
        DecodeFloat<uint32_t>(at, to);
      else if (form_ == Form::kFloat)
        DecodeFloat<uint64_t>(at, to);
      else if (form_ == Form::kBytes)
        std::memcpy(to, at, width_);
      else {
        for (size_t i = 0; i < width_; ++i) to[width_ - 1 - i] = at[i];
        if (signed_) to[width_ - 1] ^= 0x80;
      }
      at += width_;
      to += width_;
    }
    const int64_t nulls = valid.false_count();
    ARROW_ASSIGN_OR_RAISE(auto bitmap, valid.Finish());
    if (nulls == 0) bitmap = nullptr;
    if (form_ == Form::kBool) {
      ARROW_ASSIGN_OR_RAISE(values, bits.Finish());
    }
    array = arrow::MakeArray(arrow::ArrayData::Make(storage_, rows, {bitmap, values}, nulls));
  }
  if (field_->type()->id() != arrow::Type::EXTENSION) return array;
  return arrow::ExtensionType::WrapArray(field_->type(), array);
}

Result<GroupKeys> GroupKeys::Make(const std::vector<GroupKey>& keys, const arrow::Schema& input) {
  GroupKeys made;
  for (const auto& key : keys) {
    ARROW_ASSIGN_OR_RAISE(const int index, FindColumn(input, key.column, "group_by"));
    ARROW_ASSIGN_OR_RAISE(auto column, KeyColumn::Make(key, *input.field(index)));
    made.columns_.push_back(std::move(column));
  }
  return made;
}

arrow::FieldVector GroupKeys::fields() const {
  arrow::FieldVector fields;
  for (const auto& column : columns_) fields.push_back(column.field());
  return fields;
}

Status GroupKeys::Encode(std::span<const std::shared_ptr<arrow::Array>> columns, int64_t rows,
                         bool truncated, arrow::MemoryPool* pool, EncodedKeys* out) {
  const auto count = static_cast<size_t>(rows);
  arrow::ArrayVector prepared;
  lengths_.assign(count, 0);
  for (size_t i = 0; i < columns_.size(); ++i) {
    ARROW_ASSIGN_OR_RAISE(auto array, columns_[i].Prepare(columns[i], pool));
    columns_[i].Measure(*array, lengths_);
    prepared.push_back(std::move(array));
  }
  out->begins.resize(count + 1);
  size_t total = 0;
  for (size_t row = 0; row < count; ++row) {
    out->begins[row] = total;
    total += lengths_[row];
  }
  out->begins[count] = total;
  out->bytes.resize(total);
  places_.resize(count);
  for (size_t row = 0; row < count; ++row) places_[row] = out->bytes.data() + out->begins[row];
  for (size_t i = 0; i < columns_.size(); ++i) {
    ARROW_RETURN_NOT_OK(columns_[i].Encode(*prepared[i], truncated, places_));
  }
  return Status::OK();
}

Result<arrow::ArrayVector> GroupKeys::Decode(std::vector<const uint8_t*> keys,
                                             arrow::MemoryPool* pool) const {
  arrow::ArrayVector arrays;
  for (const auto& column : columns_) {
    ARROW_ASSIGN_OR_RAISE(auto array, column.Decode(keys, pool));
    arrays.push_back(std::move(array));
  }
  return arrays;
}

}  // namespace bulkhaul
