// What `plan` shows. Inside run/ only.
#pragma once

#include "plan/job_spec.h"
#include "run/runner.h"
#include "sink/sink.h"
#include "source/source.h"

namespace bulkhaul {

// Discovers, and asks source and sink what they would do; pins and writes nothing. Units come from
// Source::Split() with an empty Snapshot, which must give an estimate without a connection held.
Result<JobPlan> PlanWithoutRunning(const JobSpec& spec, const JobId& job, Source& source,
                                   Sink& sink, std::stop_token stop);

}  // namespace bulkhaul
