#include "source/opensearch/index_limits.h"

#include <fmt/format.h>

#include "base/units.h"
#include "source/opensearch/odd_times.h"

namespace bulkhaul::opensearch {

std::vector<std::string> PageNotes(std::span<const PlannedIndex> indices, int64_t page_documents) {
  std::map<int64_t, std::vector<std::string>> lowered;
  for (const auto& index : indices) {
    const int64_t most = index.page_documents_max;
    if (most > 0 && most < page_documents && most < index.documents) {
      lowered[most].push_back(index.index);
    }
  }
  std::vector<std::string> notes;
  for (const auto& [most, names] : lowered) {
    notes.push_back(fmt::format(
        "pages of {} have {} documents at most, not {} (page_documents): {} allows no more "
        "(index.max_result_window)",
        ShownNames(names), FormatCount(most), FormatCount(page_documents),
        names.size() == 1 ? "the index" : "each of these indices"));
  }
  return notes;
}

Status CheckDocValueFields(const search::PageLayout& layout, std::span<const PlannedIndex> indices,
                           const std::map<std::string, IndexFacts>& facts) {
  const auto fields = static_cast<int64_t>(layout.RequestedFields().size());
  for (const auto& index : indices) {
    const auto known = facts.find(index.index);
    if (known == facts.end() || fields <= known->second.doc_value_fields_max) continue;
    return OptionError(fmt::format(
        "fetch: doc_values would ask for {} fields, and index {} gives {} at most "
        "(index.max_docvalue_fields_search): choose fewer with fields, or fetch: source",
        fields, index.index, known->second.doc_value_fields_max));
  }
  return Status::OK();
}

}  // namespace bulkhaul::opensearch
