#include "source/opensearch/plan_units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <nlohmann/json.hpp>

#include "plan/splitting.h"
#include "source/opensearch/unit_token.h"

namespace bulkhaul::opensearch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Json = nlohmann::json;

TEST(ParseSlice, KnowsNamesAndDurations) {
  EXPECT_EQ(*ParseSlice("auto"), 0);
  EXPECT_EQ(*ParseSlice("none"), 0);
  EXPECT_EQ(*ParseSlice("daily"), 86'400'000);
  EXPECT_EQ(*ParseSlice("hour"), 3'600'000);
  EXPECT_EQ(*ParseSlice("15m"), 900'000);
  EXPECT_FALSE(ParseSlice("fortnight").ok());
  EXPECT_FALSE(ParseSlice("0").ok());
}

TEST(CutByBuckets, MakesUnitsAlike) {
  const std::vector<TimeBucket> buckets = {{0, 60}, {10, 30}, {20, 30}, {30, 200}, {40, 1}};
  EXPECT_THAT(CutByBuckets({{0, 50}}, buckets, 100),
              ElementsAre(TimeRange{0, 30}, TimeRange{30, 40}, TimeRange{40, 50}));
  std::vector<TimeBucket> even;
  for (int64_t begin = 0; begin < 66; ++begin) even.push_back({begin, 10});
  EXPECT_THAT(CutByBuckets({{0, 66}}, even, 100),
              ElementsAre(TimeRange{0, 9}, TimeRange{9, 19}, TimeRange{19, 28}, TimeRange{28, 38},
                          TimeRange{38, 47}, TimeRange{47, 57}, TimeRange{57, 66}));
  EXPECT_THAT(CutByBuckets({{0, 50}}, buckets, 1000), ElementsAre(TimeRange{0, 50}));
}

// Whatever is cut: each millisecond belongs to as many parts as it belonged to ranges.
void ExpectTiles(const std::vector<TimeRange>& ranges, const std::vector<TimeRange>& cut) {
  RC_ASSERT(std::none_of(cut.begin(), cut.end(), [](const auto& range) { return range.empty(); }));
  for (int64_t time = -5; time < 105; ++time) {
    const auto holds = [&](const TimeRange& range) { return range.Contains(time); };
    RC_ASSERT(std::count_if(cut.begin(), cut.end(), holds) ==
              std::count_if(ranges.begin(), ranges.end(), holds));
  }
  for (const int64_t time : {TimeRange::kOpenBegin, TimeRange::kOpenEnd - 1}) {
    const auto holds = [&](const TimeRange& range) { return range.Contains(time); };
    RC_ASSERT(std::count_if(cut.begin(), cut.end(), holds) ==
              std::count_if(ranges.begin(), ranges.end(), holds));
  }
}

std::vector<TimeRange> AnyRanges() {
  const auto bound = rc::gen::inRange<int64_t>(0, 100);
  std::vector<TimeRange> given;
  for (const auto& [a, b] :
       *rc::gen::container<std::vector<std::pair<int64_t, int64_t>>>(rc::gen::pair(bound, bound))) {
    given.push_back({std::min(a, b), std::max(a, b) + 1});
  }
  if (given.empty()) given.push_back({});
  if (*rc::gen::arbitrary<bool>()) given.front().begin_ms = TimeRange::kOpenBegin;
  if (*rc::gen::arbitrary<bool>()) given.back().end_ms = TimeRange::kOpenEnd;
  return MergeRanges(given).ranges;
}

TEST(CutByBuckets, NeverLosesOrDoublesAMoment) {
  EXPECT_TRUE(rc::check("cut ranges tile the given ones", [] {
    const auto ranges = AnyRanges();
    std::vector<TimeBucket> buckets;
    const int64_t step = *rc::gen::inRange<int64_t>(1, 20);
    for (int64_t begin = 0; begin < 100; begin += step) {
      if (*rc::gen::arbitrary<bool>()) {
        buckets.push_back({begin, *rc::gen::inRange<int64_t>(1, 1000)});
      }
    }
    ExpectTiles(ranges, CutByBuckets(ranges, buckets, *rc::gen::inRange<int64_t>(1, 2000)));
  }));
}

std::vector<TimeRange> RangesOfParts(const std::vector<TimePart>& parts) {
  std::vector<TimeRange> ranges;
  for (const auto& part : parts)
    ranges.insert(ranges.end(), part.ranges.begin(), part.ranges.end());
  return ranges;
}

TEST(CutByInterval, NeverLosesOrDoublesAMoment) {
  EXPECT_TRUE(rc::check("slices tile the given ranges", [] {
    const auto ranges = AnyRanges();
    const int64_t step = *rc::gen::inRange<int64_t>(1, 30);
    std::vector<TimeBucket> buckets;
    for (int64_t begin = FloorTo(-50, step); begin < 150; begin += step) {
      if (*rc::gen::arbitrary<bool>()) buckets.push_back({begin, 1});
    }
    const auto parts = CutByInterval(ranges, buckets, step);
    ExpectTiles(ranges, RangesOfParts(parts));
    // Every moment of a slice with documents is in a part that says so.
    for (const auto& bucket : buckets) {
      const TimeRange slice{bucket.begin_ms, bucket.begin_ms + step};
      for (const auto& part : parts) {
        if (!Intersect(part.ranges, slice).empty()) RC_ASSERT(part.filled == slice);
      }
    }
  }));
}

TEST(CutByInterval, CutsAtMultiplesWhereThereAreDocuments) {
  const std::vector<TimeBucket> even = {{0, 1}, {10, 1}, {20, 1}, {30, 1}};
  EXPECT_THAT(
      RangesOfParts(CutByInterval({{5, 35}}, even, 10)),
      ElementsAre(TimeRange{5, 10}, TimeRange{10, 20}, TimeRange{20, 30}, TimeRange{30, 35}));
  // One stray document far away is one unit more.
  const std::vector<TimeBucket> stray = {{-1'000'000'000, 1}, {500, 9}, {510, 9}};
  EXPECT_THAT(RangesOfParts(CutByInterval({TimeRange()}, stray, 10)),
              ElementsAre(TimeRange{TimeRange::kOpenBegin, 500}, TimeRange{500, 510},
                          TimeRange{510, TimeRange::kOpenEnd}));
  EXPECT_EQ(CutByInterval({TimeRange()}, {}, 10).size(), 1u);
}

PlannedIndex Index(std::string name, int64_t documents, int shards = 1) {
  PlannedIndex index;
  index.index = std::move(name);
  index.uuid = "u";
  index.shards = shards;
  index.documents = documents;
  index.document_bytes = 100;
  index.min_ms = 0;
  index.max_ms = 999;
  return index;
}

// As many documents in each millisecond.
Result<std::vector<TimeBucket>> Even(const PlannedIndex& index, int64_t interval_ms) {
  std::vector<TimeBucket> buckets;
  for (int64_t begin = 0; begin < 1000; begin += interval_ms) {
    buckets.push_back({begin, index.documents * interval_ms / 1000});
  }
  return buckets;
}

std::vector<WorkUnit> Units(const TableState& state, const CutWishes& wishes) {
  return PlanIndexUnits(state, {"", "t"}, wishes, Even).ValueOrDie();
}

UnitToken TokenOf(const WorkUnit& unit) {
  return UnitToken::FromJson(unit.source_state).ValueOrDie();
}

TEST(PlanIndexUnits, OneStreamAnIndex) {
  TableState state;
  state.time_field = "@timestamp";
  state.indices = {Index("a", 1000), Index("b", 2000)};
  const auto units = Units(state, {});
  ASSERT_EQ(units.size(), 2u);
  EXPECT_EQ(units[0].range, (UnitRange{"a", "", ""}));
  EXPECT_EQ(units[1].range, (UnitRange{"b", "", ""}));
  EXPECT_EQ(units[1].estimated_rows, 2000);
  EXPECT_EQ(TokenOf(units[0]).index, "a");
  EXPECT_EQ(TokenOf(units[0]).query, "");
  EXPECT_EQ(TokenOf(units[0]).uuid, "u");
}

TEST(PlanIndexUnits, OneStreamAShardOfALargeIndex) {
  TableState state;
  state.indices = {Index("a", 1'000'000, 3), Index("b", 1000, 3)};
  const auto units = Units(state, {});
  ASSERT_EQ(units.size(), 4u);
  EXPECT_THAT(TokenOf(units[0]).shards, ElementsAre(0));
  EXPECT_THAT(TokenOf(units[2]).shards, ElementsAre(2));
  EXPECT_THAT(TokenOf(units[3]).shards, IsEmpty());
}

TEST(PlanIndexUnits, CutsByTimeWhatIsTooLargeAndKeepsDocumentsWithoutTime) {
  TableState state;
  state.time_field = "@timestamp";
  state.indices = {Index("a", 1000)};
  CutWishes wishes;
  wishes.unit_documents = 300;
  const auto units = Units(state, wishes);
  ASSERT_GE(units.size(), 4u);
  ASSERT_LE(units.size(), 6u);
  EXPECT_THAT(TokenOf(units.front()).query, HasSubstr("\"lt\""));
  EXPECT_THAT(TokenOf(units.back()).query, HasSubstr("exists"));
  std::vector<UnitRange> ranges;
  for (const auto& unit : units) ranges.push_back(unit.range);
  const std::vector<UnitRange> whole = {{"a", "", ""}};
  EXPECT_TRUE(CheckCovered(whole, ranges).ok());
  wishes.cut_by_time = false;
  EXPECT_EQ(Units(state, wishes).size(), 1u);
}

TEST(PlanIndexUnits, GivesEveryWorkerSomething) {
  TableState state;
  state.time_field = "@timestamp";
  state.indices = {Index("a", 1'000'000), Index("b", 10)};
  CutWishes wishes;
  wishes.units_wanted = 16;
  wishes.workers = 8;
  EXPECT_GE(Units(state, wishes).size(), 14u);
  state.indices = {Index("a", 1000)};
  EXPECT_EQ(Units(state, wishes).size(), 1u);
}

TEST(PlanIndexUnits, IndicesThatKeepTheWorkersBusyStayWhole) {
  TableState state;
  state.time_field = "@timestamp";
  for (const char* name : {"a", "b", "c", "d"}) state.indices.push_back(Index(name, 80'000));
  CutWishes wishes;
  for (const auto& [workers, whole] : {std::pair(1, true), {3, true}, {4, true}, {8, false}}) {
    wishes.workers = workers;
    wishes.units_wanted = 2 * workers;
    EXPECT_EQ(Units(state, wishes).size() == 4, whole) << workers;
  }
  // One that is much larger than the others would be read for long by one worker alone.
  state.indices[0].documents = 1'000'000;
  wishes.workers = 4;
  wishes.units_wanted = 8;
  EXPECT_GT(Units(state, wishes).size(), 4u);
  EXPECT_EQ(Units(state, wishes).back().range.begin, "");
}

TEST(PlanIndexUnits, SlicesByTheServerOnlyWhenAskedAndWithoutATime) {
  TableState state;
  state.indices = {Index("a", 1000)};
  CutWishes wishes;
  wishes.unit_documents = 250;
  const auto units = Units(state, wishes);
  ASSERT_EQ(units.size(), 4u);
  EXPECT_EQ(TokenOf(units[3]).slice_id, 3);
  EXPECT_EQ(TokenOf(units[3]).slice_max, 4);
}

TEST(PartQuery, AddsUpTheUsersQueryTheAliasFilterAndTheTime) {
  TableState state;
  state.time_field = "t";
  state.query = R"({"term":{"a":1}})";
  state.ranges = {{0, 10}};
  PlannedIndex index = Index("a", 5);
  index.filter = R"({"term":{"b":2}})";
  const Json query = Json::parse(IndexQuery(state, index));
  ASSERT_EQ(query["bool"]["filter"].size(), 3u);
  EXPECT_EQ(query["bool"]["filter"][0], Json::parse(state.query));
  EXPECT_EQ(query["bool"]["filter"][1], Json::parse(index.filter));
  EXPECT_EQ(query["bool"]["filter"][2]["range"]["t"]["gte"], 0);
  EXPECT_EQ(query["bool"]["filter"][2]["range"]["t"]["lt"], 10);
  EXPECT_FALSE(query["bool"].contains("must_not"));
}

TEST(PartQuery, ADocumentWithSeveralTimesBelongsToTheFirstPart) {
  TableState state;
  state.time_field = "t";
  PlannedIndex index = Index("a", 5);
  const std::vector<TimePart> parts = {
      {{{0, 10}}, false, {}}, {{{10, 20}}, false, {}}, {{{20, 30}}, false, {}}};
  EXPECT_FALSE(Json::parse(PartQuery(state, index, parts, 2))["bool"].contains("must_not"));
  index.several_times = true;
  const Json query = Json::parse(PartQuery(state, index, parts, 2));
  ASSERT_EQ(query["bool"]["must_not"].size(), 1u);
  EXPECT_EQ(query["bool"]["must_not"][0]["range"]["t"]["gte"], 0);
  EXPECT_EQ(query["bool"]["must_not"][0]["range"]["t"]["lt"], 20);
  EXPECT_FALSE(Json::parse(PartQuery(state, index, parts, 0))["bool"].contains("must_not"));
}

TEST(PartQuery, TheTimeThatCountsIsInThePart) {
  TableState state;
  state.time_field = "t";
  state.ranges = {{0, 30}};
  PlannedIndex index = Index("a", 5);
  index.several_times = true;
  const std::vector<TimePart> parts = {{{{0, 10}}, false, {}}, {{{10, 20}}, false, {}}};
  state.time_of = TimeOf::kEarliest;
  Json clause = Json::parse(PartQuery(state, index, parts, 1))["bool"]["filter"][0]["bool"];
  EXPECT_EQ(clause["filter"][0]["range"]["t"]["gte"], 10);
  EXPECT_EQ(clause["filter"][0]["range"]["t"]["lt"], 20);
  ASSERT_EQ(clause["must_not"].size(), 1u);
  EXPECT_EQ(clause["must_not"][0]["range"]["t"]["lt"], 10);
  EXPECT_FALSE(clause["must_not"][0]["range"]["t"].contains("gte"));
  state.time_of = TimeOf::kLatest;
  clause = Json::parse(IndexQuery(state, index))["bool"]["filter"][0]["bool"];
  EXPECT_EQ(clause["must_not"][0]["range"]["t"]["gte"], 30);
  EXPECT_FALSE(clause["must_not"][0]["range"]["t"].contains("lt"));
  state.ranges = {{0, TimeRange::kOpenEnd}};
  EXPECT_TRUE(Json::parse(IndexQuery(state, index))["bool"]["filter"][0].contains("range"))
      << "nothing is later";
  state.ranges = {{0, 30}};
  index.several_times = false;
  EXPECT_TRUE(Json::parse(IndexQuery(state, index))["bool"]["filter"][0].contains("range"));
}

TEST(TableState, SurvivesJson) {
  TableState state;
  state.layout = R"({"columns":[]})";
  state.body = "{}";
  state.query = R"({"match_all":{}})";
  state.time_field = "@timestamp";
  state.ranges = {{TimeRange::kOpenBegin, 5}, {7, TimeRange::kOpenEnd}};
  state.include_missing = true;
  state.time_of = TimeOf::kLatest;
  PlannedIndex index = Index("a", 5, 2);
  index.filter = R"({"term":{"b":2}})";
  index.fingerprint = "0:5:0:4;";
  index.without_time = 3;
  index.several_times = true;
  state.indices = {index};
  const auto again = TableState::FromJson(state.ToJson()).ValueOrDie();
  EXPECT_EQ(again.ToJson(), state.ToJson());
  EXPECT_EQ(again.ranges, state.ranges);
  EXPECT_EQ(again.time_of, state.time_of);
  EXPECT_EQ(again.indices[0].max_ms, 999);
  EXPECT_FALSE(TableState::FromJson("[]").ok());
  EXPECT_FALSE(TableState::FromJson("{}").ok());
}

}  // namespace
}  // namespace bulkhaul::opensearch
