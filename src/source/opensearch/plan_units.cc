#include "source/opensearch/plan_units.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "base/units.h"
#include "source/opensearch/content.h"
#include "source/opensearch/unit_token.h"

namespace bulkhaul::opensearch {
namespace {

// A unit that fails starts again from its beginning: no more than some seconds' work.
constexpr int64_t kUnitDocumentsDefault = 5'000'000;
constexpr int64_t kShardStreamLeast = 100'000;  // documents a shard, below which one stream does
constexpr int64_t kBucketsPerUnit = 16;
constexpr int64_t kBucketsMax = 10'000;  // search.max_buckets is 65,535 by default

// How much longer whole indices may keep the workers than perfect parts of them would.
constexpr double kWholeIndicesPatience = 1.5;

// One unit before it has its number.
struct Piece {
  size_t part = 0;
  int shard = -1;  // -1: all
  int slice = 0, slices = 0;
};

std::vector<TimeRange> RangesOf(const TableState& state, const PlannedIndex& index) {
  return state.ranges.empty() ? std::vector<TimeRange>{TimeRange()} : RangesIn(state, index);
}

// Gives the part of `range` before `at` and keeps the rest.
TimeRange TakeUntil(int64_t at, TimeRange* range) {
  const TimeRange taken{range->begin_ms, at, range->begin_nanos, 0};
  range->begin_ms = at;
  range->begin_nanos = 0;
  return taken;
}

class IndexCutter {
 public:
  IndexCutter(const TableState& state, const CutWishes& wishes, int64_t unit_documents,
              const HistogramOf& histogram_of)
      : state_(state),
        wishes_(wishes),
        unit_documents_(unit_documents),
        histogram_of_(histogram_of) {}

  Status AddUnits(const PlannedIndex& index, const DatasetId& dataset,
                  std::vector<WorkUnit>* units) {
    ARROW_ASSIGN_OR_RAISE(const auto parts, Parts(index));
    const std::vector<Piece> pieces = Pieces(index, parts.size());
    const auto count = static_cast<int64_t>(pieces.size());
    for (size_t i = 0; i < pieces.size(); ++i) {
      UnitToken token;
      token.index = index.index;
      token.uuid = index.uuid;
      if (pieces[i].shard >= 0) token.shards = {pieces[i].shard};
      token.query = PartQuery(state_, index, parts, pieces[i].part);
      token.slice_id = pieces[i].slice;
      token.slice_max = pieces[i].slices;
      token.expected = index.documents / count;
      token.document_bytes = index.document_bytes;
      token.page_documents_max = index.page_documents_max;
      token.content =
          DescribeContent(state_, index, parts,
                          {pieces[i].part, pieces[i].shard, pieces[i].slices, wishes_.slice_ms});
      WorkUnit unit;
      unit.dataset = dataset;
      unit.ordinal = static_cast<int64_t>(units->size());
      unit.range = {index.index, i == 0 ? "" : std::to_string(i),
                    i + 1 == pieces.size() ? "" : std::to_string(i + 1)};
      unit.estimated_rows = index.documents / count;
      unit.estimated_bytes = unit.estimated_rows * index.document_bytes;
      unit.row_bytes = index.document_bytes;
      unit.source_state = token.ToJson();
      units->push_back(std::move(unit));
    }
    return Status::OK();
  }

 private:
  bool shard_streams(const PlannedIndex& index) const {
    // Slices that are kept must be the same ones for a job that takes fewer of them.
    if (!index.identity.empty() && wishes_.slice_ms > 0) return false;
    return index.shards > 1 && index.documents / index.shards >= kShardStreamLeast;
  }

  // Disjoint parts of the index's time that add up; one when it is not cut.
  Result<std::vector<TimePart>> Parts(const PlannedIndex& index) const {
    const std::vector<TimePart> whole = {{RangesOf(state_, index), false, {}}};
    if (state_.time_field.empty() || !wishes_.cut_by_time || !index.min_ms) return whole;
    const auto ranges = RangesOf(state_, index);
    std::vector<TimePart> parts;
    if (wishes_.slice_ms > 0) {
      ARROW_ASSIGN_OR_RAISE(const auto found, histogram_of_(index, wishes_.slice_ms));
      parts = CutByInterval(ranges, found, wishes_.slice_ms);
    } else {
      const int streams = shard_streams(index) ? index.shards : 1;
      const int64_t wanted = index.documents / streams / unit_documents_;
      if (wanted < 2 && index.documents / streams * 2 < unit_documents_ * 3) return whole;
      const int64_t span = *index.max_ms - *index.min_ms + 1;
      const int64_t buckets = std::min(kBucketsMax, (wanted + 1) * kBucketsPerUnit);
      const int64_t interval = std::max<int64_t>(1, span / buckets + 1);
      ARROW_ASSIGN_OR_RAISE(const auto found, histogram_of_(index, interval));
      for (const auto& range : CutByBuckets(ranges, found, unit_documents_ * streams)) {
        parts.push_back({{range}, false, {}});
      }
    }
    if (parts.size() < 2) return whole;
    // Without a range every document belongs to the dataset, also one without a time.
    if (state_.ranges.empty() || state_.include_missing) parts.push_back({{}, true, {}});
    return parts;
  }

