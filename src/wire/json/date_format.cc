#include "wire/json/date_format.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <chrono>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "wire/json/number_text.h"

namespace bulkhaul::search {

namespace {

constexpr int64_t kSecondsADay = 86'400;

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// Takes digits_min to digits_max digits.
bool TakeNumber(std::string_view* text, int digits_min, int digits_max, int64_t* value) {
  int digits = 0;
  *value = 0;
  while (digits < digits_max && digits < static_cast<int>(text->size()) &&
         IsDigit((*text)[digits])) {
    *value = *value * 10 + ((*text)[digits] - '0');
    ++digits;
  }
  text->remove_prefix(digits);
  return digits >= digits_min;
}

bool TakeCharacter(std::string_view* text, char wanted) {
  if (text->empty() || text->front() != wanted) return false;
  text->remove_prefix(1);
  return true;
}

bool TakeWord(std::string_view* text, std::string_view word) {
  if (text->size() < word.size()) return false;
  for (size_t at = 0; at < word.size(); ++at) {
    if (Lower((*text)[at]) != Lower(word[at])) return false;
  }
  text->remove_prefix(word.size());
  return true;
}

// One to nine digits of a fraction, as nanoseconds.
bool TakeFraction(std::string_view* text, int digits_min, int digits_max, int32_t* nanos) {
  const size_t before = text->size();
  int64_t value;
  if (!TakeNumber(text, digits_min, digits_max, &value)) return false;
  for (size_t digits = before - text->size(); digits < 9; ++digits) value *= 10;
  *nanos = static_cast<int32_t>(value);
  return true;
}

// Z, +02, +0200, +02:00, +02:00:30, and UTC or GMT alone or before one of them.
bool TakeZone(std::string_view* text, int64_t* offset_seconds) {
  *offset_seconds = 0;
  if (TakeCharacter(text, 'Z')) return true;
  const bool named = TakeWord(text, "UTC") || TakeWord(text, "GMT");
  if (text->empty() || (text->front() != '+' && text->front() != '-')) return named;
  const int sign = text->front() == '-' ? -1 : 1;
  text->remove_prefix(1);
  int64_t hours, minutes = 0, seconds = 0;
  if (!TakeNumber(text, 1, 2, &hours) || hours > 18) return false;
  const bool colon = TakeCharacter(text, ':');
  if (colon || (!text->empty() && IsDigit(text->front()))) {
    if (!TakeNumber(text, 2, 2, &minutes) || minutes > 59) return false;
    if (colon && TakeCharacter(text, ':') && (!TakeNumber(text, 2, 2, &seconds) || seconds > 59)) {
      return false;
    }
  }
  *offset_seconds = sign * (hours * 3600 + minutes * 60 + seconds);
  return true;
}

std::optional<int64_t> DaysOf(int64_t year, int64_t month, int64_t day) {
  if (year > 32'767 || month < 1 || month > 12 || day < 1 || day > 31) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(year)),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date).time_since_epoch().count();
}

constexpr std::array<std::string_view, 12> kMonths = {
    "January", "February", "March",     "April",   "May",      "June",
    "July",    "August",   "September", "October", "November", "December"};
constexpr std::array<std::string_view, 7> kDays = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                                   "Friday", "Saturday", "Sunday"};

// Names in full or their first three letters. The place of the name from 0, or -1.
template <size_t kCount>
int TakeName(std::string_view* text, const std::array<std::string_view, kCount>& names) {
  for (size_t index = 0; index < kCount; ++index) {
    if (TakeWord(text, names[index]) || TakeWord(text, names[index].substr(0, 3))) {
      return static_cast<int>(index);
    }
  }
  return -1;
}

// -123.456 in units of `per_second` a second.
std::optional<Instant> ParseEpoch(std::string_view text, int64_t per_second) {
  const bool negative = TakeCharacter(&text, '-');
  if (text.empty()) return std::nullopt;
  int64_t whole;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), whole);
  if (error != std::errc() || !IsDigit(text.front())) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(stop - text.data()));
  int32_t fraction = 0;
  if (TakeCharacter(&text, '.') && !TakeFraction(&text, 1, 9, &fraction)) return std::nullopt;
  if (!text.empty()) return std::nullopt;
  if (per_second == 1000 && fraction % 1000 != 0) return std::nullopt;  // below a nanosecond
  Instant instant;
  instant.seconds = whole / per_second;
  instant.nanos = static_cast<int32_t>((whole % per_second) * (1'000'000'000 / per_second) +
                                       fraction / per_second);
  if (negative) {
    instant.seconds = -instant.seconds;
    if (instant.nanos != 0) {
      --instant.seconds;
      instant.nanos = 1'000'000'000 - instant.nanos;
    }
  }
  return instant;
}

