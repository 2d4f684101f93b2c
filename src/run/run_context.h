// What the parts of one run share. Inside run/ only.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>

#include "base/backoff.h"
#include "base/memory_budget.h"
#include "commit/ledger.h"
#include "plan/job_spec.h"
#include "plan/memory_decision.h"
#include "plan/memory_plan.h"
#include "plan/parallelism.h"
#include "run/memory_monitor.h"
#include "run/progress_hub.h"
#include "run/table_run.h"
#include "run/watchdog.h"
#include "sink/sink.h"
#include "source/source.h"
#include "transform/transform.h"

namespace bulkhaul {

// Why a run ends early. Thread-safe; the first reason stays.
class JobControl {
 public:
  // `stop` is the caller's: its request cancels the run.
  explicit JobControl(std::stop_token stop)
      : cancelled_(stop, [this] { Fail(CancelledError("the job was cancelled")); }) {}
  void Fail(const Status& reason) {
    {
      std::lock_guard lock(mutex_);
      if (reason_.ok()) reason_ = reason;
    }
    stop_.request_stop();
  }
  std::stop_token stop() const { return stop_.get_token(); }
  std::stop_source source() const { return stop_; }
  bool stopping() const { return stop_.stop_requested(); }
  Status reason() const {
    std::lock_guard lock(mutex_);
    return reason_;
  }

 private:
  mutable std::mutex mutex_;
  Status reason_;  // guarded by mutex_
  std::stop_source stop_;
  std::stop_callback<std::function<void()>> cancelled_;  // last: it may fire while it is made
};

// Constant while workers run, but for what is thread-safe by itself.
struct RunContext {
  const JobSpec& spec;
  JobId job;
  Source& source;
  Sink& sink;
  SourceTraits source_traits;
  SinkTraits sink_traits;
  Ledger& ledger;
  MemoryBudget& budget;
  MemoryMonitor& monitor;
  ProgressHub& progress;
  Watchdog& watchdog;
  JobControl& control;
  Parallelism parallelism;
  MemoryPlan memory;
  std::string source_description;    // without secrets
  class UnitCache* cache = nullptr;  // null: nothing is kept
  bool continue_on_error = false;
  bool commit_job = false;                      // all tables are published at the end
  std::atomic<bool> publish_now{true};          // false while commit_job holds them back
  TransformResources transform_resources = {};  // of one unit
  std::string state_folder = {};                // of the user
  bool announce_rejects = true;                 // RunOptions
  // Lowered while workers run when memory shrinks.
  std::atomic<Strategy> strategy{Strategy::kStreaming};

  // What one unit may read ahead of its writer now.
  int64_t ReadAheadBytes() const;
};

// The table is not published by this run, nor are those that come after it: written down, told,
// their units stopped; the job ends here too unless on_error says continue.
void FailTable(RunContext& run, TableRun& table, const Status& error);

// Calls `action` until it succeeds, fails for good, or `retries` are used up; waits between tries
// with backoff and full jitter. Stops waiting when the job stops.
Status RetryTransient(RunContext& run, const std::string& what,
                      const std::function<Status()>& action);
// For a call of the source that is many requests: as above, unless the source has each of them
// tried again (SourceTraits::retries_requests).
Status RetrySource(RunContext& run, const std::string& what, const std::function<Status()>& action);
// Without a run: what is tried again is logged.
Status RetryTransient(const Options& options, std::stop_token stop, const std::string& what,
                      const std::function<Status()>& action);
// Milliseconds between tries, from the job's options.
std::shared_ptr<Backoff> MakeBackoff(const Options& options, const std::string& seed);

}  // namespace bulkhaul
