#include "source/opensearch/rate_limiter.h"

#include <chrono>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace bulkhaul::opensearch {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

TEST(RateLimiter, HoldsHoweverManyAskAtOnce) {
  RateLimiter limiter(1000, 0, 8);
  const auto begin = steady_clock::now();
  std::vector<std::thread> readers;
  for (int reader = 0; reader < 8; ++reader) {
    readers.emplace_back([&] {
      for (int page = 0; page < 4; ++page) {
        ASSERT_TRUE(limiter.Wait({10, 0}, -1, {}).ok());
        limiter.Settle({10, 0}, {10, 0});
      }
    });
  }
  for (auto& reader : readers) reader.join();
  // 320 documents, the last page of which is let through when the others are paid.
  EXPECT_GE(steady_clock::now() - begin, milliseconds(310));
}

TEST(RateLimiter, PaysForWhatAPageTurnedOutToHold) {
  RateLimiter limiter(1000, 0, 1);
  ASSERT_TRUE(limiter.Wait({1'000'000'000, 0}, -1, {}).ok());
  limiter.Settle({1'000'000'000, 0}, {0, 0});
  ASSERT_TRUE(limiter.Wait({1, 0}, -1, {}).ok()) << "days, if nothing were given back";
  const auto begin = steady_clock::now();
  limiter.Settle({1, 0}, {101, 0});
  ASSERT_TRUE(limiter.Wait({1, 0}, -1, {}).ok());
  EXPECT_GE(steady_clock::now() - begin, milliseconds(95));
}

TEST(RateLimiter, NobodyWaitsLongerThanHeMay) {
  RateLimiter limiter(1, 0, 1);
  ASSERT_TRUE(limiter.Wait({1'000'000, 0}, 10, {}).ok());
  EXPECT_TRUE(limiter.Wait({1, 0}, 10, {}).ok()) << "days, if it waited for its turn";
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(KindOf(limiter.Wait({1, 0}, -1, stop.get_token())), ErrorKind::kCancelled);
}

TEST(RateLimiter, PagesAreSmallEnoughForATurnASecond) {
  RateLimiter documents(2000, 0, 8);
  EXPECT_EQ(documents.PageDocumentsMax(0), 250);
  for (int session = 0; session < 20; ++session) documents.Join();
  EXPECT_EQ(documents.PageDocumentsMax(0), 100);
  for (int session = 0; session < 20; ++session) documents.Leave();
  EXPECT_EQ(documents.PageDocumentsMax(0), 250);
  EXPECT_EQ(RateLimiter(3, 0, 8).PageDocumentsMax(0), 1);
  EXPECT_EQ(RateLimiter(0, 1 << 20, 4).PageDocumentsMax(1 << 10), 256);
  EXPECT_GT(RateLimiter(0, 1 << 20, 4).PageDocumentsMax(0), 1'000'000);
}

}  // namespace
}  // namespace bulkhaul::opensearch
