// Watches what the process really holds against what it was allowed.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "base/memory_budget.h"

namespace bulkhaul {

enum class MemoryStage { kPlan = 0, kRead = 1, kAssemble = 2, kPublish = 3 };
inline constexpr int kMemoryStages = 4;
const char* MemoryStageName(MemoryStage stage);  // "plan", "read", "assemble", "publish"

// Samples resident memory from a thread of its own, from construction to destruction: warns when it
// passes 80 % of the limit, throttles the budget from 90 % until it is below 85 %. Thread-safe.
class MemoryMonitor {
 public:
  using Warn = std::function<void(const std::string&)>;
  using Sample = std::function<int64_t()>;  // resident bytes
  MemoryMonitor(MemoryBudget& budget, int64_t limit_bytes, Warn warn, Sample sample,
                int64_t interval_ms);
  ~MemoryMonitor();

  // Marks a stage as running on some thread; what is sampled meanwhile counts for it.
  void Enter(MemoryStage stage) { ++active_[static_cast<int>(stage)]; }
  void Leave(MemoryStage stage) { --active_[static_cast<int>(stage)]; }

  int64_t resident_bytes() const { return resident_bytes_; }
  int64_t peak_bytes() const { return peak_bytes_; }
  std::map<std::string, int64_t> PeakByStage() const;
  // One sample now, on the caller's thread.
  void Check();

 private:
  void Run(std::stop_token stop);

  MemoryBudget& budget_;
  const int64_t limit_bytes_;
  const Warn warn_;
  const Sample sample_;
  const int64_t interval_ms_;
  std::atomic<int64_t> resident_bytes_{0};
  std::atomic<int64_t> peak_bytes_{0};
  std::array<std::atomic<int>, kMemoryStages> active_{};
  std::array<std::atomic<int64_t>, kMemoryStages> stage_peaks_{};
  std::mutex check_mutex_;
  bool warned_ = false;  // guarded by check_mutex_, as below
  bool throttled_ = false;
  std::jthread thread_;  // last, so that it stops before what it uses goes
};

// Enters a stage for the life of the object.
class StageScope {
 public:
  StageScope(MemoryMonitor& monitor, MemoryStage stage) : monitor_(monitor), stage_(stage) {
    monitor_.Enter(stage_);
  }
  ~StageScope() { monitor_.Leave(stage_); }
  StageScope(const StageScope&) = delete;
  StageScope& operator=(const StageScope&) = delete;

 private:
  MemoryMonitor& monitor_;
  const MemoryStage stage_;
};

}  // namespace bulkhaul
