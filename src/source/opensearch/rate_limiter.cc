#include "source/opensearch/rate_limiter.h"

#include <algorithm>

namespace bulkhaul::opensearch {

int64_t RateLimiter::PageDocumentsMax(int64_t document_bytes) const {
  const int64_t readers = std::max<int64_t>({1, workers_, sessions_.load()});
  int64_t documents = INT64_MAX;
  if (documents_per_second_ > 0) documents = documents_per_second_ / readers;
  if (bytes_per_second_ > 0 && document_bytes > 0) {
    documents = std::min(documents, bytes_per_second_ / readers / document_bytes);
  }
  return std::max<int64_t>(1, documents);
}

RateLimiter::Clock::duration RateLimiter::TimeFor(const PageCost& cost) const {
  double seconds = 0;
  if (documents_per_second_ > 0) {
    seconds = static_cast<double>(cost.documents) / static_cast<double>(documents_per_second_);
  }
  if (bytes_per_second_ > 0) {
    seconds =
        std::max(seconds, static_cast<double>(cost.bytes) / static_cast<double>(bytes_per_second_));
  }
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

Status RateLimiter::Wait(const PageCost& expected, int64_t wait_ms_max, std::stop_token stop) {
  if (!limited()) return Status::OK();
  std::unique_lock lock(mutex_);
  const auto now = Clock::now();
  const auto turn = std::max(free_at_, now);
  free_at_ = turn + TimeFor(expected);
  const auto until =
      wait_ms_max < 0 ? turn : std::min(turn, now + std::chrono::milliseconds(wait_ms_max));
  wake_.wait_until(lock, stop, until, [&] { return Clock::now() >= until; });
  return stop.stop_requested() ? CancelledError() : Status::OK();
}

void RateLimiter::Settle(const PageCost& expected, const PageCost& found) {
  if (!limited()) return;
  const std::lock_guard lock(mutex_);
  free_at_ += TimeFor(found) - TimeFor(expected);
}

}  // namespace bulkhaul::opensearch
