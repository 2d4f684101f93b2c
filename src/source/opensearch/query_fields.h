// The query that users ask, and which fields it names, as far as that is certain.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "base/error.h"
#include "plan/options.h"
#include "wire/json/mapping.h"

namespace bulkhaul::opensearch {

// Of query DSL as UserQuery() makes it, Lucene text in query_string included. Left out is what may
// be no field or another one than it looks like: wildcards, names that begin with '_', clauses that
// are not known. Pure.
std::set<std::string> FieldsOfQuery(std::string_view query);

// Of Lucene text: what stands before a ':' outside of quotes, ranges and regular expressions. Pure.
std::set<std::string> FieldsOfText(std::string_view text);

// kUser where the query names a field that no mapping has, with the nearest name: the servers find
// nothing for it, without a word. `table`: for people. Pure.
Status CheckQueryFields(std::string_view query, const search::MergedMapping& merged,
                        const std::string& table);

// The query DSL that the options `query` and `q` ask for together; "" when neither is set. kUser
// when `query` is not a JSON object.
Result<std::string> UserQuery(const Options& options, const std::string& own_query);

}  // namespace bulkhaul::opensearch
