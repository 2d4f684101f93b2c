// What a job did, for people and for programs (docs/schemas/report.schema.json).
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "plan/values.h"

namespace bulkhaul {

enum class JobState {
  kDone,       // everything is published
  kFailed,     // stopped at an error; resumable
  kPartial,    // on_error: continue, and some tables failed; resumable
  kCancelled,  // stopped on request; resumable
};
const char* JobStateName(JobState state);  // "done", "failed", "partial", "cancelled"
// 0, 1, 3, 130.
int ExitCodeOf(JobState state);

// What is needed before what failed with an error of this code can succeed.
enum class Remedy {
  kResume,   // its cause is mended elsewhere: the job may go on
  kOptions,  // other options of the job: a resume keeps them
  kNewJob,   // a new job, because what was read is of no use any more; the message says so
};
Remedy RemedyFor(std::string_view error_code);
// Of a table that is not loaded because one that comes before it failed.
inline constexpr char kPredecessorFailed[] = "predecessor_failed";

struct TableReport {
  DatasetId dataset;
  std::string output_name;
  std::string state;     // "published", "staged", "failed", "pending"
  std::string location;  // final path, when published
  std::string error;     // when failed
  std::string error_kind, error_code;
  int64_t rows = 0;       // written
  int64_t rows_read = 0;  // from the source
  int64_t rows_filtered = 0;
  int64_t rows_rejected = 0;
  std::string rejected_to;  // the file that they were put into
  int64_t rows_merged = 0;  // into groups: rows read less groups written
  int64_t source_bytes = 0;
  int64_t stored_bytes = 0;
  int64_t files = 0;
  int64_t units = 0;
  int64_t retries = 0;
  int64_t epoch = 0;
  std::string snapshot;                     // its description
  int64_t elapsed_ms = 0;                   // wall, first unit begun to published
  int64_t unit_ms = 0;                      // sum over units
  bool earlier_run = false;                 // was published before this resume began
  std::map<std::string, int64_t> counters;  // values that options changed
  std::vector<std::string> explanations;    // of job-wide transforms
  std::vector<ComesAfter> after;            // what is published before it
  // Arrow bytes of the rows before and after job-wide transforms; 0: there were none.
  int64_t bytes_before_transform = 0, bytes_after_transform = 0;
};

// What the cache of units did (option group `cache`).
struct CacheReport {
  int64_t hits = 0;    // units whose rows were taken from it
  int64_t misses = 0;  // units that were read, though they might have been kept
  int64_t passed = 0;  // units that may not be kept, or not yet
  int64_t rows = 0;    // taken from it
  int64_t bytes = 0;   // read from it

  int64_t units() const { return hits + misses + passed; }
  double HitRate() const;  // of all units, 0 … 1
};

struct SlowUnit {
  std::string unit_id;
  DatasetId dataset;
  int64_t elapsed_ms = 0;
  int64_t rows = 0;
};

struct JobReport {
  JobId job_id;
  JobState state = JobState::kDone;
  std::string error;       // of the job as a whole, "" when done
  std::string error_kind;  // ErrorKindName, "" when done
  std::string error_code;  // CodeOf the error, "" when it has none
  std::string source;      // redacted
  std::string destination;
  std::string format;
  std::string started_at, finished_at;  // UTC
  bool resumed = false;
  std::vector<TableReport> tables;
  int64_t tables_published = 0, tables_failed = 0;
  int64_t rows = 0, rows_read = 0, rows_rejected = 0;
  int64_t source_bytes = 0, stored_bytes = 0, files = 0, units = 0, retries = 0;
  int64_t epochs = 0;
  CacheReport cache;  // no units: it was off
  int64_t wall_ms = 0;
  int64_t unit_ms = 0;  // sum over the units of this run
  int64_t cpu_ms = 0;   // of this process, user and system, during the run
  int64_t disk_read_bytes = 0, disk_write_bytes = 0;  // that reached storage (/proc/self/io)
  int64_t workers = 0;
  std::string concurrency;  // how the number of workers was found: "workers 4 → 12"; "": fixed
  int64_t memory_limit_bytes = 0;
  std::string strategy;         // "eager", or "eager, then lazy"
  std::string strategy_reason;  // "needs 180 MiB, 0.03 of 7 GiB …"
  int64_t memory_need_bytes = -1,
          memory_available_bytes = 0;  // by which it was chosen; -1: unknown
  double memory_ratio = -1;            // -1: not known
  int64_t peak_rss_bytes = 0;
  std::map<std::string, int64_t> peak_rss_by_stage;  // "plan", "read", "assemble", "publish"
  int64_t peak_reserved_bytes = 0;
  std::vector<SlowUnit> slowest_units;  // five at most, slowest first
  std::vector<std::string> warnings;
  std::string configuration;  // JSON of the job's settings, without secrets

  int exit_code() const { return ExitCodeOf(state); }
  // Failed tables for whose own failure this is the remedy; those that only wait for others are
  // left out.
  int64_t TablesFor(Remedy remedy) const;
  double RowsPerSecond() const;
  double MegabytesPerSecond() const;  // of source bytes, 1e6
  double TablesPerMinute() const;
  double UnitsPerMinute() const;
  double CpuUse() const;   // cores kept busy on average
  double SpeedUp() const;  // unit_ms / wall_ms

  std::string ToJson() const;
  static Result<JobReport> FromJson(std::string_view json);
  std::string ToText() const;
};

// What appears last at the destination: the job, its tables and where they are.
std::string JobManifestJson(const JobReport& report);
// The record for .archive/jobs: ids, times, source without
// secrets, per table rows, files, final path, compression, seconds; totals; configuration.
std::string JobRecordJson(const JobReport& report);

// Many job records added up (`stats`).
struct JobStatistics {
  int64_t jobs = 0, done = 0, failed = 0, partial = 0, cancelled = 0;
  int64_t tables = 0, tables_failed = 0, rows = 0, source_bytes = 0, stored_bytes = 0;
  int64_t wall_ms = 0;
  double speed_up_mean = 0, speed_up_max = 0;
  double workers_mean = 0;
  int64_t workers_max = 0;
  int64_t unreadable = 0;  // records that could not be parsed

  std::string ToJson() const;
  std::string ToText() const;
};
// Records that finished at `since_utc` (RFC 3339) or later; "" → all. Two records of one job (a
// failed run, then its resume) count as two runs.
JobStatistics AddUpJobRecords(std::span<const std::string> records, std::string_view since_utc);

}  // namespace bulkhaul
