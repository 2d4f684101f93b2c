#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

// A finding: what the fuzzer takes for a crash.
[[noreturn]] inline void Die(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::abort();
}
