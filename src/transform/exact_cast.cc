#include "transform/exact_cast.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#include <arrow/array/array_binary.h>
#include <arrow/array/array_decimal.h>
#include <arrow/array/array_primitive.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/array/concatenate.h>
#include <arrow/array/util.h>
#include <arrow/compute/cast.h>
#include <arrow/compute/exec.h>
#include <arrow/scalar.h>
#include <arrow/type_traits.h>
#include <arrow/util/decimal.h>
#include <fmt/format.h>

#include "base/short_text.h"
#include "plan/type_name.h"

namespace bulkhaul {
namespace {

constexpr size_t kCastShownBytesMax = 80;
// No double has more significant digits.
constexpr size_t kFloatDigitsMax = 800;
// Powers of ten that a double holds exactly.
constexpr double kTens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                            1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

using ArrayPtr = std::shared_ptr<arrow::Array>;
using TypePtr = std::shared_ptr<arrow::DataType>;

bool IsReal(const arrow::DataType& type) {
  return type.id() == arrow::Type::FLOAT || type.id() == arrow::Type::DOUBLE;
}

bool IsPlainText(const arrow::DataType& type) {
  return arrow::is_string(type.id()) || type.id() == arrow::Type::STRING_VIEW;
}

Result<ArrayPtr> ArrowCast(const ArrayPtr& array, const TypePtr& type, arrow::MemoryPool* pool) {
  arrow::compute::ExecContext context(pool);
  context.set_use_threads(false);
  auto options = arrow::compute::CastOptions::Safe(type);
  // Arrow refuses all integers beyond 2^53; here those pass that a double holds.
  options.allow_float_truncate = arrow::is_integer(array->type_id()) && IsReal(*type);
  return arrow::compute::Cast(*array, type, options, &context);
}

// Whether Arrow's safe cast may still drop something: the time of day of a timestamp, the digits of
// a double, what is not 0 of a number. Such a result is cast back and compared.
bool NeedsWayBack(const arrow::DataType& from, const arrow::DataType& to) {
  if (arrow::is_temporal(from.id()) && arrow::is_temporal(to.id())) return true;
  if (to.id() == arrow::Type::BOOL) {
    return arrow::is_numeric(from.id()) || arrow::is_decimal(from.id());
  }
  if (arrow::is_integer(from.id())) return IsReal(to);
  if (!arrow::is_floating(from.id())) return false;
  if (to.id() == arrow::Type::FLOAT) return from.id() == arrow::Type::DOUBLE;
  return arrow::is_decimal(to.id());
}

// A number's digits without the zeros at both ends, and the power of ten of the first one.
struct NumberDigits {
  std::string digits;
  int64_t power = 0;
  bool operator==(const NumberDigits&) const = default;
};

NumberDigits WrittenDigits(std::string_view text) {
  NumberDigits number;
  int64_t whole = 0, zeros = 0, exponent = 0;
  bool fraction = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '.') {
      fraction = true;
    } else if (c == 'e' || c == 'E') {
      text.remove_prefix(i + 1);
      if (text.starts_with('+')) text.remove_prefix(1);
      const auto end = std::from_chars(text.data(), text.data() + text.size(), exponent);
      if (end.ec == std::errc::result_out_of_range) exponent = std::numeric_limits<int32_t>::max();
      break;
    } else if (c >= '0' && c <= '9') {
      if (c != '0' || !number.digits.empty()) {
        number.digits += c;
        if (!fraction) ++whole;
      } else if (fraction) {
        ++zeros;
      }
    }
  }
  while (number.digits.ends_with('0')) number.digits.pop_back();
  if (!number.digits.empty()) number.power = (whole > 0 ? whole - 1 : -zeros - 1) + exponent;
  return number;
}

// Whether a float has all digits that were written: 0.1 has, 0.1000000000000000001 has not.
template <typename Real>
bool HasDigits(Real value, std::string_view written) {
  const NumberDigits wanted = WrittenDigits(written);
  if (wanted.digits.empty()) return value == 0 || !std::isfinite(value);
  if (!std::isfinite(value) || wanted.digits.size() > kFloatDigitsMax) return false;
  char text[kFloatDigitsMax + 32];
  const auto end = std::to_chars(text, text + sizeof(text), value, std::chars_format::scientific,
                                 static_cast<int>(wanted.digits.size()) - 1);
  return end.ec == std::errc() && WrittenDigits({text, end.ptr}) == wanted;
}

Status MoreDigits(const arrow::DataType& type) {
  return Status::Invalid("it has more digits than a ", TypeName(type),
                         " holds; string or decimal(p,s) keeps them");
}

