#include "source/opensearch/content.h"

#include <algorithm>
#include <array>
#include <cctype>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "source/opensearch/classify.h"
#include "source/opensearch/cluster.h"
#include "source/opensearch/time_range.h"

namespace bulkhaul::opensearch {
namespace {

using Json = nlohmann::json;

// Clauses that look at nothing but the document.
constexpr std::array<std::string_view, 16> kPlainClauses = {
    "match_all",       "match_none",   "term",        "terms",        "range",
    "exists",          "prefix",       "wildcard",    "regexp",       "ids",
    "match",           "match_phrase", "multi_match", "query_string", "simple_query_string",
    "geo_bounding_box"};

// "now" as date math, not as a part of a word.
bool HasNow(std::string_view text) {
  const auto is_word = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || (c & 0x80) != 0;
  };
  for (size_t at = text.find("now"); at != std::string_view::npos; at = text.find("now", at + 1)) {
    const bool begins = at == 0 || !is_word(text[at - 1]);
    const bool ends = at + 3 == text.size() || !is_word(text[at + 3]);
    if (begins && ends) return true;
  }
  return false;
}

// What is not a clause: the parameters of a plain one.
std::string JudgeValues(const Json& value) {
  if (value.is_string() && HasNow(value.get_ref<const std::string&>())) {
    return "its query says 'now'";
  }
  if (!value.is_structured()) return {};
  for (const auto& [name, inner] : value.items()) {
    // Which terms are near enough depends on all terms of the index.
    if (name == "fuzziness") return "its query is fuzzy";
    if (auto reason = JudgeValues(inner); !reason.empty()) return reason;
  }
  return {};
}

std::string JudgeClause(const Json& clause);

std::string JudgeClauses(const Json& clauses) {
  if (!clauses.is_array()) return JudgeClause(clauses);
  for (const auto& clause : clauses) {
    if (auto reason = JudgeClause(clause); !reason.empty()) return reason;
  }
  return {};
}

std::string JudgeBool(const Json& value) {
  if (!value.is_object()) return "its query is not understood";
  for (const auto& [name, inner] : value.items()) {
    if (name != "filter" && name != "must" && name != "must_not" && name != "should") continue;
    if (auto reason = JudgeClauses(inner); !reason.empty()) return reason;
  }
  return {};
}

std::string JudgeTerms(const Json& value) {
  if (!value.is_object()) return "its query is not understood";
  // {"field": {"index": …, "id": …}} takes its terms from another document.
  const bool looks_up =
      std::any_of(value.begin(), value.end(), [](const Json& inner) { return inner.is_object(); });
  return looks_up ? "its query looks up terms" : JudgeValues(value);
}

std::string JudgeText(const Json& value) {
  // The fuzzy operator of Lucene text.
  const std::string query = value.is_object() ? value.value("query", "") : std::string();
  if (query.find('~') != std::string::npos) return "its query is fuzzy";
  return JudgeValues(value);
}

std::string JudgeClause(const Json& clause) {
  if (!clause.is_object() || clause.size() != 1) return "its query is not understood";
  const std::string name = clause.begin().key();
  const Json& value = clause.begin().value();
  if (name == "bool") return JudgeBool(value);
  if (name == "constant_score" || name == "nested") {
    const char* inner = name == "nested" ? "query" : "filter";
    if (!value.is_object() || !value.contains(inner)) return "its query is not understood";
    return JudgeClause(value[inner]);
  }
  if (name == "terms") return JudgeTerms(value);
  if (name == "query_string" || name == "simple_query_string") return JudgeText(value);
  const bool plain =
      std::find(kPlainClauses.begin(), kPlainClauses.end(), name) != kPlainClauses.end();
  if (!plain) return fmt::format("its query has the clause '{}'", name);
  return JudgeValues(value);
}

Json ParsedQuery(const std::string& query) {
  return query.empty() ? Json{{"match_all", Json::object()}} : Json::parse(query);
}

std::vector<int> ShardsOf(const UnitToken& token) {
  std::vector<int> shards = token.shards;
  for (int shard = 0; token.shards.empty() && shard < token.content.shards; ++shard) {
    shards.push_back(shard);
  }
  return shards;
}

// Whether the unit's own query is another one than that of its content, which finds the same as
// long as no documents come to where there were none: they are counted too then.
bool CountsOwn(const UnitToken& token) { return token.query != token.content.query; }

struct SameDocuments {
  std::string query;
  int64_t ends_ms = -1;
  std::vector<TimeRange> ranges;  // empty: not cut
};

std::string LabelOf(const PlannedIndex& index, const UnitPlace& place,
                    const std::vector<TimeRange>& ranges) {
  std::string label = index.index;
  if (place.shard >= 0) label += fmt::format(", shard {}", place.shard);
  if (!ranges.empty())
    label += ", " + FormatRange({ranges.front().begin_ms, ranges.back().end_ms,
                                 ranges.front().begin_nanos, ranges.back().end_nanos});
  return label;
}

// The part's documents by a query that does not depend on what else the job takes.
SameDocuments CommonQuery(const TableState& state, const PlannedIndex& index,
                          std::span<const TimePart> parts, const UnitPlace& place) {
  const TimePart& part = parts[place.part];
  SameDocuments same;
  same.query = PartQuery(state, index, parts, place.part);
  if (state.time_field.empty() || !index.min_ms) return same;
  // Where no times come any more, documents without one hardly do.
  same.ends_ms = *index.max_ms + 1;
  if (part.missing) return same;
  const int64_t first = *index.min_ms, end = *index.max_ms + 1, slice = place.slice_ms;
  const auto within = Intersect(part.ranges, {first, end});
  same.ranges = part.ranges;
  if (part.ranges.back().end_ms != TimeRange::kOpenEnd) {
    same.ends_ms = ToWholeMs({part.ranges.back()}).front().end_ms;
  }
  // A document with several times belongs to the first part of this job that has one of them; those
  // without a time belong to an index that is not cut.
  const bool with_missing = index.without_time > 0 && parts.size() == 1;
  if (within.empty() || index.several_times || with_missing) return same;
  TableState common = state;
  common.include_missing = false;
  common.ranges.clear();
  for (auto range : part.ranges) {
    if (part.filled) {
      const auto inside = Intersect({range}, *part.filled);
      if (!inside.empty()) range = inside.front();
    }
    if (Intersect({range}, {first, end}).empty()) continue;
    if (range.Contains(first)) {
      range.begin_nanos = 0;
      range.begin_ms = slice > 0 ? FloorTo(first, slice) : TimeRange::kOpenBegin;
    }
    if (range.end_ms >= end) {
      range.end_nanos = 0;
      range.end_ms = slice > 0 ? FloorTo(end - 1, slice) + slice : TimeRange::kOpenEnd;
    }
    common.ranges.push_back(range);
  }
  if (common.ranges.empty()) return same;
  const TimeRange& last = common.ranges.back();
  same.ends_ms = last.end_ms == TimeRange::kOpenEnd ? end : ToWholeMs({last}).front().end_ms;
  if (common.ranges.size() == 1 && last == TimeRange()) common.ranges.clear();
  same.query = IndexQuery(common, index);
  same.ranges = common.ranges;
  return same;
}

}  // namespace

