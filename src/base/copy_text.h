// Copies of short texts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace bulkhaul {

// Copies the text to `out`, which has room for it and does not overlap. Most texts are short:
// copying them here costs less than calling memcpy.
inline void CopyText(std::string_view text, uint8_t* out) {
  const size_t size = text.size();
  const char* const in = text.data();
  if (size > 32) {
    std::memcpy(out, in, size);
  } else if (size >= 16) {
    std::memcpy(out, in, 16);
    std::memcpy(out + size - 16, in + size - 16, 16);
  } else if (size >= 8) {
    std::memcpy(out, in, 8);
    std::memcpy(out + size - 8, in + size - 8, 8);
  } else if (size >= 4) {
    std::memcpy(out, in, 4);
    std::memcpy(out + size - 4, in + size - 4, 4);
  } else if (size > 0) {
    out[0] = static_cast<uint8_t>(in[0]);
    out[size / 2] = static_cast<uint8_t>(in[size / 2]);
    out[size - 1] = static_cast<uint8_t>(in[size - 1]);
  }
}

}  // namespace bulkhaul
