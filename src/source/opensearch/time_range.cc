#include "source/opensearch/time_range.h"

#include <algorithm>
#include <charconv>
#include <chrono>

#include <arrow/compute/api_scalar.h>
#include <arrow/compute/initialize.h>
#include <arrow/scalar.h>
#include <fmt/format.h>

namespace bulkhaul::opensearch {
namespace {

constexpr int64_t kSecondMs = 1000;
constexpr int64_t kMinuteMs = 60 * kSecondMs;
constexpr int32_t kNanosOfMs = 1'000'000;

Status BadTime(std::string_view text, const char* why) {
  return OptionError(
      fmt::format("'{}' is not a time: {}. Write 2024-03-01, 2024-03-01T10:15:00Z, milliseconds "
                  "since 1970, or date math such as now-7d/d",
                  text, why));
}

int64_t FloorDiv(int64_t value, int64_t divisor) {
  const int64_t quotient = value / divisor;
  return quotient * divisor > value ? quotient - 1 : quotient;
}

int64_t DaysOf(int year, unsigned month, unsigned day) {
  using namespace std::chrono;
  const sys_days days =
      year_month_day{std::chrono::year(year), std::chrono::month(month), std::chrono::day(day)};
  return days.time_since_epoch().count();
}

std::chrono::year_month_day DateOf(int64_t local_ms) {
  return std::chrono::sys_days(std::chrono::days(FloorDiv(local_ms, kDayMs)));
}

// Takes `least` to `most` digits off the text.
std::optional<int> TakeDigits(std::string_view* text, size_t least, size_t most) {
  size_t count = 0;
  int value = 0;
  while (count < most && count < text->size() && (*text)[count] >= '0' && (*text)[count] <= '9') {
    value = value * 10 + ((*text)[count++] - '0');
  }
  if (count < least) return std::nullopt;
  text->remove_prefix(count);
  return value;
}

bool Take(std::string_view* text, char wanted) {
  if (!text->starts_with(wanted)) return false;
  text->remove_prefix(1);
  return true;
}

// "+02:00", "-0530", "+02", "Z". Milliseconds to take off a local time.
std::optional<int64_t> ParseOffset(std::string_view text) {
  if (text == "Z" || text == "z") return 0;
  if (text.empty() || (text[0] != '+' && text[0] != '-')) return std::nullopt;
  const int64_t sign = text[0] == '-' ? -1 : 1;
  text.remove_prefix(1);
  const auto hours = TakeDigits(&text, 2, 2);
  if (!hours) return std::nullopt;
  int minutes = 0;
  if (!text.empty()) {
    Take(&text, ':');
    const auto taken = TakeDigits(&text, 2, 2);
    if (!taken || !text.empty()) return std::nullopt;
    minutes = *taken;
  }
  if (*hours > 18 || minutes > 59) return std::nullopt;
  return sign * (*hours * kHourMs + minutes * kMinuteMs);
}

// A date with what it has of a time of day.
struct WrittenTime {
  Moment local;
  std::optional<int64_t> offset_ms;
};

// The moment itself, or where `up` the last one of the span that begins there.
Moment Rounded(int64_t ms, int64_t span_ms, bool up) {
  return up ? Moment{ms + span_ms - 1, kNanosOfMs - 1} : Moment{ms, 0};
}

// The fraction of a second after its point.
Result<Moment> TakeFraction(std::string_view* rest, std::string_view text) {
  constexpr int kDigitsMax = 9;
  int64_t nanoseconds = 0;
  int digits = 0;
  for (; !rest->empty() && rest->front() >= '0' && rest->front() <= '9'; rest->remove_prefix(1)) {
    if (++digits <= kDigitsMax) nanoseconds = nanoseconds * 10 + (rest->front() - '0');
  }
  if (digits == 0 || digits > kDigitsMax) return BadTime(text, "a fraction has 1 to 9 digits");
  for (; digits < kDigitsMax; ++digits) nanoseconds *= 10;
  return Moment{nanoseconds / kNanosOfMs, static_cast<int32_t>(nanoseconds % kNanosOfMs)};
}

// What follows the 'T': the moment of the day.
Result<Moment> TakeTimeOfDay(std::string_view* rest, std::string_view text, Rounding rounding) {
  const bool up = rounding == Rounding::kUp;
  const auto hour = TakeDigits(rest, 2, 2);
  if (!hour || *hour > 23) return BadTime(text, "an hour has two digits");
  int64_t result = *hour * kHourMs;
  if (!Take(rest, ':')) return Rounded(result, kHourMs, up);
  const auto minute = TakeDigits(rest, 2, 2);
  if (!minute || *minute > 59) return BadTime(text, "a minute has two digits");
  result += *minute * kMinuteMs;
  if (!Take(rest, ':')) return Rounded(result, kMinuteMs, up);
  const auto second = TakeDigits(rest, 2, 2);
  if (!second || *second > 59) return BadTime(text, "a second has two digits");
  result += *second * kSecondMs;
  if (!Take(rest, '.') && !Take(rest, ',')) return Rounded(result, kSecondMs, up);
  ARROW_ASSIGN_OR_RAISE(const Moment fraction, TakeFraction(rest, text));
  return Moment{result + fraction.ms, fraction.nanos};
}

Result<WrittenTime> ParseWritten(std::string_view text, Rounding rounding) {
  std::string_view rest = text;
  const auto year = TakeDigits(&rest, 4, 4);
  if (!year) return BadTime(text, "a year has four digits");
  int month = 1, day = 1;
  if (Take(&rest, '-')) {
    const auto taken = TakeDigits(&rest, 2, 2);
    if (!taken || *taken < 1 || *taken > 12) return BadTime(text, "a month has two digits");
    month = *taken;
    if (Take(&rest, '-')) {
      const auto taken_day = TakeDigits(&rest, 2, 2);
      if (!taken_day) return BadTime(text, "a day has two digits");
      day = *taken_day;
    }
  }
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return BadTime(text, "there is no such day");
  Moment time_of_day = Rounded(0, kDayMs, rounding == Rounding::kUp);
  if (Take(&rest, 'T') && !rest.empty()) {
    ARROW_ASSIGN_OR_RAISE(time_of_day, TakeTimeOfDay(&rest, text, rounding));
  }
  WrittenTime result;
  result.local = time_of_day;
  result.local.ms +=
      DaysOf(*year, static_cast<unsigned>(month), static_cast<unsigned>(day)) * kDayMs;
  if (!rest.empty()) {
    result.offset_ms = ParseOffset(rest);
    if (!result.offset_ms) return BadTime(text, "its end is not understood");
  }
  return result;
}

Result<Moment> ParseMoment(std::string_view text, Rounding rounding, const TimeZone& zone) {
  int64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_number = parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
  // Four digits are a year: strict_date_optional_time comes before epoch_millis.
  if (is_number && text.size() != 4) return Rounded(number, 1, rounding == Rounding::kUp);
  ARROW_ASSIGN_OR_RAISE(const auto written, ParseWritten(text, rounding));
  const int64_t local_ms = written.local.ms;
  if (written.offset_ms) return Moment{local_ms - *written.offset_ms, written.local.nanos};
  ARROW_ASSIGN_OR_RAISE(const int64_t utc_ms, zone.ToUtc(local_ms));
  return Moment{utc_ms, written.local.nanos};
}

// The local time at which the unit that holds `local_ms` begins.
std::optional<int64_t> Floor(int64_t local_ms, char unit) {
  const auto date = DateOf(local_ms);
  switch (unit) {
    case 'y':
      return DaysOf(static_cast<int>(date.year()), 1, 1) * kDayMs;
    case 'M':
      return DaysOf(static_cast<int>(date.year()), static_cast<unsigned>(date.month()), 1) * kDayMs;
    case 'w':  // weeks begin on Monday; day 0 was a Thursday
      return (FloorDiv(FloorDiv(local_ms, kDayMs) + 3, 7) * 7 - 3) * kDayMs;
    case 'd':
      return FloorTo(local_ms, kDayMs);
    case 'h':
    case 'H':
      return FloorTo(local_ms, kHourMs);
    case 'm':
      return FloorTo(local_ms, kMinuteMs);
    case 's':
      return FloorTo(local_ms, kSecondMs);
    default:
      return std::nullopt;
  }
}

// By the calendar for days and longer; the 31st stays at a shorter month's end.
std::optional<int64_t> Add(int64_t local_ms, int64_t count, char unit) {
  using namespace std::chrono;
  const int64_t time_of_day = local_ms - FloorTo(local_ms, kDayMs);
  const auto date = DateOf(local_ms);
  switch (unit) {
    case 'y':
    case 'M': {
      const auto moved = date + months(unit == 'y' ? count * 12 : count);
      const auto last = (moved.year() / moved.month() / std::chrono::last).day();
      return DaysOf(static_cast<int>(moved.year()), static_cast<unsigned>(moved.month()),
                    static_cast<unsigned>(std::min(moved.day(), last))) *
                 kDayMs +
             time_of_day;
    }
    case 'w':
      return local_ms + count * 7 * kDayMs;
    case 'd':
      return local_ms + count * kDayMs;
    case 'h':
    case 'H':
      return local_ms + count * kHourMs;
    case 'm':
      return local_ms + count * kMinuteMs;
    case 's':
      return local_ms + count * kSecondMs;
    default:
      return std::nullopt;
  }
}

// One step of date math: "/d", "-7d", "+M". Takes it off `rest`.
Result<int64_t> ApplyStep(int64_t time_ms, std::string_view* rest, std::string_view text,
                          Rounding rounding, const TimeZone& zone) {
  const char sign = rest->front();
  rest->remove_prefix(1);
  if (sign != '/' && sign != '+' && sign != '-') return BadTime(text, "its date math is wrong");
  int64_t count = 1;
  if (sign != '/' && !rest->empty() && rest->front() >= '0' && rest->front() <= '9') {
    const auto taken = TakeDigits(rest, 1, 7);
    count = *taken;
  }
  if (rest->empty()) return BadTime(text, "a unit is missing: y, M, w, d, h, m or s");
  const char unit = rest->front();
  rest->remove_prefix(1);
  const bool clock = unit == 'h' || unit == 'H' || unit == 'm' || unit == 's';
  if (sign != '/') {
    if (sign == '-') count = -count;
    if (clock) return *Add(time_ms, count, unit);  // hours pass at a change of the clock too
    ARROW_ASSIGN_OR_RAISE(const int64_t local, zone.ToLocal(time_ms));
    const auto moved = Add(local, count, unit);
    if (!moved) return BadTime(text, "the units are y, M, w, d, h, m and s");
    return zone.ToUtc(*moved);
  }
  ARROW_ASSIGN_OR_RAISE(const int64_t local, zone.ToLocal(time_ms));
  const auto floor = Floor(local, unit);
  if (!floor) return BadTime(text, "the units are y, M, w, d, h, m and s");
  if (rounding == Rounding::kDown) return zone.ToUtc(*floor);
  ARROW_ASSIGN_OR_RAISE(const int64_t next, zone.ToUtc(*Add(*floor, 1, unit)));
  return next - 1;
}

// The next nanosecond.
Moment After(const Moment& time) {
  return time.nanos + 1 < kNanosOfMs ? Moment{time.ms, time.nanos + 1} : Moment{time.ms + 1, 0};
}

void SetEnd(const Moment& end, TimeRange* range) {
  range->end_ms = end.ms;
  range->end_nanos = end.nanos;
}

Result<arrow::Datum> ZoneCall(const Result<arrow::Datum>& result, const std::string& name) {
  if (result.ok()) return result;
  return OptionError(
      fmt::format("time zone '{}': {}; write a name such as Europe/Berlin (which needs "
                  "the system's tzdata) or an offset such as +02:00",
                  name, result.status().message()));
}

int64_t ValueOf(const arrow::Datum& datum) {
  return static_cast<const arrow::TimestampScalar&>(*datum.scalar()).value;
}

}  // namespace

int64_t FloorTo(int64_t value, int64_t step) { return FloorDiv(value, step) * step; }

Result<TimeZone> TimeZone::Parse(std::string_view text) {
  TimeZone zone;
  if (text.empty() || text == "UTC") return zone;
  if (const auto offset = ParseOffset(text)) {
    zone.offset_ms_ = *offset;
    return zone;
  }
  static const Status initialized = arrow::compute::Initialize();
  ARROW_RETURN_NOT_OK(initialized);
  zone.name_ = text;
  ARROW_RETURN_NOT_OK(zone.ToLocal(0));
  return zone;
}

Result<int64_t> TimeZone::ToLocal(int64_t utc_ms) const {
  if (name_.empty()) return utc_ms + offset_ms_;
  const arrow::TimestampScalar scalar(utc_ms, arrow::timestamp(arrow::TimeUnit::MILLI, name_));
  ARROW_ASSIGN_OR_RAISE(
      const auto local,
      ZoneCall(arrow::compute::LocalTimestamp(std::make_shared<arrow::TimestampScalar>(scalar)),
               name_));
  return ValueOf(local);
}

Result<int64_t> TimeZone::ToUtc(int64_t local_ms) const {
  if (name_.empty()) return local_ms - offset_ms_;
  const auto scalar =
      std::make_shared<arrow::TimestampScalar>(local_ms, arrow::timestamp(arrow::TimeUnit::MILLI));
  using Assume = arrow::compute::AssumeTimezoneOptions;
  ARROW_ASSIGN_OR_RAISE(
      const auto utc,
      ZoneCall(arrow::compute::AssumeTimezone(
                   scalar, Assume(name_, Assume::AMBIGUOUS_EARLIEST, Assume::NONEXISTENT_LATEST)),
               name_));
  return ValueOf(utc);
}

Result<Moment> ParseTime(std::string_view text, Rounding rounding, const TimeZone& zone,
                         int64_t now_ms) {
  std::string_view rest = text;
  Moment time{now_ms};
  if (text.starts_with("now")) {
    rest.remove_prefix(3);
  } else {
    const auto bars = text.find("||");
    if (bars == std::string_view::npos) return ParseMoment(text, rounding, zone);
    ARROW_ASSIGN_OR_RAISE(time, ParseMoment(text.substr(0, bars), Rounding::kDown, zone));
    rest = text.substr(bars + 2);
  }
  while (!rest.empty()) {
    const bool to_a_unit = rest.front() == '/';
    ARROW_ASSIGN_OR_RAISE(time.ms, ApplyStep(time.ms, &rest, text, rounding, zone));
    if (to_a_unit) time.nanos = 0;
  }
  return time;
}

bool IsFinerThanMs(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789";
  for (size_t at = text.find_first_of(".,"); at < text.size();
       at = text.find_first_of(".,", at + 1)) {
    // "..": between the bounds of a span.
    if (at > 0 && text[at - 1] == '.') continue;
    const std::string_view digits = text.substr(at + 1);
    const size_t length = std::min(digits.find_first_not_of(kDigits), digits.size());
    if (length > 3 && digits.substr(3, length - 3).find_first_not_of('0') != digits.npos) {
      return true;
    }
  }
  return false;
}

std::vector<TimeRange> ToWholeMs(const std::vector<TimeRange>& ranges) {
  std::vector<TimeRange> whole;
  for (const auto& range : ranges) {
    const TimeRange one{range.begin_ms + (range.begin_nanos > 0 ? 1 : 0),
                        range.end_ms + (range.end_nanos > 0 ? 1 : 0)};
    // An empty one stays: without any, all times would be meant.
    if (!one.empty() || ranges.size() == 1) whole.push_back(one);
  }
  return whole.size() == 1 ? whole : MergeRanges(std::move(whole)).ranges;
}

Result<TimeRange> ResolveBounds(const TimeBounds& bounds, const TimeZone& zone, int64_t now_ms) {
  if (!bounds.gte.empty() && !bounds.gt.empty()) return OptionError("give gte or gt, not both");
  if (!bounds.lte.empty() && !bounds.lt.empty()) return OptionError("give lte or lt, not both");
  Moment begin{TimeRange::kOpenBegin}, end{TimeRange::kOpenEnd};
  if (!bounds.gte.empty()) {
    ARROW_ASSIGN_OR_RAISE(begin, ParseTime(bounds.gte, Rounding::kDown, zone, now_ms));
  } else if (!bounds.gt.empty()) {
    ARROW_ASSIGN_OR_RAISE(const auto last, ParseTime(bounds.gt, Rounding::kUp, zone, now_ms));
    begin = After(last);
  }
  if (!bounds.lte.empty()) {
    ARROW_ASSIGN_OR_RAISE(const auto last, ParseTime(bounds.lte, Rounding::kUp, zone, now_ms));
    end = After(last);
  } else if (!bounds.lt.empty()) {
    ARROW_ASSIGN_OR_RAISE(end, ParseTime(bounds.lt, Rounding::kDown, zone, now_ms));
  }
  const TimeRange range{begin.ms, end.ms, begin.nanos, end.nanos};
  if (range.empty()) {
    return OptionError("the time range is empty: " + FormatRange(range));
  }
  return range;
}

Result<TimeRange> ResolveSpan(std::string_view text, const TimeZone& zone, int64_t now_ms) {
  const auto dots = text.find("..");
  if (dots == std::string_view::npos) {
    return OptionError(fmt::format(
        "'{}' is not a range of time: write 2024-03-01..2024-04-01, the end not included", text));
  }
  TimeBounds bounds;
  bounds.gte = text.substr(0, dots);
  bounds.lt = text.substr(dots + 2);
  return ResolveBounds(bounds, zone, now_ms);
}

MergedRanges MergeRanges(std::vector<TimeRange> ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const TimeRange& a, const TimeRange& b) {
    return std::pair(a.begin(), a.end()) < std::pair(b.begin(), b.end());
  });
  MergedRanges merged;
  for (const auto& range : ranges) {
    if (range.empty()) continue;
    if (merged.ranges.empty() || range.begin() > merged.ranges.back().end()) {
      merged.ranges.push_back(range);
      continue;
    }
    TimeRange& last = merged.ranges.back();
    merged.overlaps += range.begin() < last.end() ? 1 : 0;
    SetEnd(std::max(last.end(), range.end()), &last);
  }
  return merged;
}

