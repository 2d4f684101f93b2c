#include "source/opensearch/time_range.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace bulkhaul::opensearch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// 2024-03-15T13:45:30.500Z, a Friday.
constexpr int64_t kNow = 1710510330500;

std::string At(std::string_view text, Rounding rounding = Rounding::kDown,
               std::string_view zone = "UTC") {
  const auto parsed_zone = TimeZone::Parse(zone);
  if (!parsed_zone.ok()) return MessageOf(parsed_zone.status());
  const auto time = ParseTime(text, rounding, *parsed_zone, kNow);
  return time.ok() ? FormatTime(*time) : MessageOf(time.status());
}

TEST(ParseTime, TakesDatesAsTheServersDo) {
  EXPECT_EQ(At("2024"), "2024-01-01T00:00:00.000Z");
  EXPECT_EQ(At("2024-03"), "2024-03-01T00:00:00.000Z");
  EXPECT_EQ(At("2024-03-05"), "2024-03-05T00:00:00.000Z");
  EXPECT_EQ(At("2024-03-05T07"), "2024-03-05T07:00:00.000Z");
  EXPECT_EQ(At("2024-03-05T07:08:09.1"), "2024-03-05T07:08:09.100Z");
  EXPECT_EQ(At("2024-03-05T07:08:09Z"), "2024-03-05T07:08:09.000Z");
  EXPECT_EQ(At("2024-03-05T07:08:09+02:00"), "2024-03-05T05:08:09.000Z");
  EXPECT_EQ(At("1709251200000"), "2024-03-01T00:00:00.000Z");
  EXPECT_EQ(At("0"), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(At("1969-12-31T23:59:59.999"), "1969-12-31T23:59:59.999Z");
}

TEST(ParseTime, RoundsUpToTheLastNanosecondOfWhatIsMissing) {
  EXPECT_EQ(At("2024-03-05", Rounding::kUp), "2024-03-05T23:59:59.999999999Z");
  EXPECT_EQ(At("2024-03", Rounding::kUp),
            "2024-03-01T23:59:59.999999999Z");  // months and days are 01
  EXPECT_EQ(At("2024-03-05T07", Rounding::kUp), "2024-03-05T07:59:59.999999999Z");
  EXPECT_EQ(At("2024-03-05T07:08", Rounding::kUp), "2024-03-05T07:08:59.999999999Z");
  EXPECT_EQ(At("2024-03-05T07:08:09", Rounding::kUp), "2024-03-05T07:08:09.999999999Z");
  EXPECT_EQ(At("2024-03-05T07:08:09.5", Rounding::kUp), "2024-03-05T07:08:09.500Z");
}

TEST(ParseTime, DateMath) {
  EXPECT_EQ(At("now"), "2024-03-15T13:45:30.500Z");
  EXPECT_EQ(At("now-7d/d"), "2024-03-08T00:00:00.000Z");
  EXPECT_EQ(At("now/d", Rounding::kUp), "2024-03-15T23:59:59.999Z");
  EXPECT_EQ(At("now/w"), "2024-03-11T00:00:00.000Z");
  EXPECT_EQ(At("now/w", Rounding::kUp), "2024-03-17T23:59:59.999Z");
  EXPECT_EQ(At("now-1M/M"), "2024-02-01T00:00:00.000Z");
  EXPECT_EQ(At("now+1h-30m"), "2024-03-15T14:15:30.500Z");
  EXPECT_EQ(At("2024-01-31||+1M"), "2024-02-29T00:00:00.000Z");
  EXPECT_EQ(At("2024-02-29||-1y"), "2023-02-28T00:00:00.000Z");
  EXPECT_EQ(At("2024-01-31||/M", Rounding::kUp), "2024-01-31T23:59:59.999Z");
}

TEST(ParseTime, TimeZonesMoveDaysAndMath) {
  EXPECT_EQ(At("2024-03-05", Rounding::kDown, "Europe/Berlin"), "2024-03-04T23:00:00.000Z");
  EXPECT_EQ(At("2024-07-05", Rounding::kDown, "Europe/Berlin"), "2024-07-04T22:00:00.000Z");
  EXPECT_EQ(At("2024-03-05", Rounding::kDown, "-05:30"), "2024-03-05T05:30:00.000Z");
  EXPECT_EQ(At("now/d", Rounding::kDown, "+14:00"), "2024-03-15T10:00:00.000Z");
  // The day of the change has 23 hours.
  EXPECT_EQ(At("2024-03-31||+1d", Rounding::kDown, "Europe/Berlin"), "2024-03-31T22:00:00.000Z");
  EXPECT_EQ(At("2024-03-31||+24h", Rounding::kDown, "Europe/Berlin"), "2024-03-31T23:00:00.000Z");
  // An offset of its own wins over the zone.
  EXPECT_EQ(At("2024-03-05T00:00:00Z", Rounding::kDown, "Europe/Berlin"),
            "2024-03-05T00:00:00.000Z");
  EXPECT_THAT(At("now", Rounding::kDown, "Europe/Atlantis"), HasSubstr("time zone"));
}

TEST(ParseTime, RefusesWhatItCannotKeep) {
  for (const char* text : {"", "yesterday", "2024-13-01", "2024-02-30", "2024-03-05T25:00",
                           "2024-03-05 07:00", "now-7", "now-7x", "now*2", "24-03-05", "2024-3-5",
                           "2024-03-05T07:08:09.1234567891", "2024-03-05T07:08:09+99:00"}) {
    EXPECT_FALSE(ParseTime(text, Rounding::kDown, TimeZone(), kNow).ok()) << text;
  }
  EXPECT_EQ(At("2024-03-05T07:08:09.1234"), "2024-03-05T07:08:09.123400000Z");
  EXPECT_EQ(At("2024-03-05T07:08:09.123000"), "2024-03-05T07:08:09.123Z");
}

TimeRange Bounds(const TimeBounds& bounds) {
  return ResolveBounds(bounds, TimeZone(), kNow).ValueOrDie();
}

TEST(ResolveBounds, BecomeHalfOpenRanges) {
  EXPECT_EQ(FormatRange(Bounds({.gte = "2024-03-01", .gt = "", .lte = "", .lt = "2024-04-01"})),
            "2024-03-01T00:00:00.000Z to 2024-04-01T00:00:00.000Z");
  EXPECT_EQ(FormatRange(Bounds({.gte = "2024-03-01", .gt = "", .lte = "2024-03-31", .lt = ""})),
            "2024-03-01T00:00:00.000Z to 2024-04-01T00:00:00.000Z");
  // After the whole day, as the server rounds gt.
  EXPECT_EQ(FormatRange(Bounds({.gte = "", .gt = "2024-03-01", .lte = "", .lt = ""})),
            "2024-03-02T00:00:00.000Z to the end");
  EXPECT_EQ(FormatRange(Bounds({.gte = "", .gt = "", .lte = "1709251200000", .lt = ""})),
            "the beginning to 2024-03-01T00:00:00.001Z");
}

TEST(ResolveBounds, AreExactToTheNanosecond) {
  const auto fine = Bounds(
      {.gte = "", .gt = "2024-02-29T23:59:59.999", .lte = "2024-03-01T23:59:59.1234", .lt = ""});
  EXPECT_EQ(FormatRange(fine), "2024-02-29T23:59:59.999000001Z to 2024-03-01T23:59:59.123400001Z");
  EXPECT_FALSE(fine.Contains(1709251199999));
  EXPECT_TRUE(fine.Contains(1709251200000));
  EXPECT_EQ(FormatRange(ToWholeMs({fine}).front()),
            "2024-03-01T00:00:00.000Z to 2024-03-01T23:59:59.124Z");
  EXPECT_TRUE(IsFinerThanMs("2024-03-01T00:00:00.0001..2024-03-02"));
  EXPECT_TRUE(IsFinerThanMs("..2024-03-02T00:00:00.0001Z||+1d"));
  EXPECT_FALSE(IsFinerThanMs("2024-03-01..2024-03-02T00:00:00.001000"));
  EXPECT_FALSE(IsFinerThanMs("now-1d/d"));
}

TEST(ResolveBounds, RefuseContradictions) {
  const TimeZone utc;
  EXPECT_FALSE(ResolveBounds({.gte = "2024", .gt = "2024", .lte = "", .lt = ""}, utc, kNow).ok());
  EXPECT_FALSE(ResolveBounds({.gte = "", .gt = "", .lte = "2024", .lt = "2024"}, utc, kNow).ok());
  EXPECT_THAT(
      MessageOf(
          ResolveBounds({.gte = "2024-03-02", .gt = "", .lte = "", .lt = "2024-03-01"}, utc, kNow)
              .status()),
      HasSubstr("empty"));
}

TEST(ResolveSpan, EitherEndMayBeOpen) {
  EXPECT_EQ(FormatRange(*ResolveSpan("2024-03-01..2024-04-01", TimeZone(), kNow)),
            "2024-03-01T00:00:00.000Z to 2024-04-01T00:00:00.000Z");
  EXPECT_EQ(FormatRange(*ResolveSpan("..now/d", TimeZone(), kNow)),
            "the beginning to 2024-03-15T00:00:00.000Z");
  EXPECT_FALSE(ResolveSpan("2024-03-01", TimeZone(), kNow).ok());
}

TEST(MergeRanges, CoversTheSameMillisecondsOnce) {
  EXPECT_TRUE(rc::check("merged ranges are disjoint and hold what the given ones hold", [] {
    const auto bound = rc::gen::inRange<int64_t>(0, 40);
    std::vector<TimeRange> given;
    for (const auto& [a, b] : *rc::gen::container<std::vector<std::pair<int64_t, int64_t>>>(
             rc::gen::pair(bound, bound))) {
      given.push_back({a, b});
    }
    const auto merged = MergeRanges(given);
    for (int64_t time = -1; time <= 40; ++time) {
      const auto holds = [&](const TimeRange& range) { return range.Contains(time); };
      const auto wanted = std::any_of(given.begin(), given.end(), holds);
      RC_ASSERT(std::count_if(merged.ranges.begin(), merged.ranges.end(), holds) ==
                (wanted ? 1 : 0));
    }
  }));
}

TEST(MergeRanges, CountsOverlapsButNotNeighbours) {
  EXPECT_EQ(MergeRanges({{0, 10}, {10, 20}}).overlaps, 0);
  EXPECT_THAT(MergeRanges({{0, 10}, {10, 20}}).ranges, ElementsAre(TimeRange{0, 20}));
  EXPECT_EQ(MergeRanges({{5, 15}, {0, 10}}).overlaps, 1);
}

TEST(Intersect, KeepsThePartsInside) {
  EXPECT_THAT(Intersect({{0, 10}, {20, 30}}, {5, 25}),
              ElementsAre(TimeRange{5, 10}, TimeRange{20, 25}));
  EXPECT_TRUE(AnyContains({{0, 10}, {20, 30}}, {20, 30}));
  EXPECT_FALSE(AnyContains({{0, 10}, {20, 30}}, {9, 21}));
}

}  // namespace
}  // namespace bulkhaul::opensearch
