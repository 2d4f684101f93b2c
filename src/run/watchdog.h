// Requests a stop when time is up.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <stop_token>
#include <thread>

namespace bulkhaul {

// Thread-safe. One thread for all deadlines.
class Watchdog {
 public:
  using Clock = std::chrono::steady_clock;
  Watchdog() : thread_([this](std::stop_token stop) { Run(stop); }) {}

  // Watches from construction to destruction.
  class Watch {
   public:
    // `timeout_ms` 0: never.
    Watch(Watchdog& watchdog, int64_t timeout_ms, std::stop_source stop);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    bool expired() const;

   private:
    Watchdog& watchdog_;
    const Clock::time_point deadline_;
    const std::stop_source stop_;
    std::multimap<Clock::time_point, std::stop_source>::iterator place_;
    const bool watched_;
  };

 private:
  void Run(std::stop_token stop);

  std::mutex mutex_;
  std::condition_variable_any changed_;  // guarded by mutex_, as below
  std::multimap<Clock::time_point, std::stop_source> watches_;
  bool added_ = false;
  std::jthread thread_;
};

}  // namespace bulkhaul
