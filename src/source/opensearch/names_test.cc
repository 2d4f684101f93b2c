#include "source/opensearch/names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bulkhaul::opensearch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<NamePattern> Parsed(std::string_view expression) {
  return ParseExpression(expression).ValueOrDie();
}

TEST(ParseExpression, ListsWildcardsDatesAndExclusions) {
  const auto patterns = Parsed("logs-*,-logs-old,metrics-%Y.%m.%d");
  ASSERT_EQ(patterns.size(), 3u);
  EXPECT_EQ(patterns[0].wildcard, "logs-*");
  EXPECT_FALSE(patterns[0].dated);
  EXPECT_TRUE(patterns[1].exclude);
  EXPECT_EQ(patterns[1].wildcard, "logs-old");
  EXPECT_EQ(patterns[2].wildcard, "metrics-*.*.*");
  EXPECT_TRUE(patterns[2].dated);
}

TEST(ParseExpression, RefusesWhatCannotBeAName) {
  for (const char* text : {"", "a,,b", "other:logs-*", "a b", "a/b", "-a", "logs-%Q", "logs-%m"}) {
    EXPECT_FALSE(ParseExpression(text).ok()) << text;
  }
}

TEST(ParseExpression, TellsAFailureStoreFromAnotherCluster) {
  EXPECT_THAT(MessageOf(ParseExpression("s::failures").status()), HasSubstr("failure store"));
  EXPECT_THAT(MessageOf(ParseExpression("s::data").status()), HasSubstr("'s' names the stream"));
  EXPECT_THAT(MessageOf(ParseExpression("other:logs").status()), HasSubstr("another cluster"));
}

TEST(NamePattern, FindsTheSpanThatANameSays) {
  const auto daily = Parsed("logs-%Y.%m.%d")[0];
  EXPECT_EQ(FormatRange(*daily.SpanOf("logs-2024.02.29")),
            "2024-02-29T00:00:00.000Z to 2024-03-01T00:00:00.000Z");
  EXPECT_FALSE(daily.SpanOf("logs-2023.02.29"));
  EXPECT_FALSE(daily.SpanOf("logs-2024.02"));
  EXPECT_FALSE(daily.SpanOf("logs-2024.02.29-000001"));
  const auto monthly = Parsed("logs-%Y.%m*")[0];
  EXPECT_EQ(FormatRange(*monthly.SpanOf("logs-2024.12-000001")),
            "2024-12-01T00:00:00.000Z to 2025-01-01T00:00:00.000Z");
}

TEST(NamePattern, NamesTheDaysOfARange) {
  const TimeRange range{1709164800000, 1709424000000};  // 2024-02-29 to 2024-03-03
  EXPECT_THAT(Parsed("l-%Y%m%d")[0].NamesFor(range, 100),
              ElementsAre("l-20240229", "l-20240301", "l-20240302"));
  EXPECT_THAT(Parsed("l-%Y.%m")[0].NamesFor(range, 100), ElementsAre("l-2024.02", "l-2024.03"));
  EXPECT_THAT(Parsed("l-%Y%m%d")[0].NamesFor(range, 1), ElementsAre("l-20240229"));
}

TEST(ParseResolved, TellsIndicesAliasesAndStreams) {
  const auto resolved = ParseResolved(R"({
    "indices":[{"name":"a","attributes":["open"]},{"name":"b","attributes":["closed"]},
      {"name":".ds-s-000001","attributes":["hidden","open"],"data_stream":"s"}],
    "aliases":[{"name":"all","indices":["a","b"]}],
    "data_streams":[{"name":"s","backing_indices":[".ds-s-000001"],"timestamp_field":"@timestamp"}]
  })")
                            .ValueOrDie();
  ASSERT_EQ(resolved.indices.size(), 3u);
  EXPECT_TRUE(resolved.indices[0].open);
  EXPECT_FALSE(resolved.indices[1].open);
  EXPECT_EQ(resolved.indices[2].data_stream, "s");
  EXPECT_THAT(resolved.NamesLedTo(), ElementsAre(".ds-s-000001", "a", "b"));
  EXPECT_THAT(resolved.aliases.at("all"), ElementsAre("a", "b"));
  EXPECT_THAT(resolved.data_streams.at("s"), ElementsAre(".ds-s-000001"));
  EXPECT_FALSE(ParseResolved("[]").ok());
  EXPECT_FALSE(ParseResolved("<html>").ok());
}

ResolvedPattern Indices(std::vector<std::string> names) {
  ResolvedPattern resolved;
  for (auto& name : names) resolved.indices.push_back({std::move(name), true, false});
  return resolved;
}

std::vector<std::string> SpanNames(const ResolvedNames& names) {
  std::vector<std::string> list;
  for (const auto& span : names.spans) list.push_back(span.index);
  return list;
}

