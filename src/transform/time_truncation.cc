#include "transform/time_truncation.h"

#include <fmt/format.h>

#include "plan/type_name.h"

namespace bulkhaul {
namespace {

int64_t FloorDivide(int64_t value, int64_t by) {
  return value / by - (value % by != 0 && value % by < 0);
}

// Days since 1970-01-01 of the first of a month, and back. Howard Hinnant's algorithms
// (https://howardhinnant.github.io/date_algorithms.html), in 64 bits: timestamps in microseconds
// reach years that std::chrono::year does not.
int64_t DaysOfMonth(int64_t year, int64_t month) {
  year -= month <= 2;
  const int64_t era = FloorDivide(year, 400);
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5;
  const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + day_of_era - 719468;
}

struct YearMonth {
  int64_t year, month;
};

YearMonth MonthOfDays(int64_t days) {
  days += 719468;
  const int64_t era = FloorDivide(days, 146097);
  const int64_t day_of_era = days - era * 146097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted = (5 * day_of_year + 2) / 153;
  const int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
  return {year_of_era + era * 400 + (month <= 2), month};
}

int64_t MonthsOf(TimePart part) {
  return part == TimePart::kMonth ? 1 : part == TimePart::kQuarter ? 3 : 12;
}

}  // namespace

Result<TimeTruncation> TimeTruncation::Make(const arrow::DataType& type, TimePart part,
                                            const std::string& column) {
  const bool below_a_day = part == TimePart::kMinute || part == TimePart::kHour;
  const bool date = type.id() == arrow::Type::DATE32 || type.id() == arrow::Type::DATE64;
  if (type.id() == arrow::Type::TIMESTAMP) {
    constexpr int64_t kPerDay[] = {86'400, 86'400'000, 86'400'000'000, 86'400'000'000'000};
    const auto unit = static_cast<const arrow::TimestampType&>(type).unit();
    return TimeTruncation(kPerDay[static_cast<int>(unit)], part);
  }
  if (date && !below_a_day) {
    return TimeTruncation(type.id() == arrow::Type::DATE32 ? 1 : 86'400'000, part);
  }
  return UserError(fmt::format(
      "group_by: {} is of a {}, and column '{}' is {}; cast it to "
      "timestamp, or group by the column itself",
      TimePartName(part), below_a_day ? "timestamp" : "timestamp or date", column, TypeName(type)));
}

std::optional<int64_t> TimeTruncation::Find(int64_t value) {
  int64_t first = 0, next = 0, unit = units_per_day_;  // the period, in units
  if (part_ == TimePart::kMinute || part_ == TimePart::kHour) {
    unit = units_per_day_ / (part_ == TimePart::kMinute ? 1440 : 24);
    first = FloorDivide(value, unit);
    next = first + 1;
  } else {
    const int64_t day = FloorDivide(value, units_per_day_);
    if (part_ == TimePart::kDay) {
      first = day;
      next = day + 1;
    } else if (part_ == TimePart::kWeek) {  // 1970-01-01 was a Thursday
      first = FloorDivide(day + 3, 7) * 7 - 3;
      next = first + 7;
    } else {
      const auto [year, month] = MonthOfDays(day);
      const int64_t months = MonthsOf(part_);
      const int64_t begin_month = (month - 1) / months * months + 1;
      first = DaysOfMonth(year, begin_month);
      const int64_t end_month = begin_month + months;
      next = DaysOfMonth(end_month > 12 ? year + 1 : year, end_month > 12 ? 1 : end_month);
    }
  }
  int64_t begin = 0, end = 0;
  if (__builtin_mul_overflow(first, unit, &begin)) return std::nullopt;
  if (__builtin_mul_overflow(next, unit, &end)) end = INT64_MAX;
  begin_ = begin;
  end_ = end;
  return begin;
}

}  // namespace bulkhaul
