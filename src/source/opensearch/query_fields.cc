#include "source/opensearch/query_fields.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace bulkhaul::opensearch {
namespace {

using Json = nlohmann::json;
using Fields = std::set<std::string>;

// {"term": {FIELD: …}}
constexpr std::array<std::string_view, 11> kClausesOfAField = {"term",
                                                               "terms",
                                                               "match",
                                                               "match_phrase",
                                                               "match_phrase_prefix",
                                                               "match_bool_prefix",
                                                               "range",
                                                               "prefix",
                                                               "regexp",
                                                               "wildcard",
                                                               "fuzzy"};
// {"nested": {"query": CLAUSE}}
constexpr std::array<std::string_view, 3> kHoldersOfAQuery = {"nested", "function_score",
                                                              "script_score"};
constexpr std::array<std::string_view, 8> kHoldersOfClauses = {
    "filter", "must", "must_not", "should", "positive", "negative", "queries", "query"};

template <typename Names>
bool IsOneOf(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void AddField(std::string_view name, Fields* fields) {
  name = name.substr(0, name.find('^'));  // title^3
  const bool certain = !name.empty() && name.front() != '_' &&
                       name.find_first_of("*?\\#<> ") == std::string_view::npos;
  if (certain) fields->emplace(name);
}

void AddListed(const Json& names, Fields* fields) {
  if (names.is_string()) AddField(names.get_ref<const std::string&>(), fields);
  if (!names.is_array()) return;
  for (const auto& name : names) {
    if (name.is_string()) AddField(name.get_ref<const std::string&>(), fields);
  }
}

void AddClause(const Json& clause, Fields* fields);

void AddClauses(const Json& clauses, Fields* fields) {
  if (!clauses.is_array()) return AddClause(clauses, fields);
  for (const auto& clause : clauses) AddClause(clause, fields);
}

void AddText(const Json& value, Fields* fields) {
  for (const char* name : {"fields", "default_field"}) {
    if (value.contains(name)) AddListed(value[name], fields);
  }
  if (value.contains("query") && value["query"].is_string()) {
    fields->merge(FieldsOfText(value["query"].get_ref<const std::string&>()));
  }
}

void AddClause(const Json& clause, Fields* fields) {
  if (!clause.is_object()) return;
  for (const auto& [name, value] : clause.items()) {
    if (!value.is_object()) continue;
    if (IsOneOf(kClausesOfAField, name)) {
      for (const auto& [field, parameters] : value.items()) {
        if (field != "boost") AddField(field, fields);
      }
    } else if (name == "exists" && value.contains("field")) {
      AddListed(value["field"], fields);
    } else if (name == "query_string") {
      AddText(value, fields);
    } else if ((name == "multi_match" || name == "simple_query_string") &&
               value.contains("fields")) {
      AddListed(value["fields"], fields);
    } else if (name == "bool" || name == "constant_score" || name == "boosting" ||
               name == "dis_max" || IsOneOf(kHoldersOfAQuery, name)) {
      for (const auto& [part, inner] : value.items()) {
        if (IsOneOf(kHoldersOfClauses, part)) AddClauses(inner, fields);
      }
    }
  }
}

// The position behind what `text[at]` opens, or the text's end.
size_t SkipTo(std::string_view text, size_t at, std::string_view closing) {
  for (++at; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (closing.find(text[at]) != std::string_view::npos) {
      return at + 1;
    }
  }
  return text.size();
}

std::string ItsFields(const std::vector<std::string>& fields) {
  constexpr size_t kShownMax = 5;
  const size_t shown = std::min(kShownMax, fields.size());
  const auto text = fmt::format(
      "; its fields are {}",
      fmt::join(fields.begin(), fields.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
  return shown == fields.size() ? text : fmt::format("{} and {} more", text, fields.size() - shown);
}

// The query DSL is in a bool's filter, which several clauses share.
std::string AllOf(const std::vector<std::string>& queries) {
  if (queries.empty()) return {};
  if (queries.size() == 1) return queries[0];
  Json filters = Json::array();
  for (const auto& query : queries) filters.push_back(Json::parse(query));
  return Json{{"bool", {{"filter", std::move(filters)}}}}.dump();
}

}  // namespace

std::set<std::string> FieldsOfText(std::string_view text) {
  Fields fields;
  size_t begin = 0;    // of the word at hand
  bool value = false;  // the word is what a ':' is followed by
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    const bool starts = begin == at;
    if (c == '\\') {
      at += 2;
    } else if (c == '"' || (c == '/' && starts)) {
      begin = at = SkipTo(text, at, c == '"' ? "\"" : "/");
      value = false;
    } else if (c == '[' || c == '{') {
      begin = at = SkipTo(text, at, "]}");
      value = false;
    } else if (c == ':') {
      if (!value) AddField(text.substr(begin, at - begin), &fields);
      begin = ++at;
      value = true;
    } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '(' || c == ')' ||
               (starts && (c == '+' || c == '-' || c == '!' || c == '&' || c == '|'))) {
      // "level: x" is allowed too.
      if (!starts || c == '(') value = false;
      begin = ++at;
    } else {
      ++at;
    }
  }
  return fields;
}

std::set<std::string> FieldsOfQuery(std::string_view query) {
  Fields fields;
  if (!query.empty()) AddClause(Json::parse(query, nullptr, false), &fields);
  return fields;
}

Status CheckQueryFields(std::string_view query, const search::MergedMapping& merged,
                        const std::string& table) {
  std::set<std::string> known;
  for (const auto& one : merged.fields) {
    known.insert(one.field.path);
    known.insert(one.field.multi_fields.begin(), one.field.multi_fields.end());
  }
  for (const auto& name : FieldsOfQuery(query)) {
    // What is below a known name may be of a flattened field, or one of the server's own.
    bool found = known.contains(name);
    for (size_t dot = name.find('.'); dot != std::string::npos && !found;
         dot = name.find('.', dot + 1)) {
      const auto* above = merged.Find(name.substr(0, dot));
      found = above != nullptr && !(above->conflict.empty() && above->field.is_object);
    }
    if (found) continue;
    const std::vector<std::string> fields(known.begin(), known.end());
    const auto nearest = NearestName(name, fields);
    return UserError(
        fmt::format("the query asks for the field '{}', which no mapping of {} has{}", name, table,
                    nearest ? fmt::format("; did you mean '{}'?", *nearest) : ItsFields(fields)),
        "no_such_field");
  }
  return Status::OK();
}

Result<std::string> UserQuery(const Options& options, const std::string& own_query) {
  std::vector<std::string> queries;
  const auto add = [&](const std::string& text) -> Status {
    const Json parsed = Json::parse(text, nullptr, false);
    if (!parsed.is_object() || parsed.size() != 1) {
      return UserError(
          fmt::format("query: '{}' is not query DSL: write one clause as a JSON object, such as "
                      "{{\"term\": {{\"level\": \"ERROR\"}}}}",
                      text),
          "bad_query");
    }
    // A whole search body is a likely mistake.
    if (parsed.contains("query")) {
      queries.push_back(parsed["query"].dump());
    } else {
      queries.push_back(parsed.dump());
    }
    return Status::OK();
  };
  if (const auto& text = options.GetString("query"); !text.empty()) ARROW_RETURN_NOT_OK(add(text));
  if (!own_query.empty()) {
    if (own_query.find_first_not_of(" \t\r\n") != std::string::npos &&
        own_query[own_query.find_first_not_of(" \t\r\n")] == '{') {
      ARROW_RETURN_NOT_OK(add(own_query));
    } else {
      queries.push_back(Json{{"query_string", {{"query", own_query}}}}.dump());
    }
  }
  if (const auto& text = options.GetString("q"); !text.empty()) {
    queries.push_back(Json{{"query_string", {{"query", text}}}}.dump());
  }
  return AllOf(queries);
}

}  // namespace bulkhaul::opensearch
