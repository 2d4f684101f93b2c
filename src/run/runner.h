// The corridor: takes a job from its spec to its published tables.
#pragma once

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "plan/job_spec.h"
#include "plan/memory_decision.h"
#include "run/progress.h"
#include "run/report.h"
#include "sink/sink.h"
#include "source/source.h"

namespace bulkhaul {

// Crash points that a run passes at its end (base/crash_point.h), beside those of ledger, committer
// and sink.
inline constexpr const char* kJobCrashPoints[] = {"job.before_manifest", "job.manifest_published",
                                                  "job.workspace_removed",
                                                  "job.before_ledger_removed"};

// What `plan` shows, and what a run announces before it reads. Estimates; -1: unknown.
struct PlannedTable {
  DatasetId dataset;
  std::string kind;
  std::string output_name;  // unique in the job, safe as a file name
  std::string location;     // where it would appear now
  int64_t columns = 0;
  int64_t estimated_rows = -1;
  int64_t estimated_bytes = -1;
  int64_t units = 0;
  std::vector<ComesAfter> after;   // tables that are published before it
  bool refused = false;            // the load would be; a note says why
  std::vector<std::string> notes;  // from source and sink: what is not carried, what exists already

  void Refuse(const Status& why);
};

struct JobPlan {
  JobId job_id;
  std::string source;       // redacted
  std::string destination;  // redacted
  std::string format;       // the sink's name
  std::vector<PlannedTable> tables;
  int64_t estimated_rows = 0;  // of the tables that know
  int64_t estimated_bytes = 0;
  int64_t units = 0;
  int64_t workers = 0;
  int64_t parallel_tables = 0;
  int64_t workers_per_table = 0;
  int64_t memory_limit_bytes = 0;
  int64_t unit_memory_bytes = 0;  // reserved by one running unit
  int64_t batch_bytes = 0;
  MemoryDecision decision;
  std::vector<std::string> notes;  // what was lowered and why

  bool refused() const;  // some table would be
  std::string ToJson() const;
  std::string ToText() const;  // for people, several lines
};

struct RunOptions {
  // Of the job; the same that MakeSource and MakeSink were given. NewJobId() makes one.
  JobId job_id;
  // Goes on with the job's ledger: published tables are left alone, wholly staged ones are
  // published, the others are read again or, in the same snapshot, finished.
  bool resume = false;
  // Requested on SIGINT, SIGTERM or a server's cancel. The run stops within two seconds and can be
  // resumed.
  std::stop_token stop;
  // May be null. Called from several threads, one call at a time; outlives the runner.
  ProgressSink* progress = nullptr;
  int64_t progress_interval_ms = 1000;  // between kTick events
  // "" → StateFolder() (commit/job_index.h).
  std::string state_folder;
  // Names the files of rows that were put aside. Not where the caller shows them and they go.
  bool announce_rejects = true;
};

// `job_id` of the options, checked to be safe as a folder name, or a new one. kUser when it is not.
Result<JobId> NewJobId(const JobSpec& spec);

// One job. Not thread-safe: one thread calls Plan() or Run(), once. Source and sink outlive it and
// were made for the same spec and job id.
class Runner {
 public:
  Runner(JobSpec spec, Source& source, Sink& sink, RunOptions options);
  ~Runner();
  // What would run. Pins nothing, writes nothing: no ledger, nothing at the destination.
  Result<JobPlan> Plan();
  // Discover, pin, split, read, assemble, publish. An error only when the job could not begin
  // (refused options, locked by another process, no ledger, a table that is not there): then no
  // trace of a new job is left. What happened after that is in the report: its state, its exit code
  // and the error of each table.
  Result<JobReport> Run();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bulkhaul
