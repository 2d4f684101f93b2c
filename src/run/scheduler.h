// Which unit runs next: largest tables first, but none before those that it waits for; at most so
// many tables and units of one table at once.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <vector>

#include "base/backoff.h"
#include "base/error.h"
#include "commit/ledger.h"
#include "run/table_run.h"

namespace bulkhaul {

enum class TaskKind {
  kUnit,    // one unit of the table's current stage
  kFinish,  // all units of the stage are done: the table's next step
};

struct Task {
  TaskKind kind = TaskKind::kUnit;
  TableRun* table = nullptr;
  UnitRecord unit;                   // kUnit
  int tries = 0;                     // that failed
  std::shared_ptr<Backoff> backoff;  // made at the first failure
};

struct SchedulerLimits {
  int parallel_tables = 1;
  // False: the two limits on tables were not asked for, so that a worker with nothing else to do
  // may go above them.
  bool parallel_tables_fixed = false;
  bool workers_per_table_fixed = false;
};

// Thread-safe. Tables are not owned.
class Scheduler {
 public:
  using Clock = std::chrono::steady_clock;
  // Gives the units of the table's current stage that are not done. Called without the lock.
  using LoadUnits = std::function<Result<std::vector<UnitRecord>>(TableRun&)>;
  Scheduler(SchedulerLimits limits, LoadUnits load) : limits_(limits), load_(std::move(load)) {}

  // The table has units to run in its current stage, or none and is to be finished.
  void AddUnits(TableRun* table);
  void AddFinish(TableRun* table);

  // Blocks until there is a task. nullopt when stopped or closed.
  Result<std::optional<Task>> Next(std::stop_token stop);

  // Each task that Next() gave out comes back in exactly one of these ways.
  // Done. The last unit of a stage queues the table's kFinish task.
  void UnitDone(const Task& task);
  // Done. kUnits: another stage's are loaded anew. kWait: the task is given out again, once, when
  // no table holds this one back; until then it is in nobody's way.
  void FinishDone(const Task& task, NextStep next);
  // To be tried again after the delay.
  void Retry(Task task, int64_t delay_ms);
  // Not tried: waits again as it was (no connection for this worker, a view that is gone).
  void GiveBack(Task task);
  // The table has failed: nothing of it is given out any more.
  void Drop(const Task& task);

  // Forgets what waits of this table; it may be added again once nothing of it runs.
  void Remove(TableRun* table);
  // Waits until nothing runs of the tables that `concerns` names, or stop.
  void WaitIdle(const std::function<bool(const TableRun&)>& concerns, std::stop_token stop);

  // Waits until no table is left (true), or Wake() was called or stop requested (false).
  bool WaitForEvent(std::stop_token stop);
  void Wake();
  // Workers get nullopt from now on.
  void Close();

 private:
  struct Waiting {
    Task task;
    Clock::time_point not_before;
  };
  struct Entry {
    bool loaded = false, loading = false;
    std::deque<Waiting> ready;
    int running = 0;   // units and finish
    int64_t left = 0;  // units not done, running ones included
    bool removed = false;
    bool waits = false;  // its finish task is for when no table holds it back
  };

  // All with the lock held.
  std::optional<Task> Choose(Clock::time_point now, Clock::time_point& next_ready);
  std::optional<Task> TakeUnit(TableRun* table, bool above_limit, Clock::time_point now,
                               Clock::time_point& next_ready);
  // A table whose units must be loaded before more can be chosen.
  TableRun* ToLoad();
  Status Load(TableRun* table, std::unique_lock<std::mutex>& lock);
  void PutBack(Task task, Clock::time_point not_before);
  // The task is no longer running; forgets a removed table with the last one.
  Entry* Leave(const Task& task);
  void Forget(TableRun* table);
  void Changed();

  const SchedulerLimits limits_;
  const LoadUnits load_;
  std::mutex mutex_;
  std::condition_variable_any changed_;                        // guarded by mutex_, as all below
  std::map<TableRun*, Entry> entries_;                         // tables that are not over
  std::multimap<int64_t, TableRun*, std::greater<>> waiting_;  // by priority; not active yet
  std::vector<TableRun*> active_;                              // in the order of activation
  std::deque<Waiting> finishes_;
  uint64_t version_ = 0;  // raised by each change
  bool closed_ = false;
  bool woken_ = false;
};

}  // namespace bulkhaul
