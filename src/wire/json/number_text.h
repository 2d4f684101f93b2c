// Numbers out of text, exactly. Internal to wire/json.
#pragma once

#include <charconv>
#include <cstdint>
#include <string_view>

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

// Whether the text is written without fraction and exponent.
bool IsPlainInteger(std::string_view text);

}  // namespace bulkhaul::search
