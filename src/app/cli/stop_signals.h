// Ctrl-C and a container's stop, turned into a stop_token.
#pragma once

#include <functional>
#include <stop_token>
#include <thread>

namespace bulkhaul {

// While it lives, SIGINT, SIGTERM and SIGHUP request a stop instead of ending the process; a second
// one ends it at once with exit code 130 (what is staged stays, and the job can be resumed). Make
// it on the main thread before any other thread is started: they inherit the blocked signals.
class StopSignals {
 public:
  // `say` is called on the watching thread at the first signal, before the stop is requested.
  explicit StopSignals(std::function<void()> say);
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  std::stop_token token() const { return stop_.get_token(); }

 private:
  std::stop_source stop_;
  std::jthread watcher_;
};

}  // namespace bulkhaul
