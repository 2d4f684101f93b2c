// Numbers out of text, exactly. Internal to wire/json.
#pragma once

#include <charconv>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "base/digits.h"

namespace bulkhaul::search {

// An integer of up to 20 digits, as long and unsigned_long need. False when the text is none or is
// larger. Forms like 12.0 and 1.2e1 are integers too, 12.5 is not.
bool ParseInteger(std::string_view text, __int128* value);

template <typename Integer>
bool ParseInteger(std::string_view text, Integer* value) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, *value);
  if (error == std::errc() && stop == end) return true;
  __int128 wide;
  if (!ParseInteger(text, &wide)) return false;
  *value = static_cast<Integer>(wide);
  return *value == wide;
}

// The nearest float or double. False for text that is no finite number.
template <typename Real>
bool ParseReal(std::string_view text, Real* value) {
  if (text.empty() || ((text[0] < '0' || text[0] > '9') && text[0] != '-' && text[0] != '.')) {
    return false;
  }
  if (text.size() > 1 && text[0] == '-' && (text[1] < '0' || text[1] > '9') && text[1] != '.') {
    return false;  // -inf, -nan
  }
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, *value);
  return error == std::errc() && stop == end;
}

// The fast way for integers of up to 18 digits as JSON writes them. False for all others: they may
// still be integers.
inline bool ParsePlainInteger(std::string_view text, int64_t* value) {
  const bool negative = !text.empty() && text[0] == '-';
  const std::string_view digits = text.substr(negative ? 1 : 0);
  if (digits.empty() || digits.size() > 18 || (digits[0] == '0' && digits.size() > 1)) return false;
  int64_t sum = 0;
  for (const char character : digits) {
    const int digit = character - '0';
    if (digit < 0 || digit > 9) return false;
    sum = sum * 10 + digit;
  }
  *value = negative ? -sum : sum;
  return true;
}

// The fast way for numbers as JSON writes them without exponent, whose digits and whose power of
// ten the type holds exactly: the quotient of the two is then the nearest value (W. Clinger, "How
// to read floating point numbers accurately", PLDI 1990). False for all others, and for -0.
template <typename Real>
bool ParsePlainReal(std::string_view text, Real* value) {
  constexpr bool kFloat = std::is_same_v<Real, float>;
  constexpr int kFractionMax = kFloat ? 10 : 22;                    // 5^10 < 2^24, 5^22 < 2^53
  constexpr int64_t kDigitsMax = int64_t{1} << (kFloat ? 24 : 53);  // all integers up to it
  constexpr size_t kTextMax = 20;                                   // no overflow below
  constexpr Real kPowers[] = {Real(1e0),  Real(1e1),  Real(1e2),  Real(1e3),  Real(1e4),
                              Real(1e5),  Real(1e6),  Real(1e7),  Real(1e8),  Real(1e9),
                              Real(1e10), Real(1e11), Real(1e12), Real(1e13), Real(1e14),
                              Real(1e15), Real(1e16), Real(1e17), Real(1e18), Real(1e19),
                              Real(1e20), Real(1e21), Real(1e22)};
  const bool negative = !text.empty() && text[0] == '-';
  const std::string_view digits = text.substr(negative ? 1 : 0);
  if (digits.empty() || digits.size() > kTextMax) return false;
  if (digits[0] == '0' && digits.size() > 1 && digits[1] != '.') return false;
  int64_t sum = 0;
  size_t point = digits.size();
  for (size_t at = 0; at < digits.size(); ++at) {
    const int digit = digits[at] - '0';
    if (digit >= 0 && digit <= 9) {
      sum = sum * 10 + digit;
    } else if (digits[at] == '.' && at > 0 && point == digits.size()) {
      point = at;
    } else {
      return false;
    }
    if (sum > kDigitsMax) return false;
  }
  const int fraction = point == digits.size() ? 0 : static_cast<int>(digits.size() - point - 1);
  if ((point < digits.size() && fraction == 0) || fraction > kFractionMax ||
      (sum == 0 && negative)) {
    return false;
  }
  const Real quotient = static_cast<Real>(sum) / kPowers[fraction];
  *value = negative ? -quotient : quotient;
  return true;
}

// Whether the text is written without fraction and exponent.
bool IsPlainInteger(std::string_view text);

}  // namespace bulkhaul::search