TEST(JoinNames, ReadsEachIndexOnce) {
  const auto patterns = Parsed("logs-*,logs-1");
  const std::vector<ResolvedPattern> resolved = {Indices({"logs-2", "logs-1"}),
                                                 Indices({"logs-1"})};
  const auto names = JoinNames(patterns, resolved, {}).ValueOrDie();
  EXPECT_THAT(SpanNames(names), ElementsAre("logs-1", "logs-2"));
  ASSERT_EQ(names.notes.size(), 1u);
  EXPECT_THAT(names.notes[0], HasSubstr("more than once and read once: logs-1"));
}

TEST(JoinNames, AnIndexNamedItselfNeedsNoAliasFilter) {
  ResolvedPattern alias;
  alias.aliases["errors"] = {"logs-1", "logs-2"};
  const std::vector<ResolvedPattern> resolved = {alias, Indices({"logs-1"})};
  const auto names = JoinNames(Parsed("errors,logs-1"), resolved, {}).ValueOrDie();
  ASSERT_EQ(names.spans.size(), 2u);
  EXPECT_TRUE(names.spans[0].whole);
  EXPECT_FALSE(names.spans[1].whole);
  EXPECT_THAT(names.spans[1].aliases, ElementsAre("errors"));
}

TEST(JoinNames, TakesAwayWhatIsExcluded) {
  const std::vector<ResolvedPattern> resolved = {Indices({"a-1", "a-2"}), Indices({"a-2"})};
  EXPECT_THAT(SpanNames(*JoinNames(Parsed("a-*,-a-2"), resolved, {})), ElementsAre("a-1"));
  const std::vector<ResolvedPattern> nothing = {Indices({"a-1"}), Indices({"a-1"})};
  EXPECT_FALSE(JoinNames(Parsed("a-*,-a-1"), nothing, {}).ok());
}

TEST(JoinNames, APatternThatMatchesNothingIsAnError) {
  const std::vector<ResolvedPattern> resolved = {ResolvedPattern()};
  const auto names = JoinNames(Parsed("logz-*"), resolved, {});
  ASSERT_FALSE(names.ok());
  EXPECT_EQ(KindOf(names.status()), ErrorKind::kUser);
  EXPECT_THAT(MessageOf(names.status()), HasSubstr("'logz-*' matches no index"));
}

TEST(JoinNames, ClosedIndicesAreSeen) {
  ResolvedPattern resolved = Indices({"logs-1", "logs-2"});
  resolved.indices[0].open = false;
  const std::vector<ResolvedPattern> list = {resolved};
  const auto names = JoinNames(Parsed("logs-*"), list, {}).ValueOrDie();
  EXPECT_THAT(names.closed, ElementsAre("logs-1"));
  EXPECT_THAT(SpanNames(names), ElementsAre("logs-2"));
}

TEST(JoinNames, ClosedIndicesAreSeenBehindOtherNames) {
  ResolvedPattern resolved;
  resolved.aliases["all"] = {"a", "b"};
  resolved.data_streams["s"] = {".ds-s-1", ".ds-s-2"};
  for (const char* name : {"a", "b", ".ds-s-1", ".ds-s-2"}) resolved.led_to[name] = {name};
  resolved.led_to["b"].open = false;
  resolved.led_to[".ds-s-1"].open = false;
  const std::vector<ResolvedPattern> list = {resolved};
  const auto names = JoinNames(Parsed("*"), list, {}).ValueOrDie();
  EXPECT_THAT(names.closed, ElementsAre(".ds-s-1", "b"));
  EXPECT_THAT(SpanNames(names), ElementsAre(".ds-s-2", "a"));
}

TEST(JoinNames, DatedPatternsTakeDatesOnlyAndReportGaps) {
  const std::vector<TimeRange> ranges = {{1709251200000, 1709510400000}};  // 2024-03-01 to -04
  const std::vector<ResolvedPattern> resolved = {
      Indices({"l-2024.03.01", "l-2024.03.03", "l-a.b.c"})};
  const auto names = JoinNames(Parsed("l-%Y.%m.%d"), resolved, ranges).ValueOrDie();
  EXPECT_THAT(SpanNames(names), ElementsAre("l-2024.03.01", "l-2024.03.03"));
  EXPECT_THAT(names.missing, ElementsAre("l-2024.03.02"));
}

