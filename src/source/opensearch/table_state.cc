#include "source/opensearch/table_state.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace bulkhaul::opensearch {
namespace {

using Json = nlohmann::json;

Json RangeQuery(const std::string& field, const TimeRange& range) {
  Json bounds{{"format", "epoch_millis"}};
  if (range.begin_nanos > 0 || range.end_nanos > 0) {
    bounds["format"] = "strict_date_optional_time_nanos";
    if (range.begin_ms != TimeRange::kOpenBegin) bounds["gte"] = FormatTime(range.begin());
    if (range.end_ms != TimeRange::kOpenEnd) bounds["lt"] = FormatTime(range.end());
    return Json{{"range", {{field, bounds}}}};
  }
  if (range.begin_ms != TimeRange::kOpenBegin) bounds["gte"] = range.begin_ms;
  if (range.end_ms != TimeRange::kOpenEnd) bounds["lt"] = range.end_ms;
  return Json{{"range", {{field, bounds}}}};
}

Json MissingQuery(const std::string& field) {
  return Json{{"bool", {{"must_not", {{{"exists", {{"field", field}}}}}}}}};
}

Json AnyOf(std::vector<Json> clauses) {
  if (clauses.size() == 1) return std::move(clauses[0]);
  return Json{{"bool", {{"should", std::move(clauses)}, {"minimum_should_match", 1}}}};
}

std::vector<Json> RangeQueries(const std::string& field, const std::vector<TimeRange>& ranges) {
  std::vector<Json> queries;
  for (const auto& range : ranges) queries.push_back(RangeQuery(field, range));
  return queries;
}

// The server's range query finds a document by any of its values: the earliest one is in a range
// when some value is and none is before it.
std::vector<Json> TimeQueries(const TableState& state, const PlannedIndex& index,
                              const std::vector<TimeRange>& ranges) {
  auto queries = RangeQueries(state.time_field, ranges);
  if (!index.several_times || state.time_of == TimeOf::kAny) return queries;
  for (size_t i = 0; i < ranges.size(); ++i) {
    TimeRange outside;
    if (state.time_of == TimeOf::kEarliest) {
      outside.end_ms = ranges[i].begin_ms;
      outside.end_nanos = ranges[i].begin_nanos;
      if (outside.end_ms == TimeRange::kOpenBegin) continue;
    } else {
      outside.begin_ms = ranges[i].end_ms;
      outside.begin_nanos = ranges[i].end_nanos;
      if (outside.begin_ms == TimeRange::kOpenEnd) continue;
    }
    Json inner{{"filter", std::vector<Json>{std::move(queries[i])}},
               {"must_not", std::vector<Json>{RangeQuery(state.time_field, outside)}}};
    queries[i] = Json{{"bool", std::move(inner)}};
  }
  return queries;
}

std::string Text(std::vector<Json> filters, std::vector<Json> must_not) {
  if (filters.empty() && must_not.empty()) return {};
  Json inner = Json::object();
  if (!filters.empty()) inner["filter"] = std::move(filters);
  if (!must_not.empty()) inner["must_not"] = std::move(must_not);
  return Json{{"bool", std::move(inner)}}.dump();
}

std::vector<Json> Filters(const TableState& state, const PlannedIndex& index) {
  std::vector<Json> filters;
  if (!state.query.empty()) filters.push_back(Json::parse(state.query));
  if (!index.filter.empty()) filters.push_back(Json::parse(index.filter));
  return filters;
}

Json IndexToJson(const PlannedIndex& index) {
  Json out{{"index", index.index},         {"uuid", index.uuid},
           {"shards", index.shards},       {"fingerprint", index.fingerprint},
           {"documents", index.documents}, {"document_bytes", index.document_bytes}};
  if (!index.filter.empty()) out["filter"] = index.filter;
  if (index.page_documents_max > 0) out["page_documents_max"] = index.page_documents_max;
  if (index.min_ms) out["min_ms"] = *index.min_ms;
  if (index.max_ms) out["max_ms"] = *index.max_ms;
  if (index.without_time > 0) out["without_time"] = index.without_time;
  if (!index.identity.empty()) out["identity"] = index.identity;
  if (index.several_times) out["several_times"] = true;
  if (index.time_nanos) out["time_nanos"] = true;
  return out;
}

PlannedIndex IndexFromJson(const Json& object) {
  PlannedIndex index;
  index.index = object.value("index", "");
  index.uuid = object.value("uuid", "");
  index.shards = object.value("shards", 1);
  index.fingerprint = object.value("fingerprint", "");
  index.documents = object.value("documents", int64_t{0});
  index.document_bytes = object.value("document_bytes", int64_t{0});
  index.page_documents_max = object.value("page_documents_max", int64_t{0});
  index.filter = object.value("filter", "");
  index.identity = object.value("identity", "");
  if (object.contains("min_ms")) index.min_ms = object["min_ms"].get<int64_t>();
  if (object.contains("max_ms")) index.max_ms = object["max_ms"].get<int64_t>();
  index.without_time = object.value("without_time", int64_t{0});
  index.several_times = object.value("several_times", false);
  index.time_nanos = object.value("time_nanos", false);
  return index;
}

}  // namespace

