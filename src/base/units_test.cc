#include "base/units.h"

#include <gtest/gtest.h>

namespace bulkhaul {
namespace {

TEST(Units, Bytes) {
  EXPECT_EQ(ParseBytes("1024").ValueOrDie(), 1024);
  EXPECT_EQ(ParseBytes("64MiB").ValueOrDie(), 64 << 20);
  EXPECT_EQ(ParseBytes("64M").ValueOrDie(), 64 << 20);
  EXPECT_EQ(ParseBytes(" 1.5 GiB ").ValueOrDie(), int64_t{3} << 29);
  EXPECT_EQ(ParseBytes("10MB").ValueOrDie(), 10'000'000);
  for (const char* bad : {"", "MiB", "-1", "1XB", "1MiB2", "nan", "inf", "1e3MiB", "99999999PiB"}) {
    EXPECT_FALSE(ParseBytes(bad).ok()) << bad;
  }
}

TEST(Units, Durations) {
  EXPECT_EQ(ParseDurationMs("90").ValueOrDie(), 90'000);
  EXPECT_EQ(ParseDurationMs("500ms").ValueOrDie(), 500);
  EXPECT_EQ(ParseDurationMs("1h30m").ValueOrDie(), 5'400'000);
  EXPECT_EQ(ParseDurationMs("30d").ValueOrDie(), int64_t{30} * 86'400'000);
  EXPECT_EQ(ParseDurationMs("none").ValueOrDie(), 0);
  for (const char* bad : {"", "s", "-1s", "1h30", "5 fortnights", "1s,"}) {
    EXPECT_FALSE(ParseDurationMs(bad).ok()) << bad;
  }
}

TEST(Units, ForPeople) {
  EXPECT_EQ(FormatBytes(512), "512 B");
  EXPECT_EQ(FormatBytes(64 << 20), "64 MiB");
  EXPECT_EQ(FormatBytes(int64_t{3} << 29), "1.5 GiB");
  EXPECT_EQ(FormatCount(6'001'215), "6,001,215");
  EXPECT_EQ(FormatCount(-1234), "-1,234");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatDurationMs(850), "850 ms");
  EXPECT_EQ(FormatDurationMs(4900), "4.9 s");
  EXPECT_EQ(FormatDurationMs(59'999), "1 m 0 s");
  EXPECT_EQ(FormatDurationMs(7'500'000), "2 h 5 m");
  EXPECT_EQ(FormatUtc(std::chrono::system_clock::from_time_t(0)), "1970-01-01T00:00:00Z");
}

}  // namespace
}  // namespace bulkhaul
