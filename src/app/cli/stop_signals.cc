#include "app/cli/stop_signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "app/cli/terminal.h"

namespace bulkhaul {
namespace {

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
    for (int signal; sigwait(&watched, &signal) == 0;) {
      if (ended.stop_requested()) return;
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
  // To that thread alone, which has it blocked: it only ends the wait.
  pthread_kill(watcher_.native_handle(), SIGINT);
  watcher_.join();
  const sigset_t set = StopSet();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

}  // namespace bulkhaul
