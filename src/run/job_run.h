// One run of one job, from its ledger to its report. Inside run/ only.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "commit/job_index.h"
#include "run/concurrency.h"
#include "run/job_planner.h"
#include "run/run_context.h"
#include "run/runner.h"
#include "run/scheduler.h"
#include "run/unit_cache.h"

namespace bulkhaul {

class UnitWorker;

class JobRun {
 public:
  // Takes the job's lock and makes or opens its ledger. An error leaves nothing behind.
  static Result<std::unique_ptr<JobRun>> Begin(const JobSpec& spec, Source& source, Sink& sink,
                                               const RunOptions& options);
  ~JobRun();
  // Once.
  JobReport Run();

 private:
  JobRun(const JobSpec& spec, Source& source, Sink& sink, const RunOptions& options,
         std::unique_ptr<Ledger> ledger, JobEntry entry);

  // The phases, in order; each on the caller's thread.
  Status Prepare();
  Status DiscoverTables();
  Status PlanCapacity();
  // What the rows of each unit that is left need in memory; -1: not known.
  Result<std::vector<int64_t>> UnitSizes();
  Status Execute();
  Status PublishJob(JobReport& report);
  void End(JobReport& report, const Status& status);

  // New epochs.
  Status BeginEpoch(std::vector<TableRun*> lost);
  Status RenewLostEpochs();
  void MarkLost(const std::shared_ptr<Epoch>& epoch, const Status& reason);
  // What is unfinished may be resumed in the same views while keep_snapshot holds them.
  void ReleaseViews(bool unfinished);

  // On the worker threads.
  void Work(int number);
  // False: this worker ends, because there is no connection for it.
  bool RunTask(UnitWorker& worker, const Task& task);
  bool HandleFailure(Task task, const Status& status);
  // Failed with a table that comes before them: nothing of them is waited for.
  void RemoveFollowers();
  void NoteUnit(const Task& task, int64_t rows, int64_t elapsed_ms);
  bool ShouldRetire(const Status& status);
  void WatchViews(std::stop_token stop);
  void Govern(std::stop_token stop);
  void WatchMemory(std::stop_token stop);
  void Tick(std::stop_token stop);

  // What transforms keep from unit to unit; goes with the job's success.
  std::string TransformFolder() const { return entry_.folder + "/transforms"; }
  JobReport Report(const Status& status);
  void AddTableReport(JobReport& report, const TableRun& table);
  void AddRejects(TableReport& entry, const TableRun& table);
  Status WriteEntry(const JobReport& report);
  void Schedule(TableRun* table);
  Result<std::vector<UnitRecord>> LoadUnits(TableRun& table);

  const JobSpec& spec_;
  const RunOptions options_;
  const int64_t memory_limit_bytes_;
  const int64_t fixed_bytes_;  // what the process held when the run began
  const std::unique_ptr<Ledger> ledger_;
  JobEntry entry_;
  JobControl control_;
  MemoryBudget budget_;
  Watchdog watchdog_;
  ProgressHub progress_;
  MemoryMonitor monitor_;
  std::unique_ptr<UnitCache> cache_;  // null: nothing is kept
  RunContext run_;
  const ProcessUsage usage_before_;
  const int64_t peak_before_bytes_ = PeakResidentBytes();
  const std::string started_at_;
  std::vector<std::unique_ptr<TableRun>> tables_;  // constant after Prepare()
  std::unique_ptr<Scheduler> scheduler_;
  MemoryDecision decision_;                        // before the first unit; constant then
  std::unique_ptr<ConcurrencyGovernor> governor_;  // null: the number of workers is fixed
  int64_t epochs_lost_in_a_row_ = 0;               // main thread only
  size_t left_at_last_loss_ = 0;

  std::mutex mutex_;
  std::vector<std::shared_ptr<Epoch>> live_epochs_;  // guarded by mutex_, as below
  std::vector<SlowUnit> slowest_;
  std::atomic<int> workers_alive_{0};
  std::atomic<int64_t> unit_ms_{0};
  std::atomic<int64_t> units_run_{0};
};

}  // namespace bulkhaul
