// How many units run at the same time where nobody said it: begins low, rises while it pays, falls
// when the source says that it is too much. Inside run/ only.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

namespace bulkhaul {

struct ConcurrencySettings {
  int start = 4;
  int max = 64;
  int64_t window_ms = 1000;  // throughput is compared over windows of at least this length
  int64_t hold_ms = 30'000;  // after a rise that did not pay, before the next
  int64_t overload_hold_ms = 10'000;
};

// Decides; no clock, no lock. Rises by half while the throughput of a window rises by at least a
// third of what the workers did. Latency needs no measure of its own: with all workers busy it is
// workers / throughput, so that a throughput that rises with the workers says that it holds.
class ConcurrencyControl {
 public:
  explicit ConcurrencyControl(const ConcurrencySettings& settings);
  int limit() const { return limit_; }
  int highest() const { return highest_; }  // that the limit ever was
  // What came so far, in all. `busy`: as many units run as may. Called a few times a window.
  void Observe(int64_t now_ms, int64_t bytes, int64_t batches, bool busy);
  // A unit failed because the source has too much to do: half of the workers are left, at once, and
  // one more is tried at a time from then on. True when that lowered the limit: failures of units
  // that began under the old one count once.
  bool Overloaded(int64_t now_ms, const std::string& code);
  // "workers 4 → 12, lowered to 6 by 3 × rejected_execution_exception"; "" while nothing changed.
  std::string Describe() const;

 private:
  struct Step {
    int from = 0, to = 0;
    std::string code;  // of the overload that lowered it
    int failures = 0;
  };
  void Set(int limit, const std::string& code);
  void BeginWindow(int64_t now_ms, int64_t bytes, int64_t batches);
  void Judge(int64_t now_ms, double rate);

  const ConcurrencySettings settings_;
  int limit_, highest_;
  int limit_before_ = 0;  // of the last rise that is not judged yet; 0: there is none
  double rate_before_ = 0;
  bool careful_ = false;  // after an overload: one worker more at a time
  int64_t hold_until_ms_ = 0, overload_until_ms_ = 0;
  bool window_open_ = false;
  int64_t window_began_ms_ = 0, window_bytes_ = 0, window_batches_ = 0;
  std::vector<Step> steps_;
};

// Lets the workers with the lowest numbers run. Thread-safe.
class ConcurrencyGovernor {
 public:
  explicit ConcurrencyGovernor(const ConcurrencySettings& settings) : control_(settings) {}
  // Whether this worker may run now.
  bool Admits(int worker);
  // Waits until it may; false when stopped or closed.
  bool Wait(int worker, std::stop_token stop);
  void Observe(int64_t now_ms, int64_t bytes, int64_t batches, int running);
  // The new limit, or 0 when it stays.
  int Overloaded(int64_t now_ms, const std::string& code);
  void Close();
  std::string Describe();
  int highest();

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;  // guarded by mutex_, as below
  ConcurrencyControl control_;
  bool closed_ = false;
};

}  // namespace bulkhaul
