// Tables of a PostgreSQL server, loaded by parallel binary COPY.
#pragma once

#include <memory>

#include "plan/job_spec.h"
#include "sink/sink.h"

namespace bulkhaul {

// A dataset appears in one transaction. Its rows are copied into a table beside, each unit in a
// transaction of its own with an entry in a ledger; the last transaction moves them.
Result<std::unique_ptr<Sink>> MakePostgresSink(const JobSpec& spec, const JobId& job);

}  // namespace bulkhaul
