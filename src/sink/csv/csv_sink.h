// CSV files in a folder.
#pragma once

#include <memory>

#include "plan/job_spec.h"
#include "sink/part_format.h"
#include "sink/sink.h"

namespace bulkhaul {

Result<std::unique_ptr<Sink>> MakeCsvSink(const JobSpec& spec, const JobId& job);
std::unique_ptr<PartFormat> MakeCsvFormat();

}  // namespace bulkhaul
