// How the indices of a dataset are cut into units.
//
// A stream over a whole shard is by far the fastest way to read it; cutting inside a shard by time
// costs the server a range filter, so it is done only where a unit would be too large, where there
// are fewer units than workers asked for, or where the user asks for it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "plan/options.h"
#include "plan/values.h"
#include "source/opensearch/cluster.h"
#include "source/opensearch/table_state.h"
#include "source/opensearch/time_range.h"

namespace bulkhaul::opensearch {

struct CutWishes {
  int64_t unit_documents = 0;  // 0: by default
  int64_t units_max = 10'000;
  // So many at least, where the documents suffice and whole indices would leave some of `workers`
  // without work for long; 0: no wish.
  int64_t units_wanted = 0;
  int64_t workers = 1;
  int64_t unit_documents_least = 20'000;  // of units that are cut for that wish
  bool cut_by_time = true;                // slice: none says no
  int64_t slice_ms = 0;                   // fixed slices; 0: from a histogram
};

// "auto" and "none" give 0; "hour", "hourly", "day", "daily", or a duration ("15m") its
// milliseconds. kUser otherwise.
Result<int64_t> ParseSlice(std::string_view text);

// cut_by_time and slice_ms as the options slice, split and limit say. kUser as for ParseSlice().
Status SetSlices(const Options& options, CutWishes* wishes);

// The ranges cut where the buckets' documents add up to `documents`; the outer bounds stay. Pure.
std::vector<TimeRange> CutByBuckets(const std::vector<TimeRange>& ranges,
                                    std::span<const TimeBucket> buckets, int64_t documents);
// The ranges cut at those multiples of `slice_ms` at which a slice with documents begins: a part
// reaches over the slices without any after it, so that the parts add up. The outer bounds stay.
// `buckets` are of that interval. Pure.
std::vector<TimePart> CutByInterval(const std::vector<TimeRange>& ranges,
                                    std::span<const TimeBucket> buckets, int64_t slice_ms);

// Documents per unit that the wishes come to for this dataset. Pure.
int64_t DocumentsPerUnit(const TableState& state, const CutWishes& wishes);

using HistogramOf =
    std::function<Result<std::vector<TimeBucket>>(const PlannedIndex&, int64_t interval_ms)>;
// The units of all indices, in order; each index is an axis of its own. `dataset` names them.
Result<std::vector<WorkUnit>> PlanIndexUnits(const TableState& state, const DatasetId& dataset,
                                             const CutWishes& wishes,
                                             const HistogramOf& histogram_of);

}  // namespace bulkhaul::opensearch