struct NamedFormat {
  std::string_view name;
  // '#': a fraction of one to nine digits. Y, w and e: year, week and day of ISO 8601 weeks; in
  // patterns of users they depend on the server's locale.
  std::string_view pattern;
};
constexpr NamedFormat kNamedFormats[] = {
    {"basic_date", "yyyyMMdd"},
    {"basic_date_time", "yyyyMMdd'T'HHmmss.#Z"},
    {"basic_date_time_no_millis", "yyyyMMdd'T'HHmmssZ"},
    {"basic_ordinal_date", "yyyyDDD"},
    {"basic_ordinal_date_time", "yyyyDDD'T'HHmmss.#Z"},
    {"basic_ordinal_date_time_no_millis", "yyyyDDD'T'HHmmssZ"},
    {"basic_time", "HHmmss.#Z"},
    {"basic_time_no_millis", "HHmmssZ"},
    {"basic_t_time", "'T'HHmmss.#Z"},
    {"basic_t_time_no_millis", "'T'HHmmssZ"},
    {"basic_week_date", "YYYY'W'wwe"},
    {"basic_week_date_time", "YYYY'W'wwe'T'HHmmss.#Z"},
    {"basic_week_date_time_no_millis", "YYYY'W'wwe'T'HHmmssZ"},
    {"date", "yyyy-MM-dd"},
    {"date_hour", "yyyy-MM-dd'T'HH"},
    {"date_hour_minute", "yyyy-MM-dd'T'HH:mm"},
    {"date_hour_minute_second", "yyyy-MM-dd'T'HH:mm:ss"},
    {"date_hour_minute_second_fraction", "yyyy-MM-dd'T'HH:mm:ss.#"},
    {"date_hour_minute_second_millis", "yyyy-MM-dd'T'HH:mm:ss.#"},
    {"date_time", "yyyy-MM-dd'T'HH:mm:ss.#Z"},
    {"date_time_no_millis", "yyyy-MM-dd'T'HH:mm:ssZ"},
    {"hour", "HH"},
    {"hour_minute", "HH:mm"},
    {"hour_minute_second", "HH:mm:ss"},
    {"hour_minute_second_fraction", "HH:mm:ss.#"},
    {"hour_minute_second_millis", "HH:mm:ss.#"},
    {"ordinal_date", "yyyy-DDD"},
    {"ordinal_date_time", "yyyy-DDD'T'HH:mm:ss.#Z"},
    {"ordinal_date_time_no_millis", "yyyy-DDD'T'HH:mm:ssZ"},
    {"time", "HH:mm:ss.#Z"},
    {"time_no_millis", "HH:mm:ssZ"},
    {"t_time", "'T'HH:mm:ss.#Z"},
    {"t_time_no_millis", "'T'HH:mm:ssZ"},
    {"week_date", "YYYY-'W'ww-e"},
    {"week_date_time", "YYYY-'W'ww-e'T'HH:mm:ss.#Z"},
    {"week_date_time_no_millis", "YYYY-'W'ww-e'T'HH:mm:ssZ"},
    {"weekyear", "YYYY"},
    {"weekyear_week", "YYYY-'W'ww"},
    {"weekyear_week_day", "YYYY-'W'ww-e"},
    {"year", "yyyy"},
    {"year_month", "yyyy-MM"},
    {"year_month_day", "yyyy-MM-dd"},
};
// The day of an ISO 8601 week: week 1 has January 4 in it, and day 1 is Monday.
std::optional<int64_t> DaysOfWeekDate(int64_t week_year, int64_t week, int64_t day) {
  const auto january_4 = DaysOf(week_year, 1, 4), next = DaysOf(week_year + 1, 1, 4);
  if (!january_4 || !next || week < 1 || day < 1 || day > 7) return std::nullopt;
  // 1970-01-01 was a Thursday.
  const auto monday = [](int64_t days) { return days - ((days + 3) % 7 + 7) % 7; };
  const int64_t week_begin = monday(*january_4) + (week - 1) * 7;
  if (week_begin >= monday(*next)) return std::nullopt;
  return week_begin + day - 1;
}

