#include "run/watchdog.h"

#include <iterator>
#include <vector>

namespace bulkhaul {

Watchdog::Watch::Watch(Watchdog& watchdog, int64_t timeout_ms, std::stop_source stop)
    : watchdog_(watchdog),
      deadline_(Clock::now() + std::chrono::milliseconds(timeout_ms)),
      stop_(std::move(stop)),
      watched_(timeout_ms > 0) {
  if (!watched_) return;
  std::lock_guard lock(watchdog_.mutex_);
  place_ = watchdog_.watches_.emplace(deadline_, stop_);
  // Wakes the thread when this is the next to expire: in front of it are only those that have.
  if (place_ == watchdog_.watches_.begin() || std::prev(place_)->first <= Clock::now()) {
    watchdog_.added_ = true;
    watchdog_.changed_.notify_all();
  }
}

Watchdog::Watch::~Watch() {
  if (!watched_) return;
  std::lock_guard lock(watchdog_.mutex_);
  watchdog_.watches_.erase(place_);
}

bool Watchdog::Watch::expired() const { return watched_ && Clock::now() >= deadline_; }

void Watchdog::Run(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    // A watch whose time is up stays in the map until its owner takes it out.
    const auto next = watches_.upper_bound(Clock::now());
    std::vector<std::stop_source> expired;
    for (auto watch = watches_.begin(); watch != next; ++watch) {
      if (!watch->second.stop_requested()) expired.push_back(watch->second);
    }
    if (!expired.empty()) {
      // Callbacks of a stop run here and may take locks of their own.
      lock.unlock();
      for (auto& source : expired) source.request_stop();
      lock.lock();
      continue;
    }
    if (next == watches_.end()) {
      changed_.wait(lock, stop, [&] { return added_; });
    } else {
      changed_.wait_until(lock, stop, Clock::time_point(next->first), [&] { return added_; });
    }
    added_ = false;
  }
}

}  // namespace bulkhaul
