// What a running job says while it runs. One stream of events; renderers turn it into JSON lines,
// plain lines or a live view.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.h"
#include "plan/values.h"

namespace bulkhaul {

enum class ProgressKind {
  kJobStarted,
  kTablePlanned,
  kUnitDone,
  kRetry,
  kWarning,
  kTablePublished,
  kTableFailed,
  kTick,  // totals and rates, every progress_interval_ms
  kJobDone,
};
const char* ProgressKindName(ProgressKind kind);  // "job_started", …

// Totals so far and rates over the last few seconds. -1: unknown.
struct ProgressTotals {
  int64_t elapsed_ms = 0;
  int64_t tables = 0, tables_done = 0, tables_failed = 0;
  int64_t units = 0, units_done = 0, units_running = 0;
  int64_t units_cached = 0;  // of those done: taken from the cache
  int64_t rows = 0, estimated_rows = -1;
  int64_t bytes = 0;         // received from the source
  int64_t stored_bytes = 0;  // staged by finished units
  double fraction = -1;      // of the work, 0 … 1, by estimated bytes of units
  int64_t eta_ms = -1;
  double rows_per_second = 0, megabytes_per_second = 0;
  double tables_per_minute = 0, units_per_minute = 0;
  double cpu_cores = 0;  // kept busy by this process
  double disk_read_megabytes_per_second = 0, disk_write_megabytes_per_second = 0;
  int64_t rss_bytes = 0, memory_limit_bytes = 0;
  int64_t retries = 0;
};

// One of the tables that run now.
struct ActiveTable {
  DatasetId dataset;
  int64_t units = 0, units_done = 0, units_running = 0;
  int64_t rows = 0, estimated_rows = -1;
};

struct ProgressEvent {
  ProgressKind kind = ProgressKind::kTick;
  std::string time;  // UTC
  JobId job_id;
  DatasetId dataset;     // of table and unit events
  std::string unit_id;   // kUnitDone, kRetry
  std::string message;   // kRetry, kWarning, kTableFailed, kJobDone; redacted
  std::string location;  // kTablePublished
  std::string state;     // kJobDone: JobStateName
  int64_t rows = 0, bytes = 0, units = 0, elapsed_ms = 0, delay_ms = 0;
  ProgressTotals totals;            // kJobStarted, kTick, kJobDone
  std::vector<ActiveTable> active;  // kTick

  std::string ToJson() const;  // one line, without the newline
};

// Calls come one at a time, from several threads, and must return soon.
class ProgressSink {
 public:
  virtual ~ProgressSink() = default;
  virtual void OnEvent(const ProgressEvent& event) = 0;
};

// `--progress json`: one event a line.
class JsonLinesProgress : public ProgressSink {
 public:
  explicit JsonLinesProgress(std::FILE* out) : out_(out) {}
  void OnEvent(const ProgressEvent& event) override;

 private:
  std::FILE* const out_;
};

// Not a terminal: a line every few seconds, and one for what happened.
class LineProgress : public ProgressSink {
 public:
  // `detailed` adds a line per table, tables/min, units/min, CPU and disk.
  LineProgress(std::FILE* out, bool detailed, int64_t interval_ms)
      : out_(out), detailed_(detailed), interval_ms_(interval_ms) {}
  void OnEvent(const ProgressEvent& event) override;

 private:
  std::FILE* const out_;
  const bool detailed_;
  const int64_t interval_ms_;
  int64_t last_line_ms_ = 0;  // elapsed time of the last tick that was written
};

// "public.orders: no space left": with the table's name once.
std::string FailureText(const ProgressEvent& event);
// "12,345,678 rows · 1.2 GiB · 812,000 rows/s · 96 MB/s · ETA 1 m 30 s · RSS 120 MiB of 1 GiB".
std::string TotalsText(const ProgressTotals& totals, bool detailed);

}  // namespace bulkhaul
