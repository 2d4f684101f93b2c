// What users name, and the indices that it stands for.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "source/opensearch/time_range.h"

namespace bulkhaul::opensearch {

// One item of an expression.
struct NamePattern {
  std::string written;   // "logs-%Y.%m.%d"
  std::string wildcard;  // what the server is asked for: "logs-*.*.*"
  bool dated = false;    // has %Y, %m, %d, %H (strftime's)
  bool exclude = false;  // "-logs-2023*": takes away what came before it

  bool has_wildcard() const { return wildcard.find('*') != std::string::npos; }
  // Whether the name is one of a dated pattern's, and the span of time that it says. nullopt for
  // another name. Pure.
  std::optional<TimeRange> SpanOf(std::string_view name) const;
  // The names that a dated pattern has for a range, at most `names_max`. Pure.
  std::vector<std::string> NamesFor(const TimeRange& range, size_t names_max) const;
};

// "logs-*,-logs-old,metrics-%Y.%m". kUser for an empty item, a remote cluster's name, "..".
Result<std::vector<NamePattern>> ParseExpression(std::string_view expression);

// What the server said that one pattern matches (GET /_resolve/index/<pattern>).
struct ResolvedPattern {
  struct Index {
    std::string name;
    bool open = true;
    bool system = false;
    std::string data_stream = {};  // whose backing index it is; "" for none
  };
  std::vector<Index> indices;
  std::map<std::string, std::vector<std::string>> aliases;       // → indices
  std::map<std::string, std::vector<std::string>> data_streams;  // → backing indices
  // What aliases and data streams lead to, by name: the answer about those does not say it.
  std::map<std::string, Index> led_to;

  // Names that a wildcard fits, but that it does not name to the server, because they are hidden.
  std::map<std::string, std::vector<std::string>> hidden;  // → indices

  // Of all aliases and data streams; each once.
  std::vector<std::string> NamesLedTo() const;
};
// kPermanent when the answer is not one. Pure.
Result<ResolvedPattern> ParseResolved(std::string_view answer);

// Sets `hidden` of what a wildcard matches from what it matches with everything that is hidden.
// Indices of the system and of data streams, and names that begin with a dot, are not among them.
// Pure.
void FindHidden(const ResolvedPattern& with_hidden, ResolvedPattern* found);

// One index that is read, once, however many names led to it.
struct IndexSpan {
  std::string index;
  // Some name gives the whole index; else only what passes one of the aliases' filters.
  bool whole = false;
  std::set<std::string> aliases;  // through which it was named; all of them when not whole
  std::string data_stream;        // of which it is; known where `aliases` lead to it
};

struct ResolvedNames {
  std::vector<IndexSpan> spans;     // by name
  std::vector<std::string> closed;  // matched, but cannot be read
  std::vector<std::string> notes;   // overlaps, gaps, what is hidden: for the report
  // Of dated patterns: names inside the ranges without an index. An open range ends with the first
  // and the last date that have one.
  std::vector<std::string> missing;
};

// Joins what the patterns match to one set of indices. `resolved` has one entry a pattern, in the
// same order. `ranges` are the asked-for times (empty: all): only for what is missing, because an
// index may hold documents of other days than its name says. `excluded` are the names and patterns
// that the job leaves out, of indices, aliases and data streams, wherever others lead to them.
// kUser when a pattern matches nothing. Pure.
Result<ResolvedNames> JoinNames(std::span<const NamePattern> patterns,
                                std::span<const ResolvedPattern> resolved,
                                const std::vector<TimeRange>& ranges,
                                std::span<const std::string> excluded = {});

}  // namespace bulkhaul::opensearch