std::optional<Instant> ParseIsoSlowly(std::string_view text, bool strict) {
  const int narrow = strict ? 2 : 1;
  int64_t year, month = 1, day = 1, hour = 0, minute = 0, second = 0, offset = 0;
  int32_t nanos = 0;
  if (!TakeNumber(&text, strict ? 4 : 1, 4, &year)) return std::nullopt;
  if (TakeCharacter(&text, '-')) {
    if (!TakeNumber(&text, narrow, 2, &month)) return std::nullopt;
    if (TakeCharacter(&text, '-') && !TakeNumber(&text, narrow, 2, &day)) return std::nullopt;
  }
  if (TakeCharacter(&text, 'T') && !text.empty()) {
    if (!TakeNumber(&text, narrow, 2, &hour)) return std::nullopt;
    if (TakeCharacter(&text, ':')) {
      if (!TakeNumber(&text, narrow, 2, &minute)) return std::nullopt;
      if (TakeCharacter(&text, ':')) {
        if (!TakeNumber(&text, narrow, 2, &second)) return std::nullopt;
        if (TakeCharacter(&text, '.') || TakeCharacter(&text, ',')) {
          if (!TakeFraction(&text, 1, 9, &nanos)) return std::nullopt;
        }
      }
    }
    if (!text.empty() && !TakeZone(&text, &offset)) return std::nullopt;
  }
  const auto days = DaysOf(year, month, day);
  const bool end_of_day = hour == 24 && minute == 0 && second == 0 && nanos == 0;
  if (!text.empty() || !days || (hour > 23 && !end_of_day) || minute > 59 || second > 59) {
    return std::nullopt;
  }
  return Instant{*days * kSecondsADay + hour * 3600 + minute * 60 + second - offset, nanos};
}

// Whether the eight bytes have a digit wherever the shape has '0', and its bytes elsewhere.
inline bool HasShape(const char* text, const char (&shape)[9]) {
  uint64_t digits = 0, bytes = 0;
  for (size_t at = 0; at < 8; ++at) {  // of constants: folded by the compiler
    if (shape[at] == '0') {
      digits |= uint64_t{0xFF} << at * 8;
    } else {
      bytes |= static_cast<uint64_t>(static_cast<unsigned char>(shape[at])) << at * 8;
    }
  }
  uint64_t word;
  std::memcpy(&word, text, sizeof(word));
  if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
  // A digit has the upper half 3, and keeps it when 6 is added.
  constexpr uint64_t kUpper = 0xF0F0F0F0F0F0F0F0, kThrees = 0x3030303030303030;
  const uint64_t upper = kUpper & digits, threes = kThrees & digits;
  return (word & ~digits) == bytes && (word & upper) == threes &&
         (((word & digits) + (0x0606060606060606 & digits)) & upper) == threes;
}

}  // namespace

