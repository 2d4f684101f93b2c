// Texts of JSON lines that are not UTF-8: `invalid_utf8` as for CSV.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bulkhaul::files {

enum class BadJsonText { kError, kReplace, kNull };

// "error", "replace" or "null".
BadJsonText BadJsonTextFrom(std::string_view option);

// The lines with each bad text as U+FFFD for its bad bytes, or as null; `count` grows by those.
// What is no text, or is the name of a field that would become null, stays as it is. Pure.
std::string RepairJsonTexts(std::string_view lines, BadJsonText policy, int64_t* count);

}  // namespace bulkhaul::files