// The nearest floats, of which Arrow's own way may miss by some units in the last place.
// `all_digits`: else an error.
template <typename Decimals, typename Builder>
Result<ArrayPtr> DecimalsToReals(const Decimals& decimals, bool all_digits,
                                 arrow::MemoryPool* pool) {
  using Real = typename Builder::value_type;
  const int32_t scale = static_cast<const arrow::DecimalType&>(*decimals.type()).scale();
  const bool short_scale = scale >= 0 && scale < static_cast<int32_t>(std::size(kTens));
  Builder builder(pool);
  ARROW_RETURN_NOT_OK(builder.Reserve(decimals.length()));
  for (int64_t i = 0; i < decimals.length(); ++i) {
    if (decimals.IsNull(i)) {
      builder.UnsafeAppendNull();
      continue;
    }
    if constexpr (std::is_same_v<Decimals, arrow::Decimal128Array> &&
                  std::is_same_v<Real, double>) {
      // Up to 15 digits a double always has, and one division rounds once.
      constexpr int64_t kAlwaysHeld = 1'000'000'000'000'000;
      const arrow::Decimal128 value(decimals.GetValue(i));
      const auto low = static_cast<int64_t>(value.low_bits());
      if (short_scale && value.high_bits() == (low < 0 ? -1 : 0) && low <= kAlwaysHeld &&
          low >= -kAlwaysHeld) {
        builder.UnsafeAppend(static_cast<double>(low) / kTens[scale]);
        continue;
      }
    }
    const std::string text = decimals.FormatValue(i);
    Real value = 0;
    const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
    if (end.ec != std::errc() || (all_digits && !HasDigits(value, text))) {
      return MoreDigits(*builder.type());
    }
    builder.UnsafeAppend(value);
  }
  return builder.Finish();
}

template <typename Decimals>
Result<ArrayPtr> DecimalsToReals(const ArrayPtr& array, const arrow::DataType& type,
                                 bool all_digits, arrow::MemoryPool* pool) {
  const auto& decimals = static_cast<const Decimals&>(*array);
  return type.id() == arrow::Type::FLOAT
             ? DecimalsToReals<Decimals, arrow::FloatBuilder>(decimals, all_digits, pool)
             : DecimalsToReals<Decimals, arrow::DoubleBuilder>(decimals, all_digits, pool);
}

Result<ArrayPtr> RealsOf(const ArrayPtr& decimals, const arrow::DataType& type, bool all_digits,
                         arrow::MemoryPool* pool) {
  switch (decimals->type_id()) {
    case arrow::Type::DECIMAL32:
      return DecimalsToReals<arrow::Decimal32Array>(decimals, type, all_digits, pool);
    case arrow::Type::DECIMAL64:
      return DecimalsToReals<arrow::Decimal64Array>(decimals, type, all_digits, pool);
    case arrow::Type::DECIMAL128:
      return DecimalsToReals<arrow::Decimal128Array>(decimals, type, all_digits, pool);
    default:
      return DecimalsToReals<arrow::Decimal256Array>(decimals, type, all_digits, pool);
  }
}

template <typename Texts, typename Reals>
bool TextsHeld(const Texts& texts, const Reals& reals) {
  using Real = typename Reals::value_type;
  constexpr size_t kAlwaysHeld = std::numeric_limits<Real>::digits10;
  for (int64_t i = 0; i < texts.length(); ++i) {
    if (texts.IsNull(i)) continue;
    const std::string_view text = texts.GetView(i);
    const bool plain =
        text.size() <= kAlwaysHeld && text.find_first_of("eE") == std::string_view::npos;
    if (!plain && !HasDigits(reals.Value(i), text)) return false;
  }
  return true;
}

template <typename Texts>
bool TextsHeld(const arrow::Array& texts, const arrow::Array& reals) {
  const auto& written = static_cast<const Texts&>(texts);
  return reals.type_id() == arrow::Type::FLOAT
             ? TextsHeld(written, static_cast<const arrow::FloatArray&>(reals))
             : TextsHeld(written, static_cast<const arrow::DoubleArray&>(reals));
}

Status LostBy(const arrow::DataType& from, const arrow::DataType& to) {
  if (to.id() == arrow::Type::BOOL) return Status::Invalid("only 0 and 1 are false and true");
  if (IsReal(to)) return MoreDigits(to);
  if (arrow::is_decimal(to.id())) {
    return Status::Invalid("it has more digits; string or more digits behind the point keep them");
  }
  return Status::Invalid("the value would change");
}

