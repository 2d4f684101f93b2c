// What there is to read: tables, views and queries as datasets.
#pragma once

#include <vector>

#include "base/error.h"
#include "client/postgres/connection.h"
#include "plan/job_spec.h"
#include "plan/values.h"
#include "source/postgres/catalog.h"
#include "source/postgres/table_state.h"

namespace bulkhaul::postgres {

struct Discovered {
  std::vector<Dataset> datasets;  // ordered by id
  ServerFacts facts;
};

// One statement lists the relations and one round trip describes all that are selected, however
// many they are. kUser when a table named without a glob is not there.
Result<Discovered> DiscoverDatasets(Connection& connection, const Selector& selector,
                                    const WaitLimit& limit);

// The Arrow mapping of a dataset's columns under its options, in order.
Result<std::vector<pg::ColumnMapping>> MapColumns(const TableState& state, const Options& options);

// Whether the database stores bytes without an encoding (SQL_ASCII).
bool IsRawEncoding(const Connection& connection);

// Reads the query's columns without running it, inside a transaction of its own.
Result<Dataset> DescribeQuery(Connection& connection, const QuerySpec& query,
                              const Options& job_options, const ServerFacts& facts,
                              const WaitLimit& limit);

}  // namespace bulkhaul::postgres
