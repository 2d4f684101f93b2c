#include "transform/contract_rules.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string_view>
#include <type_traits>

#include <arrow/array/array_binary.h>
#include <arrow/array/array_dict.h>
#include <arrow/array/array_primitive.h>
#include <arrow/array/concatenate.h>
#include <arrow/array/util.h>
#include <arrow/compute/api_scalar.h>
#include <arrow/compute/exec.h>
#include <arrow/compute/initialize.h>
#include <arrow/datum.h>
#include <arrow/type_traits.h>
#include <arrow/util/decimal.h>
#include <fmt/format.h>

#include "plan/type_name.h"
#include "transform/take_rows.h"

namespace bulkhaul {
namespace {

constexpr size_t kRulesMax = std::numeric_limits<uint16_t>::max() - 1;

// Below, above, and what is neither and no number.
template <typename T>
struct Bounds {
  T low, high;
  bool Holds(T value) const { return value >= low && value <= high; }
};

// Branch-free, so that a column without a breach costs as little as reading it. Values of NULLs
// are garbage: a breach among them is looked at again.
template <typename T>
bool AllWithin(const T* values, int64_t count, const Bounds<T>& bounds) {
  bool within = true;
  for (int64_t i = 0; i < count; ++i) within &= bounds.Holds(values[i]);
  return within;
}

template <typename T, typename ValueOf>
Bounds<T> BoundsOf(const arrow::Scalar* min, const arrow::Scalar* max, ValueOf value_of) {
  Bounds<T> bounds{};
  if constexpr (std::numeric_limits<T>::has_infinity) {
    bounds = {-std::numeric_limits<T>::infinity(), std::numeric_limits<T>::infinity()};
  } else {
    bounds = {std::numeric_limits<T>::min(), std::numeric_limits<T>::max()};
  }
  if (min != nullptr) bounds.low = value_of(*min);
  if (max != nullptr) bounds.high = value_of(*max);
  return bounds;
}

struct RangeRules {
  const arrow::Scalar *min, *max;
  int min_rule, max_rule;
};

template <typename T>
void CheckRangeOf(const arrow::Array& array, const Bounds<T>& bounds, const RangeRules& rules,
                  int64_t first_row, RowMarks* marks) {
  const T* values = array.data()->GetValues<T>(1);
  if (AllWithin(values, array.length(), bounds)) return;
  for (int64_t i = 0; i < array.length(); ++i) {
    if (bounds.Holds(values[i]) || array.IsNull(i)) continue;
    // What is no number breaks the rule that there is.
    const bool below = rules.max == nullptr || values[i] < bounds.low;
    marks->Mark(first_row + i, below ? rules.min_rule : rules.max_rule);
  }
}

// By the plain value that an array of the type holds.
template <typename Type>
void CheckPlainRange(const arrow::Array& array, const RangeRules& rules, int64_t first_row,
                     RowMarks* marks) {
  using T = typename Type::c_type;
  using ScalarType = typename arrow::TypeTraits<Type>::ScalarType;
  const auto bounds = BoundsOf<T>(rules.min, rules.max, [](const arrow::Scalar& scalar) {
    return static_cast<const ScalarType&>(scalar).value;
  });
  CheckRangeOf(array, bounds, rules, first_row, marks);
}

__int128 Wide(const arrow::Decimal128& value) {
  __int128 wide = 0;
  static_assert(sizeof(wide) == 16);
  std::memcpy(&wide, value.native_endian_bytes(), sizeof(wide));
  return wide;
}

void CheckDecimalRange(const arrow::Array& array, const RangeRules& rules, int64_t first_row,
                       RowMarks* marks) {
  if (array.type_id() == arrow::Type::DECIMAL128) {
    constexpr __int128 kLargest = static_cast<__int128>(~static_cast<unsigned __int128>(0) >> 1);
    Bounds<__int128> bounds{-kLargest - 1, kLargest};
    const auto value_of = [](const arrow::Scalar& scalar) {
      return Wide(static_cast<const arrow::Decimal128Scalar&>(scalar).value);
    };
    if (rules.min != nullptr) bounds.low = value_of(*rules.min);
    if (rules.max != nullptr) bounds.high = value_of(*rules.max);
    return CheckRangeOf(array, bounds, rules, first_row, marks);
  }
  const auto& decimals = static_cast<const arrow::Decimal256Array&>(array);
  for (int64_t i = 0; i < array.length(); ++i) {
    if (array.IsNull(i)) continue;
    const arrow::Decimal256 value(decimals.Value(i));
    const auto bound = [](const arrow::Scalar* scalar) {
      return static_cast<const arrow::Decimal256Scalar*>(scalar)->value;
    };
    if (rules.min != nullptr && value < bound(rules.min))
      marks->Mark(first_row + i, rules.min_rule);
    if (rules.max != nullptr && value > bound(rules.max))
      marks->Mark(first_row + i, rules.max_rule);
  }
}

void CheckRange(const arrow::Array& array, const RangeRules& rules, int64_t first_row,
                RowMarks* marks) {
  switch (array.type_id()) {
#define BULKHAUL_RANGE(id, plain_type) \
  case arrow::Type::id:                \
    return CheckPlainRange<arrow::plain_type>(array, rules, first_row, marks);
    BULKHAUL_RANGE(INT8, Int8Type)
    BULKHAUL_RANGE(INT16, Int16Type)
    BULKHAUL_RANGE(INT32, Int32Type)
    BULKHAUL_RANGE(INT64, Int64Type)
    BULKHAUL_RANGE(UINT8, UInt8Type)
    BULKHAUL_RANGE(UINT16, UInt16Type)
    BULKHAUL_RANGE(UINT32, UInt32Type)
    BULKHAUL_RANGE(UINT64, UInt64Type)
    BULKHAUL_RANGE(FLOAT, FloatType)
    BULKHAUL_RANGE(DOUBLE, DoubleType)
    BULKHAUL_RANGE(DATE32, Date32Type)
    BULKHAUL_RANGE(DATE64, Date64Type)
    BULKHAUL_RANGE(TIME32, Time32Type)
    BULKHAUL_RANGE(TIME64, Time64Type)
    BULKHAUL_RANGE(TIMESTAMP, TimestampType)
#undef BULKHAUL_RANGE
    default:
      return CheckDecimalRange(array, rules, first_row, marks);
  }
}

int64_t Characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;  // not the rest of a character
  });
}

