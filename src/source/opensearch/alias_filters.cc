#include "source/opensearch/alias_filters.h"

#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace bulkhaul::opensearch {
namespace {

using EntriesOfAliases = std::map<std::string, std::map<std::string, AliasEntry>>;

std::string AnyFilter(const std::vector<std::string>& filters) {
  if (filters.size() == 1) return filters[0];
  auto clauses = nlohmann::json::array();
  for (const auto& filter : filters) clauses.push_back(nlohmann::json::parse(filter));
  return nlohmann::json{{"bool", {{"should", std::move(clauses)}, {"minimum_should_match", 1}}}}
      .dump();
}

// What the alias says about the index, or about the data stream that it is of. A filter may keep
// documents from the reader, so that an index is not read where the server does not say.
Result<const AliasEntry*> EntryOf(const EntriesOfAliases& entries, const std::string& alias,
                                  const IndexSpan& span) {
  const auto of_alias = entries.find(alias);
  if (of_alias != entries.end()) {
    for (const auto* name : {&span.index, &span.data_stream}) {
      const auto entry = of_alias->second.find(*name);
      if (entry != of_alias->second.end()) return &entry->second;
    }
  }
  return PermanentError(
      fmt::format("alias {} leads to {}, but the server does not say through which filter "
                  "(_alias): name the index and a query instead, or try again if the alias has "
                  "just been changed",
                  alias, span.index),
      "alias_unknown");
}

Result<std::string> FilterOf(const EntriesOfAliases& entries, const IndexSpan& span) {
  std::vector<std::string> filters;
  bool unfiltered = false;
  for (const auto& alias : span.aliases) {
    ARROW_ASSIGN_OR_RAISE(const AliasEntry* entry, EntryOf(entries, alias, span));
    if (!entry->search_routing.empty()) {
      return UserError(
          fmt::format("alias {} searches only the shards of routing '{}' of {}: name the index "
                      "and a query instead",
                      alias, entry->search_routing, span.index),
          "alias_routing");
    }
    unfiltered |= entry->filter.empty();
    if (!entry->filter.empty()) filters.push_back(entry->filter);
  }
  return unfiltered ? std::string() : AnyFilter(filters);
}

}  // namespace

Result<std::vector<std::string>> FiltersOf(Cluster& cluster, std::span<const IndexSpan> spans) {
  std::vector<std::string> filters(spans.size());
  std::set<std::string> wanted;
  for (const auto& span : spans) {
    if (!span.whole) wanted.insert(span.aliases.begin(), span.aliases.end());
  }
  if (wanted.empty()) return filters;
  const std::vector<std::string> aliases(wanted.begin(), wanted.end());
  ARROW_ASSIGN_OR_RAISE(const auto entries, cluster.Aliases(aliases));
  for (size_t i = 0; i < spans.size(); ++i) {
    if (spans[i].whole) continue;
    ARROW_ASSIGN_OR_RAISE(filters[i], FilterOf(entries, spans[i]));
  }
  return filters;
}

}  // namespace bulkhaul::opensearch
