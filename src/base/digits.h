#pragma once

namespace bulkhaul {

// Of ASCII, whatever the locale.
inline bool IsDigit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

}  // namespace bulkhaul
