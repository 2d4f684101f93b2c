// Caps on documents and bytes a second, shared by the sessions of a job.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>

#include "base/error.h"

namespace bulkhaul::opensearch {

struct PageCost {
  int64_t documents = 0, bytes = 0;
};

// Each page is booked before it is asked for, at what it is expected to hold, and settled when it
// is known: so the caps hold however many ask at the same time. Thread-safe.
class RateLimiter {
 public:
  // 0: no cap. `workers`: readers that may be expected at the same time.
  RateLimiter(int64_t documents_per_second, int64_t bytes_per_second, int64_t workers)
      : documents_per_second_(documents_per_second),
        bytes_per_second_(bytes_per_second),
        workers_(workers) {}
  bool limited() const { return documents_per_second_ > 0 || bytes_per_second_ > 0; }
  // While a session lives.
  void Join() { ++sessions_; }
  void Leave() { --sessions_; }
  // So many documents of this size (0: unknown) that each reader has its turn about every second.
  int64_t PageDocumentsMax(int64_t document_bytes) const;
  // Books the page and waits for its turn, but no longer than `wait_ms_max` (-1: any time): then it
  // is let through early, and what was booked is waited for by the next ones. kCancelled on a stop.
  Status Wait(const PageCost& expected, int64_t wait_ms_max, std::stop_token stop);
  void Settle(const PageCost& expected, const PageCost& found);

 private:
  using Clock = std::chrono::steady_clock;
  Clock::duration TimeFor(const PageCost& cost) const;

  const int64_t documents_per_second_, bytes_per_second_;
  const int64_t workers_;
  std::atomic<int64_t> sessions_ = 0;
  std::mutex mutex_;
  std::condition_variable_any wake_;  // guarded by mutex_, as below
  Clock::time_point free_at_ = {};    // everything that is booked is paid then
};

}  // namespace bulkhaul::opensearch
