#include "plan/memory_decision.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/units.h"

namespace bulkhaul {
namespace {

constexpr std::array<const char*, 3> kNames = {"eager", "lazy", "streaming"};

Strategy StrategyAt(double ratio) {
  if (ratio <= kEagerRatioMax) return Strategy::kEager;
  return ratio <= kLazyRatioMax ? Strategy::kLazy : Strategy::kStreaming;
}

const char* BoundText(Strategy strategy) {
  switch (strategy) {
    case Strategy::kEager:
      return "up to 0.65";
    case Strategy::kLazy:
      return "up to 2";
    case Strategy::kStreaming:
      return "above 2";
  }
  return "";
}

}  // namespace

const char* StrategyName(Strategy strategy) { return kNames[static_cast<size_t>(strategy)]; }

Result<Strategy> StrategyFromName(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames[i]) return static_cast<Strategy>(i);
  }
  return UserError(fmt::format("'{}' is no strategy: eager, lazy or streaming", name), "strategy");
}

int64_t UnitMemoryBytes(const Dataset& dataset, const WorkUnit& unit) {
  if (dataset.estimated_memory_bytes < 0) return -1;
  if (dataset.estimated_bytes <= 0 || unit.estimated_bytes < 0) {
    return dataset.estimated_memory_bytes;
  }
  const double share =
      static_cast<double>(unit.estimated_bytes) / static_cast<double>(dataset.estimated_bytes);
  return static_cast<int64_t>(static_cast<double>(dataset.estimated_memory_bytes) *
                              std::min(share, 1.0));
}

int64_t LargestTogether(std::span<const int64_t> unit_bytes, int workers) {
  std::vector<int64_t> sizes(unit_bytes.begin(), unit_bytes.end());
  if (std::any_of(sizes.begin(), sizes.end(), [](int64_t size) { return size < 0; })) return -1;
  const size_t count = std::min(sizes.size(), static_cast<size_t>(std::max(1, workers)));
  std::partial_sort(sizes.begin(), sizes.begin() + static_cast<std::ptrdiff_t>(count), sizes.end(),
                    std::greater<>());
  int64_t sum = 0;
  for (size_t i = 0; i < count; ++i) sum += sizes[i];
  return sum;
}

int64_t MemoryForRows(const Options& options, int64_t machine_bytes) {
  const int64_t limit = options.GetBytes("memory_limit");
  return limit > 0 ? std::min(limit, machine_bytes) : machine_bytes;
}

Result<MemoryDecision> DecideMemory(const Options& options, int64_t need_bytes,
                                    int64_t available_bytes) {
  MemoryDecision decision;
  decision.need_bytes = need_bytes;
  decision.available_bytes = available_bytes;
  decision.os_margin = options.GetDouble("os_margin");
  const double usable = static_cast<double>(available_bytes) * (1 - decision.os_margin);
  std::string compared = "the source does not say how much its rows need in memory";
  if (need_bytes >= 0) {
    decision.ratio = static_cast<double>(need_bytes) / std::max(1.0, usable);
    decision.strategy = StrategyAt(decision.ratio);
    const std::string need = FormatBytes(need_bytes), available = FormatBytes(available_bytes);
    const double percent = decision.os_margin * 100;
    compared =
        usable < 1
            ? fmt::format("needs {}, and os_margin {:.0f} % leaves nothing of the {} available",
                          need, percent, available)
            : fmt::format("needs {}, {:.2f} of {} ({} available, less os_margin {:.0f} %)", need,
                          decision.ratio, FormatBytes(static_cast<int64_t>(usable)), available,
                          percent);
  }
  const std::string& wanted = options.GetString("strategy");
  if (wanted != "auto") {
    decision.forced = true;
    ARROW_ASSIGN_OR_RAISE(decision.strategy, StrategyFromName(wanted));
    decision.reason = "as strategy says; " + compared;
  } else if (need_bytes >= 0) {
    decision.reason = fmt::format("{}; {} is for {}", compared, StrategyName(decision.strategy),
                                  BoundText(decision.strategy));
  } else {
    decision.reason = compared;
  }
  return decision;
}

}  // namespace bulkhaul