TEST(JoinNames, GapsAreReportedBetweenTheFirstAndTheLastDateWhereARangeIsOpen) {
  const int64_t day_2 = 1709337600000;  // 2024-03-02
  const std::vector<ResolvedPattern> resolved = {
      Indices({"l-2024.03.01", "l-2024.03.03", "l-2024.03.05"})};
  const auto missing = [&](const char* pattern, const std::vector<TimeRange>& ranges) {
    return JoinNames(Parsed(pattern), resolved, ranges)->missing;
  };
  for (const char* pattern : {"l-%Y.%m.%d", "l-*"}) {
    EXPECT_THAT(missing(pattern, {}), ElementsAre("l-2024.03.02", "l-2024.03.04")) << pattern;
    EXPECT_THAT(missing(pattern, {TimeRange()}), ElementsAre("l-2024.03.02", "l-2024.03.04"));
    EXPECT_THAT(missing(pattern, {{day_2 + kDayMs, TimeRange::kOpenEnd}}),
                ElementsAre("l-2024.03.04"));
    EXPECT_THAT(missing(pattern, {{TimeRange::kOpenBegin, day_2 + kDayMs}}),
                ElementsAre("l-2024.03.02"));
    EXPECT_THAT(missing(pattern, {{day_2 + 9 * kDayMs, TimeRange::kOpenEnd}}), IsEmpty());
  }
}

TEST(JoinNames, WhatIsHiddenIsNoted) {
  ResolvedPattern all = Indices({"h-1", "h-2", "h-3", ".ds-s-1", ".own"});
  all.indices[3].data_stream = "s";
  all.aliases["h-same"] = {"h-2"};
  all.aliases["h-other"] = {"x"};
  all.data_streams["h-stream"] = {".ds-h-1"};
  ResolvedPattern found = Indices({"h-2"});
  FindHidden(all, &found);
  const auto notes = [&](const char* expression, std::vector<ResolvedPattern> resolved,
                         const std::vector<std::string>& excluded = {}) {
    return JoinNames(Parsed(expression), resolved, {}, excluded)->notes;
  };
  const std::string note = "left out because hidden, which a wildcard does not name: ";
  EXPECT_THAT(notes("h-*", {found}), ElementsAre(note + "h-1, h-3, h-other, h-stream"));
  EXPECT_THAT(notes("h-*,h-1,x", {found, Indices({"h-1"}), Indices({"x"})}),
              ElementsAre(note + "h-3, h-stream"));
  EXPECT_THAT(notes("h-*,-h-1,-h-s*", {found, Indices({"h-1"}), {}}),
              ElementsAre(note + "h-3, h-other"));
  EXPECT_THAT(notes("h-*", {found}, {"h-1", "h-3", "h-*r*"}), IsEmpty());
  const std::vector<ResolvedPattern> dated = {found};
  EXPECT_THAT(JoinNames(Parsed("h-%Y*"), dated, {}).status().message(),
              HasSubstr("'h-%Y*' matches no index"));
  found.indices.clear();
  const std::vector<ResolvedPattern> only = {found};
  EXPECT_THAT(MessageOf(JoinNames(Parsed("h-*"), only, {}).status()),
              HasSubstr("matches hidden names only"));
}

TEST(JoinNames, WhatIsExcludedIsNoGap) {
  const std::vector<ResolvedPattern> three = {
      Indices({"l-2024.03.01", "l-2024.03.02", "l-2024.03.04", "l-2024.03.06"})};
  for (const char* pattern : {"l-%Y.%m.%d", "l-*"}) {
    for (const std::vector<std::string>& excluded :
         {std::vector<std::string>{"l-2024.03.02"}, {"l-2024.03.02", "l-2024.03.03"}}) {
      const auto names = JoinNames(Parsed(pattern), three, {}, excluded).ValueOrDie();
      EXPECT_THAT(SpanNames(names), ElementsAre("l-2024.03.01", "l-2024.03.04", "l-2024.03.06"));
      if (excluded.size() == 1) {
        EXPECT_THAT(names.missing, ElementsAre("l-2024.03.03", "l-2024.03.05"));
      } else {
        EXPECT_THAT(names.missing, ElementsAre("l-2024.03.05"));
      }
    }
  }
  // Also where the expression itself takes it away, there or not.
  const std::vector<ResolvedPattern> resolved = {three[0], Indices({"l-2024.03.04"}), {}};
  const auto names =
      JoinNames(Parsed("l-*,-l-2024.03.04,-l-2024.03.05"), resolved, {}).ValueOrDie();
  EXPECT_THAT(names.missing, ElementsAre("l-2024.03.03"));
}

TEST(ParseExpression, TwoPercentSignsStandForOne) {
  const auto plain = ParseExpression("a%%b").ValueOrDie().front();
  EXPECT_FALSE(plain.dated);
  EXPECT_EQ(plain.wildcard, "a%b");
  const auto dated = ParseExpression("a%%-%Y").ValueOrDie().front();
  EXPECT_EQ(dated.wildcard, "a%-*");
  EXPECT_TRUE(dated.SpanOf("a%-2024").has_value());
  EXPECT_FALSE(dated.SpanOf("aX-2024").has_value());
  EXPECT_EQ(dated.NamesFor({0, 1}, 10), (std::vector<std::string>{"a%-1970"}));
  EXPECT_FALSE(ParseExpression("a%b").ok());
}

}  // namespace
}  // namespace bulkhaul::opensearch
