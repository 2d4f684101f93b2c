// What is in a database: tables, views and queries with their columns, keys and sizes.
#pragma once

#include <vector>

#include "plan/job_spec.h"
#include "plan/values.h"
#include "source/sqlite/connection.h"

namespace bulkhaul {

Result<std::vector<Dataset>> DiscoverDatasets(Connection& connection, const Selector& selector);

// kUser when the definition of the dataset's table is not the one that was discovered.
Status CheckDefinition(Connection& connection, const Dataset& dataset);

}  // namespace bulkhaul