  std::vector<Piece> Pieces(const PlannedIndex& index, size_t parts) const {
    std::vector<Piece> pieces;
    const int shards = shard_streams(index) ? index.shards : 1;
    // Without a time to cut by, the server's own slices, and only when the user gave a size.
    const bool sliced = parts == 1 && wishes_.cut_by_time && state_.time_field.empty() &&
                        wishes_.unit_documents > 0;
    const int slices =
        sliced ? static_cast<int>(std::min<int64_t>(
                     1024, (index.documents / shards + unit_documents_ - 1) / unit_documents_))
               : 1;
    for (size_t part = 0; part < parts; ++part) {
      for (int shard = 0; shard < shards; ++shard) {
        for (int slice = 0; slice < std::max(1, slices); ++slice) {
          pieces.push_back({part, shards > 1 ? shard : -1, slice, slices > 1 ? slices : 0});
        }
      }
    }
    return pieces;
  }

  const TableState& state_;
  const CutWishes& wishes_;
  const int64_t unit_documents_;
  const HistogramOf& histogram_of_;
};

// Whether the workers have enough to do with whole indices, the largest first. A part of an index
// costs the server about twice as much a document (OpenSearch 3.6.0, halves of 80,000 documents).
bool WholeIndicesDo(const TableState& state, int64_t workers) {
  std::vector<int64_t> sizes;
  for (const auto& index : state.indices) sizes.push_back(index.documents);
  std::ranges::sort(sizes, std::ranges::greater());
  std::vector<int64_t> loads(static_cast<size_t>(std::max<int64_t>(1, workers)));
  int64_t total = 0;
  for (const int64_t size : sizes) {
    *std::ranges::min_element(loads) += size;
    total += size;
  }
  return static_cast<double>(std::ranges::max(loads)) * static_cast<double>(loads.size()) <=
         kWholeIndicesPatience * static_cast<double>(total);
}

}  // namespace

Result<int64_t> ParseSlice(std::string_view text) {
  if (text == "auto" || text == "none") return 0;
  if (text == "hour" || text == "hourly") return int64_t{3'600'000};
  if (text == "day" || text == "daily") return int64_t{86'400'000};
  auto parsed = ParseDurationMs(text);
  if (parsed.ok() && *parsed > 0) return *parsed;
  return OptionError(
      fmt::format("slice: '{}' is neither auto, none, hour, day nor a duration such "
                  "as 15m",
                  text));
}

Status SetSlices(const Options& options, CutWishes* wishes) {
  const std::string& slice = options.GetString("slice");
  ARROW_ASSIGN_OR_RAISE(wishes->slice_ms, ParseSlice(slice));
  wishes->cut_by_time =
      slice != "none" && options.GetString("split") != "none" && options.GetInt("limit") == 0;
  if (!wishes->cut_by_time) wishes->slice_ms = 0;
  return Status::OK();
}

std::vector<TimeRange> CutByBuckets(const std::vector<TimeRange>& ranges,
                                    std::span<const TimeBucket> buckets, int64_t documents) {
  std::vector<TimeRange> cut;
  for (TimeRange range : ranges) {
    int64_t total = 0;
    for (const auto& bucket : buckets) {
      if (range.Contains(bucket.begin_ms)) total += bucket.documents;
    }
    // Units alike, and not full ones with a small rest: that would be a worker's last one.
    const int64_t units = std::max<int64_t>(1, (total + documents / 2) / documents);
    int64_t before = 0, cuts = 0;
    for (const auto& bucket : buckets) {
      if (!range.Contains(bucket.begin_ms)) continue;
      // The next cut belongs at the share of `cuts` + 1 units: here is nearer than behind.
      if (cuts + 1 < units && before > 0 &&
          static_cast<double>(before) + static_cast<double>(bucket.documents) / 2 >=
              static_cast<double>(total) * static_cast<double>(cuts + 1) /
                  static_cast<double>(units)) {
        cut.push_back(TakeUntil(bucket.begin_ms, &range));
        // A bucket may hold several shares.
        cuts = std::max(cuts + 1, before * units / total);
      }
      before += bucket.documents;
    }
    cut.push_back(range);
  }
  return cut;
}

std::vector<TimePart> CutByInterval(const std::vector<TimeRange>& ranges,
                                    std::span<const TimeBucket> buckets, int64_t slice_ms) {
  std::vector<TimePart> parts;
  for (TimeRange range : ranges) {
    std::optional<TimeRange> filled;
    for (const auto& bucket : buckets) {
      const TimeRange slice{bucket.begin_ms, bucket.begin_ms + slice_ms};
      if (Intersect({range}, slice).empty()) continue;
      if (filled) parts.push_back({{TakeUntil(slice.begin_ms, &range)}, false, filled});
      filled = slice;
    }
    parts.push_back({{range}, false, filled});
  }
  return parts;
}

int64_t DocumentsPerUnit(const TableState& state, const CutWishes& wishes) {
  int64_t documents = 0;
  for (const auto& index : state.indices) documents += index.documents;
  int64_t target = wishes.unit_documents > 0 ? wishes.unit_documents : kUnitDocumentsDefault;
  if (wishes.unit_documents == 0 && wishes.units_wanted > 0 &&
      !WholeIndicesDo(state, wishes.workers)) {
    target =
        std::min(target, std::max(wishes.unit_documents_least, documents / wishes.units_wanted));
  }
  // One unit is kept free: cuts fall between the histogram's buckets, not where they are wanted.
  return std::max(target, documents / std::max<int64_t>(1, wishes.units_max - 1));
}

Result<std::vector<WorkUnit>> PlanIndexUnits(const TableState& state, const DatasetId& dataset,
                                             const CutWishes& wishes,
                                             const HistogramOf& histogram_of) {
  IndexCutter cutter(state, wishes, std::max<int64_t>(1, DocumentsPerUnit(state, wishes)),
                     histogram_of);
  std::vector<WorkUnit> units;
  for (const auto& index : state.indices) {
    ARROW_RETURN_NOT_OK(cutter.AddUnits(index, dataset, &units));
  }
  return units;
}

}  // namespace bulkhaul::opensearch
