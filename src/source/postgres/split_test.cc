#include "source/postgres/split.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "plan/splitting.h"
#include "source/postgres/key_bounds.h"

namespace bulkhaul::postgres {
namespace {

Relation Heap(const std::string& name, int64_t pages, int64_t bytes, int64_t rows) {
  return {.oid = 1,
          .schema = "s",
          .name = name,
          .kind = 'r',
          .heap = true,
          .readable = true,
          .pages = pages,
          .bytes = bytes,
          .rows = rows};
}

TableState Table(std::vector<Relation> relations, char kind = 'r') {
  TableState state;
  state.kind = kind;
  state.relations = std::move(relations);
  state.server_version = 150000;
  return state;
}

Dataset Of(const TableState& state) {
  Dataset dataset;
  dataset.id = {"s", "t"};
  dataset.estimated_bytes = dataset.estimated_rows = 0;
  for (const auto& relation : state.relations) {
    if (relation.kind == 'p') continue;
    dataset.estimated_bytes += relation.bytes;
    dataset.estimated_rows += relation.rows;
  }
  dataset.source_state = state.ToJson();
  return dataset;
}

std::vector<UnitRange> Ranges(const std::vector<WorkUnit>& units) {
  std::vector<UnitRange> ranges;
  for (const auto& unit : units) ranges.push_back(unit.range);
  return ranges;
}

TEST(SplitTest, PageRangesTileAndTheLastIsOpen) {
  const auto state = Table({Heap("t", 1000, 8'192'000, 50'000)});
  const auto units = PageUnits(Of(state), state, {.bytes = 1 << 20});
  ASSERT_EQ(units.size(), 8u);
  EXPECT_EQ(units.front().range.begin, "");
  EXPECT_EQ(units.back().range.end, "");
  for (size_t i = 1; i < units.size(); ++i) {
    EXPECT_EQ(units[i].range.begin, units[i - 1].range.end);
    EXPECT_EQ(units[i].ordinal, static_cast<int64_t>(i));
  }
  EXPECT_NEAR(static_cast<double>(units[3].estimated_rows), 6250, 1);
}

TEST(SplitTest, ToastCountsForTheSizeOfAUnit) {
  // One page of heap can hide many megabytes: eight pages with 160 MB of TOAST are eight units.
  const auto state = Table({Heap("t", 8, 160 << 20, 80)});
  EXPECT_EQ(PageUnits(Of(state), state, {.bytes = 20 << 20}).size(), 8u);
  EXPECT_EQ(PageUnits(Of(state), state, {.bytes = 40 << 20}).size(), 4u);
}

TEST(SplitTest, ASmallTableIsOneUnit) {
  const auto state = Table({Heap("t", 3, 24'576, 10)});
  const auto units = PageUnits(Of(state), state, {});
  ASSERT_EQ(units.size(), 1u);
  EXPECT_EQ(units[0].range, UnitRange());
}

TEST(SplitTest, EachLeafIsAnAxisOfItsOwn) {
  const auto state = Table({{.oid = 1, .schema = "s", .name = "t", .kind = 'p', .heap = false},
                            Heap("a", 100, 819'200, 100),
                            Heap("b", 0, 0, 0),
                            {.oid = 4, .schema = "s", .name = "f", .kind = 'f', .heap = false}},
                           'p');
  const auto units = PageUnits(Of(state), state, {.bytes = 400'000});
  ASSERT_EQ(units.size(), 5u);
  EXPECT_EQ(units[0].range.axis, "s.a");
  EXPECT_EQ(units[3].range, (UnitRange{"s.b", "", ""}));
  EXPECT_EQ(units[4].range, (UnitRange{"s.f", "", ""}));
  const auto foreign = UnitState::FromJson(units[4].source_state).ValueOrDie();
  EXPECT_EQ(foreign.mode, UnitMode::kScan) << "a foreign table has no pages of ours";
  EXPECT_TRUE(CheckCovered(Ranges(units), Ranges(units)).ok());
}

TEST(SplitTest, UnitsGrowWithTheTable) {
  const auto state = Table({Heap("t", int64_t{11} << 27, int64_t{11} << 40, int64_t{1} << 36)});
  const auto units = PageUnits(Of(state), state, {.bytes = 1 << 20, .units_max = 10'000});
  EXPECT_EQ(units.size(), 10'000u);
}

TEST(SplitTest, TenThousandUnitsAreSmall) {
  const auto state = Table({Heap("t", 10'000'000, int64_t{80} << 30, 1'000'000'000)});
  const auto units = PageUnits(Of(state), state, {.bytes = 1 << 20, .units_max = 10'000});
  ASSERT_EQ(units.size(), 10'000u);
  size_t bytes = 0;
  for (const auto& unit : units) bytes += unit.ToJson().size() + sizeof(WorkUnit);
  EXPECT_LT(bytes, 10u << 20);
}

TEST(SplitTest, AnySizesTile) {
  EXPECT_TRUE(rc::check([] {
    const auto pages = *rc::gen::inRange<int64_t>(0, 100'000);
    const auto state =
        Table({Heap("t", pages, pages * 8192 + *rc::gen::inRange(0, 1 << 30), 1000)});
    const auto units = PageUnits(Of(state), state,
                                 {.bytes = *rc::gen::inRange<int64_t>(1, 1 << 28),
                                  .units_max = *rc::gen::inRange<int64_t>(1, 500)});
    RC_ASSERT(units.size() <= 501u);
    std::string at;
    for (size_t i = 0; i < units.size(); ++i) {
      RC_ASSERT(units[i].range.begin == at);
      at = units[i].range.end;
      RC_ASSERT(at.empty() == (i + 1 == units.size()));
      // RapidCheck takes the expression apart: without these parentheses || has no short cut.
      RC_ASSERT((at.empty() || std::stoll(at) > (i == 0 ? -1 : std::stoll(units[i].range.begin))));
    }
  }));
}

TEST(SplitTest, WhatCannotBeDoneIsSaid) {
  Options options;
  ASSERT_TRUE(options.SetFromText("split", "pages").ok());
  for (const char kind : {'v', 'f', 'q'}) {
    auto state = Table({{.oid = 1, .schema = "s", .name = "t", .kind = kind, .heap = false}}, kind);
    EXPECT_EQ(KindOf(ChooseSplit(state, options, true).status()), ErrorKind::kUser) << kind;
  }
  auto old = Table({Heap("t", 10, 1, 1)});
  old.server_version = 130000;
  EXPECT_FALSE(ChooseSplit(old, options, true).ok());
  EXPECT_EQ(ChooseSplit(old, {}, true)->mode, UnitMode::kHash);
  old.indexed = {"id"};
  EXPECT_EQ(ChooseSplit(old, {}, true)->mode, UnitMode::kKey);
}

TEST(SplitTest, WithoutASnapshotKeysAreBetterThanPages) {
  auto state = Table({Heap("t", 10, 1, 1)});
  EXPECT_EQ(ChooseSplit(state, {}, true)->mode, UnitMode::kPages);
  EXPECT_EQ(ChooseSplit(state, {}, false)->mode, UnitMode::kPages);
  state.indexed = {"id"};
  EXPECT_EQ(ChooseSplit(state, {}, true)->mode, UnitMode::kPages);
  EXPECT_EQ(ChooseSplit(state, {}, false)->mode, UnitMode::kKey);
}

TEST(SplitTest, ALimitAndGentleMakeOneUnitATable) {
  const auto state = Table({Heap("t", 1000, 8'192'000, 1)});
  Options limit, gentle;
  ASSERT_TRUE(limit.SetFromText("limit", "5").ok());
  ASSERT_TRUE(gentle.SetFromText("gentle", "true").ok());
  EXPECT_EQ(ChooseSplit(state, limit, true)->mode, UnitMode::kWhole);
  EXPECT_EQ(ChooseSplit(state, gentle, true)->mode, UnitMode::kScan);
}

TEST(EvenCutsTest, SkewedHistogramsGiveEvenRanges) {
  // Nine tenths of the rows lie between 0 and 10, the rest up to a million.
  std::vector<KeyPoint> points;
  for (int i = 0; i <= 9; ++i) points.push_back({std::to_string(i), 0, 0.09});
  points.push_back({"10", 0, 0.1});
  points.push_back({"1000000", 0, 0});
  const auto cuts = EvenCuts(points, KeyScale::kReal, 10);
  ASSERT_EQ(cuts.size(), 9u);
  EXPECT_LT(std::stod(cuts[7]), 10) << "eight of ten ranges are below 10";
}

TEST(EvenCutsTest, AHeavyValueGetsARangeOfItsOwn) {
  const std::vector<KeyPoint> points = {
      {"1", 0, 0.2}, {"50", 0.6, 0.1}, {"60", 0, 0.1}, {"99", 0, 0}};
  const auto cuts = EvenCuts(points, KeyScale::kInteger, 5);
  EXPECT_TRUE(std::find(cuts.begin(), cuts.end(), "50") != cuts.end());
  EXPECT_LE(cuts.size(), 4u);
}

TEST(EvenCutsTest, TextsAreCutAtKnownValuesOnly) {
  std::vector<KeyPoint> points;
  for (char letter = 'a'; letter <= 'z'; ++letter) points.push_back({std::string(1, letter), 0, 1});
  const auto cuts = EvenCuts(points, KeyScale::kNone, 4);
  ASSERT_EQ(cuts.size(), 3u);
  for (const auto& cut : cuts) EXPECT_EQ(cut.size(), 1u);
}

TEST(EvenCutsTest, CutsAscendWhateverTheWeights) {
  EXPECT_TRUE(rc::check([] {
    std::vector<KeyPoint> points;
    int64_t value = *rc::gen::inRange<int64_t>(-1000, 1000);
    const int count = *rc::gen::inRange(0, 30);
    for (int i = 0; i < count; ++i) {
      value += *rc::gen::inRange<int64_t>(1, 1000);
      points.push_back({std::to_string(value), *rc::gen::inRange(0, 100) / 10.0,
                        *rc::gen::inRange(0, 100) / 10.0});
    }
    const auto units = *rc::gen::inRange<int64_t>(1, 50);
    const auto cuts = EvenCuts(points, KeyScale::kInteger, units);
    RC_ASSERT(static_cast<int64_t>(cuts.size()) < std::max<int64_t>(2, units));
    for (size_t i = 1; i < cuts.size(); ++i) {
      RC_ASSERT(std::stoll(cuts[i - 1]) < std::stoll(cuts[i]));
    }
  }));
}

TEST(KeyScaleTest, PlacesGoThereAndBack) {
  const struct {
    KeyScale scale;
    const char* text;
    const char* back;
  } cases[] = {
      {KeyScale::kInteger, "-9223372036854775808", "-9223372036854775808"},
      {KeyScale::kInteger, "9007199254740993", "9007199254740993"},
      {KeyScale::kDate, "2024-02-29", "2024-02-29"},
      {KeyScale::kTimestamp, "1969-12-31 23:59:59.5", "1969-12-31 23:59:59.500000"},
      {KeyScale::kTimestamptz, "2024-01-01 01:00:00+05:30", "2023-12-31 19:30:00.000000+00"},
      {KeyScale::kUuid, "123e4567-e89b-12d3-a456-426614174000",
       "123e4567-e89b-12d3-0000-000000000000"},
  };
  for (const auto& one : cases) {
    long double place = 0;
    ASSERT_TRUE(PlaceOnScale(one.scale, one.text, &place)) << one.text;
    EXPECT_EQ(TextAt(one.scale, place), one.back);
  }
  long double place = 0;
  for (const char* odd : {"infinity", "-infinity", "0044-03-15 BC", "12024-01-01", ""}) {
    EXPECT_FALSE(PlaceOnScale(KeyScale::kDate, odd, &place)) << odd;
    EXPECT_FALSE(PlaceOnScale(KeyScale::kTimestamp, odd, &place)) << odd;
  }
  EXPECT_FALSE(PlaceOnScale(KeyScale::kReal, "NaN", &place));
}

}  // namespace
}  // namespace bulkhaul::postgres
