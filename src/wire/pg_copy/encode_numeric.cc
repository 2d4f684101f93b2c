// Decimals, integers and texts to numeric's base-10000 digits, and to money. Exact or an error.
// Source: numeric_recv() and set_var_from_str() in PostgreSQL's numeric.c, cash_recv().
#include <charconv>
#include <cmath>

#include <arrow/util/decimal.h>
#include <fmt/format.h>

#include "wire/pg_copy/binary_format.h"
#include "wire/pg_copy/bytes.h"
#include "wire/pg_copy/encode_plan.h"

namespace bulkhaul::pg {
namespace {

constexpr int64_t kInfinityScale = 0x20;  // as numeric_send() gives it
constexpr int64_t kDisplayScaleMax = 16'383;
constexpr int64_t kWeightMax = 32'767;
constexpr uint64_t kFourGroups = kNumericBase * kNumericBase * kNumericBase * kNumericBase;
constexpr uint64_t kPowersInGroup[] = {1, 10, 100, 1000};

void AppendHeader(uint16_t groups, int64_t weight, uint16_t sign, int64_t scale, ByteBuffer* out) {
  out->AppendU16(groups);
  out->AppendU16(static_cast<uint16_t>(weight));
  out->AppendU16(sign);
  out->AppendU16(static_cast<uint16_t>(scale));
}

bool TooManyPlaces(const EncodePlan& plan, std::string* why) {
  *why = fmt::format("has more than the {} digits after the point that {} keeps", plan.scale_max,
                     plan.type_name);
  return false;
}

// The digits of a decimal of any width.
std::string DigitsOf(const arrow::ArrayData& array, int64_t row) {
  switch (array.type->id()) {
    case arrow::Type::DECIMAL32:
      return std::to_string(array.GetValues<int32_t>(1)[row]);
    case arrow::Type::DECIMAL64:
      return std::to_string(array.GetValues<int64_t>(1)[row]);
    case arrow::Type::DECIMAL128:
      return arrow::Decimal128(array.GetValues<uint8_t>(1, 0) + (array.offset + row) * 16)
          .ToIntegerString();
    default:
      return arrow::Decimal256(array.GetValues<uint8_t>(1, 0) + (array.offset + row) * 32)
          .ToIntegerString();
  }
}

}  // namespace

bool AppendNumericDigits(const EncodePlan& plan, bool negative, std::string_view digits,
                         int64_t scale, ByteBuffer* out, std::string* why) {
  std::string padded;
  if (scale < 0) {  // 12 × 10^3
    padded = std::string(digits) + std::string(static_cast<size_t>(-scale), '0');
    digits = padded;
    scale = 0;
  }
  if (plan.scale_max >= 0) {
    // Zeros behind the column's last place are no loss.
    const int64_t places = plan.scale_max;
    while (scale > places && !digits.empty() && digits.back() == '0') {
      digits.remove_suffix(1);
      --scale;
    }
    if (digits.empty()) scale = std::min(scale, places);
    if (scale > places) return TooManyPlaces(plan, why);
  }
  while (!digits.empty() && digits.front() == '0') digits.remove_prefix(1);
  const size_t zeros = std::min(digits.size(), static_cast<size_t>(plan.zeros_min));
  if (digits.substr(digits.size() - zeros).find_first_not_of('0') != std::string_view::npos) {
    *why = fmt::format("is no multiple of 10^{}, as {} keeps", plan.zeros_min, plan.type_name);
    return false;
  }
  const int64_t whole = static_cast<int64_t>(digits.size()) - scale;  // digits before the point
  if (scale > kDisplayScaleMax || whole / kNumericGroupDigits >= kWeightMax) {
    *why = "has more digits than numeric can hold";
    return false;
  }
  if (digits.empty()) {
    AppendHeader(0, 0, 0, scale, out);
    return true;
  }
  // Groups are counted from the point: the first may begin with zeros, the last may end with some.
  const int64_t weight =
      whole > 0 ? (whole - 1) / kNumericGroupDigits : -((-whole) / kNumericGroupDigits) - 1;
  int64_t place =
      whole - (weight + 1) * kNumericGroupDigits;  // of the first group's first digit, <= 0
  const auto count = static_cast<int64_t>(digits.size());
  const size_t header = out->size();
  out->Extend(8);
  int64_t groups = 0, used = 0;
  for (; place < count; place += kNumericGroupDigits) {
    uint16_t group = 0;
    for (int64_t digit = place; digit < place + kNumericGroupDigits; ++digit) {
      group = static_cast<uint16_t>(group * 10 + (digit >= 0 && digit < count
                                                      ? digits[static_cast<size_t>(digit)] - '0'
                                                      : 0));
    }
    out->AppendU16(group);
    ++groups;
    if (group != 0) used = groups;
  }
  out->Resize(header + 8 + static_cast<size_t>(used) * 2);
  ByteBuffer first;
  AppendHeader(static_cast<uint16_t>(used), weight, negative ? kNumericNegative : 0, scale, &first);
  std::memcpy(out->data() + header, first.data(), 8);
  return true;
}

bool AppendNumericSmall(const EncodePlan& plan, int64_t unscaled, int32_t scale, ByteBuffer* out,
                        std::string* why) {
  const uint64_t size = unscaled < 0 ? 0 - static_cast<uint64_t>(unscaled) : unscaled;
  const int32_t behind =
      (scale + kNumericGroupDigits - 1) / kNumericGroupDigits;  // groups behind the point
  const uint64_t aligned = kPowersInGroup[behind * kNumericGroupDigits - scale];
  const bool rounds = (plan.scale_max >= 0 && scale > plan.scale_max) || plan.zeros_min > 0;
  uint64_t value = 0;
  if (rounds || __builtin_mul_overflow(size, aligned, &value) || value >= kFourGroups)
      [[unlikely]] {
    return AppendNumericDigits(plan, unscaled < 0, std::to_string(size), scale, out, why);
  }
  // Four groups at once, without a branch that the value decides.
  const uint64_t high = value / (kNumericBase * kNumericBase),
                 low = value % (kNumericBase * kNumericBase);
  const uint64_t word = (high / kNumericBase) << 48 | (high % kNumericBase) << 32 |
                        (low / kNumericBase) << 16 | low % kNumericBase;
  const int leading = word == 0 ? 4 : __builtin_clzll(word) / 16;
  const int trailing = word == 0 ? 0 : __builtin_ctzll(word) / 16;
  const int groups = 4 - leading - trailing;
  const int64_t weight = word == 0 ? 0 : 3 - leading - behind;
  const uint64_t sign = unscaled < 0 ? kNumericNegative : 0;
  const uint64_t header = __builtin_bswap64(static_cast<uint64_t>(groups) << 48 |
                                            (static_cast<uint64_t>(weight) & 0xffff) << 32 |
                                            sign << 16 | static_cast<uint64_t>(scale));
  const uint64_t digits = __builtin_bswap64(word << (16 * (leading & 3)));
  out->Reserve(out->size() + 16);
  uint8_t* const place = out->data() + out->size();
  std::memcpy(place, &header, 8);
  std::memcpy(place + 8, &digits, 8);
  out->Resize(out->size() + 8 + 2 * static_cast<size_t>(groups));
  return true;
}

bool EncodeDecimal(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row,
                   ByteBuffer* out, std::string* why) {
  int64_t value = 0;
  if (plan.scale >= 0 && SmallDecimal(array, row, &value)) [[likely]] {
    return AppendNumericSmall(plan, value, plan.scale, out, why);
  }
  std::string digits = DigitsOf(array, row);
  const bool negative = digits.starts_with('-');
  return AppendNumericDigits(plan, negative, std::string_view(digits).substr(negative ? 1 : 0),
                             plan.scale, out, why);
}

bool NumericMemo::AppendField(const EncodePlan& plan, int64_t unscaled, ByteBuffer* out,
                              std::string* why) {
  constexpr int64_t kTrialValues = 1024, kPauseValues = 64 * kTrialValues;
  constexpr uint64_t kSpread = 0x9E3779B97F4A7C15;  // 2^64 / golden ratio
  const bool looks = pause_ == 0;
  Entry& entry = entries_[static_cast<uint64_t>(unscaled) * kSpread >> (64 - kEntryBits)];
  if (looks) {
    if (++tried_ == kTrialValues) {
      if (2 * found_ < tried_) pause_ = kPauseValues;
      tried_ = found_ = 0;
    }
    if (entry.size != 0 && entry.unscaled == unscaled) {
      ++found_;
      out->Reserve(out->size() + sizeof(entry.field));
      std::memcpy(out->data() + out->size(), entry.field, sizeof(entry.field));
      out->Resize(out->size() + entry.size);
      return true;
    }
  } else {
    --pause_;
  }
  const size_t begin = out->size();
  out->Extend(4);
  if (!AppendNumericSmall(plan, unscaled, plan.scale, out, why)) return false;
  const size_t size = out->size() - begin;
  Store32(out->data() + begin, static_cast<uint32_t>(size - 4));
  if (looks && size <= sizeof(entry.field)) {
    std::memcpy(entry.field, out->data() + begin, size);
    entry.unscaled = unscaled;
    entry.size = static_cast<uint32_t>(size);
  }
  return true;
}

bool EncodeIntegerAsNumeric(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row,
                            ByteBuffer* out, std::string* why) {
  int64_t value = 0;
  switch (array.type->id()) {
    case arrow::Type::INT8:
      // A number, no character. NOLINTNEXTLINE(bugprone-signed-char-misuse)
      value = array.GetValues<int8_t>(1)[row];
      break;
    case arrow::Type::INT16:
      value = array.GetValues<int16_t>(1)[row];
      break;
    case arrow::Type::INT32:
      value = array.GetValues<int32_t>(1)[row];
      break;
    case arrow::Type::INT64:
      value = array.GetValues<int64_t>(1)[row];
      break;
    case arrow::Type::UINT8:
      value = array.GetValues<uint8_t>(1)[row];
      break;
    case arrow::Type::UINT16:
      value = array.GetValues<uint16_t>(1)[row];
      break;
    case arrow::Type::UINT32:
      value = array.GetValues<uint32_t>(1)[row];
      break;
    default:
      return AppendNumericDigits(plan, false, std::to_string(array.GetValues<uint64_t>(1)[row]), 0,
                                 out, why);
  }
  return AppendNumericSmall(plan, value, 0, out, why);
}

bool AppendNumericText(const EncodePlan& plan, std::string_view text, ByteBuffer* out,
                       std::string* why) {
  const std::string_view whole = text;
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text == "NaN" || text == "nan") {
    AppendHeader(0, 0, kNumericNan, 0, out);
    return true;
  }
  if (text == "Infinity" || text == "inf") {
    AppendHeader(0, 0, negative ? kNumericNegativeInfinity : kNumericPositiveInfinity,
                 kInfinityScale, out);
    return true;
  }
  std::string digits;
  int64_t scale = 0, exponent = 0;
  size_t place = 0;
  bool point = false;
  for (; place < text.size(); ++place) {
    const char letter = text[place];
    if (letter == '.' && !point) {
      point = true;
    } else if (letter >= '0' && letter <= '9') {
      digits += letter;
      scale += point;
    } else {
      break;
    }
  }
  bool valid = !digits.empty();
  if (valid && place < text.size() && (text[place] == 'e' || text[place] == 'E')) {
    const char* begin = text.data() + place + 1;
    const char* const end = text.data() + text.size();
    if (begin != end && *begin == '+') ++begin;
    const auto parsed = std::from_chars(begin, end, exponent);
    valid = parsed.ec == std::errc() && parsed.ptr == end && std::abs(exponent) < 1'000'000;
  } else {
    valid = valid && place == text.size();
  }
  if (!valid) {
    *why = fmt::format("'{}' is not a number", whole.substr(0, 60));
    return false;
  }
  return AppendNumericDigits(plan, negative, digits, scale - exponent, out, why);
}

