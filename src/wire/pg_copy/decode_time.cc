// Dates, times, timestamps, intervals. PostgreSQL counts from 2000-01-01, Arrow from 1970-01-01.
// Source: date_send(), time_send(), timetz_send(), timestamp_send(), interval_send(), and the
// infinities DATEVAL_NOBEGIN … of date.h, DT_NOBEGIN … of timestamp.h, INTERVAL_NOBEGIN of 17.
#include <limits>

#include <fmt/format.h>

#include "wire/pg_copy/binary_format.h"
#include "wire/pg_copy/bytes.h"
#include "wire/pg_copy/decode_functions.h"

namespace bulkhaul::pg {
namespace {

// The last of what both PostgreSQL and Arrow can hold, where clamped values go: 5874897-12-31 is
// PostgreSQL's last date, and Arrow's last microsecond lies before PostgreSQL's.
constexpr int32_t kLastDay = 2'145'042'905;
constexpr int64_t kLastMicro = std::numeric_limits<int64_t>::max();

constexpr int32_t kInt32Min = std::numeric_limits<int32_t>::min();
constexpr int32_t kInt32Max = std::numeric_limits<int32_t>::max();
constexpr int64_t kInt64Min = std::numeric_limits<int64_t>::min();
constexpr int64_t kInt64Max = std::numeric_limits<int64_t>::max();

// True: the caller appends its clamped value. False: done, see *result.
bool IsClamped(DecodeContext& context, ColumnNode& node, const char* what, bool* result) {
  const OnMisfit choice = node.plan->misfit;
  if (choice == OnMisfit::kClamp) {
    ++context.counters[kInfinityClamped];
    return true;
  }
  *result = AppendMisfit(
      context, node, choice, kInfinityNulled,
      fmt::format("{} has no Arrow form; set the option infinity to null or clamp", what));
  return false;
}

void AppendInterval(ColumnNode& node, int32_t months, int32_t days, int64_t micros) {
  node.children[0].AppendFixed(months);
  node.children[1].AppendFixed(days);
  node.children[2].AppendFixed(micros);
  ++node.length;
}

}  // namespace

bool DecodeDate(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size) {
  if (size != 4) [[unlikely]]
    return WrongSize(context, "date", size);
  const int32_t days = LoadI32(bytes);
  if (days == kInt32Min || days > kInt32Max - kDaysShift) [[unlikely]] {
    const char* what = days == kInt32Min   ? "the date -infinity"
                       : days == kInt32Max ? "the date infinity"
                                           : "a date beyond the year 5881580";
    bool result = false;
    if (!IsClamped(context, node, what, &result)) return result;
    node.AppendFixed(days == kInt32Min ? kFirstDay : kLastDay);
    return true;
  }
  node.AppendFixed(days + kDaysShift);
  return true;
}

bool DecodeTimestamp(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size) {
  if (size != 8) [[unlikely]]
    return WrongSize(context, "timestamp", size);
  const int64_t micros = LoadI64(bytes);
  if (micros == kInt64Min || micros > kInt64Max - kMicrosShift) [[unlikely]] {
    const char* what = micros == kInt64Min   ? "the timestamp -infinity"
                       : micros == kInt64Max ? "the timestamp infinity"
                                             : "a timestamp after 294247-01-10 04:00:54.775807";
    bool result = false;
    if (!IsClamped(context, node, what, &result)) return result;
    node.AppendFixed(micros == kInt64Min ? kFirstMicro : kLastMicro);
    return true;
  }
  node.AppendFixed(micros + kMicrosShift);
  return true;
}

bool DecodeTime(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size) {
  if (size != 8) [[unlikely]]
    return WrongSize(context, "time", size);
  const int64_t micros = LoadI64(bytes);
  if (micros < 0 || micros > kMicrosPerDay) [[unlikely]] {
    return context.Malformed("time outside 00:00 to 24:00");
  }
  if (micros == kMicrosPerDay) [[unlikely]] {
    bool result = false;
    if (!IsClamped(context, node, "the time 24:00:00", &result)) return result;
    node.AppendFixed(kMicrosPerDay - 1);
    return true;
  }
  node.AppendFixed(micros);
  return true;
}

bool DecodeTimetz(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size) {
  if (size != 12) return WrongSize(context, "time with time zone", size);
  const int64_t micros = LoadI64(bytes);
  const int32_t seconds_west = LoadI32(bytes + 8);
  if (micros < 0 || micros > kMicrosPerDay) {
    return context.Malformed("time outside 00:00 to 24:00");
  }
  if (seconds_west <= -86'400 || seconds_west >= 86'400) {
    return context.Malformed("time zone outside -24:00 to 24:00");
  }
  // As EncodeTimeOnly() prints with DateStyle ISO: no trailing zeros, and of the zone only what is
  // not zero after its hours.
  const int64_t seconds = micros / 1'000'000;
  char text[48];
  char* end =
      fmt::format_to(text, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
  if (const int64_t fraction = micros % 1'000'000; fraction != 0) {
    end = fmt::format_to(end, ".{:06}", fraction);
    while (end[-1] == '0') --end;
  }
  const int32_t zone = std::abs(seconds_west);
  end = fmt::format_to(end, "{}{:02}", seconds_west <= 0 ? '+' : '-', zone / 3600);
  if (zone % 3600 != 0) end = fmt::format_to(end, ":{:02}", zone / 60 % 60);
  if (zone % 60 != 0) end = fmt::format_to(end, ":{:02}", zone % 60);
  return AppendShortText(context, node, {text, static_cast<size_t>(end - text)});
}

bool DecodeInterval(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size) {
  if (size != 16) return WrongSize(context, "interval", size);
  const int64_t micros = LoadI64(bytes);
  const int32_t days = LoadI32(bytes + 8);
  const int32_t months = LoadI32(bytes + 12);
  const bool highest = months == kInt32Max && days == kInt32Max && micros == kInt64Max;
  const bool lowest = months == kInt32Min && days == kInt32Min && micros == kInt64Min;
  if (highest || lowest) [[unlikely]] {
    bool result = false;
    const char* what = highest ? "the interval infinity" : "the interval -infinity";
    if (!IsClamped(context, node, what, &result)) return result;
  }
  AppendInterval(node, months, days, micros);
  return true;
}

}  // namespace bulkhaul::pg
