#include "run/concurrency.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace bulkhaul {
namespace {

// Of the share by which the workers rose, so much must be found in the throughput.
constexpr double kPays = 1.0 / 3;
// Fewer batches than this for each worker say little about a window.
constexpr int64_t kBatchesPerWorker = 2;

}  // namespace

ConcurrencyControl::ConcurrencyControl(const ConcurrencySettings& settings)
    : settings_(settings),
      limit_(std::clamp(settings.start, 1, std::max(1, settings.max))),
      highest_(limit_) {}

void ConcurrencyControl::Set(int limit, const std::string& code) {
  // A rise after a rise is one step for people.
  const bool rises = code.empty() && limit > limit_;
  if (rises && !steps_.empty() && steps_.back().code.empty() &&
      steps_.back().from < steps_.back().to) {
    steps_.back().to = limit;
  } else {
    steps_.push_back({limit_, limit, code, 1});
  }
  limit_ = limit;
  highest_ = std::max(highest_, limit);
  window_open_ = false;
}

void ConcurrencyControl::BeginWindow(int64_t now_ms, int64_t bytes, int64_t batches) {
  window_open_ = true;
  window_began_ms_ = now_ms;
  window_bytes_ = bytes;
  window_batches_ = batches;
}

void ConcurrencyControl::Observe(int64_t now_ms, int64_t bytes, int64_t batches, bool busy) {
  // Failed attempts take their bytes back.
  if (!busy || !window_open_ || bytes < window_bytes_) return BeginWindow(now_ms, bytes, batches);
  const int64_t span_ms = now_ms - window_began_ms_;
  if (span_ms < settings_.window_ms || batches - window_batches_ < kBatchesPerWorker * limit_) {
    return;
  }
  const double rate = static_cast<double>(bytes - window_bytes_) / static_cast<double>(span_ms);
  BeginWindow(now_ms, bytes, batches);
  Judge(now_ms, rate);
}

void ConcurrencyControl::Judge(int64_t now_ms, double rate) {
  if (limit_before_ > 0) {
    const double wider = static_cast<double>(limit_) / limit_before_ - 1;
    const int before = std::exchange(limit_before_, 0);
    if (rate < rate_before_ * (1 + kPays * wider)) {
      hold_until_ms_ = now_ms + settings_.hold_ms;
      return Set(before, "");
    }
  }
  if (limit_ >= settings_.max || now_ms < hold_until_ms_ || now_ms < overload_until_ms_) return;
  limit_before_ = limit_;
  rate_before_ = rate;
  Set(std::min(settings_.max, limit_ + (careful_ ? 1 : std::max(1, limit_ / 2))), "");
}

bool ConcurrencyControl::Overloaded(int64_t now_ms, const std::string& code) {
  limit_before_ = 0;
  careful_ = true;
  if (now_ms < overload_until_ms_) {
    if (!steps_.empty() && steps_.back().code == code) ++steps_.back().failures;
    return false;
  }
  overload_until_ms_ = now_ms + settings_.overload_hold_ms;
  if (limit_ == 1) return false;
  Set(limit_ / 2, code);
  return true;
}

std::string ConcurrencyControl::Describe() const {
  std::string text;
  for (const auto& step : steps_) {
    if (text.empty()) text = fmt::format("workers {}", step.from);
    if (!step.code.empty()) {
      text += fmt::format(", lowered to {} by {} × {}", step.to, step.failures, step.code);
    } else if (step.to > step.from) {
      text += fmt::format(" → {}", step.to);
    } else {
      text += fmt::format(", back to {}", step.to);
    }
  }
  return text;
}

bool ConcurrencyGovernor::Admits(int worker) {
  std::lock_guard lock(mutex_);
  return worker < control_.limit();
}

bool ConcurrencyGovernor::Wait(int worker, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, stop, [&] { return closed_ || worker < control_.limit(); });
  return !closed_ && !stop.stop_requested();
}

void ConcurrencyGovernor::Observe(int64_t now_ms, int64_t bytes, int64_t batches, int running) {
  std::lock_guard lock(mutex_);
  control_.Observe(now_ms, bytes, batches, running >= control_.limit());
  changed_.notify_all();
}

int ConcurrencyGovernor::Overloaded(int64_t now_ms, const std::string& code) {
  std::lock_guard lock(mutex_);
  return control_.Overloaded(now_ms, code) ? control_.limit() : 0;
}

void ConcurrencyGovernor::Close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

int ConcurrencyGovernor::highest() {
  std::lock_guard lock(mutex_);
  return control_.highest();
}

std::string ConcurrencyGovernor::Describe() {
  std::lock_guard lock(mutex_);
  return control_.Describe();
}

}  // namespace bulkhaul
