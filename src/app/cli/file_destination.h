// A destination that is one file, as its name says: ./orders.csv.gz.
#pragma once

#include "base/error.h"
#include "plan/job_spec.h"

namespace bulkhaul {

// Of a path that is named like a file of rows, and is neither a folder nor written with a slash at
// its end: sets layout: file, single_file, and what the name says of format, compression and
// delimiter. The same with layout: file for any path. kUser, naming both sides, where a setting
// contradicts the name or has no meaning for one file.
Status UnderstandDestination(JobSpec* job);
// kUser when the destination is one of the files that the job reads: what was written would be read
// the next time.
Status CheckNotOwnSource(const JobSpec& job);

}  // namespace bulkhaul
