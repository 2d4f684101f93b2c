// Cuts a dataset into ranges of rowids or keys.
#pragma once

#include <string>
#include <vector>

#include "plan/values.h"
#include "source/source.h"
#include "source/sqlite/connection.h"
#include "source/sqlite/table_state.h"

namespace bulkhaul {

// All units of the dataset, without ids, in order. Runs on a connection inside the snapshot.
Result<std::vector<WorkUnit>> SplitDataset(Connection& connection, const Dataset& dataset,
                                           const SplitHint& hint);

}  // namespace bulkhaul
