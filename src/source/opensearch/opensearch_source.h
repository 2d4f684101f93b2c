// Documents of OpenSearch and Elasticsearch. docs/source-opensearch.md says how they are found, cut
// and checked.
#pragma once

#include <memory>

#include "base/error.h"
#include "plan/job_spec.h"
#include "source/source.h"

namespace bulkhaul {

// opensearch://host:9200/logs-* and its kin, see source/opensearch/search_uri.h. Opens no
// connection.
Result<std::unique_ptr<Source>> MakeOpenSearchSource(const JobSpec& spec, const JobId& job);

}  // namespace bulkhaul