struct LengthRules {
  int64_t min, max;
  int min_rule, max_rule;
  bool characters;  // else bytes
};

// Most texts are settled by their number of bytes: a character has one to four. `bytes_of` gives it
// by row, also of NULLs, where it may be anything.
template <typename ArrayType, typename BytesOf>
void CheckLengthsBy(const ArrayType& array, BytesOf bytes_of, const LengthRules& rules,
                    int64_t first_row, RowMarks* marks) {
  const int64_t settled_from = rules.characters && rules.min > 1 ? rules.min * 4 - 3 : rules.min;
  bool settled = true;
  for (int64_t i = 0; i < array.length(); ++i) {
    const int64_t bytes = bytes_of(i);
    settled &= bytes >= settled_from && bytes <= rules.max;
  }
  if (settled) return;
  for (int64_t i = 0; i < array.length(); ++i) {
    const int64_t bytes = bytes_of(i);
    if ((bytes >= settled_from && bytes <= rules.max) || array.IsNull(i)) continue;
    const int64_t length = rules.characters ? Characters(array.GetView(i)) : bytes;
    if (length < rules.min) marks->Mark(first_row + i, rules.min_rule);
    if (length > rules.max) marks->Mark(first_row + i, rules.max_rule);
  }
}

template <typename ArrayType>
void CheckLengthsOf(const ArrayType& array, const LengthRules& rules, int64_t first_row,
                    RowMarks* marks) {
  const auto* offsets = array.raw_value_offsets();
  const auto bytes_of = [offsets](int64_t i) -> int64_t { return offsets[i + 1] - offsets[i]; };
  CheckLengthsBy(array, bytes_of, rules, first_row, marks);
}

void MarkNulls(const arrow::Array& array, int rule, int64_t first_row, RowMarks* marks) {
  if (array.null_count() > 0) {
    for (int64_t i = 0; i < array.length(); ++i) {
      if (array.IsNull(i)) marks->Mark(first_row + i, rule);
    }
  }
  if (array.type_id() != arrow::Type::DICTIONARY) return;
  const auto& encoded = static_cast<const arrow::DictionaryArray&>(array);
  const auto& entries = *encoded.dictionary();
  if (entries.null_count() == 0) return;
  for (int64_t i = 0; i < array.length(); ++i) {
    if (array.IsValid(i) && entries.IsNull(encoded.GetValueIndex(i))) {
      marks->Mark(first_row + i, rule);
    }
  }
}

Result<std::shared_ptr<arrow::Array>> ArrayOf(const std::vector<std::string>& texts,
                                              const std::shared_ptr<arrow::DataType>& type) {
  arrow::ArrayVector values;
  for (const auto& text : texts) {
    ARROW_ASSIGN_OR_RAISE(const auto scalar, ParseContractValue(type, text));
    ARROW_ASSIGN_OR_RAISE(auto value, arrow::MakeArrayFromScalar(*scalar, 1));
    values.push_back(std::move(value));
  }
  return arrow::Concatenate(values);
}

