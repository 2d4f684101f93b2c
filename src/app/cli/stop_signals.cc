#include "app/cli/stop_signals.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "app/cli/terminal.h"

namespace bulkhaul {
namespace {

constexpr int64_t kPollMs = 100;

sigset_t StopSet() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGHUP);
  return set;
}

}  // namespace

StopSignals::StopSignals(std::function<void()> say) {
  const sigset_t set = StopSet();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  watcher_ = std::jthread([this, say = std::move(say)](std::stop_token ended) {
    const sigset_t watched = StopSet();
    const timespec poll = {0, kPollMs * 1'000'000};
    while (!ended.stop_requested()) {
      if (sigtimedwait(&watched, nullptr, &poll) < 0) continue;
      if (stop_.stop_requested()) {
        static constexpr char kText[] = "\nstopped at once; bulkhaul resume goes on\n";
        [[maybe_unused]] const auto written = write(STDERR_FILENO, kText, sizeof(kText) - 1);
        _exit(kExitCancelled);
      }
      say();
      stop_.request_stop();
    }
  });
}

StopSignals::~StopSignals() {
  watcher_.request_stop();
  watcher_.join();
  const sigset_t set = StopSet();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

}  // namespace bulkhaul
