#include "wire/csv/date_pattern.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "wire/json/date_format.h"

namespace bulkhaul::csv {
namespace {

constexpr char kMinutesOrMonth[] = ": mm is minutes, MM the month";
// Letters of patterns, of which a name ("basic_date") has others too.
constexpr std::string_view kPatternLetters = "yuMLdDEHhmsSaZXxzVO";
// Names without one of these are those of a time alone.
constexpr std::string_view kWordsOfDates[] = {"date",  "year", "week", "ordinal",
                                              "epoch", "iso",  "rfc"};

bool IsAsciiLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// What a pattern takes out of a text; also what its optional parts do.
struct PatternParts {
  bool year = false, month = false, day = false, day_of_year = false;
  bool hour = false, half_day_hour = false, half_day = false, minute = false, second = false,
       fraction = false;
  std::string twice;   // the letters of a part that stands twice and not in an option; "": none
  bool named = false;  // a name instead of a pattern

  bool* Of(char letter) {
    switch (letter) {
      case 'y':
      case 'u':
        return &year;
      case 'M':
      case 'L':
        return &month;
      case 'd':
        return &day;
      case 'D':
        return &day_of_year;
      case 'H':
        return &hour;
      case 'h':
        return &half_day_hour;
      case 'a':
        return &half_day;
      case 'm':
        return &minute;
      case 's':
        return &second;
      case 'S':
        return &fraction;
      default:
        return nullptr;  // names of days, zones
    }
  }
};

PatternParts PartsOfPattern(std::string_view pattern) {
  PatternParts parts;
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\'') quoted = !quoted;
    if (quoted) continue;
    depth += (c == '[') - (c == ']');
    if (!IsAsciiLetter(c)) continue;
    parts.named = parts.named || kPatternLetters.find(c) == std::string_view::npos;
    const size_t end = std::min(pattern.find_first_not_of(c, i), pattern.size());
    if (bool* part = parts.Of(c)) {
      if (*part && depth == 0) parts.twice = pattern.substr(i, end - i);
      *part = true;
    }
    i = end - 1;
  }
  return parts;
}

// "" for a pattern that says enough.
std::string WrongWith(std::string_view pattern) {
  constexpr char kTimeAlone[] =
      "has no date: a time alone is HH:mm:ss and wants no pattern; cast the column to string for "
      "others";
  const PatternParts parts = PartsOfPattern(pattern);
  if (parts.named) {
    const bool date = std::any_of(
        std::begin(kWordsOfDates), std::end(kWordsOfDates),
        [&](std::string_view word) { return pattern.find(word) != std::string_view::npos; });
    return date ? "" : kTimeAlone;
  }
  const bool hours = parts.hour || parts.half_day_hour;
  const bool time = hours || parts.minute || parts.second || parts.fraction || parts.half_day;
  const bool day = (parts.month && parts.day) || parts.day_of_year;
  const bool date = parts.year || parts.month || parts.day || day;
  const char* const swapped = parts.minute && !parts.month ? kMinutesOrMonth : "";
  if (!parts.twice.empty()) {
    const bool months = parts.twice.front() == 'M' && !parts.minute;
    const bool minutes = parts.twice.front() == 'm' && !parts.month;
    return fmt::format("has {} twice{}", parts.twice, months || minutes ? kMinutesOrMonth : "");
  }
  if (!date) return time ? kTimeAlone : "has no date";
  if (parts.day && !parts.month) return std::string("has a day without a month") + swapped;
  if (!parts.year) return "has no year";
  if (parts.minute && !hours) return std::string("has minutes without hours") + swapped;
  if (time && !day) return "has a time without a day";
  if (parts.second && !parts.minute) return "has seconds without minutes";
  if (parts.fraction && !parts.second) return "has parts of a second without seconds";
  if (parts.half_day_hour && !parts.half_day) {
    return "has hours of half a day (hh) without AM or PM (a): HH are the hours of a day";
  }
  if (parts.half_day && !parts.half_day_hour) {
    return "has AM or PM (a) without hours of half a day (hh)";
  }
  return "";
}

}  // namespace

Status CheckDatePattern(const std::string& format) {
  ARROW_RETURN_NOT_OK(search::DateFormat::Make(format).status());
  for (std::string_view rest = format;;) {
    const size_t end = rest.find("||");
    const std::string wrong = WrongWith(rest.substr(0, end));
    if (!wrong.empty()) {
      return UserError(fmt::format("the pattern '{}' {}", format, wrong), "date_pattern");
    }
    if (end == std::string_view::npos) return Status::OK();
    rest.remove_prefix(end + 2);
  }
}

}  // namespace bulkhaul::csv
