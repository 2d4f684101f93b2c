// The value of a staged row that the server could not bring into its column.
#pragma once

#include <optional>

#include "client/postgres/connection.h"
#include "sink/postgres/load_plan.h"
#include "sink/sink.h"

namespace bulkhaul::postgres {

// Looks for the first one, by halves of the table that is loaded beside; nothing where all of them
// can be cast. Leaves the connection as it is: in a transaction that is not broken, or in none.
Result<std::optional<FaultyValue>> FindFaultyValue(Connection& connection, const LoadPlan& plan,
                                                   const WaitLimit& limit);

}  // namespace bulkhaul::postgres