std::string WhyNotRepeatable(std::string_view query) {
  if (query.empty()) return {};
  return JudgeClause(Json::parse(query, nullptr, false));
}

ContentToken DescribeContent(const TableState& state, const PlannedIndex& index,
                             std::span<const TimePart> parts, const UnitPlace& place) {
  ContentToken content;
  if (index.identity.empty()) return content;
  auto same = CommonQuery(state, index, parts, place);
  content.reason =
      place.slices > 0 ? "it is one of the server's own slices" : WhyNotRepeatable(same.query);
  if (!content.reason.empty()) return content;
  content.address = HashName(fmt::format("{}\n{} of {}\n{}\n{}\n{}", index.identity, place.shard,
                                         index.shards, same.query, state.layout, state.body));
  content.label = LabelOf(index, place, same.ranges);
  content.query = std::move(same.query);
  content.shards = index.shards;
  content.ends_ms = same.ends_ms;
  return content;
}

std::string ContentRequest(const UnitToken& token) {
  const Json seq_no{{"field", "_seq_no"}};
  Json look{{"size", 0},
            {"track_total_hits", true},
            {"query", ParsedQuery(token.content.query)},
            {"aggs", {{"highest", {{"max", seq_no}}}, {"sum", {{"sum", seq_no}}}}}};
  const Json count{{"size", 0}, {"track_total_hits", true}, {"query", ParsedQuery(token.query)}};
  std::string request;
  for (const int shard : ShardsOf(token)) {
    const Json head{{"preference", fmt::format("_shards:{}", shard)}};
    request += head.dump() + "\n" + look.dump() + "\n";
    if (CountsOwn(token)) request += head.dump() + "\n" + count.dump() + "\n";
  }
  return request;
}

Result<UnitContent> ReadContent(std::string_view text, const UnitToken& token) {
  const auto misunderstood = [] {
    return TransientError("the answer to _msearch is not understood", "bad_answer");
  };
  const Json answer = Json::parse(text, nullptr, false);
  if (!answer.is_object() || !answer.contains("responses")) return misunderstood();
  const Json& answers = answer["responses"];
  const size_t looks = CountsOwn(token) ? 2 : 1;
  if (!answers.is_array() || answers.size() != ShardsOf(token).size() * looks) {
    return misunderstood();
  }
  UnitContent content;
  content.address = token.content.address;
  content.ends_ms = token.content.ends_ms;
  content.label = token.content.label;
  int64_t own = 0;
  try {
    for (size_t i = 0; i < answers.size(); ++i) {
      const Json& shard = answers[i];
      if (const int status = shard.value("status", 200); status != 200) {
        return ClassifyHttp(status, shard.dump(), "application/json", "_msearch on " + token.index);
      }
      ARROW_RETURN_NOT_OK(CheckWhole(shard.dump(), token.index));
      // A shard that is not there takes part in nothing, without a word.
      if (shard.at("_shards").at("total").get<int64_t>() != 1) return misunderstood();
      const int64_t documents = shard.at("/hits/total/value"_json_pointer).get<int64_t>();
      if (i % looks == looks - 1) own += documents;
      if (i % looks != 0) continue;
      const Json& aggregations = shard.at("aggregations");
      content.rows += documents;
      content.fingerprint +=
          fmt::format("{}:{}:{};", documents, aggregations.at("highest").at("value").dump(),
                      aggregations.at("sum").at("value").dump());
    }
  } catch (const Json::exception&) {
    return misunderstood();
  }
  // Documents came, since it was planned, to where there were none.
  if (own != content.rows) content.address.clear();
  return content;
}

}  // namespace bulkhaul::opensearch
