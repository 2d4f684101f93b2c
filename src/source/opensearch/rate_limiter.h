// Caps on documents and bytes a second, shared by the sessions of a job.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>

#include "base/error.h"

namespace bulkhaul::opensearch {

// Pays afterwards: what a page turned out to hold is debited, and the next page waits until the
// debt is worked off, so that a page larger than a second's allowance passes too. Thread-safe.
class RateLimiter {
 public:
  // 0: no cap.
  RateLimiter(int64_t documents_per_second, int64_t bytes_per_second)
      : documents_per_second_(documents_per_second), bytes_per_second_(bytes_per_second) {}
  bool limited() const { return documents_per_second_ > 0 || bytes_per_second_ > 0; }
  // Waits until the debt is gone; kCancelled on a stop.
  Status Wait(std::stop_token stop);
  void Debit(int64_t documents, int64_t bytes);

 private:
  using Clock = std::chrono::steady_clock;
  const int64_t documents_per_second_, bytes_per_second_;
  std::mutex mutex_;
  std::condition_variable_any wake_;  // guarded by mutex_, as below
  Clock::time_point free_at_ = {};
};

}  // namespace bulkhaul::opensearch