bool EncodeTextAsNumeric(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row,
                         ByteBuffer* out, std::string* why) {
  return AppendNumericText(plan, BytesOf(array, row), out, why);
}

bool EncodeFloatAsNumeric(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row,
                          ByteBuffer* out, std::string* why) {
  char text[64];
  char* const end = text + sizeof(text);
  const auto written = array.type->id() == arrow::Type::FLOAT
                           ? std::to_chars(text, end, array.GetValues<float>(1)[row])
                           : std::to_chars(text, end, array.GetValues<double>(1)[row]);
  std::string_view digits(text, static_cast<size_t>(written.ptr - text));
  if (digits == "-nan") digits = "nan";
  return AppendNumericText(plan, digits, out, why);
}

bool EncodeMoney(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row,
                 ByteBuffer* out, std::string* why) {
  std::string digits = DigitsOf(array, row);
  for (int32_t scale = plan.scale; scale < plan.money_scale; ++scale) digits += '0';
  for (int32_t scale = plan.scale; scale > plan.money_scale; --scale) {
    if (digits == "0") break;
    if (!digits.ends_with('0')) return TooManyPlaces(plan, why);
    digits.pop_back();
  }
  int64_t value = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (parsed.ec != std::errc()) {
    *why = "is too large for money";
    return false;
  }
  out->AppendU64(static_cast<uint64_t>(value));
  return true;
}

}  // namespace bulkhaul::pg
