#include "run/memory_monitor.h"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bulkhaul {
namespace {

TEST(MemoryMonitor, WarnsThrottlesAndRecovers) {
  MemoryBudget budget(1000);
  std::mutex mutex;
  std::vector<std::string> warnings;
  std::atomic<int64_t> resident{10};
  // The interval is longer than the test: only the checks made here count after the first.
  MemoryMonitor monitor(
      budget, 1000,
      [&](const std::string& text) {
        std::lock_guard lock(mutex);
        warnings.push_back(text);
      },
      [&] { return resident.load(); }, 3'600'000);
  const auto held = budget.Reserve(10).ValueOrDie();
  std::stop_source now;
  now.request_stop();
  const auto admits = [&] { return budget.Reserve(10, now.get_token()).ok(); };

  monitor.Check();
  EXPECT_TRUE(warnings.empty());
  resident = 810;
  monitor.Check();
  monitor.Check();
  EXPECT_EQ(warnings.size(), 1u) << "once, not with every sample";
  EXPECT_THAT(warnings[0], testing::HasSubstr("81 %"));
  resident = 900;
  monitor.Check();
  EXPECT_EQ(warnings.size(), 2u);
  EXPECT_FALSE(admits());
  resident = 860;
  monitor.Check();
  EXPECT_FALSE(admits()) << "throttled until below 85 %";
  resident = 840;
  monitor.Check();
  std::stop_source later;
  EXPECT_TRUE(budget.Reserve(10, later.get_token()).ok());
  EXPECT_EQ(monitor.peak_bytes(), 900);
}

TEST(MemoryMonitor, PeakBelongsToTheStagesThatRan) {
  MemoryBudget budget(1000);
  std::atomic<int64_t> resident{10};
  MemoryMonitor monitor(
      budget, 100'000, [](const std::string&) {}, [&] { return resident.load(); }, 3'600'000);
  {
    StageScope plan(monitor, MemoryStage::kPlan);
    resident = 100;
    monitor.Check();
  }
  {
    StageScope read(monitor, MemoryStage::kRead);
    StageScope publish(monitor, MemoryStage::kPublish);
    resident = 300;
    monitor.Check();
    resident = 200;
    monitor.Check();
  }
  const auto peaks = monitor.PeakByStage();
  EXPECT_EQ(peaks.at("plan"), 100);
  EXPECT_EQ(peaks.at("read"), 300);
  EXPECT_EQ(peaks.at("publish"), 300);
  EXPECT_FALSE(peaks.contains("assemble"));
}

}  // namespace
}  // namespace bulkhaul
