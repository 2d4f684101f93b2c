#include "source/opensearch/query_fields.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

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

}  // namespace bulkhaul::opensearch
