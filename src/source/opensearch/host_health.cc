#include "source/opensearch/host_health.h"

#include <algorithm>

namespace bulkhaul::opensearch {
namespace {
constexpr int kDoublingsMax = 4;
}

HostHealth::HostHealth(size_t hosts, int64_t pause_ms) : pause_(pause_ms), hosts_(hosts) {}

std::optional<size_t> HostHealth::Choose(size_t preferred, const std::vector<bool>& tried,
                                         Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  std::optional<size_t> chosen;
  for (size_t i = 0; i < hosts_.size(); ++i) {
    const size_t host = (preferred + i) % hosts_.size();
    if (tried[host]) continue;
    if (hosts_[host].paused_until <= now) {
      chosen = host;
      break;
    }
    if (!chosen || hosts_[host].paused_until < hosts_[*chosen].paused_until) chosen = host;
  }
  if (chosen && !hosts_[*chosen].answers) {
    auto& until = hosts_[*chosen].paused_until;
    until = std::max(until, now + pause_);
  }
  return chosen;
}

void HostHealth::Answered(size_t host) {
  const std::lock_guard lock(mutex_);
  hosts_[host] = {.answers = true};
}

void HostHealth::Failed(size_t host, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  Host& failed = hosts_[host];
  failed.answers = false;
  failed.paused_until = now + pause_ * (1 << std::min(failed.failures, kDoublingsMax));
  ++failed.failures;
}

}  // namespace bulkhaul::opensearch
