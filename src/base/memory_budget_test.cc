#include "base/memory_budget.h"

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace bulkhaul {
namespace {

TEST(MemoryBudget, ReservationsStayUnderTheLimit) {
  MemoryBudget budget(100);
  std::atomic<bool> exceeded{false};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 500; ++round) {
        auto reservation = budget.Reserve(30).ValueOrDie();
        if (budget.reserved_bytes() > 100) exceeded = true;
      }
    });
  }
  threads.clear();
  EXPECT_FALSE(exceeded);
  EXPECT_EQ(budget.reserved_bytes(), 0);
  EXPECT_LE(budget.peak_reserved_bytes(), 100);
}

TEST(MemoryBudget, OneHugeReservationGoesOnAlone) {
  MemoryBudget budget(100);
  auto huge = budget.Reserve(1000).ValueOrDie();
  std::atomic<bool> granted{false};
  std::jthread other([&] {
    auto small = budget.Reserve(1).ValueOrDie();
    granted = true;
  });
  EXPECT_FALSE(granted);
  huge.Resize(0);
  other.join();
  EXPECT_TRUE(granted);
}

TEST(MemoryBudget, ThrottledWaitsUntilReleased) {
  MemoryBudget budget(100);
  auto held = budget.Reserve(1).ValueOrDie();
  budget.SetThrottled(true);
  std::jthread other([&] { auto small = budget.Reserve(1).ValueOrDie(); });
  budget.SetThrottled(false);
  other.join();
  EXPECT_EQ(budget.reserved_bytes(), 1);
}

TEST(MemoryBudget, StopEndsTheWait) {
  MemoryBudget budget(100);
  auto held = budget.Reserve(100).ValueOrDie();
  std::stop_source stop;
  Status status;
  std::jthread waiter([&] { status = budget.Reserve(1, stop.get_token()).status(); });
  stop.request_stop();
  waiter.join();
  EXPECT_EQ(KindOf(status), ErrorKind::kCancelled);
}

TEST(MemoryBudget, MovedReservationReleasesOnce) {
  MemoryBudget budget(100);
  {
    auto first = budget.Reserve(40).ValueOrDie();
    Reservation second = std::move(first);
    second = budget.Reserve(10).ValueOrDie();
    EXPECT_EQ(budget.reserved_bytes(), 10);
  }
  EXPECT_EQ(budget.reserved_bytes(), 0);
}

TEST(Memory, MachineFiguresArePlausible) {
  EXPECT_GT(AvailableMemoryBytes(), 16 << 20);
  EXPECT_GT(ResidentBytes(), 1 << 20);
  EXPECT_GE(PeakResidentBytes() + (1 << 20), ResidentBytes());
}

// A folder that looks like a machine's proc/ and sys/.
class FakeSystem : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(root_);
    Write("/proc/meminfo", "MemTotal: 33554432 kB\nMemFree: 1 kB\nMemAvailable: 25165824 kB\n");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  const std::string root_ = testing::TempDir() + "bulkhaul_fake_system";
  static constexpr int64_t kGiB = int64_t{1} << 30;
};

TEST_F(FakeSystem, WithoutACgroupTheMachineDecides) {
  EXPECT_EQ(AvailableMemoryBytes(root_), 24 * kGiB);
  Write("/proc/self/cgroup", "0::/job\n");
  Write("/sys/fs/cgroup/job/memory.max", "max\n");
  Write("/sys/fs/cgroup/job/memory.current", "1000\n");
  EXPECT_EQ(AvailableMemoryBytes(root_), 24 * kGiB);
}

TEST_F(FakeSystem, TheTightestCgroupAboveDecides) {
  Write("/proc/self/cgroup", "0::/pod/job\n");
  const std::string pod = "/sys/fs/cgroup/pod";
  for (const int64_t limit : {4, 8, 16}) {
    Write(pod + "/memory.max", std::to_string(limit * kGiB));
    Write(pod + "/memory.current", std::to_string(kGiB));
    Write(pod + "/job/memory.max", "max");
    EXPECT_EQ(AvailableMemoryBytes(root_), (limit - 1) * kGiB);
  }
  Write(pod + "/job/memory.max", std::to_string(kGiB));
  Write(pod + "/job/memory.current", std::to_string(2 * kGiB));
  EXPECT_EQ(AvailableMemoryBytes(root_), 0) << "above its limit there is no room";
}

TEST_F(FakeSystem, CachedFilesAreFree) {
  Write("/proc/self/cgroup", "0::/job\n");
  Write("/sys/fs/cgroup/job/memory.max", std::to_string(4 * kGiB));
  Write("/sys/fs/cgroup/job/memory.current", std::to_string(4 * kGiB));
  Write("/sys/fs/cgroup/job/memory.stat",
        "anon 1073741824\nfile 3221225472\ninactive_file 2147483648\nactive_file 536870912\n");
  EXPECT_EQ(AvailableMemoryBytes(root_), kGiB * 5 / 2);
}

TEST_F(FakeSystem, Version1HasItsOwnNames) {
  Write("/proc/self/cgroup", "4:memory:/job\n2:cpu:/job\n0::/\n");
  Write("/sys/fs/cgroup/memory/job/memory.limit_in_bytes", std::to_string(8 * kGiB));
  Write("/sys/fs/cgroup/memory/job/memory.usage_in_bytes", std::to_string(6 * kGiB));
  Write("/sys/fs/cgroup/memory/job/memory.stat",
        "inactive_file 1\ntotal_inactive_file 1073741824\n");
  EXPECT_EQ(AvailableMemoryBytes(root_), 3 * kGiB);
}

}  // namespace
}  // namespace bulkhaul