std::string TableState::ToJson() const {
  Json spans = Json::array(), list = Json::array();
  for (const auto& range : ranges) {
    spans.push_back({range.begin_ms, range.end_ms, range.begin_nanos, range.end_nanos});
  }
  for (const auto& index : indices) list.push_back(IndexToJson(index));
  return Json{{"layout", layout},
              {"body", body},
              {"query", query},
              {"time_field", time_field},
              {"ranges", std::move(spans)},
              {"include_missing", include_missing},
              {"time_of", static_cast<int>(time_of)},
              {"indices", std::move(list)}}
      .dump();
}

Result<TableState> TableState::FromJson(std::string_view text) {
  const Json object = Json::parse(text, nullptr, false);
  if (!object.is_object()) return BugError("a search table's state is not JSON");
  TableState state;
  try {
    state.layout = object.at("layout").get<std::string>();
    state.body = object.value("body", "");
    state.query = object.value("query", "");
    state.time_field = object.value("time_field", "");
    state.include_missing = object.value("include_missing", false);
    state.time_of = static_cast<TimeOf>(std::clamp(object.value("time_of", 0), 0, 2));
    for (const auto& range : object.at("ranges")) {
      state.ranges.push_back({range.at(0).get<int64_t>(), range.at(1).get<int64_t>(),
                              range.at(2).get<int32_t>(), range.at(3).get<int32_t>()});
    }
    for (const auto& index : object.at("indices")) state.indices.push_back(IndexFromJson(index));
  } catch (const Json::exception& error) {
    return BugError(std::string("a search table's state: ") + error.what());
  }
  return state;
}

std::vector<TimeRange> RangesIn(const TableState& state, const PlannedIndex& index) {
  return index.time_nanos ? state.ranges : ToWholeMs(state.ranges);
}

std::string QueryWithoutTime(const TableState& state, const PlannedIndex& index) {
  return Text(Filters(state, index), {});
}

std::string IndexQuery(const TableState& state, const PlannedIndex& index) {
  auto filters = Filters(state, index);
  if (!state.ranges.empty()) {
    auto times = TimeQueries(state, index, RangesIn(state, index));
    if (state.include_missing) times.push_back(MissingQuery(state.time_field));
    filters.push_back(AnyOf(std::move(times)));
  }
  return Text(std::move(filters), {});
}

std::string PartQuery(const TableState& state, const PlannedIndex& index,
                      std::span<const TimePart> parts, size_t at) {
  if (parts.size() == 1) return IndexQuery(state, index);
  auto filters = Filters(state, index);
  if (parts[at].missing) {
    filters.push_back(MissingQuery(state.time_field));
    return Text(std::move(filters), {});
  }
  filters.push_back(AnyOf(TimeQueries(state, index, parts[at].ranges)));
  std::vector<Json> earlier;
  if (index.several_times && state.time_of == TimeOf::kAny) {
    std::vector<TimeRange> before;
    for (size_t i = 0; i < at; ++i) {
      before.insert(before.end(), parts[i].ranges.begin(), parts[i].ranges.end());
    }
    earlier = RangeQueries(state.time_field, MergeRanges(std::move(before)).ranges);
  }
  return Text(std::move(filters), std::move(earlier));
}

}  // namespace bulkhaul::opensearch
