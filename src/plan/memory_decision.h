// How a job reads: with whole units in memory, a little ahead, or batch by batch.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "plan/options.h"
#include "plan/values.h"

namespace bulkhaul {

enum class Strategy {
  kEager,      // a unit is read ahead of its writer as fast as the source gives it, up to the whole
  kLazy,       // a few batches are read ahead
  kStreaming,  // a batch is read when the one before it is written
};
const char* StrategyName(Strategy strategy);  // "eager", "lazy", "streaming"
Result<Strategy> StrategyFromName(std::string_view name);

// Up to these ratios of what is needed to what there is.
inline constexpr double kEagerRatioMax = 0.65;
inline constexpr double kLazyRatioMax = 2.0;
// Batches that lazy reads ahead.
inline constexpr int64_t kLazyBatches = 2;

// What an eager run of a job holds at its height. Bytes.
struct MemoryNeed {
  int64_t fixed_bytes = 0;   // whatever runs: code, ledger, plan
  int64_t rows_bytes = -1;   // of the units that run at the same time; -1: the source does not know
  int64_t buffer_bytes = 0;  // of readers and writers: workers × (batches + writer)

  int64_t total_bytes() const {
    return rows_bytes < 0 ? -1 : fixed_bytes + rows_bytes + buffer_bytes;
  }
};

struct MemoryDecision {
  Strategy strategy = Strategy::kStreaming;
  bool forced = false;      // by the option `strategy`
  int64_t need_bytes = -1;  // -1: not known
  int64_t available_bytes = 0;
  double os_margin = 0;
  double ratio = -1;   // -1: not known
  std::string reason;  // for people: "needs 180 MiB, 0.03 of …"
};

// What the unit's rows need in memory: its share of the dataset. -1: the source does not know.
int64_t UnitMemoryBytes(const Dataset& dataset, const WorkUnit& unit);

// The sum of the `workers` largest; -1 when one of them is not known.
int64_t LargestTogether(std::span<const int64_t> unit_bytes, int workers);

// What the decision is about: what the machine has (AvailableMemoryBytes and what this process
// holds already), or memory_limit where that is less. Pure.
int64_t MemoryForRows(const Options& options, int64_t machine_bytes);

// By need / (available × (1 − os_margin)), or as `strategy` says. A source that does not know its
// rows' size is streamed. Pure.
Result<MemoryDecision> DecideMemory(const Options& options, int64_t need_bytes,
                                    int64_t available_bytes);

}  // namespace bulkhaul
