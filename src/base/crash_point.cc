#include "base/crash_point.h"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <string>

#include <unistd.h>

namespace bulkhaul {
namespace {

struct Target {
  std::string name;
  int passage = 1;
};

const Target* LoadTarget() {
  const char* value = std::getenv("BULKHAUL_CRASH_AT");
  if (value == nullptr || *value == '\0') return nullptr;
  auto* target = new Target{value, 1};
  if (const auto hash = target->name.find('#'); hash != std::string::npos) {
    target->passage = std::atoi(target->name.c_str() + hash + 1);
    target->name.resize(hash);
  }
  return target;
}

}  // namespace

void CrashPoint(const char* name) {
  static const Target* const target = LoadTarget();
  if (target == nullptr || target->name != name) return;
  static std::atomic<int> passages{0};
  if (++passages == target->passage) kill(getpid(), SIGKILL);
}

}  // namespace bulkhaul
