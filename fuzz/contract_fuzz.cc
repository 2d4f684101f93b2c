// Any text as a contract: an error with a place, or a contract that survives being written and
// read.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "plan/contract.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 64 << 10) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto contract = bulkhaul::ParseContract(text, "f");
  if (!contract.ok()) {
    if (!contract.status().message().starts_with("f:")) {
      std::fprintf(stderr, "no place: %s\n", contract.status().ToString().c_str());
      std::abort();
    }
    return 0;
  }
  const auto yaml = contract->ToYaml();
  const auto again = bulkhaul::ParseContract(yaml, "again");
  if (!again.ok() || again->tables != contract->tables) {
    std::fprintf(stderr, "%s\n%s\n", again.status().ToString().c_str(), yaml.c_str());
    std::abort();
  }
  return 0;
}
