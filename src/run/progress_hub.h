// Gathers what the threads of a run do and tells the progress sink. Inside run/ only.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "run/process_usage.h"
#include "run/progress.h"
#include "run/table_run.h"

namespace bulkhaul {

// Thread-safe.
class ProgressHub {
 public:
  // `resident_bytes` may be called from any thread.
  ProgressHub(JobId job, ProgressSink* sink, std::function<int64_t()> resident_bytes);

  // Once, when the plan is made; the tables outlive the hub.
  void SetTables(std::vector<const TableRun*> tables, int64_t memory_limit_bytes);
  void Emit(ProgressEvent event);  // fills time and job
  // Logged, kept for the report, and told. The same text is told once.
  void Warn(const std::string& message);
  void Tick();
  ProgressTotals Totals();
  std::vector<std::string> warnings() const;
  int64_t elapsed_ms() const;

  std::atomic<int64_t> bytes{0};         // received, of finished and running attempts
  std::atomic<int64_t> stored_bytes{0};  // staged by finished units
  std::atomic<int64_t> retries{0};
  std::atomic<int64_t> units_cached{0};  // finished, with rows of the cache
  std::atomic<int64_t> batches{0};       // read so far, by all attempts

 private:
  struct Sample {
    int64_t at_ms = 0;
    int64_t rows = 0, bytes = 0, units = 0, tables = 0;
    ProcessUsage usage;
  };
  void AddRates(ProgressTotals& totals);
  void AddWork(ProgressTotals& totals);

  const JobId job_;
  ProgressSink* const sink_;
  const std::function<int64_t()> resident_bytes_;
  const std::chrono::steady_clock::time_point started_;
  mutable std::mutex mutex_;
  std::vector<const TableRun*> tables_;  // guarded by mutex_, as all below
  int64_t memory_limit_bytes_ = 0;
  std::deque<Sample> samples_;
  std::vector<std::string> warnings_;
  std::mutex sink_mutex_;  // one event at a time; taken without mutex_
};

}  // namespace bulkhaul
