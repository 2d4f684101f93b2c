// The command that is told of drift. Inside run/ only.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace bulkhaul {

inline constexpr int64_t kHookTimeoutMs = 30'000;

// Runs the program with its arguments and these variables beside this process's own: no shell, no
// standard input, its output goes to stderr. Waits for its end; after the timeout it is killed. An
// error when it cannot be run, fails, or is killed.
Status RunHook(const std::vector<std::string>& command,
               const std::vector<std::pair<std::string, std::string>>& variables,
               int64_t timeout_ms = kHookTimeoutMs);

}  // namespace bulkhaul
