// The only place that names every source and sink.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "plan/job_spec.h"
#include "sink/sink.h"
#include "source/source.h"

namespace bulkhaul {

// By the URI's scheme or the file's extension: postgres://, sqlite:///path, path.db, generator:.
// The password, if any, is in spec.source_uri. Opens nothing yet.
Result<std::unique_ptr<Source>> MakeSource(const JobSpec& spec, const JobId& job);
// By `format`, else the destination's extension or scheme, else parquet.
Result<std::unique_ptr<Sink>> MakeSink(const JobSpec& spec, const JobId& job);
std::vector<std::string> SourceNames();
std::vector<std::string> SinkNames();

}  // namespace bulkhaul
