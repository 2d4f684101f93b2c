// numeric: base-10000 digits to decimals, doubles and text. Decimals are exact or an error.
// Source: numeric_send() and get_str_from_var() in PostgreSQL's numeric.c.
#include <charconv>
#include <limits>

#include <arrow/util/decimal.h>
#include <fmt/format.h>

#include "wire/pg_copy/binary_format.h"
#include "wire/pg_copy/bytes.h"
#include "wire/pg_copy/decode_functions.h"

namespace bulkhaul::pg {
namespace {

constexpr int32_t kScaleMask = 0x3fff;
constexpr int32_t kNumericHeaderBytes = 8;

using uint128_t = unsigned __int128;

struct NumericHeader {
  int32_t groups = 0;
  int32_t weight = 0;  // of the first group, in groups; 0: it stands right before the point
  uint16_t sign = 0;
  int32_t display_scale = 0;
  const uint8_t* digits = nullptr;
};

constexpr uint64_t kPowersOfTen[] = {1ULL,
                                     10ULL,
                                     100ULL,
                                     1'000ULL,
                                     10'000ULL,
                                     100'000ULL,
                                     1'000'000ULL,
                                     10'000'000ULL,
                                     100'000'000ULL,
                                     1'000'000'000ULL,
                                     10'000'000'000ULL,
                                     100'000'000'000ULL,
                                     1'000'000'000'000ULL,
                                     10'000'000'000'000ULL,
                                     100'000'000'000'000ULL,
                                     1'000'000'000'000'000ULL,
                                     10'000'000'000'000'000ULL,
                                     100'000'000'000'000'000ULL,
                                     1'000'000'000'000'000'000ULL};
constexpr int32_t kInt64Digits = 18;

uint128_t PowerOfTen(int32_t exponent) {
  uint128_t power = 1;
  for (; exponent > kInt64Digits; exponent -= kInt64Digits) power *= kPowersOfTen[kInt64Digits];
  return power * kPowersOfTen[exponent];
}

bool ReadHeader(DecodeContext& context, const uint8_t* bytes, int32_t size, NumericHeader* header) {
  if (size < kNumericHeaderBytes) return WrongSize(context, "numeric", size);
  header->groups = LoadU16(bytes);
  header->weight = LoadI16(bytes + 2);
  header->sign = LoadU16(bytes + 4);
  header->display_scale = LoadU16(bytes + 6) & kScaleMask;
  header->digits = bytes + kNumericHeaderBytes;
  if (size != kNumericHeaderBytes + 2 * header->groups) return WrongSize(context, "numeric", size);
  switch (header->sign) {
    case 0:
    case kNumericNegative:
      break;
    case kNumericNan:
    case kNumericPositiveInfinity:
    case kNumericNegativeInfinity:
      return true;
    default:
      return context.Malformed("unknown sign of a numeric");
  }
  for (int32_t group = 0; group < header->groups; ++group) {
    if (LoadU16(header->digits + 2 * group) >= kNumericBase) {
      return context.Malformed("a numeric's digit above 9999");
    }
  }
  return true;
}

bool IsSpecial(const NumericHeader& header) {
  return header.sign != 0 && header.sign != kNumericNegative;
}

std::string_view SpecialText(const NumericHeader& header) {
  return header.sign == kNumericNan                ? "NaN"
         : header.sign == kNumericPositiveInfinity ? "Infinity"
                                                   : "-Infinity";
}

int64_t TextBytesMax(const NumericHeader& header) {
  return (std::max(header.weight, 0) + 1) * kNumericGroupDigits + header.display_scale +
         kNumericGroupDigits + 3;
}

char* WriteGroup(char* out, uint32_t group) {
  out[0] = static_cast<char>('0' + group / 1000);
  out[1] = static_cast<char>('0' + group / 100 % 10);
  out[2] = static_cast<char>('0' + group / 10 % 10);
  out[3] = static_cast<char>('0' + group % 10);
  return out + kNumericGroupDigits;
}

// As numeric_out() prints; at most TextBytesMax() bytes. Gives the end.
char* WriteText(const NumericHeader& header, char* out) {
  const auto group_at = [&](int32_t index) -> uint32_t {
    return index >= 0 && index < header.groups ? LoadU16(header.digits + 2 * index) : 0;
  };
  if (header.sign == kNumericNegative) *out++ = '-';
  if (header.weight < 0) {
    *out++ = '0';
  } else {
    out = std::to_chars(out, out + kNumericGroupDigits, group_at(0)).ptr;
    for (int32_t index = 1; index <= header.weight; ++index) out = WriteGroup(out, group_at(index));
  }
  if (header.display_scale > 0) {
    *out++ = '.';
    char* const end = out + header.display_scale;
    for (int32_t index = header.weight + 1; out < end; ++index) {
      out = WriteGroup(out, group_at(index));
    }
    return end;
  }
  return out;
}

std::string TextOf(const NumericHeader& header) {
  if (IsSpecial(header)) return std::string(SpecialText(header));
  std::string text(TextBytesMax(header), '\0');
  text.resize(WriteText(header, text.data()) - text.data());
  return text;
}

// For messages.
std::string ShortTextOf(const NumericHeader& header) {
  std::string text = TextOf(header);
  if (text.size() > 100) text.replace(100, std::string::npos, "…");
  return text;
}

bool AppendSpecial(DecodeContext& context, ColumnNode& node, const NumericHeader& header) {
  return AppendMisfit(context, node, node.plan->misfit, kNumericNanNulled,
                      fmt::format("the numeric {} has no decimal form; set the option numeric_nan "
                                  "to null, or read the column as text",
                                  SpecialText(header)));
}

bool DoesNotFit(DecodeContext& context, const ColumnNode& node, const NumericHeader& header) {
  return context.Fail(UserError(fmt::format(
      "the numeric {} does not fit into decimal({},{}) exactly; set the option numeric to string "
      "or to a wider decimal",
      ShortTextOf(header), node.plan->precision, node.plan->scale)));
}

enum class Scaling { kFits, kDoesNotFit };

// The value times 10^scale as an integer. `exponent` is the power of ten by which the groups,
// read as one integer, must be multiplied for that.
Scaling ScaleDigits(const NumericHeader& header, int32_t precision, int32_t scale,
                    uint128_t* scaled) {
  int32_t groups = header.groups;
  while (groups > 0 && LoadU16(header.digits + 2 * (groups - 1)) == 0) --groups;
  *scaled = 0;
  if (groups == 0) return Scaling::kFits;
  const int32_t exponent = kNumericGroupDigits * (header.weight - groups + 1) + scale;
  if (exponent <= -kNumericGroupDigits || exponent > precision) return Scaling::kDoesNotFit;
  uint128_t value = 0;
  const auto multiply_add = [&](uint128_t factor, uint64_t summand) {
    return !__builtin_mul_overflow(value, factor, &value) &&
           !__builtin_add_overflow(value, uint128_t{summand}, &value);
  };
  for (int32_t group = 0; group + 1 < groups; ++group) {
    if (!multiply_add(kNumericBase, LoadU16(header.digits + 2 * group)))
      return Scaling::kDoesNotFit;
  }
  const uint64_t last = LoadU16(header.digits + 2 * (groups - 1));
  if (exponent < 0) {
    const uint64_t divisor = kPowersOfTen[-exponent];
    if (last % divisor != 0) return Scaling::kDoesNotFit;
    if (!multiply_add(kNumericBase / divisor, last / divisor)) return Scaling::kDoesNotFit;
  } else if (!multiply_add(kNumericBase, last) || !multiply_add(PowerOfTen(exponent), 0)) {
    return Scaling::kDoesNotFit;
  }
  *scaled = value;
  return value < PowerOfTen(precision) ? Scaling::kFits : Scaling::kDoesNotFit;
}

// Every numeric that the fast path does not take.
[[gnu::noinline]] bool DecodeAnyDecimal128(DecodeContext& context, ColumnNode& node,
                                           const uint8_t* bytes, int32_t size) {
  NumericHeader header;
  if (!ReadHeader(context, bytes, size, &header)) return false;
  if (IsSpecial(header)) return AppendSpecial(context, node, header);
  uint128_t scaled;
  if (ScaleDigits(header, node.plan->precision, node.plan->scale, &scaled) != Scaling::kFits) {
    return DoesNotFit(context, node, header);
  }
  const auto value = static_cast<__int128>(scaled);
  node.AppendFixed(header.sign == kNumericNegative ? -value : value);
  return true;
}

}  // namespace

bool DecodeDecimal128(DecodeContext& context, ColumnNode& node, const uint8_t* bytes,
                      int32_t size) {
  // Up to four groups, which is all that most columns ever hold, without a branch that the values
  // decide: they are loaded as one word, one group in each 16 bits.
  constexpr uint32_t kFastGroups = 4;
  constexpr int32_t kExponentMin = -3, kExponentMax = 2;
  constexpr uint64_t kEachSign = 0x8000800080008000ULL;
  constexpr uint64_t kEachOverBase = 0x58f058f058f058f0ULL;  // 0x8000 - 10000: sets the sign bit
  if (size < kNumericHeaderBytes) [[unlikely]]
    return WrongSize(context, "numeric", size);
  const uint32_t groups = LoadU16(bytes);
  const uint32_t sign = LoadU16(bytes + 4);
  int32_t exponent = kNumericGroupDigits * (LoadI16(bytes + 2) - static_cast<int32_t>(groups) + 1) +
                     node.plan->scale;
  exponent = groups == 0 ? 0 : exponent;
  const int32_t exponent_max = groups == kFastGroups ? 0 : kExponentMax;
  if (groups > kFastGroups || size != static_cast<int32_t>(kNumericHeaderBytes + 2 * groups) ||
      (sign & ~uint32_t{kNumericNegative}) != 0 || exponent < kExponentMin ||
      exponent > exponent_max || context.input_end - bytes < kNumericHeaderBytes + 8) [[unlikely]] {
    return DecodeAnyDecimal128(context, node, bytes, size);
  }
  const uint64_t loaded = LoadU64(bytes + kNumericHeaderBytes) >> ((64 - 16 * groups) & 63);
  const uint64_t word = groups == 0 ? 0 : loaded;
  const bool digits_valid = ((word | (word + kEachOverBase)) & kEachSign) == 0;
  const uint64_t value = (word >> 48) * 1'000'000'000'000 + (word >> 32 & 0xffff) * 100'000'000 +
                         (word >> 16 & 0xffff) * kNumericBase + (word & 0xffff);
  // At most 10^16 × 10^3, or 10^12 × 10^5: below 2^64.
  const uint64_t thousandfold = value * kPowersOfTen[exponent - kExponentMin];
  const uint64_t scaled = thousandfold / 1000;
  const int32_t precision = std::min(node.plan->precision, kInt64Digits);
  if (!digits_valid || scaled * 1000 != thousandfold || scaled >= kPowersOfTen[precision])
      [[unlikely]] {
    return DecodeAnyDecimal128(context, node, bytes, size);
  }
  const int64_t flip = -static_cast<int64_t>(sign >> 14);
  const int64_t signed_value = (static_cast<int64_t>(scaled) ^ flip) - flip;
  const int64_t words[2] = {signed_value, signed_value >> 63};
  std::memcpy(node.values + node.length * 16, words, 16);
  ++node.length;
  return true;
}

bool DecodeDecimal256(DecodeContext& context, ColumnNode& node, const uint8_t* bytes,
                      int32_t size) {
  NumericHeader header;
  if (!ReadHeader(context, bytes, size, &header)) return false;
  if (IsSpecial(header)) return AppendSpecial(context, node, header);
  const int32_t precision = node.plan->precision;
  const int32_t scale = node.plan->scale;
  // Beyond these the value cannot fit, and its text may be very long.
  if (header.groups > 0 && LoadU16(header.digits) != 0 &&
      header.weight * kNumericGroupDigits >= precision - scale) {
    return DoesNotFit(context, node, header);
  }
  // Digits behind the display scale are no part of the value's text but would be lost silently.
  int32_t groups = header.groups;
  while (groups > 0 && LoadU16(header.digits + 2 * (groups - 1)) == 0) --groups;
  NumericHeader exact = header;
  exact.display_scale = std::max(0, (groups - header.weight - 1) * kNumericGroupDigits);
  if (exact.display_scale >= scale + kNumericGroupDigits) return DoesNotFit(context, node, header);
  std::string text = TextOf(exact);
  while (exact.display_scale > 0 && text.back() == '0') {
    text.pop_back();
    --exact.display_scale;
  }
  if (text.back() == '.') text.pop_back();
  int32_t text_precision = 0, text_scale = 0;
  arrow::Decimal256 value;
  if (!arrow::Decimal256::FromString(text, &value, &text_precision, &text_scale).ok()) {
    return DoesNotFit(context, node, header);
  }
  auto rescaled = value.Rescale(text_scale, scale);
  if (!rescaled.ok() || !rescaled->FitsInPrecision(precision)) {
    return DoesNotFit(context, node, header);
  }
  rescaled->ToBytes(node.values + node.length * 32);
  ++node.length;
  return true;
}

bool DecodeNumericDouble(DecodeContext& context, ColumnNode& node, const uint8_t* bytes,
                         int32_t size) {
  NumericHeader header;
  if (!ReadHeader(context, bytes, size, &header)) return false;
  double value = 0;
  if (header.sign == kNumericNan) {
    value = std::numeric_limits<double>::quiet_NaN();
  } else if (IsSpecial(header)) {
    value = std::numeric_limits<double>::infinity();
    if (header.sign == kNumericNegativeInfinity) value = -value;
  } else {
    const std::string text = TextOf(header);
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code == std::errc::result_out_of_range) {
      // from_chars leaves the value alone: too large becomes infinity and too small zero, as the
      // nearest double is.
      value = header.weight > 0 ? std::numeric_limits<double>::infinity() : 0.0;
      if (header.sign == kNumericNegative) value = -value;
    }
  }
  node.AppendFixed(value);
  return true;
}

bool DecodeNumericText(DecodeContext& context, ColumnNode& node, const uint8_t* bytes,
                       int32_t size) {
  NumericHeader header;
  if (!ReadHeader(context, bytes, size, &header)) return false;
  if (IsSpecial(header)) return AppendShortText(context, node, SpecialText(header));
  Status room = node.EnsureData(TextBytesMax(header));
  if (!room.ok()) return context.Fail(std::move(room));
  char* const begin = reinterpret_cast<char*>(node.data + node.data_size);
  const int64_t written = WriteText(header, begin) - begin;
  context.expanded_bytes += std::max<int64_t>(0, written - size);
  node.AppendWritten(written);
  return true;
}

}  // namespace bulkhaul::pg
