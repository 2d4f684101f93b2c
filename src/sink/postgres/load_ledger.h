// The little table in which a job keeps, in the same transactions as the rows, which of them count.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "client/postgres/connection.h"
#include "plan/values.h"
#include "sink/postgres/load_plan.h"

namespace bulkhaul::postgres {

// "_bulkhaul_ledger" in the target's schema; it goes with the last job that has rows in it. Keys:
//   <side>/table      a table that a job loads beside, to be dropped with the job
//   <side>/<ordinal>  a unit whose rows are in; its attempt, and the transaction that wrote them
//   <idempotency key> a dataset that is published
// A unit's rows are those whose xmin is the transaction's, or with skip_wal the savepoint's.
std::string LedgerName(const std::string& schema);

// kUser when the schema's ledger is another role's, and this one may not write it.
Status CheckLedger(Connection& connection, const std::string& schema, const WaitLimit& limit);

// Makes the ledger, the side table and its entry, and forgets what earlier epochs left. One
// transaction, which other jobs wait for.
Status PrepareLedger(Connection& connection, const DatasetPlan& dataset, const LoadPlan& plan,
                     const WaitLimit& limit);

// In the transaction that holds the unit's rows: says that they count. The rows of an attempt that
// was said to have failed, and had not, go.
Status EnterUnit(Connection& connection, const LoadPlan& plan, const JobId& job, int64_t ordinal,
                 const AttemptId& attempt, int64_t rows, const WaitLimit& limit);

// In the last transaction: the rows that are in are those of these attempts, all and no others.
Status CheckUnits(Connection& connection, const LoadPlan& plan,
                  std::span<const StagedResult> staged, const WaitLimit& limit);

// Schemas that have a ledger which this role may write.
Result<std::vector<std::string>> LedgerSchemas(Connection& connection, const WaitLimit& limit);
// Those of the attempts that are in a ledger, with the rows still there.
Result<std::vector<AttemptId>> FindAttempts(Connection& connection,
                                            std::span<const AttemptId> attempts,
                                            const WaitLimit& limit);
// Deletes the rows of these attempts.
Status ForgetAttempts(Connection& connection, std::span<const AttemptId> attempts,
                      const WaitLimit& limit);
// Drops what the job loads beside, and its entries; and a ledger that nobody needs any more.
Status ForgetJob(Connection& connection, const JobId& job, const WaitLimit& limit);

}  // namespace bulkhaul::postgres
