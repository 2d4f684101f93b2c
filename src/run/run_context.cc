#include "run/run_context.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>

#include <fmt/format.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/units.h"
#include "run/report.h"

namespace bulkhaul {

std::shared_ptr<Backoff> MakeBackoff(const Options& options, const std::string& seed) {
  return std::make_shared<Backoff>(options.GetDurationMs("retry_delay"),
                                   options.GetDurationMs("retry_delay_max"), Xxh3Of(seed));
}

int64_t RunContext::ReadAheadBytes() const {
  switch (strategy.load()) {
    case Strategy::kEager:
      return memory.read_ahead_bytes;
    case Strategy::kLazy:
      return std::min(memory.read_ahead_bytes, kLazyBatches * memory.batch_bytes);
    case Strategy::kStreaming:
      return 0;
  }
  return 0;
}

namespace {

Status NotLoaded(const std::string& reason, const std::string& failed) {
  return PermanentError(
      reason.empty() ? fmt::format("not loaded: it comes after {}, which failed", failed)
                     : fmt::format("not loaded: its {} refers to {}, which failed", reason, failed),
      kPredecessorFailed);
}

}  // namespace

void FailTable(RunContext& run, TableRun& table, const Status& error) {
  // Once: two tables that this one comes after may fail at the same time.
  if (!table.stop.request_stop()) return;
  table.error_code = CodeOf(error);
  const Status written = run.ledger.FailDataset(table.record.index, error);
  if (!written.ok()) run.control.Fail(written);
  ProgressEvent event;
  event.kind = ProgressKind::kTableFailed;
  event.dataset = table.record.dataset.id;
  event.message = MessageOf(error);
  run.progress.Emit(std::move(event));
  for (TableRun* twin : table.twins) {
    if (twin->twin_of == &table) FailTable(run, *twin, error);
  }
  if (!run.continue_on_error) run.control.Fail(error);
  for (TableRun* follower : table.followers) {
    if (follower->published) continue;
    const auto link = std::find_if(follower->after.begin(), follower->after.end(),
                                   [&](const auto& one) { return one.table == &table; });
    FailTable(run, *follower, NotLoaded(link->reason, table.Name()));
  }
}

namespace {

// Calls `told` before each wait.
Status TryAgain(const Options& options, const std::string& seed, std::stop_token stop,
                const std::function<Status()>& action,
                const std::function<void(const Status&, int64_t delay_ms)>& told) {
  const auto backoff = MakeBackoff(options, seed);
  const int64_t retries = options.GetInt("retries");
  for (int64_t failed = 0;; ++failed) {
    if (stop.stop_requested()) return CancelledError();
    Status status = action();
    if (status.ok() || KindOf(status) != ErrorKind::kTransient || failed >= retries) return status;
    const int64_t delay_ms = backoff->NextDelayMs();
    told(status, delay_ms);
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    wake.wait_for(lock, stop, std::chrono::milliseconds(delay_ms), [] { return false; });
  }
}

}  // namespace

Status RetryTransient(RunContext& run, const std::string& what,
                      const std::function<Status()>& action) {
  const Status status = TryAgain(run.spec.options, run.job + what, run.control.stop(), action,
                                 [&](const Status& failure, int64_t delay_ms) {
                                   ProgressEvent event;
                                   event.kind = ProgressKind::kRetry;
                                   event.message = fmt::format("{}: {}", what, MessageOf(failure));
                                   event.delay_ms = delay_ms;
                                   ++run.progress.retries;
                                   run.progress.Emit(std::move(event));
                                 });
  const bool cancelled = !status.ok() && KindOf(status) == ErrorKind::kCancelled;
  return cancelled && run.control.stopping() ? run.control.reason() : status;
}

Status RetryTransient(const Options& options, std::stop_token stop, const std::string& what,
                      const std::function<Status()>& action) {
  return TryAgain(options, what, std::move(stop), action,
                  [&](const Status& failure, int64_t delay_ms) {
                    LogWarning(fmt::format("{}: {}; again in {}", what, MessageOf(failure),
                                           FormatDurationMs(delay_ms)));
                  });
}

Status RetrySource(RunContext& run, const std::string& what,
                   const std::function<Status()>& action) {
  return run.source_traits.retries_requests ? action() : RetryTransient(run, what, action);
}

}  // namespace bulkhaul
