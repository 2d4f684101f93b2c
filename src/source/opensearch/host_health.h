// Which hosts of a cluster answer, as all clients of a source have found out together.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

namespace bulkhaul::opensearch {

// Thread-safe.
class HostHealth {
 public:
  using Clock = std::chrono::steady_clock;

  // `pause_ms`: a host that failed is passed over for so long, and twice as long each time it fails
  // again without an answer in between, up to 16 times.
  HostHealth(size_t hosts, int64_t pause_ms);

  // The host for a request, of those not in `tried`: `preferred`, or the next one that is not
  // passed over; else the one whose pause ends first. A host that is not known to answer is given
  // out once and then passed over until it has answered, so that one client alone waits for it.
  // nullopt: all are tried.
  std::optional<size_t> Choose(size_t preferred, const std::vector<bool>& tried,
                               Clock::time_point now);
  void Answered(size_t host);
  void Failed(size_t host, Clock::time_point now);

 private:
  struct Host {
    bool answers = false;  // to the last request whose end is known
    int failures = 0;      // since the last answer
    Clock::time_point paused_until{};
  };
  const std::chrono::milliseconds pause_;
  std::mutex mutex_;
  std::vector<Host> hosts_;  // guarded by mutex_
};

}  // namespace bulkhaul::opensearch
