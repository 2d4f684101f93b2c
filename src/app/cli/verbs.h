// What each verb does, apart from how its arguments are written. Each gives the exit code; an error
// is printed by the caller. Results go to stdout, everything else to stderr.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/cli/job_arguments.h"
#include "base/error.h"
#include "plan/job_spec.h"

namespace bulkhaul {

enum class OutputForm { kText, kJson };
// From the options' `output`.
OutputForm OutputFormOf(const Options& options);

// copy, run.
Result<int> RunCopy(JobSpec job);
// plan.
Result<int> RunPlan(JobSpec job);

struct ResumeRequest {
  std::string job;     // id or path
  std::string source;  // "" as stored; needed when the password came from nowhere that can be asked
  std::vector<std::pair<std::string, std::string>> settings;  // runtime options only
};
Result<int> RunResume(const ResumeRequest& request);

struct DiscoverRequest {
  JobSpec job;         // source and selection
  bool brief = false;  // a line a table
};
Result<int> RunDiscover(const DiscoverRequest& request);

// "" as job: the newest running one, else the newest.
Result<int> RunStatus(const std::string& job, OutputForm form);
// As text only the newest ones, unless `all`.
Result<int> RunJobs(OutputForm form, bool all);
Result<int> RunCancel(const std::string& job, int64_t wait_ms);

struct CleanRequest {
  std::string older_than;                 // a duration
  std::vector<std::string> destinations;  // whose .archive is cleaned too
  bool dry_run = false;
  OutputForm form = OutputForm::kText;
};
Result<int> RunClean(const CleanRequest& request);

struct StatsRequest {
  int64_t days = 30;
  std::vector<std::string> destinations;  // none: those of the jobs in the index
  OutputForm form = OutputForm::kText;
};
Result<int> RunStats(const StatsRequest& request);

struct CacheRequest {
  std::string action;      // "ls" or "clear"
  std::string older_than;  // of clear: a duration
  Options options;         // cache_dir, output
};
Result<int> RunCache(const CacheRequest& request);

struct ContractRequest {
  std::string action;  // "init", "check" or "diff"
  JobSpec job;         // source and settings
  std::vector<std::string> files;
};
Result<int> RunContract(ContractRequest request);

Result<int> RunVerify(const std::string& folder, OutputForm form);
struct QueryRequest {
  std::string sql;
  std::vector<std::string> attachments;  // NAME=TARGET (duckdb/attachments.h)
  std::string job_file;                  // whose source and destination are attached too; "" none
  std::string format;                    // table, csv, json, parquet, arrow
  std::string file;                      // "": stdout
  bool overwrite = false;
  bool explain = false;
  int64_t rows_shown_max = 50;  // of a table
  std::string memory_limit;     // "": half of what is available
};
Result<int> RunQuery(const QueryRequest& request);

// "job" or "job-reference".
Result<int> RunSchema(const std::string& what);
Result<int> RunVersion(OutputForm form);

}  // namespace bulkhaul
