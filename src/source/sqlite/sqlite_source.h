// Tables, views and queries of a SQLite database file.
#pragma once

#include <memory>

#include "plan/job_spec.h"
#include "source/source.h"

namespace bulkhaul {

// "sqlite:///absolute/path", "sqlite://relative/path", "sqlite:path" (percent-encoded), or a plain
// path. Opens nothing. kUser on a URI without a path.
Result<std::unique_ptr<Source>> MakeSqliteSource(const JobSpec& spec, const JobId& job);

// The file that a source URI names. Pure.
Result<std::string> SqlitePath(std::string_view uri);

}  // namespace bulkhaul
