#include "base/backoff.h"

#include <algorithm>

namespace bulkhaul {

int64_t Backoff::NextDelayMs() {
  int64_t ceiling = std::min(first_delay_ms_, delay_max_ms_);
  for (int i = 0; i < calls_ && ceiling < delay_max_ms_; ++i) {
    ceiling = ceiling > delay_max_ms_ / 2 ? delay_max_ms_ : ceiling * 2;
  }
  ++calls_;
  return std::uniform_int_distribution<int64_t>(0, std::max<int64_t>(ceiling, 0))(random_);
}

}  // namespace bulkhaul
