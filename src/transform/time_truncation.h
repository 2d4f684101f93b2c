// Times cut to the beginning of their hour, day, month…, in UTC.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include <arrow/type.h>

#include "base/error.h"
#include "plan/grouping.h"

namespace bulkhaul {

// For one type of timestamps or dates. Weeks begin on Monday; the calendar is Gregorian, also
// before 1582. Not thread-safe: the last period is remembered, because neighbours share it.
class TimeTruncation {
 public:
  // kUser when the type is no timestamp or date, or a date is asked for its hour.
  static Result<TimeTruncation> Make(const arrow::DataType& type, TimePart part,
                                     const std::string& column);
  // In the unit of the type; nullopt when the beginning lies before what the unit can hold.
  std::optional<int64_t> Truncate(int64_t value) {
    if (value >= begin_ && value < end_) return begin_;
    return Find(value);
  }

 private:
  TimeTruncation(int64_t units_per_day, TimePart part)
      : units_per_day_(units_per_day), part_(part) {}
  std::optional<int64_t> Find(int64_t value);

  int64_t units_per_day_;
  TimePart part_;
  int64_t begin_ = 0, end_ = 0;  // of the period seen last
};

}  // namespace bulkhaul
