// What planning finds out about a dataset and reading needs: Dataset::source_state.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "source/opensearch/time_range.h"

namespace bulkhaul::opensearch {

// One index of the dataset.
struct PlannedIndex {
  std::string index;
  std::string uuid;
  int shards = 1;
  std::string filter;          // of the aliases that named it, as query DSL; "": the whole index
  std::string fingerprint;     // IndexFacts::fingerprint when it was planned
  int64_t documents = 0;       // that belong to the dataset
  int64_t document_bytes = 0;  // mean size of a document's JSON; 0: unknown
  int64_t page_documents_max = 0;         // that the index allows; 0: any number
  std::optional<int64_t> min_ms, max_ms;  // of the time field
  int64_t without_time = 0;
  bool several_times = false;
  bool time_nanos = false;  // the time field is a date_nanos here
  // Hash of cluster, index, its history and mapping; "" when no rows are to be kept.
  std::string identity;
};

// Which value of a document's time field says whether it is in a range.
enum class TimeOf { kAny, kEarliest, kLatest };

struct TableState {
  std::string layout;  // search::PageLayout
  std::string body;    // members of every search body, see DatasetReading::body
  std::string query;   // query DSL of the user; "": none
  std::string time_field;
  std::vector<TimeRange> ranges;  // empty: all times
  bool include_missing = false;   // documents without a time belong to the ranges too
  TimeOf time_of = TimeOf::kAny;
  std::vector<PlannedIndex> indices;

  std::string ToJson() const;
  static Result<TableState> FromJson(std::string_view json);
};

// A part of an index along its time field, and what tells it apart from the parts before it.
struct TimePart {
  std::vector<TimeRange> ranges;  // several only for a part that is not cut
  bool missing = false;           // instead: the documents without a time
  // The slice that holds its documents, where the part reaches over slices without any.
  std::optional<TimeRange> filled;
};

// The ranges as the index's time field can tell them apart. Pure.
std::vector<TimeRange> RangesIn(const TableState& state, const PlannedIndex& index);
// Query DSL of everything that the dataset takes of an index; "" for match_all. Pure.
std::string IndexQuery(const TableState& state, const PlannedIndex& index);
// The same without the time.
std::string QueryWithoutTime(const TableState& state, const PlannedIndex& index);
// Query DSL of the part `at` of `parts`. The parts of an index are disjoint and add up: where
// documents have several times, one belongs to the part that holds the one that counts, or to the
// first that holds any of them. Pure.
std::string PartQuery(const TableState& state, const PlannedIndex& index,
                      std::span<const TimePart> parts, size_t at);

}  // namespace bulkhaul::opensearch
