#include "source/opensearch/content.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "source/opensearch/plan_units.h"

namespace bulkhaul::opensearch {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

constexpr int64_t kDay = 86'400'000;
constexpr int64_t kFirstDay = 19'783 * kDay;  // 2024-03-01

// An index with documents from 06:00 of the first day to 18:00 of the third.
TableState ThreeDays() {
  TableState state;
  state.layout = "{}";
  state.time_field = "t";
  PlannedIndex index;
  index.index = "logs";
  index.uuid = "u";
  index.documents = 3000;
  index.min_ms = kFirstDay + kDay / 4;
  index.max_ms = kFirstDay + 2 * kDay + kDay * 3 / 4;
  index.identity = "one";
  state.indices.push_back(index);
  return state;
}

// Documents in each slice of the ranges.
Result<std::vector<TimeBucket>> Buckets(const TableState& state, const PlannedIndex& index,
                                        int64_t slice_ms) {
  const auto ranges = state.ranges.empty() ? std::vector<TimeRange>{TimeRange()} : state.ranges;
  std::vector<TimeBucket> buckets;
  if (slice_ms == 0) return buckets;
  for (int64_t at = FloorTo(*index.min_ms, slice_ms); at <= *index.max_ms; at += slice_ms) {
    if (!Intersect(ranges, {at, at + slice_ms}).empty()) buckets.push_back({at, 1});
  }
  return buckets;
}

std::vector<ContentToken> Contents(const TableState& state, int64_t slice_ms = kDay) {
  CutWishes wishes;
  wishes.slice_ms = slice_ms;
  const auto units =
      PlanIndexUnits(state, {"", "d"}, wishes, [&](const PlannedIndex& index, int64_t) {
        return Buckets(state, index, slice_ms);
      }).ValueOrDie();
  std::vector<ContentToken> contents;
  for (const auto& unit : units) {
    contents.push_back(UnitToken::FromJson(unit.source_state).ValueOrDie().content);
  }
  return contents;
}

TEST(Content, OverlappingRangesShareTheirDays) {
  auto state = ThreeDays();
  const auto all = Contents(state);
  ASSERT_EQ(all.size(), 4u) << "three days, and the documents without a time";
  state.ranges = {{kFirstDay + kDay, TimeRange::kOpenEnd}};
  const auto later = Contents(state);
  ASSERT_EQ(later.size(), 2u);
  EXPECT_EQ(later[0], all[1]);
  EXPECT_EQ(later[1], all[2]);
  // A range that begins before the first document and ends after the last one.
  state.ranges = {{kFirstDay - 5 * kDay, kFirstDay + 2 * kDay + kDay * 4 / 5}};
  const auto wide = Contents(state);
  ASSERT_EQ(wide.size(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(wide[i], all[i]) << i;
  // Half a day is not the day.
  state.ranges = {{kFirstDay + kDay / 2, kFirstDay + 2 * kDay}};
  const auto half = Contents(state);
  ASSERT_EQ(half.size(), 2u);
  EXPECT_NE(half[0].address, all[0].address);
  EXPECT_EQ(half[1], all[1]);
}

TEST(Content, SlicesDoNotDependOnTheEmptyOnesBetweenThem) {
  TableState state = ThreeDays();
  const PlannedIndex& index = state.indices[0];
  const TimeRange first{kFirstDay, kFirstDay + kDay};
  const TimeRange third{kFirstDay + 2 * kDay, kFirstDay + 3 * kDay};
  const auto content = [&](const std::vector<TimePart>& parts, size_t at) {
    return DescribeContent(state, index, parts, {at, -1, 0, kDay});
  };
  const auto all = CutByInterval(
      {TimeRange()}, std::vector<TimeBucket>{{first.begin_ms, 1}, {third.begin_ms, 1}}, kDay);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].ranges[0].end_ms, third.begin_ms) << "over the day without documents";
  const std::vector<TimePart> alone = {{{first}, false, first}, {{third}, false, third}};
  EXPECT_EQ(content(all, 0), content(alone, 0));
  EXPECT_EQ(content(all, 1), content(alone, 1));
}

TEST(Content, AWholeIndexDoesNotDependOnTheRangeAroundIt) {
  auto state = ThreeDays();
  const auto all = Contents(state, 0);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].query, "");
  EXPECT_EQ(all[0].ends_ms, *state.indices[0].max_ms + 1);
  state.ranges = {{kFirstDay, kFirstDay + 40 * kDay}};
  EXPECT_EQ(Contents(state, 0), all);
  state.ranges = {{kFirstDay + kDay, kFirstDay + 40 * kDay}};
  const auto part = Contents(state, 0);
  EXPECT_NE(part[0].address, all[0].address);
  EXPECT_THAT(part[0].query, HasSubstr("gte"));
  EXPECT_THAT(part[0].query, testing::Not(HasSubstr("\"lt\"")));
}

