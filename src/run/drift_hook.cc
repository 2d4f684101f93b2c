#include "run/drift_hook.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/units.h"

namespace bulkhaul {
namespace {

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (auto& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Whether the process ended in time.
bool WaitForEnd(pid_t child, int64_t timeout_ms) {
  const int handle = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  if (handle < 0) return true;  // before Linux 5.3: waits without a limit
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  int ready = 0;
  do {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd waiting{handle, POLLIN, 0};
    ready = poll(&waiting, 1, static_cast<int>(std::max<int64_t>(0, left.count())));
  } while (ready < 0 && errno == EINTR);
  close(handle);
  return ready != 0;
}

}  // namespace

Status RunHook(const std::vector<std::string>& command,
               const std::vector<std::pair<std::string, std::string>>& variables,
               int64_t timeout_ms) {
  if (command.empty()) return Status::OK();
  std::vector<std::string> words = command, environment;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    environment.emplace_back(*entry);
  }
  for (const auto& [name, value] : variables) environment.push_back(name + "=" + value);
  auto arguments = Pointers(words);
  auto settings = Pointers(environment);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  pid_t child = 0;
  const int error =
      posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), settings.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return ErrnoError(error, "run the command on_drift", command[0]);
  const bool ended = WaitForEnd(child, timeout_ms);
  if (!ended) kill(child, SIGKILL);
  int state = 0;
  while (waitpid(child, &state, 0) < 0 && errno == EINTR) {
  }
  if (!ended) {
    return PermanentError(
        fmt::format("the command on_drift '{}' did not end within {} and was "
                    "killed",
                    command[0], FormatDurationMs(timeout_ms)));
  }
  if (WIFEXITED(state) && WEXITSTATUS(state) == 0) return Status::OK();
  return PermanentError(WIFEXITED(state)
                            ? fmt::format("the command on_drift '{}' ended with exit code {}",
                                          command[0], WEXITSTATUS(state))
                            : fmt::format("the command on_drift '{}' was ended by signal {}",
                                          command[0], WTERMSIG(state)));
}

}  // namespace bulkhaul
