// Runs one of the project's scripts for a test program.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include <fmt/format.h>

namespace bulkhaul::test {

// What the shell command printed, without the newlines at its end. Ends the program when it failed:
// without its server no test can run.
inline std::string RunOrAbort(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  std::string output;
  char buffer[4096];
  while (pipe != nullptr && fgets(buffer, sizeof buffer, pipe) != nullptr) output += buffer;
  const int status = pipe == nullptr ? -1 : pclose(pipe);
  if (status != 0) {
    fmt::print(stderr, "'{}' failed with status {}\n", command, status);
    std::abort();
  }
  while (!output.empty() && output.back() == '\n') output.pop_back();
  return output;
}

}  // namespace bulkhaul::test
