#pragma once

#include <string>
#include <string_view>

namespace bulkhaul {

// The text, or where it is longer its characters of UTF-8 within so many bytes and "…". For
// messages.
inline std::string ShortText(std::string_view text, size_t bytes_max) {
  if (text.size() <= bytes_max) return std::string(text);
  size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "…";
}

}  // namespace bulkhaul
