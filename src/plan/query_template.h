// Named queries with places for values (`templates` in a job file): "{{name}}" stands for a
// parameter. Values can never become a part of the query's language: each is put in as a value of
// the language that the place is in, or refused.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/error.h"

namespace bulkhaul {

enum class TemplateLanguage {
  // Query DSL. A text that is nothing but a placeholder becomes the value with its type, also a
  // list; inside of a longer text the value's text is put in.
  kJson,
  // Lucene text: values are quoted, lists become ("a" OR "b"); inside of quotes they are escaped.
  kLucene,
  // Values become literals, lists become 'a', 'b' (for `in ({{ids}})`). Not inside of quotes.
  kSql,
};

struct QueryTemplate {
  TemplateLanguage language = TemplateLanguage::kJson;
  std::string text;
};

// The query with the values in place; `parameters` are JSON texts by name: text, number, true,
// false, null, or a list of these. kUser with the nearest name for a placeholder without a
// parameter and a parameter without a placeholder, and for a value that has no form at its place.
// Pure.
Result<std::string> FillTemplate(const QueryTemplate& query,
                                 const std::map<std::string, std::string>& parameters);

}  // namespace bulkhaul