TEST(Content, DocumentsWithoutATimeOrWithSeveralAreTakenLiterally) {
  auto state = ThreeDays();
  state.ranges = {{kFirstDay, kFirstDay + 40 * kDay}};
  state.indices[0].without_time = 3;
  EXPECT_THAT(Contents(state, 0)[0].query, HasSubstr("range"));
  state.indices[0].without_time = 0;
  state.indices[0].several_times = true;
  EXPECT_THAT(Contents(state, 0)[0].query, HasSubstr("range"));
}

TEST(Content, EverythingThatDecidesTheRowsIsInTheAddress) {
  const auto state = ThreeDays();
  const auto address = Contents(state)[0].address;
  auto other = state;
  other.indices[0].identity = "two";
  EXPECT_NE(Contents(other)[0].address, address);
  other = state;
  other.layout = "{\"a\":1}";
  EXPECT_NE(Contents(other)[0].address, address);
  other = state;
  other.body = "{\"_source\":{}}";
  EXPECT_NE(Contents(other)[0].address, address);
  other = state;
  other.query = R"({"term":{"a":1}})";
  EXPECT_NE(Contents(other)[0].address, address);
  other = state;
  other.indices[0].filter = R"({"term":{"a":1}})";
  EXPECT_NE(Contents(other)[0].address, address);
  other = state;
  other.indices[0].shards = 2;
  EXPECT_NE(Contents(other)[0].address, address);
  other.indices[0].identity.clear();
  EXPECT_EQ(Contents(other)[0], ContentToken());
}

TEST(Content, SomeQueriesFindOtherDocumentsAtAnotherTime) {
  for (const char* query :
       {R"({"term":{"level":"ERROR"}})", R"({"term":{"a":"knowledge now_or_never"}})",
        R"({"bool":{"filter":[{"terms":{"a":[1,2]}}],"must_not":{"exists":{"field":"b"}}}})",
        R"({"query_string":{"query":"level:ERROR AND snow"}})", R"({"match":{"a":"b"}})",
        R"({"nested":{"path":"p","query":{"range":{"p.a":{"gte":1}}}}})", ""}) {
    EXPECT_EQ(WhyNotRepeatable(query), "") << query;
  }
  for (const char* query :
       {R"({"range":{"t":{"gte":"now-1d/d"}}})", R"({"query_string":{"query":"t:[now-1h TO *]"}})",
        R"({"query_string":{"query":"level:EROR~1"}})", R"({"script":{"script":"true"}})",
        R"({"bool":{"should":[{"more_like_this":{"like":"a"}}]}})",
        R"({"terms":{"a":{"index":"other","id":"1","path":"a"}}})",
        R"({"match":{"a":{"query":"b","fuzziness":"AUTO"}}})", R"({"wrapper":{"query":"e30="}})",
        R"({"constant_score":{"filter":{"percolate":{}}}})"}) {
    EXPECT_NE(WhyNotRepeatable(query), "") << query;
  }
  auto state = ThreeDays();
  state.query = R"({"range":{"u":{"gte":"now-1d"}}})";
  EXPECT_EQ(Contents(state)[0].address, "");
  EXPECT_THAT(Contents(state)[0].reason, HasSubstr("now"));
}

