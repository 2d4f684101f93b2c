// Text to numbers with units and back: "64MiB", "1h30m", "2 500 000".
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace bulkhaul {

// "1024", "64MiB", "1.5 GiB", "10MB" (powers of 1000), "64M" (as MiB). Bytes, ≥ 0.
Result<int64_t> ParseBytes(std::string_view text);
// "90" (seconds), "500ms", "30s", "1h30m", "30d". Milliseconds, ≥ 0. "none" and "0" → 0: no limit.
Result<int64_t> ParseDurationMs(std::string_view text);
// "64 MiB", "1.5 GiB", "512 B".
std::string FormatBytes(int64_t bytes);
// "6,001,215".
std::string FormatCount(int64_t count);
// "850 ms", "4.9 s", "1 m 30 s", "2 h 5 m".
std::string FormatDurationMs(int64_t milliseconds);
// "2026-11-21T10:15:00Z".
std::string FormatUtc(std::chrono::system_clock::time_point time);

}  // namespace bulkhaul
