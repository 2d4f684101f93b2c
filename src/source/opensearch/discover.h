// From names and settings to a dataset: which indices, which columns, how many documents.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "plan/options.h"
#include "plan/values.h"
#include "source/opensearch/cluster.h"

namespace bulkhaul::opensearch {

struct TableRequest {
  DatasetId id;
  std::string kind;                       // "indices", "index", "data stream", "query"
  std::string expression;                 // what it names
  bool literal = false;                   // the expression is the name of one index or data stream
  std::string query;                      // of a job's `queries`; "" for the option `query`
  Options options;                        // of the dataset, with those of the URI below
  std::vector<std::string> exclude = {};  // patterns of the job
};

// Everything but the id's selection: resolves the names, merges the mappings, samples documents,
// checks the query and counts. `now_ms` is what date math calls now. Errors name the table's
// indices and fields.
Result<Dataset> DescribeTable(Cluster& cluster, const TableRequest& request, int64_t now_ms);

}  // namespace bulkhaul::opensearch
