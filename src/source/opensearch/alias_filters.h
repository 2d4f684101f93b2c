// The filters through which aliases show their indices.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "source/opensearch/cluster.h"
#include "source/opensearch/names.h"

namespace bulkhaul::opensearch {

// In the order of the spans: what any of the aliases that name the index lets pass, as query DSL;
// "" for an index that is read whole. kUser for an alias with search routing, kPermanent where the
// server does not say through which filter an alias leads to its index.
Result<std::vector<std::string>> FiltersOf(Cluster& cluster, std::span<const IndexSpan> spans);

}  // namespace bulkhaul::opensearch
