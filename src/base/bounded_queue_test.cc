#include "base/bounded_queue.h"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace bulkhaul {
namespace {

TEST(BoundedQueue, EveryItemArrivesOnce) {
  BoundedQueue<int> queue(4);
  std::atomic<int64_t> sum{0};
  std::vector<std::jthread> consumers;
  for (int i = 0; i < 3; ++i) {
    consumers.emplace_back([&] {
      while (auto item = queue.Pop()) sum += *item;
    });
  }
  for (int i = 1; i <= 1000; ++i) ASSERT_TRUE(queue.Push(i));
  queue.Close();
  consumers.clear();
  EXPECT_EQ(sum, 500'500);
}

TEST(BoundedQueue, CloseDrainsThenEnds) {
  BoundedQueue<int> queue(2);
  queue.Push(7);
  queue.Close();
  EXPECT_FALSE(queue.Push(8));
  EXPECT_EQ(queue.Pop(), 7);
  EXPECT_EQ(queue.Pop(), std::nullopt);
}

TEST(BoundedQueue, StopWakesBothSides) {
  BoundedQueue<int> queue(1);
  queue.Push(1);
  std::stop_source stop;
  std::jthread pusher([&] { EXPECT_FALSE(queue.Push(2, stop.get_token())); });
  BoundedQueue<int> empty(1);
  std::jthread popper([&] { EXPECT_EQ(empty.Pop(stop.get_token()), std::nullopt); });
  stop.request_stop();
}

}  // namespace
}  // namespace bulkhaul
