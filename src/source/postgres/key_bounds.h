// Where a key's ranges are cut, so that units are about even.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "client/postgres/connection.h"
#include "plan/values.h"
#include "source/postgres/split.h"
#include "source/postgres/table_state.h"

namespace bulkhaul::postgres {

// How values of a key can be put on a line, so that a cut may fall between two known values.
enum class KeyScale { kNone, kInteger, kReal, kDate, kTimestamp, kTimestamptz, kUuid };
// By the oid of the base type. Pure.
KeyScale KeyScaleOf(uint32_t type_oid);
// The place of a value on its scale; false for infinities, NaN and texts that are not understood.
// Dates in days, timestamps in microseconds, uuid by its first 64 bits. Pure.
bool PlaceOnScale(KeyScale scale, std::string_view text, long double* place);
std::string TextAt(KeyScale scale, long double place);

// A value that the statistics know, in the order of the key. `weight`: share of the rows that have
// exactly this value. `gap_weight`: share of the rows between this value and the next.
struct KeyPoint {
  std::string text;
  double weight = 0;
  double gap_weight = 0;
};
// At most units - 1 cuts, ascending, such that the ranges between them have about equal weight. A
// value is never split: a heavy one gets a range of its own. Pure.
std::vector<std::string> EvenCuts(const std::vector<KeyPoint>& points, KeyScale scale,
                                  int64_t units);

struct KeyBounds {
  std::string type;  // as SQL writes it
  bool nullable = true;
  std::vector<std::string> cuts;
};

// Cuts from pg_stats; where there are none, or too few for a key without a scale, from a sample of
// the table; for views and queries from the values themselves, in one pass. kUser when there is no
// such column. The connection is inside the snapshot.
Result<KeyBounds> FindKeyBounds(Connection& connection, const Dataset& dataset,
                                const TableState& state, const std::string& key,
                                int64_t wanted_units, const WaitLimit& limit);

// Fills in estimated_rows and estimated_bytes that discovery could not know, by the server's
// planner.
Status EstimateByPlanner(Connection& connection, const TableState& state, Dataset* dataset,
                         const WaitLimit& limit);

// kUser when parts of this view or query could give rows that do not fit together: volatile
// functions, LIMIT, samples, column names that are not unique.
Status CheckSplittable(Connection& connection, const Dataset& dataset, const TableState& state,
                       const WaitLimit& limit);

}  // namespace bulkhaul::postgres
