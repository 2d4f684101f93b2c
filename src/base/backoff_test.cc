#include "base/backoff.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace bulkhaul {
namespace {

TEST(Backoff, CeilingDoublesUpToTheMaximum) {
  int64_t largest[8] = {};
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    Backoff backoff(1000, 60'000, seed);
    for (auto& seen : largest) seen = std::max(seen, backoff.NextDelayMs());
  }
  const int64_t ceilings[8] = {1000, 2000, 4000, 8000, 16'000, 32'000, 60'000, 60'000};
  for (int i = 0; i < 8; ++i) {
    EXPECT_LE(largest[i], ceilings[i]);
    EXPECT_GT(largest[i], ceilings[i] * 9 / 10) << "full jitter reaches near its ceiling";
  }
}

TEST(Backoff, ManyCallsDoNotOverflow) {
  Backoff backoff(1000, INT64_MAX, 7);
  for (int i = 0; i < 200; ++i) EXPECT_GE(backoff.NextDelayMs(), 0);
}

TEST(Backoff, ZeroDelayIsZero) { EXPECT_EQ(Backoff(0, 0, 1).NextDelayMs(), 0); }

}  // namespace
}  // namespace bulkhaul
