// What runs on the threads of a job: workers, the watcher of its views, the ticker.
#include <algorithm>
#include <condition_variable>

#include <arrow/memory_pool.h>
#include <fmt/format.h>

#include "base/log.h"
#include "base/memory_budget.h"
#include "run/job_run.h"
#include "run/table_finisher.h"
#include "run/unit_worker.h"

namespace bulkhaul {
namespace {

constexpr int64_t kViewCheckMs = 5000;
constexpr int64_t kGovernMs = 200;
constexpr int64_t kMemoryCheckMs = 500;
constexpr size_t kSlowestUnits = 5;

// SQLSTATE too_many_connections; a source whose server says it otherwise uses the same code.
constexpr char kTooManyConnections[] = "53300";

// False when stopped.
bool Sleep(int64_t milliseconds, std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait_for(lock, stop, std::chrono::milliseconds(milliseconds), [] { return false; });
  return !stop.stop_requested();
}

}  // namespace

void JobRun::Work(int number) {
  UnitWorker worker(run_, number);
  for (;;) {
    if (governor_ && !governor_->Admits(number)) {
      worker.Disconnect();
      if (!governor_->Wait(number, control_.stop())) return;
    }
    auto task = scheduler_->Next(control_.stop());
    if (!task.ok()) {
      control_.Fail(task.status());
      return;
    }
    if (!task->has_value() || !RunTask(worker, **task)) return;
  }
}

bool JobRun::RunTask(UnitWorker& worker, const Task& task) {
  TableRun& table = *task.table;
  if (task.kind == TaskKind::kFinish) {
    auto next = FinishStage(run_, table, [this](TableRun* twin) { scheduler_->AddUnits(twin); });
    if (!next.ok()) return HandleFailure(task, worker.PlacedByValue(table, next.status()));
    scheduler_->FinishDone(task, *next);
    return true;
  }
  const auto before = std::chrono::steady_clock::now();
  int64_t never = -1;
  table.started_ms.compare_exchange_strong(never, progress_.elapsed_ms());
  const auto rows = worker.Run(task);
  if (!rows.ok()) return HandleFailure(task, rows.status());
  NoteUnit(task, *rows,
           std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                 before)
               .count());
  scheduler_->UnitDone(task);
  return true;
}

void JobRun::NoteUnit(const Task& task, int64_t rows, int64_t elapsed_ms) {
  unit_ms_ += elapsed_ms;
  ++units_run_;
  std::lock_guard lock(mutex_);
  if (slowest_.size() == kSlowestUnits && slowest_.back().elapsed_ms >= elapsed_ms) return;
  slowest_.push_back({task.unit.unit.id, task.table->record.dataset.id, elapsed_ms, rows});
  std::stable_sort(slowest_.begin(), slowest_.end(), [](const SlowUnit& a, const SlowUnit& b) {
    return a.elapsed_ms > b.elapsed_ms;
  });
  if (slowest_.size() > kSlowestUnits) slowest_.pop_back();
}

// One worker less is better than a failed table, as long as one is left.
bool JobRun::ShouldRetire(const Status& status) {
  if (CodeOf(status) != kTooManyConnections) return false;
  int alive = workers_alive_;
  while (alive > 1) {
    if (workers_alive_.compare_exchange_weak(alive, alive - 1)) {
      progress_.Warn(
          fmt::format("workers lowered to {}: the source has no connection for more", alive - 1));
      return true;
    }
  }
  return false;
}

