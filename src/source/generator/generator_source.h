// Deterministic rows of any schema from a seed. A real source: tests, benchmarks and anyone who
// tries the tool use it.
#pragma once

#include <memory>

#include "plan/job_spec.h"
#include "source/source.h"

namespace bulkhaul {

// The URI says what is made (generator_spec.h has its grammar):
//   generator:rows=100000&seed=1&tables=3&columns=id:int64/serial,name:string/null=0.1
//   generator:preset=orders&rows=2000000
// kUser when it does not parse. Opens nothing.
Result<std::unique_ptr<Source>> MakeGeneratorSource(const JobSpec& spec, const JobId& job);

}  // namespace bulkhaul