std::optional<Instant> ParseIsoInstant(std::string_view text, bool strict) {
  // "2024-03-01T12:34:56[.fraction]Z"
  constexpr size_t kShapeBytes = 19;
  if (text.size() <= kShapeBytes || text.back() != 'Z') return ParseIsoSlowly(text, strict);
  const char* const at = text.data();
  if (!HasShape(at, "0000-00-") || !HasShape(at + 8, "00T00:00") ||
      !HasShape(at + 11, "00:00:00")) {
    return ParseIsoSlowly(text, strict);
  }
  const auto two = [&](size_t place) { return (at[place] - '0') * 10 + (at[place + 1] - '0'); };
  const int hour = two(11), minute = two(14), second = two(17);
  const auto days = DaysOf(two(0) * 100 + two(2), two(5), two(8));
  if (!days || hour > 23 || minute > 59 || second > 59) return ParseIsoSlowly(text, strict);
  Instant instant{*days * kSecondsADay + hour * 3600 + minute * 60 + second, 0};
  std::string_view rest = text.substr(kShapeBytes, text.size() - kShapeBytes - 1);
  if (rest.empty()) return instant;
  if (rest.size() == 4 && rest[0] == '.' && IsDigit(rest[1]) && IsDigit(rest[2]) &&
      IsDigit(rest[3])) {
    instant.nanos = (two(20) * 10 + (at[22] - '0')) * 1'000'000;
    return instant;
  }
  if (!TakeCharacter(&rest, '.') || !TakeFraction(&rest, 1, 9, &instant.nanos) || !rest.empty()) {
    return ParseIsoSlowly(text, strict);
  }
  return instant;
}

struct DateFormat::Fields {
  int64_t year = 1970, month = 1, day = 1, day_of_year = -1;
  int64_t week_year = -1, week = 1, week_day = 1;
  int64_t hour = 0, minute = 0, second = 0, offset = 0;
  int32_t nanos = 0;
  int half_day = -1;       // 0 AM, 1 PM
  int64_t half_hour = -1;  // 1 to 12

  std::optional<Instant> ToInstant() const {
    int64_t hours = hour;
    if (half_hour >= 0) {
      if (half_hour < 1 || half_hour > 12) return std::nullopt;
      hours = half_hour % 12 + (half_day == 1 ? 12 : 0);
    }
    if (hours > 23 || minute > 59 || second > 59) return std::nullopt;
    auto days = day_of_year < 0 ? DaysOf(year, month, day) : DaysOf(year, 1, 1);
    if (week_year >= 0) days = DaysOfWeekDate(week_year, week, week_day);
    if (!days) return std::nullopt;
    if (day_of_year >= 0) {
      const bool leap = std::chrono::year(static_cast<int>(year)).is_leap();
      if (day_of_year < 1 || day_of_year > (leap ? 366 : 365)) return std::nullopt;
      *days += day_of_year - 1;
    }
    return Instant{*days * kSecondsADay + hours * 3600 + minute * 60 + second - offset, nanos};
  }
};

Result<DateFormat> DateFormat::Make(std::string_view format, std::string_view locale) {
  DateFormat made;
  std::string_view rest = format;
  for (;;) {
    const size_t end = rest.find("||");
    ARROW_ASSIGN_OR_RAISE(One one, MakeOne(rest.substr(0, end)));
    const bool names = std::any_of(one.steps.begin(), one.steps.end(), [](const Step& step) {
      return step.kind == Step::Kind::kMonthName || step.kind == Step::Kind::kDayName;
    });
    if (names && !locale.empty() && !locale.starts_with("en") && locale != "ROOT") {
      return UserError(
          fmt::format("the date format '{}' has names in the locale '{}'; only "
                      "English ones can be read",
                      format, locale));
    }
    made.formats_.push_back(std::move(one));
    if (end == rest.npos) return made;
    rest.remove_prefix(end + 2);
  }
}

