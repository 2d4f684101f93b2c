// Spans of time as users write them, resolved once to half-open ranges of milliseconds.
//
// The rules are those of the servers' range query, so that a bound means here what it means there:
// Elasticsearch guide, "Date math" and "Range query: Missing date components"; OpenSearch
// documentation, "Range query".
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bulkhaul::opensearch {

constexpr int64_t kHourMs = 3'600'000;
constexpr int64_t kDayMs = 24 * kHourMs;

// The multiple of `step` at or below the value.
int64_t FloorTo(int64_t value, int64_t step);

// A moment since 1970 UTC.
struct Moment {
  int64_t ms = 0;
  int32_t nanos = 0;  // after the millisecond: 0 to 999,999
  auto operator<=>(const Moment&) const = default;
};

// Half open, since 1970 UTC. The extremes mean: without a bound. Parts of a millisecond are for the
// outer bounds of fields of type date_nanos; what is cut here is cut at whole ones.
struct TimeRange {
  static constexpr int64_t kOpenBegin = std::numeric_limits<int64_t>::min();
  static constexpr int64_t kOpenEnd = std::numeric_limits<int64_t>::max();
  int64_t begin_ms = kOpenBegin;
  int64_t end_ms = kOpenEnd;
  int32_t begin_nanos = 0, end_nanos = 0;

  Moment begin() const { return {begin_ms, begin_nanos}; }
  Moment end() const { return {end_ms, end_nanos}; }
  bool empty() const { return begin() >= end(); }
  bool Contains(int64_t time_ms) const {
    return Moment{time_ms} >= begin() && Moment{time_ms} < end();
  }
  bool operator==(const TimeRange&) const = default;
};
// The ranges that hold the same whole milliseconds, for fields of type date. Pure.
std::vector<TimeRange> ToWholeMs(const std::vector<TimeRange>& ranges);

// "Z", "+02:00", "Europe/Berlin". A fixed offset, or a name of the system's time zone database.
class TimeZone {
 public:
  TimeZone() = default;  // UTC
  // kUser when there is no such zone.
  static Result<TimeZone> Parse(std::string_view text);
  Result<int64_t> ToLocal(int64_t utc_ms) const;
  // A local time that comes twice is the first of the two; one that never comes is the moment of
  // the change.
  Result<int64_t> ToUtc(int64_t local_ms) const;

 private:
  std::string name_;  // of the database; "" for a fixed offset
  int64_t offset_ms_ = 0;
};

// What a bound that is not a whole moment stands for: the first or the last nanosecond of it.
enum class Rounding { kDown, kUp };

// "2024", "2024-03", "2024-03-01", "2024-03-01T10:15[:30[.123]]" with an offset or without,
// milliseconds since 1970 ("1709251200000"), or date math: "now-7d/d", "2024-03-01||+1M/d". Missing
// months and days are the first, missing times of day as `rounding` says. kUser otherwise.
Result<Moment> ParseTime(std::string_view text, Rounding rounding, const TimeZone& zone,
                         int64_t now_ms);
// Whether some second in the text has digits finer than a millisecond that are not zero.
bool IsFinerThanMs(std::string_view text);

// As in a range query; "" where there is no bound.
struct TimeBounds {
  std::string gte, gt, lte, lt;
};
// kUser for two bounds on one side and for an empty range.
Result<TimeRange> ResolveBounds(const TimeBounds& bounds, const TimeZone& zone, int64_t now_ms);
// "2024-03-01..2024-04-01": from the first moment of the one to before the first of the other;
// either may be left out.
Result<TimeRange> ResolveSpan(std::string_view text, const TimeZone& zone, int64_t now_ms);

// Sorted, without overlap; neighbours joined. `overlaps`: how many began inside another.
struct MergedRanges {
  std::vector<TimeRange> ranges;
  int overlaps = 0;
};
MergedRanges MergeRanges(std::vector<TimeRange> ranges);
// The ranges' parts inside `limits`.
std::vector<TimeRange> Intersect(const std::vector<TimeRange>& ranges, const TimeRange& limits);
bool AnyContains(const std::vector<TimeRange>& ranges, const TimeRange& inner);

// "2024-03-01T00:00:00.000Z", with nanoseconds where there are any; "" for an open end.
std::string FormatTime(const Moment& time);
// "2024-03-01T00:00:00.000Z to 2024-04-01T00:00:00.000Z", for people.
std::string FormatRange(const TimeRange& range);

}  // namespace bulkhaul::opensearch
