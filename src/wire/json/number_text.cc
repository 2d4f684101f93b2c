#include "wire/json/number_text.h"

#include <algorithm>
#include <string>

namespace bulkhaul::search {

namespace {

constexpr int kDigitsMax = 20;

// Digits and the power of ten of the last one.
struct Decimal {
  bool negative = false;
  std::string digits;
  int64_t exponent = 0;
};

bool ReadDecimal(std::string_view text, Decimal* decimal) {
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    decimal->negative = text[0] == '-';
    text.remove_prefix(1);
  }
  bool fraction = false;
  size_t at = 0;
  for (; at < text.size(); ++at) {
    if (text[at] == '.' && !fraction) {
      fraction = true;
    } else if (IsDigit(text[at])) {
      decimal->digits += text[at];
      if (fraction) --decimal->exponent;
    } else {
      break;
    }
  }
  if (decimal->digits.empty()) return false;
  if (at == text.size()) return true;
  if (text[at] != 'e' && text[at] != 'E') return false;
  ++at;
  if (at < text.size() && text[at] == '+') ++at;
  if (at < text.size() && text[at] == '+') return false;
  int32_t exponent;
  const auto [stop, error] = std::from_chars(text.data() + at, text.data() + text.size(), exponent);
  if (error != std::errc() || stop != text.data() + text.size()) return false;
  decimal->exponent += exponent;
  return true;
}

}  // namespace

bool ParseInteger(std::string_view text, __int128* value) {
  Decimal decimal;
  if (!ReadDecimal(text, &decimal)) return false;
  std::string& digits = decimal.digits;
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
  while (decimal.exponent < 0 && !digits.empty()) {
    if (digits.back() != '0') return false;
    digits.pop_back();
    ++decimal.exponent;
  }
  *value = 0;
  if (digits.empty()) return true;
  if (decimal.exponent > kDigitsMax) return false;
  digits.append(static_cast<size_t>(decimal.exponent), '0');
  if (digits.size() > kDigitsMax) return false;
  for (const char digit : digits) *value = *value * 10 + (digit - '0');
  if (decimal.negative) *value = -*value;
  return true;
}

bool IsPlainInteger(std::string_view text) {
  if (!text.empty() && text[0] == '-') text.remove_prefix(1);
  return !text.empty() && std::all_of(text.begin(), text.end(), IsDigit);
}

}  // namespace bulkhaul::search
