#include "base/memory_budget.h"

#include <atomic>
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

}  // namespace
}  // namespace bulkhaul
