#include "plan/grouping.h"

#include <gtest/gtest.h>

namespace bulkhaul {
namespace {

Options With(StringList keys, StringList aggregates) {
  Options options;
  EXPECT_TRUE(options.Set("group_by", std::move(keys)).ok());
  EXPECT_TRUE(options.Set("aggregates", std::move(aggregates)).ok());
  return options;
}

TEST(Grouping, NamesWhatItMakes) {
  const auto grouping = GroupingOf(With({"region", "month(created_at)", "day(ts) as d"},
                                        {"count", "count(*) as n", "count as rows",
                                         "sum(http.bytes)", "avg(latency) as slow", "max(a (b))"}))
                            .ValueOrDie()
                            .value();
  std::vector<std::string> names;
  for (const auto& key : grouping.keys) names.push_back(key.column + "→" + key.name);
  for (const auto& one : grouping.aggregates) names.push_back(one.column + "→" + one.name);
  EXPECT_EQ(names, (std::vector<std::string>{"region→region", "created_at→month_created_at", "ts→d",
                                             "→count", "→n", "→rows", "http.bytes→sum_http.bytes",
                                             "latency→slow", "a (b)→max_a (b)"}));
  EXPECT_EQ(grouping.aggregates[4].function, AggregateFunction::kMean);
  EXPECT_EQ(grouping.keys[1].part, TimePart::kMonth);
}

TEST(Grouping, AFlagIsReadAsAList) {
  Options options;
  ASSERT_TRUE(options.SetFromText("group_by", "level, month(ts)").ok());
  ASSERT_TRUE(options.SetFromText("aggregates", "count, mean(ms) as latency").ok());
  const auto grouping = GroupingOf(options).ValueOrDie().value();
  EXPECT_EQ(grouping.keys[1].column, "ts");
  EXPECT_EQ(grouping.aggregates[1].name, "latency");
}

TEST(Grouping, RefusesWhatItDoesNotKnow) {
  const auto message = [](const Options& options) {
    return std::string(GroupingOf(options).status().message());
  };
  EXPECT_NE(message(With({"mounth(a)"}, {})).find("did you mean 'month'?"), std::string::npos);
  EXPECT_NE(message(With({}, {"summ(a)"})).find("did you mean 'sum'?"), std::string::npos);
  EXPECT_NE(message(With({}, {"sum"})).find("needs a column"), std::string::npos);
  EXPECT_NE(message(With({"a"}, {"sum(b) as a"})).find("would be called 'a'"), std::string::npos);
  Options shrink = With({"a"}, {"count"});
  ASSERT_TRUE(shrink.Set("shrink", true).ok());
  EXPECT_NE(message(shrink).find("do not go together"), std::string::npos);
}

TEST(Grouping, ReadsOnlyItsColumns) {
  Options options = With({"month(ts)", "place"}, {"count", "sum(total)", "max(ts)"});
  ASSERT_TRUE(options.Set("rename", StringPairs{{"region", "place"}, {"x", "y"}}).ok());
  ASSERT_TRUE(options.Set("cast", StringPairs{{"total", "double"}}).ok());
  EXPECT_EQ(ColumnsForGrouping(options).ValueOrDie(), (StringList{"ts", "region", "total", "x"}));
  EXPECT_TRUE(ColumnsForGrouping(With({}, {"count"})).ValueOrDie().empty());
  ASSERT_TRUE(options.Set("columns", StringList{"ts", "region", "total", "x"}).ok());
  EXPECT_TRUE(ColumnsForGrouping(options).ValueOrDie().empty());
}

}  // namespace
}  // namespace bulkhaul
