// What was loaded beside a partitioned table becomes a partition of it: an append that writes each
// row once.
#pragma once

#include "base/error.h"
#include "client/postgres/connection.h"
#include "sink/postgres/load_plan.h"

namespace bulkhaul::postgres {

// kUser when the plan's partition cannot be attached: another owner's table or one without
// partitions, a name that is taken, bounds that the server does not take or that overlap with
// another partition's, identity columns that the rows do not have. Tries it with an empty table in
// a transaction that is rolled back.
Status CheckAttachable(Connection& connection, LoadPlan* plan, const WaitLimit& limit);

// In a transaction that holds the target's SHARE UPDATE EXCLUSIVE lock. Readers and writers of the
// other partitions go on; a default partition is locked and looked through. kUser when a row is
// outside of the bounds.
Status AttachPartition(Connection& connection, const LoadPlan& plan, const WaitLimit& limit);

}  // namespace bulkhaul::postgres