UnitToken TwoShards() {
  UnitToken token;
  token.index = "logs";
  token.content.address = "abc";
  token.content.shards = 2;
  return token;
}

std::string Shard(int64_t documents, double highest, double sum, const char* shards) {
  return Json{{"status", 200},
              {"timed_out", false},
              {"_shards", Json::parse(shards)},
              {"hits", {{"total", {{"value", documents}, {"relation", "eq"}}}}},
              {"aggregations", {{"highest", {{"value", highest}}}, {"sum", {{"value", sum}}}}}}
      .dump();
}

TEST(Content, IsLookedAtShardByShard) {
  const auto token = TwoShards();
  const std::string request = ContentRequest(token);
  EXPECT_THAT(request, HasSubstr(R"("preference":"_shards:0")"));
  EXPECT_THAT(request, HasSubstr(R"("preference":"_shards:1")"));
  constexpr char kWhole[] = R"({"total":1,"successful":1,"skipped":0,"failed":0})";
  const auto answer = [&](const std::string& a, const std::string& b) {
    return R"({"responses":[)" + a + "," + b + "]}";
  };
  const auto content =
      ReadContent(answer(Shard(3, 9, 20, kWhole), Shard(4, 7, 15, kWhole)), token).ValueOrDie();
  EXPECT_EQ(content.rows, 7);
  EXPECT_EQ(content.address, "abc");
  // The same in sum, but not in each shard.
  const auto moved =
      ReadContent(answer(Shard(4, 9, 20, kWhole), Shard(3, 7, 15, kWhole)), token).ValueOrDie();
  EXPECT_NE(moved.fingerprint, content.fingerprint);
  constexpr char kNone[] = R"({"total":0,"successful":0,"skipped":0,"failed":0})";
  constexpr char kLost[] = R"({"total":1,"successful":0,"skipped":0,"failed":0})";
  for (const char* shards : {kNone, kLost}) {
    EXPECT_EQ(
        KindOf(
            ReadContent(answer(Shard(3, 9, 20, kWhole), Shard(0, 0, 0, shards)), token).status()),
        ErrorKind::kTransient)
        << shards;
  }
  for (const char* broken : {"", "[]", "{}", R"({"responses":[{},{}]})", R"({"responses":[1]})"}) {
    EXPECT_FALSE(ReadContent(broken, token).ok()) << broken;
  }
}

TEST(Content, DocumentsOutsideOfTheUnitsOwnBoundsAreNoticed) {
  auto token = TwoShards();
  token.query = R"({"range":{"t":{"gte":1}}})";
  const std::string request = ContentRequest(token);
  EXPECT_EQ(std::count(request.begin(), request.end(), '\n'), 8);
  EXPECT_THAT(request, HasSubstr(R"("gte":1)"));
  constexpr char kWhole[] = R"({"total":1,"successful":1,"skipped":0,"failed":0})";
  const auto answer = [&](int64_t own) {
    return R"({"responses":[)" + Shard(3, 9, 20, kWhole) + "," + Shard(3, 9, 20, kWhole) + "," +
           Shard(4, 7, 15, kWhole) + "," + Shard(own, 7, 15, kWhole) + "]}";
  };
  EXPECT_EQ(ReadContent(answer(4), token).ValueOrDie().rows, 7);
  EXPECT_EQ(ReadContent(answer(4), token).ValueOrDie().address, "abc");
  EXPECT_EQ(ReadContent(answer(3), token).ValueOrDie().address, "") << "one more came outside";
}

}  // namespace
}  // namespace bulkhaul::opensearch
