// Queries that DuckDB answers: over attached databases, earlier exports, and files.
#pragma once

#include <memory>

#include "plan/job_spec.h"
#include "source/source.h"

namespace bulkhaul {

// "duckdb:NAME=TARGET;NAME=TARGET" (duckdb/attachments.h); the datasets are the job's
// queries. Opens nothing. kUser on a URI that cannot be understood.
Result<std::unique_ptr<Source>> MakeDuckdbSource(const JobSpec& spec, const JobId& job);

}  // namespace bulkhaul
