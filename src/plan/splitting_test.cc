#include "plan/splitting.h"

#include <algorithm>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace bulkhaul {
namespace {

constexpr int64_t kMiB = 1 << 20;

TEST(Splitting, UnitsGrowWithTheTable) {
  EXPECT_EQ(UnitBytesFor(0, 0, 10'000), 64 * kMiB);
  EXPECT_EQ(UnitBytesFor(100 * kMiB, 0, 10'000), 64 * kMiB);
  EXPECT_EQ(UnitBytesFor(100 * kMiB, kMiB, 10'000), kMiB);
  const int64_t huge = int64_t{11} << 40;
  EXPECT_LE(UnitCountFor(huge, UnitBytesFor(huge, 0, 10'000)), 10'000);
  EXPECT_EQ(UnitCountFor(0, 10), 1);
  EXPECT_EQ(UnitCountFor(10, 10), 1);
  EXPECT_EQ(UnitCountFor(11, 10), 2);
  EXPECT_EQ(UnitIdFor(3, 17), "3.17");
}

TEST(Splitting, BalancedUnitsAreNeitherTinyNorLargerThanOthers) {
  EXPECT_EQ(BalancedUnitBytes(0), 16 * kMiB);
  EXPECT_EQ(BalancedUnitBytes(320 * kMiB), 20 * kMiB);
  EXPECT_EQ(BalancedUnitBytes(100'000 * kMiB), kUnitBytesDefault);
}

TEST(CheckCovered, AcceptsOtherCutsOfTheSameRange) {
  const std::vector<UnitRange> planned = {{"a", "", "10"}, {"a", "10", ""}, {"nulls", "", ""}};
  const std::vector<UnitRange> finer = {
      {"nulls", "", ""}, {"a", "10", "20"}, {"a", "", "10"}, {"a", "20", ""}};
  EXPECT_TRUE(CheckCovered(planned, planned).ok());
  EXPECT_TRUE(CheckCovered(planned, finer).ok());
}

TEST(CheckCovered, RefusesGapsOverlapsAndStrangers) {
  const std::vector<UnitRange> planned = {{"a", "", "10"}, {"a", "10", ""}};
  using Ranges = std::vector<UnitRange>;
  for (const auto& covered :
       {Ranges{}, Ranges{{"a", "", "10"}}, Ranges{{"a", "10", ""}},
        Ranges{{"a", "", "10"}, {"a", "11", ""}}, Ranges{{"a", "", "10"}, {"a", "", ""}},
        Ranges{{"a", "", "10"}, {"a", "10", ""}, {"b", "", ""}},
        Ranges{{"a", "", "10"}, {"a", "10", ""}, {"a", "5", "7"}},
        Ranges{{"a", "", "10"}, {"a", "10", ""}, {"a", "5", ""}},
        Ranges{{"a", "", ""}, {"a", "x", "y"}, {"a", "y", "x"}}}) {
    EXPECT_EQ(KindOf(CheckCovered(planned, covered)), ErrorKind::kBug) << covered.size();
  }
  EXPECT_TRUE(CheckCovered({}, {}).ok());
}

TEST(CheckCovered, AnyOneMissingRangeIsFound) {
  EXPECT_TRUE(rc::check("dropping one of the ranges fails", [] {
    const int cuts = *rc::gen::inRange(1, 20);
    std::vector<UnitRange> ranges;
    for (int i = 0; i <= cuts; ++i) {
      ranges.push_back(
          {"a", i == 0 ? "" : std::to_string(i), i == cuts ? "" : std::to_string(i + 1)});
    }
    std::vector<UnitRange> covered = ranges;
    std::reverse(covered.begin(), covered.end());
    RC_ASSERT(CheckCovered(ranges, covered).ok());
    covered.erase(covered.begin() + *rc::gen::inRange<size_t>(0, covered.size()));
    RC_ASSERT(!CheckCovered(ranges, covered).ok());
  }));
}

}  // namespace
}  // namespace bulkhaul