std::vector<TimeRange> Intersect(const std::vector<TimeRange>& ranges, const TimeRange& limits) {
  std::vector<TimeRange> parts;
  for (const auto& range : ranges) {
    const Moment begin = std::max(range.begin(), limits.begin());
    const Moment end = std::min(range.end(), limits.end());
    const TimeRange part{begin.ms, end.ms, begin.nanos, end.nanos};
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

bool AnyContains(const std::vector<TimeRange>& ranges, const TimeRange& inner) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const TimeRange& range) {
    return range.begin() <= inner.begin() && inner.end() <= range.end();
  });
}

std::string FormatTime(const Moment& time) {
  if (time.ms == TimeRange::kOpenBegin || time.ms == TimeRange::kOpenEnd) return {};
  const auto date = DateOf(time.ms);
  const int64_t rest = time.ms - FloorTo(time.ms, kDayMs);
  const auto nanos = time.nanos > 0 ? fmt::format("{:06}", time.nanos) : std::string();
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}{}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     rest / kHourMs, rest / kMinuteMs % 60, rest / kSecondMs % 60, rest % kSecondMs,
                     nanos);
}

std::string FormatRange(const TimeRange& range) {
  const auto shown = [](const Moment& bound, const char* open) {
    const auto text = FormatTime(bound);
    return text.empty() ? std::string(open) : text;
  };
  return shown(range.begin(), "the beginning") + " to " + shown(range.end(), "the end");
}

}  // namespace bulkhaul::opensearch