// Rules are about values, however they are stored.
std::shared_ptr<arrow::DataType> ValueType(const std::shared_ptr<arrow::DataType>& type) {
  if (type->id() == arrow::Type::DICTIONARY) {
    return ValueType(static_cast<const arrow::DictionaryType&>(*type).value_type());
  }
  if (type->id() == arrow::Type::STRING_VIEW) return arrow::utf8();
  if (type->id() == arrow::Type::BINARY_VIEW) return arrow::binary();
  return type;
}

arrow::compute::ExecContext OneThread(arrow::MemoryPool* pool) {
  arrow::compute::ExecContext context(pool);
  context.set_use_threads(false);
  return context;
}

}  // namespace

void RowMarks::Reset(int64_t rows) {
  rows_ = rows;
  count_ = 0;
  marks_.clear();
}

void RowMarks::Mark(int64_t row, int rule) {
  if (marks_.empty()) marks_.resize(static_cast<size_t>(rows_));
  auto& mark = marks_[static_cast<size_t>(row)];
  if (mark != 0) return;
  mark = static_cast<uint16_t>(rule + 1);
  ++count_;
}

Result<ColumnRules> ColumnRules::Make(const ContractColumn& column, int index,
                                      const std::shared_ptr<arrow::DataType>& stored_type,
                                      std::vector<RuleName>* names) {
  static const Status initialized = arrow::compute::Initialize();
  ARROW_RETURN_NOT_OK(initialized);
  const auto type = ValueType(stored_type);
  ColumnRules rules;
  rules.index_ = index;
  const auto add = [&](const char* name, std::string text) {
    names->push_back({index, name, std::move(text)});
    return static_cast<int>(names->size()) - 1;
  };
  const auto misfit = [&](const char* rule) {
    return UserError(fmt::format("contract: column '{}' is {}, to which {} cannot be applied",
                                 column.name, TypeName(*type), rule),
                     "contract");
  };
  if (names->size() + 7 > kRulesMax) return UserError("contract: more than 65,000 rules");
  if (!column.nullable) rules.null_rule_ = add("nullable", "nullable: false");
  for (const bool is_min : {true, false}) {
    const auto& text = is_min ? column.min : column.max;
    const char* name = is_min ? "min" : "max";
    if (text.empty()) continue;
    if (!HasOrder(*type)) return misfit(name);
    auto value = ParseContractValue(type, text);
    if (!value.ok()) {
      return WithContext(value.status(), fmt::format("contract: column '{}'", column.name));
    }
    (is_min ? rules.min_ : rules.max_) = *std::move(value);
    (is_min ? rules.min_rule_ : rules.max_rule_) = add(name, fmt::format("{}: {}", name, text));
  }
  if (column.min_length >= 0 || column.max_length >= 0) {
    if (!HasLength(*type)) return misfit("a length");
    if (column.min_length >= 0) {
      rules.min_length_ = column.min_length;
      rules.min_length_rule_ = add("min_length", fmt::format("min_length: {}", column.min_length));
    }
    if (column.max_length >= 0) {
      rules.max_length_ = column.max_length;
      rules.max_length_rule_ = add("max_length", fmt::format("max_length: {}", column.max_length));
    }
  }
  if (!column.pattern.empty()) {
    if (!arrow::is_string(type->id())) return misfit("a pattern");
    rules.pattern_ = std::make_unique<TextPattern>(fmt::format("\\A(?:{})\\z", column.pattern));
    rules.pattern_rule_ = add("pattern", "pattern: " + column.pattern);
  }
  if (!column.allowed.empty()) {
    auto allowed = ArrayOf(column.allowed, type);
    if (!allowed.ok()) {
      return WithContext(allowed.status(), fmt::format("contract: column '{}'", column.name));
    }
    if (IsText(*type)) {
      rules.allowed_texts_ = std::make_unique<TextSet>(column.allowed);
    } else {
      rules.allowed_ = *std::move(allowed);
    }
    rules.allowed_rule_ =
        add("allowed", fmt::format("allowed: [{}]", fmt::join(column.allowed, ", ")));
  }
  return rules;
}

bool ColumnRules::empty() const { return null_rule_ < 0 && !JudgesValues(); }

bool ColumnRules::JudgesValues() const {
  return min_ != nullptr || max_ != nullptr || min_length_rule_ >= 0 || max_length_rule_ >= 0 ||
         pattern_rule_ >= 0 || allowed_rule_ >= 0;
}

