// What the options group_by and aggregates ask for.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "plan/options.h"

namespace bulkhaul {

// A part of a time that a group key keeps; in UTC, weeks from Monday.
enum class TimePart { kNone, kMinute, kHour, kDay, kWeek, kMonth, kQuarter, kYear };
enum class AggregateFunction { kCount, kSum, kMin, kMax, kMean };

const char* TimePartName(TimePart part);                        // "month"
const char* AggregateFunctionName(AggregateFunction function);  // "sum"

struct GroupKey {
  std::string column;  // as it is called after rename
  TimePart part = TimePart::kNone;
  std::string name;  // of the result's column
};

struct Aggregate {
  AggregateFunction function = AggregateFunction::kCount;
  std::string column;  // after rename; "" for count of rows
  std::string name;    // of the result's column
};

struct Grouping {
  std::vector<GroupKey> keys;         // none: one group of all rows
  std::vector<Aggregate> aggregates;  // none: distinct keys
};

// nullopt when neither option is set. Keys: "region", "month(created_at)", "day(ts) as day".
// Aggregates: "count", "sum(total)", "mean(latency_ms) as latency". kUser on anything else, on two
// result columns of one name, and on options that mean nothing for groups.
Result<std::optional<Grouping>> GroupingOf(const Options& options);

// The source's columns that a grouped dataset needs, when the option columns does not say: nothing
// else is worth reading. Empty: all. Pure.
Result<StringList> ColumnsForGrouping(const Options& options);

// Whether an option's entries are calls: "month(created_at)".
inline bool GroupingTakesCalls(std::string_view option) {
  return option == "group_by" || option == "aggregates";
}

}  // namespace bulkhaul