Result<DateFormat::One> DateFormat::MakeOne(std::string_view name) {
  One one;
  one.strict = name.starts_with("strict_");
  std::string_view bare = one.strict ? name.substr(7) : name;
  if (bare == "date_optional_time" || bare == "dateOptionalTime" || bare == "iso8601" ||
      bare == "date_optional_time_nanos" || bare == "rfc3339_lenient") {
    one.kind = One::Kind::kIso;
    one.strict = one.strict || bare == "iso8601";
    return one;
  }
  if (bare == "epoch_millis" || bare == "epoch_second") {
    one.kind = bare == "epoch_millis" ? One::Kind::kEpochMillis : One::Kind::kEpochSeconds;
    return one;
  }
  one.kind = One::Kind::kPattern;
  std::string_view pattern = name;
  bool lenient = false, is_name = false;
  for (const NamedFormat& named : kNamedFormats) {
    if (named.name != bare) continue;
    pattern = named.pattern;
    is_name = true;
    lenient = !one.strict && pattern.find_first_of("-:") != pattern.npos;
  }
  if (name.empty()) {
    return UserError(fmt::format("the date format '{}' is not supported", name));
  }
  std::string_view rest = pattern;
  auto steps = Compile(pattern, is_name, &rest, 0);
  if (steps.ok() && !rest.empty()) steps = UserError("it has a ']' too many");
  if (!steps.ok()) {
    return UserError(
        fmt::format("the date format '{}' is not supported: {}", name, MessageOf(steps.status())));
  }
  one.steps = std::move(*steps);
  if (lenient) {
    for (Step& step : one.steps) {
      const bool year = step.kind == Step::Kind::kYear || step.kind == Step::Kind::kWeekYear;
      if (!year) step.digits_min = 1;
    }
  }
  return one;
}

Result<DateFormat::Step> DateFormat::CompileLetters(char letter, int count, bool is_name) {
  using Kind = Step::Kind;
  const auto number = [&](Kind kind, int digits_max) {
    return Step{kind, count, count == 1 ? digits_max : count, {}, {}};
  };
  switch (letter) {
    case 'y':
    case 'u':
      if (count == 2) return Step{Kind::kYearOfTwoDigits, 2, 2, {}, {}};
      return number(Kind::kYear, 4);
    case 'M':
    case 'L':
      if (count >= 3) return Step{Kind::kMonthName, 1, 1, {}, {}};
      return number(Kind::kMonth, 2);
    case 'd':
      return number(Kind::kDay, 2);
    case 'D':
      return number(Kind::kDayOfYear, 3);
    case 'E':
      return Step{Kind::kDayName, 1, 1, {}, {}};
    case 'Y':
      if (is_name) return number(Kind::kWeekYear, 4);
      break;
    case 'w':
      if (is_name) return number(Kind::kWeek, 2);
      break;
    case 'e':
      if (is_name) return number(Kind::kWeekDay, 1);
      break;
    case 'H':
      return number(Kind::kHour, 2);
    case 'h':
      return number(Kind::kHourOfHalfDay, 2);
    case 'm':
      return number(Kind::kMinute, 2);
    case 's':
      return number(Kind::kSecond, 2);
    case 'S':
      if (count <= 9) return Step{Kind::kFraction, count, count, {}, {}};
      break;
    case '#':
      return Step{Kind::kFraction, 1, 9, {}, {}};
    case 'a':
      return Step{Kind::kHalfDay, 1, 1, {}, {}};
    case 'Z':
    case 'X':
    case 'x':
    case 'z':
    case 'V':
    case 'O':
      return Step{Kind::kZone, 1, 1, {}, {}};
    default:
      break;
  }
  return UserError(fmt::format("'{}' has no meaning here", std::string(count, letter)));
}

Result<std::vector<DateFormat::Step>> DateFormat::Compile(std::string_view pattern, bool is_name,
                                                          std::string_view* rest, int depth) {
  std::vector<Step> steps;
  const auto literal = [&](char character) {
    if (steps.empty() || steps.back().kind != Step::Kind::kLiteral) {
      steps.push_back({Step::Kind::kLiteral, 1, 1, {}, {}});
    }
    steps.back().literal += character;
  };
  *rest = pattern;
  while (!rest->empty() && rest->front() != ']') {
    const char first = rest->front();
    if (first == '[') {
      if (depth >= 20) return UserError("its options are nested too deeply");
      ARROW_ASSIGN_OR_RAISE(auto inner, Compile(rest->substr(1), is_name, rest, depth + 1));
      if (!TakeCharacter(rest, ']')) return UserError("a ']' is missing");
      steps.push_back({Step::Kind::kOptional, 1, 1, {}, std::move(inner)});
    } else if (first == '\'') {
      if (rest->starts_with("''")) {
        literal('\'');
        rest->remove_prefix(2);
        continue;
      }
      const size_t end = rest->find('\'', 1);
      if (end == rest->npos) return UserError("a quote is missing");
      for (const char character : rest->substr(1, end - 1)) literal(character);
      rest->remove_prefix(end + 1);
    } else if (IsLetter(first) || first == '#') {
      const size_t end = std::min(rest->find_first_not_of(first), rest->size());
      ARROW_ASSIGN_OR_RAISE(Step step, CompileLetters(first, static_cast<int>(end), is_name));
      steps.push_back(std::move(step));
      rest->remove_prefix(end);
    } else {
      literal(first);
      rest->remove_prefix(1);
    }
  }
  return steps;
}