Status ColumnRules::Check(const std::shared_ptr<arrow::Array>& array, int64_t first_row,
                          arrow::MemoryPool* pool, RowMarks* marks) {
  if (null_rule_ >= 0) MarkNulls(*array, null_rule_, first_row, marks);
  if (!JudgesValues()) return Status::OK();
  if (array->type_id() != arrow::Type::DICTIONARY) {
    return CheckValues(array, first_row, pool, marks);
  }
  return CheckDictionary(static_cast<const arrow::DictionaryArray&>(*array), first_row, pool,
                         marks);
}

Status ColumnRules::CheckValues(const std::shared_ptr<arrow::Array>& array, int64_t first_row,
                                arrow::MemoryPool* pool, RowMarks* marks) {
  if (min_ != nullptr || max_ != nullptr) {
    CheckRange(*array, {min_.get(), max_.get(), min_rule_, max_rule_}, first_row, marks);
  }
  if (min_length_rule_ >= 0 || max_length_rule_ >= 0) CheckLengths(*array, first_row, marks);
  if (pattern_rule_ >= 0) ARROW_RETURN_NOT_OK(CheckPattern(*array, first_row, pool, marks));
  if (allowed_rule_ >= 0) ARROW_RETURN_NOT_OK(CheckAllowed(*array, first_row, pool, marks));
  return Status::OK();
}

Status ColumnRules::CheckDictionary(const arrow::DictionaryArray& array, int64_t first_row,
                                    arrow::MemoryPool* pool, RowMarks* marks) {
  const auto& dictionary = array.dictionary();
  // A slice of a few rows may have the dictionary of the whole.
  if (dictionary->length() > array.length()) {
    ARROW_ASSIGN_OR_RAISE(const auto values, Decoded(array, pool));
    return CheckValues(values, first_row, pool, marks);
  }
  RowMarks entries;
  entries.Reset(dictionary->length());
  ARROW_RETURN_NOT_OK(CheckValues(dictionary, 0, pool, &entries));
  if (entries.count() == 0) return Status::OK();
  for (int64_t i = 0; i < array.length(); ++i) {
    if (array.IsNull(i)) continue;
    const int rule = entries.RuleOf(array.GetValueIndex(i));
    if (rule >= 0) marks->Mark(first_row + i, rule);
  }
  return Status::OK();
}

void ColumnRules::CheckLengths(const arrow::Array& array, int64_t first_row,
                               RowMarks* marks) const {
  const LengthRules rules{
      min_length_, max_length_, min_length_rule_, max_length_rule_,
      arrow::is_string(array.type_id()) || array.type_id() == arrow::Type::STRING_VIEW};
  if (arrow::is_binary_view_like(array.type_id())) {
    const auto& views = static_cast<const arrow::BinaryViewArray&>(array);
    const auto* values = views.raw_values();
    const auto bytes_of = [values](int64_t i) -> int64_t { return values[i].size(); };
    return CheckLengthsBy(views, bytes_of, rules, first_row, marks);
  }
  if (arrow::is_large_binary_like(array.type_id())) {
    return CheckLengthsOf(static_cast<const arrow::LargeBinaryArray&>(array), rules, first_row,
                          marks);
  }
  CheckLengthsOf(static_cast<const arrow::BinaryArray&>(array), rules, first_row, marks);
}

Status ColumnRules::CheckPattern(const arrow::Array& array, int64_t first_row,
                                 arrow::MemoryPool* pool, RowMarks* marks) {
  rows_.clear();
  ARROW_RETURN_NOT_OK(pattern_->Others(array, pool, &rows_));
  for (const int64_t row : rows_) marks->Mark(first_row + row, pattern_rule_);
  return Status::OK();
}

Status ColumnRules::CheckAllowed(const arrow::Array& array, int64_t first_row,
                                 arrow::MemoryPool* pool, RowMarks* marks) {
  if (allowed_texts_ != nullptr) {
    rows_.clear();
    allowed_texts_->Others(array, &rows_);
    for (const int64_t row : rows_) marks->Mark(first_row + row, allowed_rule_);
    return Status::OK();
  }
  const arrow::compute::SetLookupOptions options(allowed_);
  auto context = OneThread(pool);
  ARROW_ASSIGN_OR_RAISE(const auto found,
                        arrow::compute::CallFunction("is_in", {array}, &options, &context));
  const auto flags = std::static_pointer_cast<arrow::BooleanArray>(found.make_array());
  if (flags->true_count() == array.length()) return Status::OK();
  for (int64_t i = 0; i < array.length(); ++i) {
    if (array.IsValid(i) && !flags->Value(i)) marks->Mark(first_row + i, allowed_rule_);
  }
  return Status::OK();
}

}  // namespace bulkhaul
