// Fits workers and their buffers into the memory budget, before anything runs.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "plan/memory_decision.h"
#include "plan/options.h"

namespace bulkhaul {

struct MemoryWishes {
  int64_t budget_bytes = 0;  // ResolveMemoryBudget()
  int64_t fixed_bytes = 0;   // what the process holds whatever runs: code, ledger, plan
  int workers = 1;
  // Above 0: more workers than this are taken as far as the budget reaches, and no batch is made
  // smaller for them.
  int workers_least = 0;
  int64_t batch_bytes = 4 << 20;
  // What one worker holds of batches: the one being filled and the one being written.
  double batches_per_worker = 2;
  int64_t writer_bytes = 0;  // SinkTraits::writer_bytes: one open writer, beside its batch
  // What a transform that holds rows (group_by) gets: the least, and what more it can use. 0: none.
  int64_t transform_bytes_min = 0, transform_bytes_max = 0;
  // What they can fill of it, all workers together; -1: not known.
  int64_t transform_need_bytes = -1;
  // Rows of one unit that are read ahead of its writer: so many, or what is left. 0: none.
  int64_t read_ahead_bytes = 0;
  // AvailableCores(). A thread that reads ahead wants one that no worker has. 0: as many as needed.
  int cores = 0;
};

struct MemoryPlan {
  int64_t budget_bytes = 0;
  int workers = 1;
  int64_t batch_bytes = 0;
  int64_t worker_bytes = 0;        // what each attempt reserves before it starts
  int64_t transform_bytes = 0;     // of these, for transforms that hold rows
  int64_t read_ahead_bytes = 0;    // of these, for rows that are read ahead
  std::vector<std::string> notes;  // "memory: batches of 1 MiB instead of 4 MiB, …"
};

// The least that batch_bytes is lowered to.
inline constexpr int64_t kBatchBytesMin = 256 << 10;

// memory_limit, or half of `available_bytes` (base/memory_budget.h) when it is 0. Pure.
int64_t ResolveMemoryBudget(const Options& options, int64_t available_bytes);

// Such transforms of one worker: between these. Their tables are refilled or spilled beyond.
inline constexpr int64_t kTransformBytesMin = 4 << 20;
inline constexpr int64_t kTransformBytesMax = 256 << 20;

// Lowers the batches first, then the workers, until fixed + workers × worker_bytes fit the budget.
// Of what is left then, transforms that hold rows get half, and what is read ahead the rest.
// kUser with the least budget that works when one worker with the smallest batches does not. Pure.
Result<MemoryPlan> PlanMemory(const MemoryWishes& wishes);

struct MemoryChoice {
  MemoryPlan plan;
  MemoryDecision decision;
};
// The plan with the strategy that it allows and what that reads ahead: of units whose rows need
// `unit_bytes` each (-1: not known), with `machine_bytes` as MemoryForRows() takes them. Pure.
Result<MemoryChoice> ChooseMemory(const Options& options, MemoryWishes wishes,
                                  std::span<const int64_t> unit_bytes, int64_t machine_bytes);

}  // namespace bulkhaul
