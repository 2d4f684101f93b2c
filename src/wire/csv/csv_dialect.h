// How a CSV text is written, and what a sample tells of it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace bulkhaul::csv {

struct CsvDialect {
  char delimiter = ',';
  char quote = '"';     // NUL: none
  char escape = '\0';   // NUL: none, a quote inside quotes is doubled
  char row_end = '\n';  // a '\r' before it belongs to it; '\r' alone in old files
  bool trim = false;    // blanks around values are no part of them, nor before and behind quotes
  bool operator==(const CsvDialect&) const = default;
};

// What the user said; the rest is detected.
struct DialectWishes {
  std::optional<char> delimiter, quote, escape;
  bool trim = false;
};

inline bool IsBlank(char c) { return c == ' ' || c == '\t'; }

// From a sample of whole rows. Pure.
CsvDialect DetectDialect(std::string_view sample, const DialectWishes& wishes, bool prefer_tab);

// ",", "tab", "none" → the character; nullopt for "auto". kUser for more than one character.
Result<std::optional<char>> ParseCsvCharacter(std::string_view option, std::string_view text);

}  // namespace bulkhaul::csv
