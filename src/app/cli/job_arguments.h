// A job as the command line gives it, laid over job file and environment.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "plan/job_file.h"
#include "plan/job_spec.h"
#include "plan/option_table.h"

namespace bulkhaul {

struct JobArguments {
  std::string job_file;  // "" when there is none
  std::string source, destination;
  std::vector<std::string> tables, schemas, exclude;
  bool all = false;
  std::vector<std::string> queries, query_names;
  // Option names with their texts, in the order given; a list or map may come several times.
  std::vector<std::pair<std::string, std::string>> settings;
};

// Job file, then environment, then arguments. A setting from environment or arguments also wins
// over the same setting of single tables; tables, schemas or all given as arguments select instead
// of the file's tables, which keep their overrides. Local paths become absolute, so that the job
// can be resumed from anywhere. Not checked by CheckJob() yet.
Result<JobSpec> AssembleJob(const JobArguments& arguments, const EnvironmentLookup& environment);

// "postgres://…", "memory:…"; a path has none.
bool HasScheme(std::string_view uri);

// Lays settings over options; used for resume too.
Status ApplySettings(const std::vector<std::pair<std::string, std::string>>& settings,
                     Options* options);

// Settings that may change between a job's start and its resume: how fast and how patiently it
// runs, not what it makes.
bool IsRuntimeOption(const OptionSpec& option);

// Variables named BULKHAUL_… that nothing reads, each as a sentence with the nearest right name.
std::vector<std::string> UnknownVariables(const char* const* environment);

}  // namespace bulkhaul
