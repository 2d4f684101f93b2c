// Exponential backoff with full jitter.
#pragma once

#include <cstdint>
#include <random>

namespace bulkhaul {

// Not thread-safe; one per retried operation.
class Backoff {
 public:
  Backoff(int64_t first_delay_ms, int64_t delay_max_ms, uint64_t seed)
      : first_delay_ms_(first_delay_ms), delay_max_ms_(delay_max_ms), random_(seed) {}
  // Uniform in [0, min(delay_max, first × 2^n)] for the n-th call, from 0. Milliseconds.
  // Source: "full jitter", AWS Architecture Blog, "Exponential Backoff And Jitter", 2015.
  int64_t NextDelayMs();

 private:
  const int64_t first_delay_ms_;
  const int64_t delay_max_ms_;
  int calls_ = 0;
  std::mt19937_64 random_;
};

}  // namespace bulkhaul
