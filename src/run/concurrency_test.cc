#include "run/concurrency.h"

#include <functional>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bulkhaul {
namespace {

using ::testing::HasSubstr;

// A source whose throughput is a function of the workers, and a clock that the test moves.
class Simulation {
 public:
  explicit Simulation(std::function<double(int)> bytes_per_ms, ConcurrencySettings settings = {})
      : bytes_per_ms_(std::move(bytes_per_ms)), control_(settings) {}
  void Run(int64_t milliseconds, bool busy = true) {
    for (const int64_t end = now_ms_ + milliseconds; now_ms_ < end;) {
      now_ms_ += 250;
      bytes_ += static_cast<int64_t>(bytes_per_ms_(control_.limit()) * 250);
      batches_ += 2 * control_.limit();
      control_.Observe(now_ms_, bytes_, batches_, busy);
    }
  }
  bool Overload() { return control_.Overloaded(now_ms_, "HTTP 429"); }
  int limit() const { return control_.limit(); }
  std::string text() const { return control_.Describe(); }

 private:
  const std::function<double(int)> bytes_per_ms_;
  ConcurrencyControl control_;
  int64_t now_ms_ = 0, bytes_ = 0, batches_ = 0;
};

TEST(Concurrency, RisesToItsMaximumWhileThroughputRisesWithIt) {
  Simulation far([](int workers) { return 1000.0 * workers; });
  EXPECT_EQ(far.limit(), 4);
  EXPECT_EQ(far.text(), "");
  far.Run(20'000);
  EXPECT_EQ(far.limit(), 64);
  EXPECT_EQ(far.text(), "workers 4 → 64");
}

TEST(Concurrency, StaysWhereMoreDoesNotPay) {
  Simulation busy([](int workers) { return 1000.0 * std::min(workers, 9); });
  busy.Run(30'000);
  EXPECT_EQ(busy.limit(), 9);
  EXPECT_THAT(busy.text(), HasSubstr("workers 4 → 13, back to 9"));
}

TEST(Concurrency, TriesAgainAfterAWhile) {
  int most = 4;
  Simulation source([&](int workers) { return 1000.0 * std::min(workers, most); });
  source.Run(5'000);
  EXPECT_EQ(source.limit(), 4);
  most = 100;
  source.Run(60'000);
  EXPECT_EQ(source.limit(), 64);
}

TEST(Concurrency, DoesNotRiseWhileUnitsAreFewerThanWorkers) {
  Simulation idle([](int workers) { return 1000.0 * workers; });
  idle.Run(20'000, false);
  EXPECT_EQ(idle.limit(), 4);
}

TEST(Concurrency, AnOverloadHalvesItOnceAndItComesBackSlowly) {
  Simulation source([](int workers) { return 1000.0 * workers; });
  source.Run(20'000);
  EXPECT_TRUE(source.Overload());
  EXPECT_EQ(source.limit(), 32);
  EXPECT_FALSE(source.Overload());
  EXPECT_FALSE(source.Overload());
  EXPECT_EQ(source.limit(), 32);
  EXPECT_EQ(source.text(), "workers 4 → 64, lowered to 32 by 3 × HTTP 429");
  source.Run(9'000);
  EXPECT_EQ(source.limit(), 32);
  source.Run(5'000);
  EXPECT_GT(source.limit(), 32);
  EXPECT_LT(source.limit(), 40);
}

TEST(Concurrency, OneWorkerIsLeftAlways) {
  Simulation source([](int workers) { return 1000.0 * workers; }, {.start = 2, .max = 2});
  for (int i = 0; i < 5; ++i) {
    source.Overload();
    source.Run(11'000, false);
  }
  EXPECT_EQ(source.limit(), 1);
}

TEST(Concurrency, TheGovernorAdmitsTheLowestNumbersAndWakesTheOthers) {
  ConcurrencyGovernor governor({.start = 2, .max = 3});
  EXPECT_TRUE(governor.Admits(1));
  EXPECT_FALSE(governor.Admits(2));
  bool admitted = false, refused = true;
  std::jthread third([&] { admitted = governor.Wait(2, {}); });
  std::jthread fourth([&] { refused = !governor.Wait(3, {}); });
  governor.Observe(0, 0, 0, 2);
  governor.Observe(1000, 1000, 10, 2);
  third.join();
  EXPECT_TRUE(admitted);
  EXPECT_EQ(governor.Overloaded(1000, "HTTP 503"), 1);
  EXPECT_FALSE(governor.Admits(1));
  governor.Close();
  fourth.join();
  EXPECT_TRUE(refused);
}

}  // namespace
}  // namespace bulkhaul
