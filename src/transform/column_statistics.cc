#include "transform/column_statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <arrow/array/array_binary.h>
#include <arrow/array/array_decimal.h>
#include <arrow/array/array_primitive.h>
#include <nlohmann/json.hpp>

#include "base/hash.h"

namespace bulkhaul {
namespace {

using arrow::Decimal128;
using arrow::Type;
using Json = nlohmann::json;

// A dictionary pays when values come twice on average, and must fit in memory with ease.
constexpr double kDistinctShareMax = 0.5;
constexpr double kDistinctMax = 100'000;
// Estimates up to which an index of that width is certain to do: ten standard errors below what it
// can count.
constexpr double kDistinctInt8Max = 100;
constexpr double kDistinctInt16Max = 27'000;

std::shared_ptr<arrow::DataType> IndexType(double distinct) {
  if (distinct <= kDistinctInt8Max) return arrow::int8();
  return distinct <= kDistinctInt16Max ? arrow::int16() : arrow::int32();
}

ColumnStatistics::Kind KindOfType(const arrow::DataType& type) {
  using Kind = ColumnStatistics::Kind;
  switch (type.id()) {
    case Type::INT16:
    case Type::INT32:
    case Type::INT64:
      return Kind::kSigned;
    case Type::UINT16:
    case Type::UINT32:
    case Type::UINT64:
      return Kind::kUnsigned;
    case Type::DOUBLE:
      return Kind::kFloat;
    case Type::DECIMAL128:
      return Kind::kDecimal;
    case Type::STRING:
      return Kind::kString;
    default:
      return Kind::kNone;
  }
}

int64_t BytesOf(const arrow::DataType& type, int64_t rows) {
  return arrow::is_fixed_width(type) ? (type.bit_width() * rows + 7) / 8 : 0;
}

template <typename ArrowType, typename Value>
void Extremes(const arrow::Array& array, Value* lowest, Value* highest) {
  const auto& typed = static_cast<const arrow::NumericArray<ArrowType>&>(array);
  const auto* values = typed.raw_values();
  using Raw = typename ArrowType::c_type;
  Raw low = std::numeric_limits<Raw>::max(), high = std::numeric_limits<Raw>::lowest();
  if (array.null_count() == 0) {
    for (int64_t i = 0; i < array.length(); ++i) {
      low = std::min(low, values[i]);
      high = std::max(high, values[i]);
    }
  } else {
    for (int64_t i = 0; i < array.length(); ++i) {
      if (array.IsNull(i)) continue;
      low = std::min(low, values[i]);
      high = std::max(high, values[i]);
    }
  }
  if (array.null_count() == array.length()) return;
  *lowest = std::min<Value>(*lowest, low);
  *highest = std::max<Value>(*highest, high);
}

bool FitsFloat(double value, double tolerance) {
  if (!std::isfinite(value)) return true;  // float32 has NaN and the infinities
  const auto narrow = static_cast<double>(static_cast<float>(value));
  if (narrow == value) return true;
  return std::isfinite(narrow) && std::fabs(narrow - value) <= tolerance * std::fabs(value);
}

bool AllFitFloat(const arrow::Array& array, double tolerance) {
  const auto& typed = static_cast<const arrow::DoubleArray&>(array);
  for (int64_t i = 0; i < array.length(); ++i) {
    if (!FitsFloat(typed.raw_values()[i], tolerance) && array.IsValid(i)) return false;
  }
  return true;
}

std::shared_ptr<arrow::DataType> NarrowestSigned(int64_t low, int64_t high) {
  const auto fits = [&](int64_t least, int64_t most) { return low >= least && high <= most; };
  if (fits(INT8_MIN, INT8_MAX)) return arrow::int8();
  if (fits(INT16_MIN, INT16_MAX)) return arrow::int16();
  if (fits(INT32_MIN, INT32_MAX)) return arrow::int32();
  return arrow::int64();
}

std::shared_ptr<arrow::DataType> NarrowestUnsigned(uint64_t high) {
  if (high <= UINT8_MAX) return arrow::uint8();
  if (high <= UINT16_MAX) return arrow::uint16();
  if (high <= UINT32_MAX) return arrow::uint32();
  return arrow::uint64();
}

// Digits of the unscaled number, at least 1.
int32_t DigitsOf(const Decimal128& value) {
  const std::string text = value.ToIntegerString();
  return static_cast<int32_t>(text.size()) - (text.front() == '-' ? 1 : 0);
}

Decimal128 DecimalPowerOfTen(int32_t exponent) {
  return Decimal128(Decimal128::GetScaleMultiplier(exponent));
}

}  // namespace

ColumnStatistics::ColumnStatistics(std::shared_ptr<arrow::DataType> type, double float_tolerance)
    : type_(std::move(type)), kind_(KindOfType(*type_)), float_tolerance_(float_tolerance) {}

void ColumnStatistics::Observe(const arrow::Array& array) {
  rows_ += array.length();
  values_ += array.length() - array.null_count();
  bytes_before_ += BytesOf(*type_, array.length());
  switch (type_->id()) {
    case Type::INT16:
      return Extremes<arrow::Int16Type>(array, &signed_min_, &signed_max_);
    case Type::INT32:
      return Extremes<arrow::Int32Type>(array, &signed_min_, &signed_max_);
    case Type::INT64:
      return Extremes<arrow::Int64Type>(array, &signed_min_, &signed_max_);
    case Type::UINT16:
    case Type::UINT32:
    case Type::UINT64: {
      uint64_t lowest = UINT64_MAX;
      if (type_->id() == Type::UINT16) Extremes<arrow::UInt16Type>(array, &lowest, &unsigned_max_);
      if (type_->id() == Type::UINT32) Extremes<arrow::UInt32Type>(array, &lowest, &unsigned_max_);
      if (type_->id() == Type::UINT64) Extremes<arrow::UInt64Type>(array, &lowest, &unsigned_max_);
      return;
    }
    case Type::DOUBLE:
      fits_float_ = fits_float_ && AllFitFloat(array, float_tolerance_);
      return;
    case Type::DECIMAL128:
      return ObserveDecimals(array);
    case Type::STRING:
      return ObserveStrings(array);
    default:
      return;
  }
}

void ColumnStatistics::ObserveStrings(const arrow::Array& array) {
  const auto& typed = static_cast<const arrow::StringArray&>(array);
  for (int64_t i = 0; i < array.length(); ++i) {
    if (array.IsNull(i)) continue;
    const std::string_view value = typed.GetView(i);
    distinct_.Add(Xxh3Of(value));
    string_bytes_ += static_cast<int64_t>(value.size());
  }
  bytes_before_ += typed.total_values_length() + array.length() * 4;
}

void ColumnStatistics::ObserveDecimals(const arrow::Array& array) {
  const auto& typed = static_cast<const arrow::Decimal128Array&>(array);
  const int32_t scale = static_cast<const arrow::Decimal128Type&>(*type_).scale();
  const Decimal128 one = DecimalPowerOfTen(std::max(0, scale));
  bool first = values_ == array.length() - array.null_count();
  for (int64_t i = 0; i < array.length(); ++i) {
    if (array.IsNull(i)) continue;
    const Decimal128 value(typed.GetValue(i));
    if (first || value < decimal_min_) decimal_min_ = value;
    if (first || value > decimal_max_) decimal_max_ = value;
    first = false;
    if (whole_ && scale > 0 && Decimal128(value % one) != Decimal128(0)) whole_ = false;
  }
}

void ColumnStatistics::Merge(const ColumnStatistics& other) {
  if (other.values_ > 0) {
    if (values_ == 0 || other.decimal_min_ < decimal_min_) decimal_min_ = other.decimal_min_;
    if (values_ == 0 || other.decimal_max_ > decimal_max_) decimal_max_ = other.decimal_max_;
  }
  rows_ += other.rows_;
  values_ += other.values_;
  bytes_before_ += other.bytes_before_;
  signed_min_ = std::min(signed_min_, other.signed_min_);
  signed_max_ = std::max(signed_max_, other.signed_max_);
  unsigned_max_ = std::max(unsigned_max_, other.unsigned_max_);
  fits_float_ = fits_float_ && other.fits_float_;
  whole_ = whole_ && other.whole_;
  string_bytes_ += other.string_bytes_;
  distinct_.Merge(other.distinct_);
}

std::shared_ptr<arrow::DataType> ColumnStatistics::NarrowestDecimal() const {
  const auto& type = static_cast<const arrow::Decimal128Type&>(*type_);
  if (whole_ && type.scale() >= 0) {
    const Decimal128 one = DecimalPowerOfTen(type.scale());
    const Decimal128 low(decimal_min_ / one), high(decimal_max_ / one);
    if (low >= Decimal128(INT64_MIN) && high <= Decimal128(INT64_MAX)) {
      return NarrowestSigned(static_cast<int64_t>(low.low_bits()),
                             static_cast<int64_t>(high.low_bits()));
    }
  }
  const int32_t digits =
      std::max({DigitsOf(decimal_min_), DigitsOf(decimal_max_), type.scale(), int32_t{1}});
  return digits < type.precision() ? arrow::decimal128(digits, type.scale()) : type_;
}

std::shared_ptr<arrow::DataType> ColumnStatistics::Narrowest() const {
  if (values_ == 0) return type_;
  switch (kind_) {
    case Kind::kSigned:
      return NarrowestSigned(signed_min_, signed_max_);
    case Kind::kUnsigned:
      return NarrowestUnsigned(unsigned_max_);
    case Kind::kFloat:
      return fits_float_ ? arrow::float32() : type_;
    case Kind::kDecimal:
      return NarrowestDecimal();
    case Kind::kString: {
      const double distinct = distinct_.Estimate();
      const bool pays =
          distinct < kDistinctShareMax * static_cast<double>(values_) && distinct <= kDistinctMax;
      return pays ? arrow::dictionary(IndexType(distinct), arrow::utf8()) : type_;
    }
    default:
      return type_;
  }
}

int64_t ColumnStatistics::bytes_after() const {
  const auto type = Narrowest();
  if (type->Equals(*type_)) return bytes_before_;
  if (type->id() != Type::DICTIONARY) return BytesOf(*type, rows_);
  const double average =
      static_cast<double>(string_bytes_) / static_cast<double>(std::max<int64_t>(1, values_));
  const double distinct = distinct_.Estimate();
  return BytesOf(*IndexType(distinct), rows_) + static_cast<int64_t>(distinct * (average + 4));
}

std::string ColumnStatistics::ToJson() const {
  Json json = {
      {"type", type_->ToString()}, {"rows", rows_}, {"values", values_}, {"bytes", bytes_before_}};
  switch (kind_) {
    case Kind::kSigned:
      json["min"] = signed_min_;
      json["max"] = signed_max_;
      break;
    case Kind::kUnsigned:
      json["max"] = unsigned_max_;
      break;
    case Kind::kFloat:
      json["fits_float"] = fits_float_;
      break;
    case Kind::kDecimal:
      json["min"] = decimal_min_.ToIntegerString();
      json["max"] = decimal_max_.ToIntegerString();
      json["whole"] = whole_;
      break;
    case Kind::kString:
      json["string_bytes"] = string_bytes_;
      if (values_ > 0) json["distinct"] = distinct_.ToBase64();
      break;
    default:
      break;
  }
  return json.dump();
}

Status ColumnStatistics::MergeJson(const std::string& text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || json.value("type", "") != type_->ToString()) {
    return BugError("shrink: the statistics of two units are of different types");
  }
  ColumnStatistics other(type_, float_tolerance_);
  other.rows_ = json.value("rows", int64_t{0});
  other.values_ = json.value("values", int64_t{0});
  other.bytes_before_ = json.value("bytes", int64_t{0});
  switch (kind_) {
    case Kind::kSigned:
      other.signed_min_ = json.value("min", INT64_MAX);
      other.signed_max_ = json.value("max", INT64_MIN);
      break;
    case Kind::kUnsigned:
      other.unsigned_max_ = json.value("max", uint64_t{0});
      break;
    case Kind::kFloat:
      other.fits_float_ = json.value("fits_float", false);
      break;
    case Kind::kDecimal: {
      ARROW_ASSIGN_OR_RAISE(other.decimal_min_, Decimal128::FromString(json.value("min", "0")));
      ARROW_ASSIGN_OR_RAISE(other.decimal_max_, Decimal128::FromString(json.value("max", "0")));
      other.whole_ = json.value("whole", false);
      break;
    }
    case Kind::kString: {
      other.string_bytes_ = json.value("string_bytes", int64_t{0});
      if (!json.contains("distinct")) break;
      ARROW_ASSIGN_OR_RAISE(other.distinct_,
                            HyperLogLog::FromBase64(json["distinct"].get<std::string>()));
      break;
    }
    default:
      break;
  }
  Merge(other);
  return Status::OK();
}

}  // namespace bulkhaul
