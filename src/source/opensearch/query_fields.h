// Which fields a query names, as far as that is certain.
#pragma once

#include <set>
#include <string>
#include <string_view>

namespace bulkhaul::opensearch {

// Of query DSL as UserQuery() makes it, Lucene text in query_string included. Left out is what may
// be no field or another one than it looks like: wildcards, names that begin with '_', clauses that
// are not known. Pure.
std::set<std::string> FieldsOfQuery(std::string_view query);

// Of Lucene text: what stands before a ':' outside of quotes, ranges and regular expressions. Pure.
std::set<std::string> FieldsOfText(std::string_view text);

}  // namespace bulkhaul::opensearch
