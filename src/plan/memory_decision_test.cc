#include "plan/memory_decision.h"

#include <cstdint>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace bulkhaul {
namespace {

constexpr int64_t kGiB = int64_t{1} << 30;

Strategy Chosen(int64_t need, int64_t available, const Options& options = {}) {
  return DecideMemory(options, need, available).ValueOrDie().strategy;
}

TEST(MemoryDecision, TheRatioDecides) {
  // 10 GiB less 30 %: 7 GiB; 0.65 of it 4.55 GiB, 2 × it 14 GiB.
  EXPECT_EQ(Chosen(0, 10 * kGiB), Strategy::kEager);
  EXPECT_EQ(Chosen(static_cast<int64_t>(4.549 * kGiB), 10 * kGiB), Strategy::kEager);
  EXPECT_EQ(Chosen(static_cast<int64_t>(4.551 * kGiB), 10 * kGiB), Strategy::kLazy);
  EXPECT_EQ(Chosen(static_cast<int64_t>(13.99 * kGiB), 10 * kGiB), Strategy::kLazy);
  EXPECT_EQ(Chosen(static_cast<int64_t>(14.01 * kGiB), 10 * kGiB), Strategy::kStreaming);
  EXPECT_EQ(Chosen(kGiB, 0), Strategy::kStreaming);
}

TEST(MemoryDecision, TheSameJobUnderFourEightAndSixteenGigabytes) {
  EXPECT_EQ(Chosen(6 * kGiB, 4 * kGiB), Strategy::kStreaming);
  EXPECT_EQ(Chosen(6 * kGiB, 8 * kGiB), Strategy::kLazy);
  EXPECT_EQ(Chosen(6 * kGiB, 16 * kGiB), Strategy::kEager);
}

TEST(MemoryDecision, SaysNeedAvailableRatioAndWhy) {
  const auto decision = DecideMemory({}, 6 * kGiB, 8 * kGiB).ValueOrDie();
  EXPECT_EQ(decision.need_bytes, 6 * kGiB);
  EXPECT_EQ(decision.available_bytes, 8 * kGiB);
  EXPECT_NEAR(decision.ratio, 6 / 5.6, 1e-6);
  EXPECT_FALSE(decision.forced);
  EXPECT_EQ(decision.reason,
            "needs 6 GiB, 1.07 of 5.6 GiB (8 GiB available, less os_margin 30 %); lazy is for up "
            "to 2");
}

TEST(MemoryDecision, MarginAndStrategyAreOptions) {
  Options options;
  ASSERT_TRUE(options.SetFromText("os_margin", "0").ok());
  EXPECT_EQ(Chosen(5 * kGiB, 8 * kGiB, options), Strategy::kEager);
  ASSERT_TRUE(options.SetFromText("strategy", "streaming").ok());
  const auto decision = DecideMemory(options, kGiB, 8 * kGiB).ValueOrDie();
  EXPECT_EQ(decision.strategy, Strategy::kStreaming);
  EXPECT_TRUE(decision.forced);
  EXPECT_THAT(decision.reason, testing::StartsWith("as strategy says; needs 1 GiB, 0.12 of"));
  EXPECT_FALSE(options.SetFromText("os_margin", "1.5").ok());
  EXPECT_FALSE(options.SetFromText("strategy", "greedy").ok());
}

TEST(MemoryDecision, AMarginOfEverythingIsNoShare) {
  Options options;
  ASSERT_TRUE(options.SetFromText("os_margin", "1").ok());
  const auto decision = DecideMemory(options, kGiB, 8 * kGiB).ValueOrDie();
  EXPECT_EQ(decision.reason,
            "needs 1 GiB, and os_margin 100 % leaves nothing of the 8 GiB available; streaming is "
            "for above 2");
}

TEST(MemoryDecision, WhatIsNotKnownIsStreamed) {
  const auto decision = DecideMemory({}, MemoryNeed{}.total_bytes(), 8 * kGiB).ValueOrDie();
  EXPECT_EQ(decision.strategy, Strategy::kStreaming);
  EXPECT_EQ(decision.ratio, -1);
  EXPECT_THAT(decision.reason, testing::HasSubstr("does not say"));
}

TEST(MemoryDecision, ALimitCountsWhereItIsLess) {
  Options options;
  EXPECT_EQ(MemoryForRows(options, 8 * kGiB), 8 * kGiB);
  ASSERT_TRUE(options.SetFromText("memory_limit", "2GiB").ok());
  EXPECT_EQ(MemoryForRows(options, 8 * kGiB), 2 * kGiB);
  EXPECT_EQ(MemoryForRows(options, kGiB), kGiB);
}

TEST(MemoryDecision, UnitsThatRunTogetherAreAddedUp) {
  const std::vector<int64_t> sizes = {5, 1, 9, 7};
  EXPECT_EQ(LargestTogether(sizes, 1), 9);
  EXPECT_EQ(LargestTogether(sizes, 3), 21);
  EXPECT_EQ(LargestTogether(sizes, 64), 22);
  EXPECT_EQ(LargestTogether({}, 4), 0);
  EXPECT_EQ(LargestTogether(std::vector<int64_t>{5, -1}, 1), -1);

  Dataset dataset;
  WorkUnit unit;
  unit.estimated_bytes = 25;
  EXPECT_EQ(UnitMemoryBytes(dataset, unit), -1);
  dataset.estimated_bytes = 100;
  dataset.estimated_memory_bytes = 400;
  EXPECT_EQ(UnitMemoryBytes(dataset, unit), 100);
  unit.estimated_bytes = -1;
  EXPECT_EQ(UnitMemoryBytes(dataset, unit), 400);
}

TEST(MemoryDecision, MoreMemoryNeverMeansLess) {
  EXPECT_TRUE(rc::check("the strategy is monotonous", [] {
    const auto need = *rc::gen::inRange<int64_t>(0, 100 * kGiB);
    const auto little = *rc::gen::inRange<int64_t>(0, 100 * kGiB);
    const auto much = *rc::gen::inRange<int64_t>(little, 101 * kGiB);
    RC_ASSERT(Chosen(need, much) <= Chosen(need, little));
  }));
}

}  // namespace
}  // namespace bulkhaul
