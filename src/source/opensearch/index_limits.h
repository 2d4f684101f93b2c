// What the settings of indices let a search ask for.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "source/opensearch/cluster.h"
#include "source/opensearch/table_state.h"
#include "wire/json/page_layout.h"

namespace bulkhaul::opensearch {

// Says of which indices pages have fewer documents than `page_documents`. Pure.
std::vector<std::string> PageNotes(std::span<const PlannedIndex> indices, int64_t page_documents);

// kUser when one of the indices gives fewer fields from doc values than the layout asks for. Pure.
Status CheckDocValueFields(const search::PageLayout& layout, std::span<const PlannedIndex> indices,
                           const std::map<std::string, IndexFacts>& facts);

}  // namespace bulkhaul::opensearch
