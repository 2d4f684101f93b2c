// The last transaction of a load.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "base/error.h"
#include "client/postgres/connection.h"
#include "plan/values.h"
#include "sink/postgres/load_plan.h"
#include "sink/sink.h"

namespace bulkhaul::postgres {

struct Committed {
  bool already = false;    // an earlier try had done it
  int64_t duplicates = 0;  // rows that upsert left out because of an equal key in the input
  int64_t left_out = 0;    // rows that triggers left out
};

// Enters the idempotency key first: of two tries the second waits for the first and then finds it.
// A COMMIT whose answer is lost is kTransient: the next try settles it. A connection that comes in
// a transaction (skip_wal) is in it still when an error is returned before the COMMIT; otherwise it
// is left out of any, or broken. `before_commit` is called when nothing but COMMIT is left,
// with what is returned if that succeeds. Sets `fault` with an error that is about one staged
// value.
Result<Committed> CommitLoad(Connection& connection, const LoadPlan& plan,
                             const CommitRequest& request,
                             const std::function<Status(const Committed&)>& before_commit,
                             const WaitLimit& limit, std::optional<FaultyValue>* fault);

// Whether an earlier try has committed; waits for one that has not ended. It enters the key and
// takes it back.
Result<bool> IsCommitted(Connection& connection, const TableName& target,
                         const CommitRequest& request, const WaitLimit& limit);

}  // namespace bulkhaul::postgres
