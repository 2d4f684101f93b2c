#include "source/opensearch/rate_limiter.h"

#include <algorithm>

namespace bulkhaul::opensearch {

Status RateLimiter::Wait(std::stop_token stop) {
  if (!limited()) return Status::OK();
  std::unique_lock lock(mutex_);
  while (Clock::now() < free_at_) {
    if (stop.stop_requested()) return CancelledError();
    const auto until = free_at_;
    wake_.wait_until(lock, stop, until, [&] { return Clock::now() >= free_at_; });
  }
  return stop.stop_requested() ? CancelledError() : Status::OK();
}

void RateLimiter::Debit(int64_t documents, int64_t bytes) {
  if (!limited()) return;
  double seconds = 0;
  if (documents_per_second_ > 0) {
    seconds = static_cast<double>(documents) / static_cast<double>(documents_per_second_);
  }
  if (bytes_per_second_ > 0) {
    seconds =
        std::max(seconds, static_cast<double>(bytes) / static_cast<double>(bytes_per_second_));
  }
  const auto cost =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  const std::lock_guard lock(mutex_);
  free_at_ = std::max(free_at_, Clock::now()) + cost;
}

}  // namespace bulkhaul::opensearch
