#include "plan/memory_plan.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/units.h"

namespace bulkhaul {
namespace {

// Of a unit of a source that does not know its size, when eager is forced.
constexpr int64_t kReadAheadBytesUnknown = 64 << 20;

// What a job so planned holds at its height when its units, of `rows_bytes` together, are read
// ahead whole; -1: not known.
MemoryNeed NeedOf(const MemoryWishes& wishes, const MemoryPlan& plan, int64_t rows_bytes) {
  MemoryNeed need;
  need.fixed_bytes = wishes.fixed_bytes;
  need.rows_bytes = rows_bytes;
  need.buffer_bytes = plan.workers * plan.worker_bytes;
  const int64_t transforms = plan.workers * plan.transform_bytes;
  if (wishes.transform_need_bytes >= 0 && wishes.transform_need_bytes < transforms) {
    need.buffer_bytes -= transforms - wishes.transform_need_bytes;
  }
  return need;
}

// MemoryWishes::read_ahead_bytes, for a largest unit of `unit_bytes` (-1: not known).
int64_t ReadAheadWish(Strategy strategy, const MemoryPlan& plan, int64_t unit_bytes) {
  switch (strategy) {
    case Strategy::kEager:
      return unit_bytes < 0 ? kReadAheadBytesUnknown : unit_bytes;
    case Strategy::kLazy:
      return kLazyBatches * plan.batch_bytes;
    case Strategy::kStreaming:
      return 0;
  }
  return 0;
}

}  // namespace

int64_t ResolveMemoryBudget(const Options& options, int64_t available_bytes) {
  const int64_t limit = options.GetBytes("memory_limit");
  return limit > 0 ? limit : std::max<int64_t>(available_bytes / 2, 1);
}

Result<MemoryPlan> PlanMemory(const MemoryWishes& wishes) {
  const auto worker_bytes = [&](int64_t batch_bytes) {
    return static_cast<int64_t>(wishes.batches_per_worker * static_cast<double>(batch_bytes)) +
           wishes.writer_bytes + wishes.transform_bytes_min;
  };
  const int64_t share = wishes.budget_bytes - wishes.fixed_bytes;
  const auto fits = [&](int workers, int64_t batch_bytes) {
    return share / std::max(workers, 1) >= worker_bytes(batch_bytes);
  };
  MemoryPlan plan;
  plan.budget_bytes = wishes.budget_bytes;
  plan.workers = std::max(1, wishes.workers);
  plan.batch_bytes = wishes.batch_bytes;
  while (wishes.workers_least > 0 && plan.workers > wishes.workers_least &&
         !fits(plan.workers, plan.batch_bytes)) {
    --plan.workers;
  }
  const int workers_wanted = plan.workers;
  const int64_t batch_bytes_min = std::min(kBatchBytesMin, wishes.batch_bytes);
  while (!fits(plan.workers, plan.batch_bytes) && plan.batch_bytes > batch_bytes_min) {
    plan.batch_bytes = std::max(batch_bytes_min, plan.batch_bytes / 2);
  }
  while (!fits(plan.workers, plan.batch_bytes) && plan.workers > 1) --plan.workers;
  // Fewer workers may leave room for larger batches again.
  while (plan.batch_bytes < wishes.batch_bytes &&
         fits(plan.workers, std::min(wishes.batch_bytes, plan.batch_bytes * 2))) {
    plan.batch_bytes = std::min(wishes.batch_bytes, plan.batch_bytes * 2);
  }
  if (!fits(plan.workers, plan.batch_bytes)) {
    const int64_t least = wishes.fixed_bytes + worker_bytes(batch_bytes_min);
    return UserError(
        fmt::format("a memory budget of {} is too small: one worker needs {}; set memory_limit to "
                    "at least that",
                    FormatBytes(wishes.budget_bytes), FormatBytes(least)),
        "memory_limit");
  }
  plan.worker_bytes = worker_bytes(plan.batch_bytes);
  if (wishes.transform_bytes_max > 0) {
    const int64_t left = share / plan.workers - plan.worker_bytes;
    const int64_t more =
        std::clamp<int64_t>(left / 2, 0, wishes.transform_bytes_max - wishes.transform_bytes_min);
    plan.transform_bytes = wishes.transform_bytes_min + more;
    plan.worker_bytes += more;
  }
  plan.read_ahead_bytes =
      std::clamp<int64_t>(share / plan.workers - plan.worker_bytes, 0, wishes.read_ahead_bytes);
  plan.worker_bytes += plan.read_ahead_bytes;
  if (plan.batch_bytes != wishes.batch_bytes) {
    plan.notes.push_back(fmt::format("batches lowered from {} to {} to stay within {}",
                                     FormatBytes(wishes.batch_bytes), FormatBytes(plan.batch_bytes),
                                     FormatBytes(wishes.budget_bytes)));
  }
  if (plan.workers != workers_wanted) {
    plan.notes.push_back(fmt::format(
        "workers lowered from {} to {} to stay within {}: each holds {}", workers_wanted,
        plan.workers, FormatBytes(wishes.budget_bytes), FormatBytes(plan.worker_bytes)));
  }
  return plan;
}

Result<MemoryChoice> ChooseMemory(const Options& options, MemoryWishes wishes,
                                  std::span<const int64_t> unit_bytes, int64_t machine_bytes) {
  MemoryChoice choice;
  ARROW_ASSIGN_OR_RAISE(choice.plan, PlanMemory(wishes));
  const int64_t rows_bytes = LargestTogether(unit_bytes, choice.plan.workers);
  ARROW_ASSIGN_OR_RAISE(choice.decision,
                        DecideMemory(options, NeedOf(wishes, choice.plan, rows_bytes).total_bytes(),
                                     MemoryForRows(options, machine_bytes)));
  MemoryDecision& decision = choice.decision;
  wishes.read_ahead_bytes =
      ReadAheadWish(decision.strategy, choice.plan, LargestTogether(unit_bytes, 1));
  // Where the workers keep every core busy, reading in threads beside them gains nothing, costs the
  // caches' contents, and memory: lineitem into PostgreSQL with 2 workers on 2 cores takes 20 %
  // less CPU time and half the memory without.
  const auto running = std::min<int64_t>(choice.plan.workers, std::ssize(unit_bytes));
  if (wishes.cores > 0 && running >= wishes.cores && wishes.read_ahead_bytes > 0 &&
      !decision.forced) {
    wishes.read_ahead_bytes = 0;
    decision.reason += "; the workers have every core, so that units are read as they are written";
  }
  ARROW_ASSIGN_OR_RAISE(choice.plan, PlanMemory(wishes));
  return choice;
}

}  // namespace bulkhaul
