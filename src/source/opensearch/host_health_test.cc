#include "source/opensearch/host_health.h"

#include <gtest/gtest.h>

namespace bulkhaul::opensearch {
namespace {

using std::chrono::milliseconds;

class HostHealthTest : public testing::Test {
 protected:
  std::optional<size_t> Choose(size_t preferred, std::vector<bool> tried = {false, false}) {
    return health_.Choose(preferred, tried, now_);
  }
  HostHealth::Clock::time_point now_{milliseconds(1'000'000)};
  HostHealth health_{2, 100};
};

TEST_F(HostHealthTest, ClientsSpreadOverHostsThatAnswer) {
  health_.Answered(0);
  health_.Answered(1);
  EXPECT_EQ(Choose(0), 0);
  EXPECT_EQ(Choose(1), 1);
  EXPECT_EQ(Choose(1, {false, true}), 0);
  EXPECT_EQ(Choose(1, {true, true}), std::nullopt);
}

TEST_F(HostHealthTest, OneClientAloneTriesAHostThatIsNotKnown) {
  health_.Answered(1);
  EXPECT_EQ(Choose(0), 0);
  EXPECT_EQ(Choose(0), 1);
  health_.Answered(0);
  EXPECT_EQ(Choose(0), 0);
}

TEST_F(HostHealthTest, WhatFailedIsTriedAgainByOneAndEachTimeLater) {
  health_.Answered(1);
  for (const int pause_ms : {100, 200, 400, 800, 1600, 1600}) {
    EXPECT_EQ(Choose(0), 0);
    health_.Failed(0, now_);
    now_ += milliseconds(pause_ms - 1);
    EXPECT_EQ(Choose(0), 1);
    now_ += milliseconds(1);
  }
  EXPECT_EQ(Choose(0), 0);
  health_.Answered(0);
  health_.Failed(0, now_);
  now_ += milliseconds(100);
  EXPECT_EQ(Choose(0), 0);
}

TEST_F(HostHealthTest, WhereNoneAnswersTheOneThatFailedFirstIsNext) {
  health_.Failed(1, now_);
  health_.Failed(0, now_ + milliseconds(10));
  EXPECT_EQ(Choose(0), 1);
  EXPECT_EQ(Choose(0, {false, true}), 0);
}

}  // namespace
}  // namespace bulkhaul::opensearch