bool JobRun::HandleFailure(Task task, const Status& status) {
  TableRun& table = *task.table;
  if (control_.stopping()) {
    scheduler_->GiveBack(std::move(task));
    return true;
  }
  if (table.stop.stop_requested()) {
    scheduler_->Drop(task);
    return true;
  }
  const ErrorKind kind = KindOf(status);
  if (governor_ && run_.source.Overloaded(status)) {
    if (const int limit = governor_->Overloaded(progress_.elapsed_ms(), CodeOf(status))) {
      progress_.Warn(fmt::format("workers lowered to {}: the source has too much to do: {}", limit,
                                 MessageOf(status)));
    }
  }
  const bool reads = table.record.state == DatasetState::kPlanned;
  if (reads && (table.epoch->lost || kind == ErrorKind::kSnapshotLost)) {
    MarkLost(table.epoch, status);
    scheduler_->GiveBack(std::move(task));
    return true;
  }
  if (ShouldRetire(status)) {
    scheduler_->GiveBack(std::move(task));
    return false;
  }
  if (kind == ErrorKind::kTransient && reads && table.epoch->snapshot.consistent) {
    const Status view = run_.source.CheckPin(table.epoch->snapshot);
    if (!view.ok() && KindOf(view) == ErrorKind::kSnapshotLost) {
      MarkLost(table.epoch, view);
      scheduler_->GiveBack(std::move(task));
      return true;
    }
  }
  const bool again = task.kind != TaskKind::kFinish || !table.check_tries_used;
  if (kind == ErrorKind::kTransient && again && task.tries < spec_.options.GetInt("retries")) {
    ++task.tries;
    if (!task.backoff) {
      task.backoff = MakeBackoff(spec_.options, run_.job + task.unit.unit.id);
    }
    ProgressEvent event;
    event.kind = ProgressKind::kRetry;
    event.dataset = table.record.dataset.id;
    event.unit_id = task.unit.unit.id;
    event.message = MessageOf(status);
    event.delay_ms = task.backoff->NextDelayMs();
    const int64_t delay_ms = event.delay_ms;
    ++table.retries;
    ++progress_.retries;
    Log(LogLevel::kDetailed, fmt::format("retry in {} ms: {}", delay_ms, event.message));
    progress_.Emit(std::move(event));
    scheduler_->Retry(std::move(task), delay_ms);
    return true;
  }
  FailTable(run_, table, status);
  scheduler_->Drop(task);
  RemoveFollowers();
  return true;
}

void JobRun::RemoveFollowers() {
  for (const auto& table : tables_) {
    if (!table->after.empty() && table->stop.stop_requested()) scheduler_->Remove(table.get());
  }
}

void JobRun::WatchViews(std::stop_token stop) {
  while (Sleep(kViewCheckMs, stop)) {
    std::vector<std::shared_ptr<Epoch>> epochs;
    {
      std::lock_guard lock(mutex_);
      epochs = live_epochs_;
    }
    for (const auto& epoch : epochs) {
      if (epoch->lost || !epoch->snapshot.consistent) continue;
      const Status status = run_.source.CheckPin(epoch->snapshot);
      if (!status.ok() && KindOf(status) == ErrorKind::kSnapshotLost) MarkLost(epoch, status);
    }
  }
}

void JobRun::Govern(std::stop_token stop) {
  while (Sleep(kGovernMs, stop)) {
    int running = 0;
    for (const auto& table : tables_) running += static_cast<int>(table->units_running);
    governor_->Observe(progress_.elapsed_ms(), progress_.bytes, progress_.batches, running);
  }
}

// Others may have taken memory since the strategy was chosen. It is only ever lowered: what was
// read ahead is written out meanwhile, and nothing is gained by going to and fro.
void JobRun::WatchMemory(std::stop_token stop) {
  if (decision_.forced || decision_.need_bytes < 0) return;
  while (run_.strategy.load() != Strategy::kStreaming && Sleep(kMemoryCheckMs, stop)) {
    const int64_t available =
        MemoryForRows(spec_.options, AvailableMemoryBytes() + ResidentBytes());
    const auto now = DecideMemory(spec_.options, decision_.need_bytes, available);
    if (!now.ok() || now->strategy <= run_.strategy.load()) continue;
    progress_.Warn(fmt::format("memory: {} instead of {} from now on: {}",
                               StrategyName(now->strategy), StrategyName(run_.strategy.load()),
                               now->reason));
    run_.strategy = now->strategy;
    arrow::default_memory_pool()->ReleaseUnused();
  }
}

void JobRun::Tick(std::stop_token stop) {
  while (Sleep(options_.progress_interval_ms, stop)) progress_.Tick();
}

}  // namespace bulkhaul