Result<ArrayPtr> TryCast(const ArrayPtr& array, const TypePtr& type, arrow::MemoryPool* pool) {
  if (array->type_id() == arrow::Type::DICTIONARY) {
    const auto& values = static_cast<const arrow::DictionaryType&>(*array->type()).value_type();
    ARROW_ASSIGN_OR_RAISE(const auto plain, ArrowCast(array, values, pool));
    return values->Equals(*type) ? plain : TryCast(plain, type, pool);
  }
  const auto& from = array->type();
  if (arrow::is_decimal(from->id()) && IsReal(*type)) return RealsOf(array, *type, true, pool);
  ARROW_ASSIGN_OR_RAISE(auto result, ArrowCast(array, type, pool));
  if (IsPlainText(*from) && IsReal(*type)) {
    const bool held = from->id() == arrow::Type::STRING
                          ? TextsHeld<arrow::StringArray>(*array, *result)
                      : from->id() == arrow::Type::LARGE_STRING
                          ? TextsHeld<arrow::LargeStringArray>(*array, *result)
                          : TextsHeld<arrow::StringViewArray>(*array, *result);
    if (held) return result;
    return MoreDigits(*type);
  }
  if (!NeedsWayBack(*from, *type)) return result;
  auto back = arrow::is_decimal(type->id()) ? RealsOf(result, *from, false, pool)
                                            : ArrowCast(result, from, pool);
  if (!back.ok() && back.status().IsOutOfMemory()) return back.status();
  if (back.ok() && (*back)->Equals(*array, arrow::EqualOptions::Defaults().nans_equal(true))) {
    return result;
  }
  return LostBy(*from, *type);
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

// `first`: the row of the array's first value.
Status CastParts(const ArrayPtr& array, int64_t first, const TypePtr& type, arrow::MemoryPool* pool,
                 arrow::ArrayVector* parts, std::vector<int64_t>* misfits) {
  auto result = TryCast(array, type, pool);
  if (result.ok()) {
    parts->push_back(*std::move(result));
    return Status::OK();
  }
  if (result.status().IsOutOfMemory() || array->length() == 0) return result.status();
  if (array->length() == 1) {
    misfits->push_back(first);
    ARROW_ASSIGN_OR_RAISE(parts->emplace_back(), arrow::MakeArrayOfNull(type, 1, pool));
    return Status::OK();
  }
  const int64_t half = array->length() / 2;
  ARROW_RETURN_NOT_OK(CastParts(array->Slice(0, half), first, type, pool, parts, misfits));
  return CastParts(array->Slice(half), first + half, type, pool, parts, misfits);
}

}  // namespace

bool CanCastExactly(const arrow::DataType& from, const arrow::DataType& to) {
  if (from.id() == arrow::Type::DICTIONARY) {
    const auto& values = *static_cast<const arrow::DictionaryType&>(from).value_type();
    return values.Equals(to) || CanCastExactly(values, to);
  }
  if (!arrow::compute::CanCast(from, to)) return false;
  if (!NeedsWayBack(from, to)) return true;
  if (from.id() == arrow::Type::HALF_FLOAT && arrow::is_decimal(to.id())) return false;
  return arrow::compute::CanCast(to, from);
}

Result<ArrayPtr> CastExactly(const ArrayPtr& array, const TypePtr& type, const std::string& column,
                             arrow::MemoryPool* pool, int64_t* row) {
  auto result = TryCast(array, type, pool);
  if (result.ok()) return result;
  if (result.status().IsOutOfMemory() || array->length() == 0) return result.status();
  const int64_t at = FirstFailingRow(array, type, pool);
  if (row != nullptr) *row = at;
  const Status reason = TryCast(array->Slice(at, 1), type, pool).status();
  return UserError(fmt::format("cast: column '{}' holds {}, which is not a {}: {}", column,
                               ValueShown(*array, at), TypeName(*type), reason.message()),
                   "cast");
}

Result<ArrayPtr> CastOrNull(const ArrayPtr& array, const TypePtr& type, arrow::MemoryPool* pool,
                            std::vector<int64_t>* misfits) {
  arrow::ArrayVector parts;
  ARROW_RETURN_NOT_OK(CastParts(array, 0, type, pool, &parts, misfits));
  return parts.size() == 1 ? parts.front() : arrow::Concatenate(parts, pool);
}

std::string ValueShown(const arrow::Array& array, int64_t row) {
  const auto value = array.GetScalar(row);
  return ShortText(value.ok() ? (*value)->ToString() : "?", kCastShownBytesMax);
}

}  // namespace bulkhaul
