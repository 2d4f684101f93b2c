// A loaded table takes the place of another one, with everything that hangs off it.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "client/postgres/connection.h"
#include "sink/postgres/load_plan.h"

namespace bulkhaul::postgres {

// kUser names what a swap could not keep: partitions, inheritance, policies, foreign keys of other
// tables, materialized views, functions, rules, publications.
Status CheckReplaceable(Connection& connection, const TargetTable& table, const WaitLimit& limit);

// In a transaction that holds the target's ACCESS EXCLUSIVE lock: swaps plan.side in. Owner,
// grants, comments, indexes, constraints, triggers, views, owned sequences and storage options are
// those of the replaced table.
Status SwapIn(Connection& connection, const LoadPlan& plan, const WaitLimit& limit);

}  // namespace bulkhaul::postgres
