#include "run/memory_monitor.h"

#include <condition_variable>

#include <arrow/memory_pool.h>
#include <fmt/format.h>

#include "base/units.h"

namespace bulkhaul {
namespace {

void Raise(std::atomic<int64_t>& peak, int64_t value) {
  int64_t seen = peak;
  while (seen < value && !peak.compare_exchange_weak(seen, value)) {
  }
}

}  // namespace

const char* MemoryStageName(MemoryStage stage) {
  constexpr const char* kNames[kMemoryStages] = {"plan", "read", "assemble", "publish"};
  return kNames[static_cast<int>(stage)];
}

MemoryMonitor::MemoryMonitor(MemoryBudget& budget, int64_t limit_bytes, Warn warn, Sample sample,
                             int64_t interval_ms)
    : budget_(budget),
      limit_bytes_(limit_bytes),
      warn_(std::move(warn)),
      sample_(std::move(sample)),
      interval_ms_(interval_ms),
      thread_([this](std::stop_token stop) { Run(stop); }) {}

MemoryMonitor::~MemoryMonitor() {
  thread_.request_stop();
  thread_.join();
  budget_.SetThrottled(false);
}

void MemoryMonitor::Run(std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  while (!stop.stop_requested()) {
    Check();
    wake.wait_for(lock, stop, std::chrono::milliseconds(interval_ms_), [] { return false; });
  }
}

void MemoryMonitor::Check() {
  // Around the sample too: an old one may not undo what a newer one has found.
  std::lock_guard lock(check_mutex_);
  const int64_t resident = sample_();
  resident_bytes_ = resident;
  Raise(peak_bytes_, resident);
  for (int i = 0; i < kMemoryStages; ++i) {
    if (active_[i] > 0) Raise(stage_peaks_[i], resident);
  }
  const double share = static_cast<double>(resident) / static_cast<double>(limit_bytes_);
  if (share >= 0.8 && !warned_) {
    warned_ = true;
    warn_(fmt::format("memory: {} resident, {:.0f} % of the limit of {}", FormatBytes(resident),
                      share * 100, FormatBytes(limit_bytes_)));
  } else if (share < 0.7) {
    warned_ = false;
  }
  if (share >= 0.9 && !throttled_) {
    throttled_ = true;
    budget_.SetThrottled(true);
    arrow::default_memory_pool()->ReleaseUnused();
    warn_(
        fmt::format("memory: {} resident, {:.0f} % of the limit of {}: no unit starts until it "
                    "is below 85 %; lower workers or batch_bytes, or raise memory_limit",
                    FormatBytes(resident), share * 100, FormatBytes(limit_bytes_)));
  } else if (share < 0.85 && throttled_) {
    throttled_ = false;
    budget_.SetThrottled(false);
  }
}

std::map<std::string, int64_t> MemoryMonitor::PeakByStage() const {
  std::map<std::string, int64_t> peaks;
  for (int i = 0; i < kMemoryStages; ++i) {
    if (stage_peaks_[i] > 0) peaks[MemoryStageName(static_cast<MemoryStage>(i))] = stage_peaks_[i];
  }
  return peaks;
}

}  // namespace bulkhaul
