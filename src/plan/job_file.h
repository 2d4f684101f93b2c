// Job files: a job written as YAML, TOML or JSON.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "plan/document.h"
#include "plan/job_spec.h"
#include "plan/references.h"

namespace bulkhaul {

// A key at the top of a job file that is not an option, or a key of an entry of tables: or
// queries:.
struct JobKey {
  const char* name;
  const char* help;
};
std::span<const JobKey> JobKeys();    // source, destination, tables, …
std::span<const JobKey> TableKeys();  // pattern
std::span<const JobKey> QueryKeys();  // name, sql

// Options that may be written as a map that also switches them on: "shrink: {float_tolerance:
// 1e-3}" is shrink: true, shrink_float_tolerance: 1e-3. Gives the options "<name>_…", none for
// most.
std::vector<std::string> NestedOptions(std::string_view option);

struct JobFileContext {
  std::string file_name;  // for messages
  std::string folder;     // that file: references are relative to
  EnvironmentLookup environment = ProcessEnvironment();
};

// Strict: an unknown or mistyped key is kUser with "file:line:column: …" and the nearest right key.
// References are replaced; source and destination also keep theirs (JobSpec::source_reference).
Result<JobSpec> ParseJobFile(std::string_view text, DocumentFormat format,
                             const JobFileContext& context);
// Reads the file; its format is by its name.
Result<JobSpec> LoadJobFile(const std::string& path,
                            const EnvironmentLookup& environment = ProcessEnvironment());

// Lays BULKHAUL_SOURCE, BULKHAUL_DESTINATION and the variable of every option over the job.
Status ApplyEnvironment(const EnvironmentLookup& environment, JobSpec* job);
// "unit_bytes" → "BULKHAUL_UNIT_BYTES", and "--unit-bytes".
std::string EnvironmentNameOf(std::string_view option);
std::string FlagNameOf(std::string_view option);

// What must be there whatever the source: both URIs, names of queries without a repeat. kUser.
Status CheckJob(const JobSpec& job);

}  // namespace bulkhaul
