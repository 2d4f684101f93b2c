// Tables, views and queries of a PostgreSQL database, version 12 or later.
#pragma once

#include <memory>

#include "base/error.h"
#include "plan/job_spec.h"
#include "plan/values.h"
#include "source/source.h"

namespace bulkhaul {

// Opens nothing yet. kUser when source_uri is not a connection string that libpq understands.
Result<std::unique_ptr<Source>> MakePostgresSource(const JobSpec& spec, const JobId& job);

}  // namespace bulkhaul