bool DateFormat::ParseStep(const Step& step, std::string_view* text, Fields* fields) {
  const auto number = [&](int64_t* value) {
    return TakeNumber(text, step.digits_min, step.digits_max, value);
  };
  switch (step.kind) {
    case Step::Kind::kYear:
      return number(&fields->year);
    case Step::Kind::kYearOfTwoDigits:
      if (!number(&fields->year)) return false;
      fields->year += 2000;
      return true;
    case Step::Kind::kMonth:
      return number(&fields->month);
    case Step::Kind::kMonthName:
      fields->month = TakeName(text, kMonths) + 1;
      return fields->month > 0;
    case Step::Kind::kDay:
      return number(&fields->day);
    case Step::Kind::kDayOfYear:
      return number(&fields->day_of_year);
    case Step::Kind::kWeekYear:
      return number(&fields->week_year);
    case Step::Kind::kWeek:
      return number(&fields->week);
    case Step::Kind::kWeekDay:
      return number(&fields->week_day);
    case Step::Kind::kDayName:
      return TakeName(text, kDays) >= 0;
    case Step::Kind::kHour:
      return number(&fields->hour);
    case Step::Kind::kHourOfHalfDay:
      return number(&fields->half_hour);
    case Step::Kind::kMinute:
      return number(&fields->minute);
    case Step::Kind::kSecond:
      return number(&fields->second);
    case Step::Kind::kFraction:
      return TakeFraction(text, step.digits_min, step.digits_max, &fields->nanos);
    case Step::Kind::kHalfDay:
      fields->half_day = TakeWord(text, "PM") ? 1 : 0;
      return fields->half_day == 1 || TakeWord(text, "AM");
    case Step::Kind::kZone:
      return TakeZone(text, &fields->offset);
    case Step::Kind::kLiteral:
      if (!text->starts_with(step.literal)) return false;
      text->remove_prefix(step.literal.size());
      return true;
    case Step::Kind::kOptional: {
      std::string_view text_before = *text;
      const Fields fields_before = *fields;
      if (!ParseSteps(step.optional, text, fields)) {
        *text = text_before;
        *fields = fields_before;
      }
      return true;
    }
  }
  return false;
}

bool DateFormat::ParseSteps(const std::vector<Step>& steps, std::string_view* text,
                            Fields* fields) {
  return std::all_of(steps.begin(), steps.end(),
                     [&](const Step& step) { return ParseStep(step, text, fields); });
}

std::optional<Instant> DateFormat::Parse(std::string_view text) const {
  for (const One& one : formats_) {
    std::optional<Instant> instant;
    switch (one.kind) {
      case One::Kind::kIso:
        instant = ParseIsoInstant(text, one.strict);
        break;
      case One::Kind::kEpochMillis:
        instant = ParseEpoch(text, 1000);
        break;
      case One::Kind::kEpochSeconds:
        instant = ParseEpoch(text, 1);
        break;
      case One::Kind::kPattern: {
        Fields fields;
        std::string_view rest = text;
        if (ParseSteps(one.steps, &rest, &fields) && rest.empty()) instant = fields.ToInstant();
        break;
      }
    }
    if (instant) return instant;
  }
  return std::nullopt;
}

}  // namespace bulkhaul::search
