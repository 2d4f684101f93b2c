#include "transform/group_by.h"

#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <set>

#include <arrow/api.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "plan/option_table.h"

namespace bulkhaul {
namespace {

using Batch = std::shared_ptr<arrow::RecordBatch>;
using Batches = std::vector<Batch>;

Grouping MakeGrouping(StringList keys, StringList aggregates) {
  Options options;
  EXPECT_TRUE(options.Set("group_by", std::move(keys)).ok());
  EXPECT_TRUE(options.Set("aggregates", std::move(aggregates)).ok());
  auto grouping = GroupingOf(options);
  EXPECT_TRUE(grouping.ok()) << grouping.status().ToString();
  return **grouping;
}

Status Take(GroupByTransform& transform, Batches* out) {
  for (;;) {
    ARROW_ASSIGN_OR_RAISE(auto batch, transform.Next(arrow::default_memory_pool()));
    if (batch == nullptr) return Status::OK();
    ARROW_RETURN_NOT_OK(batch->ValidateFull());
    out->push_back(std::move(batch));
  }
}

Status Feed(GroupByTransform& transform, const Batches& batches, Batches* out) {
  for (const auto& batch : batches) {
    ARROW_ASSIGN_OR_RAISE(const auto none, transform.Apply(batch, arrow::default_memory_pool()));
    EXPECT_EQ(none, nullptr);
    ARROW_RETURN_NOT_OK(Take(transform, out));
  }
  ARROW_RETURN_NOT_OK(transform.End(arrow::default_memory_pool()));
  return Take(transform, out);
}

// Both passes, as the engine runs them; `units` are read apart.
Result<Batches> GroupAll(const Grouping& grouping, const std::shared_ptr<arrow::Schema>& schema,
                         const std::vector<Batches>& units, int64_t bytes_max = 64 << 20) {
  const TransformResources resources{bytes_max, testing::TempDir(), testing::TempDir(), {}};
  Batches partial, result;
  int64_t rows = 0, merged = 0;
  for (const auto& unit : units) {
    GroupByTransform transform(grouping);
    transform.Use(resources);
    ARROW_RETURN_NOT_OK(transform.Bind(schema).status());
    for (const auto& batch : unit) rows += batch->num_rows();
    ARROW_RETURN_NOT_OK(Feed(transform, unit, &partial));
    merged += transform.rows_merged();
  }
  GroupByTransform transform(grouping);
  transform.Use(resources);
  ARROW_ASSIGN_OR_RAISE(const auto partial_schema, transform.Bind(schema));
  ARROW_RETURN_NOT_OK(transform.Decide(""));
  ARROW_ASSIGN_OR_RAISE(const auto final_schema, transform.Bind(partial_schema));
  EXPECT_TRUE(final_schema->Equals(*transform.PlannedSchema()));
  ARROW_RETURN_NOT_OK(Feed(transform, partial, &result));
  merged += transform.rows_merged();
  int64_t groups = 0;
  for (const auto& batch : result) {
    EXPECT_TRUE(batch->schema()->Equals(*final_schema));
    groups += batch->num_rows();
  }
  EXPECT_EQ(rows - merged, groups);
  return result;
}

std::vector<std::string> Lines(const Batches& batches) {
  std::vector<std::string> lines;
  for (const auto& batch : batches) {
    for (int64_t row = 0; row < batch->num_rows(); ++row) {
      std::string line;
      for (const auto& column : batch->columns()) {
        line += column->GetScalar(row).ValueOrDie()->ToString() + "|";
      }
      lines.push_back(std::move(line));
    }
  }
  return lines;
}

Batch FromJson(const std::shared_ptr<arrow::Schema>& schema,
               const std::vector<std::vector<std::shared_ptr<arrow::Scalar>>>& rows) {
  arrow::ArrayVector columns;
  for (int i = 0; i < schema->num_fields(); ++i) {
    auto builder = arrow::MakeBuilder(schema->field(i)->type()).ValueOrDie();
    for (const auto& row : rows) {
      const auto& value = row[static_cast<size_t>(i)];
      EXPECT_TRUE((value ? builder->AppendScalar(*value) : builder->AppendNull()).ok());
    }
    columns.push_back(builder->Finish().ValueOrDie());
  }
  return arrow::RecordBatch::Make(schema, static_cast<int64_t>(rows.size()), columns);
}

template <typename T>
std::shared_ptr<arrow::Scalar> S(T value) {
  return arrow::MakeScalar(value);
}

// ---- against a plain reference -----------------------------------------------------------------

struct Row {
  std::optional<int32_t> number;
  std::optional<std::string> text;
  std::optional<double> real;
  std::optional<int64_t> whole;
  std::optional<double> measured;  // integers, so that sums in any order are exact
  std::optional<std::string> note;
  std::optional<int64_t> time;  // microseconds
};

struct Expected {
  int64_t rows = 0, wholes = 0, measured = 0;
  __int128 whole_sum = 0;
  double measured_sum = 0;
  std::optional<double> measured_max;
  std::optional<std::string> note_min;
};

std::shared_ptr<arrow::Schema> RowSchema() {
  return arrow::schema(
      {arrow::field("number", arrow::int32()), arrow::field("text", arrow::utf8()),
       arrow::field("real", arrow::float64()), arrow::field("whole", arrow::int64()),
       arrow::field("measured", arrow::float64()), arrow::field("note", arrow::large_utf8()),
       arrow::field("time", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"))});
}

Batch BatchOf(const std::vector<Row>& rows) {
  arrow::Int32Builder number;
  arrow::StringBuilder text;
  arrow::DoubleBuilder real, measured;
  arrow::Int64Builder whole;
  arrow::LargeStringBuilder note;
  arrow::TimestampBuilder time(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"),
                               arrow::default_memory_pool());
  const auto append = [](auto& builder, const auto& value) {
    EXPECT_TRUE((value ? builder.Append(*value) : builder.AppendNull()).ok());
  };
  for (const auto& row : rows) {
    append(number, row.number);
    append(text, row.text);
    append(real, row.real);
    append(whole, row.whole);
    append(measured, row.measured);
    append(note, row.note);
    append(time, row.time);
  }
  arrow::ArrayVector columns;
  for (arrow::ArrayBuilder* builder : std::initializer_list<arrow::ArrayBuilder*>{
           &number, &text, &real, &whole, &measured, &note, &time}) {
    columns.push_back(builder->Finish().ValueOrDie());
  }
  return arrow::RecordBatch::Make(RowSchema(), static_cast<int64_t>(rows.size()), columns);
}

Row RandomRow(std::mt19937_64& random, int64_t distinct) {
  const auto below = [&](int64_t n) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(n));
  };
  Row row;
  if (below(8) != 0) row.number = static_cast<int32_t>(below(distinct) - distinct / 2);
  // Texts that begin each other, are empty, and hold zero bytes.
  if (below(8) != 0) row.text = std::string(static_cast<size_t>(below(3)), below(2) ? 'a' : '\0');
  static constexpr double kReals[] = {0.0, -0.0, 1.5, -1.5, 1e300};
  if (below(8) != 0) row.real = below(6) == 5 ? std::nan("7") : kReals[below(5)];
  if (below(4) != 0) row.whole = below(1'000'000) - 500'000;
  if (below(4) != 0) row.measured = below(16) == 0 ? std::nan("") : static_cast<double>(below(999));
  if (below(4) != 0) row.note = std::string(static_cast<size_t>(below(40)), 'z') + "é";
  if (below(8) != 0) row.time = (below(4000) - 2000) * 86'400'000'000 + below(86'400'000'000);
  return row;
}

std::string KeyText(const Row& row) {
  const auto real = [](double value) {
    return std::isnan(value) ? std::string("nan") : fmt::format("{}", value == 0 ? 0.0 : value);
  };
  return fmt::format("{}|{}|{}|", row.number ? std::to_string(*row.number) : "null",
                     row.text ? *row.text : "null", row.real ? real(*row.real) : "null");
}

template <typename T>
void KeepLess(std::optional<T>& kept, const std::optional<T>& value) {
  if (value && (!kept || *value < *kept)) kept = value;
}

void Note(Expected& group, const Row& row) {
  ++group.rows;
  if (row.whole) {
    ++group.wholes;
    group.whole_sum += *row.whole;
  }
  if (row.measured) {
    ++group.measured;
    group.measured_sum += *row.measured;
    if (!group.measured_max || std::isnan(*row.measured) ||
        (!std::isnan(*group.measured_max) && *row.measured > *group.measured_max)) {
      group.measured_max = row.measured;
    }
  }
  KeepLess(group.note_min, row.note);
}

void Compare(const Batches& result, const std::map<std::string, Expected>& expected) {
  std::set<std::string> seen;
  for (const auto& batch : result) {
    const auto& numbers = static_cast<const arrow::Int32Array&>(*batch->column(0));
    const auto& texts = static_cast<const arrow::StringArray&>(*batch->column(1));
    const auto& reals = static_cast<const arrow::DoubleArray&>(*batch->column(2));
    const auto& rows = static_cast<const arrow::Int64Array&>(*batch->column(3));
    const auto& wholes = static_cast<const arrow::Int64Array&>(*batch->column(4));
    const auto& sums = static_cast<const arrow::Int64Array&>(*batch->column(5));
    const auto& means = static_cast<const arrow::DoubleArray&>(*batch->column(6));
    const auto& greatest = static_cast<const arrow::DoubleArray&>(*batch->column(7));
    const auto& notes = static_cast<const arrow::LargeStringArray&>(*batch->column(8));
    for (int64_t i = 0; i < batch->num_rows(); ++i) {
      Row row;
      if (numbers.IsValid(i)) row.number = numbers.Value(i);
      if (texts.IsValid(i)) row.text = texts.GetString(i);
      if (reals.IsValid(i)) row.real = reals.Value(i);
      const std::string key = KeyText(row);
      ASSERT_TRUE(seen.insert(key).second) << "twice: " << key;
      const auto found = expected.find(key);
      ASSERT_NE(found, expected.end()) << key;
      const Expected& group = found->second;
      EXPECT_EQ(rows.Value(i), group.rows);
      EXPECT_EQ(wholes.Value(i), group.wholes);
      ASSERT_EQ(sums.IsValid(i), group.wholes > 0);
      if (group.wholes > 0) EXPECT_EQ(sums.Value(i), static_cast<int64_t>(group.whole_sum));
      ASSERT_EQ(means.IsValid(i), group.measured > 0);
      if (group.measured > 0) {
        const double mean = group.measured_sum / static_cast<double>(group.measured);
        if (std::isnan(mean))
          EXPECT_TRUE(std::isnan(means.Value(i)));
        else
          EXPECT_EQ(means.Value(i), mean);
        if (std::isnan(*group.measured_max))
          EXPECT_TRUE(std::isnan(greatest.Value(i)));
        else
          EXPECT_EQ(greatest.Value(i), *group.measured_max);
      }
      ASSERT_EQ(notes.IsValid(i), group.note_min.has_value());
      if (group.note_min) EXPECT_EQ(notes.GetString(i), *group.note_min);
    }
  }
  EXPECT_EQ(seen.size(), expected.size());
}

class AgainstReference : public testing::TestWithParam<std::tuple<int64_t, int64_t>> {};

// Distinct numbers, and memory: the last ones spill, and spill partitions again.
INSTANTIATE_TEST_SUITE_P(GroupBy, AgainstReference,
                         testing::Combine(testing::Values(3, 500, 20'000),
                                          testing::Values(64 << 20, 1 << 20, 128 << 10)));

TEST_P(AgainstReference, EqualsAMap) {
  const auto [distinct, bytes_max] = GetParam();
  const auto grouping = MakeGrouping(
      {"number", "text", "real"},
      {"count", "count(whole)", "sum(whole)", "mean(measured)", "max(measured)", "min(note)"});
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    std::mt19937_64 random(seed);
    std::map<std::string, Expected> expected;
    std::vector<Batches> units(1 + random() % 5);
    for (auto& unit : units) {
      for (uint64_t batches = random() % 4; batches > 0; --batches) {
        std::vector<Row> rows;
        for (uint64_t i = random() % 5000; i > 0; --i) {
          rows.push_back(RandomRow(random, distinct));
          Note(expected[KeyText(rows.back())], rows.back());
        }
        // Sliced, so that offsets are seen.
        const auto all = BatchOf(rows);
        unit.push_back(all->Slice(0, all->num_rows() / 3));
        unit.push_back(all->Slice(all->num_rows() / 3));
      }
    }
    const auto result = GroupAll(grouping, RowSchema(), units, bytes_max);
    ASSERT_TRUE(result.ok()) << result.status().ToString();
    Compare(*result, expected);
  }
}

// The same rows in other units and other memory give the same bytes, floats included.
TEST(GroupBy, UnitsAndMemoryDoNotChangeSums) {
  std::mt19937_64 random(9);
  std::vector<Batch> pieces;
  for (int piece = 0; piece < 12; ++piece) {
    std::vector<Row> rows(800);
    for (auto& row : rows) {
      row.number = static_cast<int32_t>(random() % 7);
      row.measured = std::ldexp(static_cast<double>(random() % 1'000'003) / 7.0,
                                static_cast<int>(random() % 60) - 30) *
                     (random() % 2 ? 1 : -1);
    }
    pieces.push_back(BatchOf(rows));
  }
  const auto grouping = MakeGrouping({"number"}, {"sum(measured)", "mean(measured)"});
  const auto one = GroupAll(grouping, RowSchema(), {pieces}).ValueOrDie();
  std::vector<Batches> apart;
  for (auto piece = pieces.rbegin(); piece != pieces.rend(); ++piece) apart.push_back({*piece});
  const auto many = GroupAll(grouping, RowSchema(), apart, 1).ValueOrDie();
  std::map<int32_t, std::pair<double, double>> first;
  for (const auto& batch : one) {
    for (int64_t i = 0; i < batch->num_rows(); ++i) {
      first[static_cast<const arrow::Int32Array&>(*batch->column(0)).Value(i)] = {
          static_cast<const arrow::DoubleArray&>(*batch->column(1)).Value(i),
          static_cast<const arrow::DoubleArray&>(*batch->column(2)).Value(i)};
    }
  }
  int64_t rows = 0;
  for (const auto& batch : many) {
    for (int64_t i = 0; i < batch->num_rows(); ++i, ++rows) {
      const auto& pair =
          first.at(static_cast<const arrow::Int32Array&>(*batch->column(0)).Value(i));
      EXPECT_EQ(static_cast<const arrow::DoubleArray&>(*batch->column(1)).Value(i), pair.first);
      EXPECT_EQ(static_cast<const arrow::DoubleArray&>(*batch->column(2)).Value(i), pair.second);
    }
  }
  EXPECT_EQ(rows, 7);
}

TEST(GroupBy, ResultIsSortedByItsKey) {
  std::mt19937_64 random(4);
  std::vector<Row> rows;
  for (int i = 0; i < 3000; ++i) rows.push_back(RandomRow(random, 200));
  const auto result =
      GroupAll(MakeGrouping({"number"}, {}), RowSchema(), {{BatchOf(rows)}}).ValueOrDie();
  ASSERT_EQ(result.size(), 1u);
  const auto& numbers = static_cast<const arrow::Int32Array&>(*result[0]->column(0));
  ASSERT_GT(numbers.length(), 100);
  for (int64_t i = 1; i + 1 < numbers.length(); ++i) {
    EXPECT_LT(numbers.Value(i - 1), numbers.Value(i));
  }
  EXPECT_TRUE(numbers.IsNull(numbers.length() - 1));  // NULL last
}

TEST(GroupBy, CutsTimes) {
  const auto schema = arrow::schema({arrow::field("at", arrow::timestamp(arrow::TimeUnit::MICRO)),
                                     arrow::field("day", arrow::date32())});
  const auto at = [](int64_t seconds) {
    return arrow::MakeScalar(arrow::timestamp(arrow::TimeUnit::MICRO), seconds * 1'000'000)
        .ValueOrDie();
  };
  const auto day = [](int32_t days) {
    return arrow::MakeScalar(arrow::date32(), days).ValueOrDie();
  };
  // 2024-02-29 23:59:59 is a Thursday; 1969-12-31 23:59:59 lies before the epoch.
  const auto batch = FromJson(schema, {{at(1'709'251'199), day(19'782)}, {at(-1), day(-1)}});
  const auto lines = [&](const char* key) {
    auto result = GroupAll(MakeGrouping({key}, {"count"}), schema, {{batch}});
    EXPECT_TRUE(result.ok()) << result.status().ToString();
    return Lines(*result);
  };
  using Strings = std::vector<std::string>;
  const auto both = [](const char* a, const char* b) {
    return Strings{fmt::format("{}|1|", a), fmt::format("{}|1|", b)};
  };
  EXPECT_EQ(lines("minute(at)"), both("1969-12-31 23:59:00.000000", "2024-02-29 23:59:00.000000"));
  EXPECT_EQ(lines("hour(at)"), both("1969-12-31 23:00:00.000000", "2024-02-29 23:00:00.000000"));
  EXPECT_EQ(lines("day(at)"), both("1969-12-31 00:00:00.000000", "2024-02-29 00:00:00.000000"));
  EXPECT_EQ(lines("week(at)"), both("1969-12-29 00:00:00.000000", "2024-02-26 00:00:00.000000"));
  EXPECT_EQ(lines("month(at)"), both("1969-12-01 00:00:00.000000", "2024-02-01 00:00:00.000000"));
  EXPECT_EQ(lines("quarter(at)"), both("1969-10-01 00:00:00.000000", "2024-01-01 00:00:00.000000"));
  EXPECT_EQ(lines("year(at)"), both("1969-01-01 00:00:00.000000", "2024-01-01 00:00:00.000000"));
  EXPECT_EQ(lines("month(day)"), both("1969-12-01", "2024-02-01"));
}

// Every day of 1,200 years against the standard library's calendar.
TEST(GroupBy, MonthsAreThoseOfTheCalendar) {
  auto month = TimeTruncation::Make(*arrow::date32(), TimePart::kMonth, "d").ValueOrDie();
  auto week = TimeTruncation::Make(*arrow::date32(), TimePart::kWeek, "d").ValueOrDie();
  for (int64_t day = -250'000; day < 190'000; ++day) {
    const std::chrono::sys_days at{std::chrono::days{day}};
    const std::chrono::year_month_day date(at);
    const auto first = std::chrono::sys_days{date.year() / date.month() / 1};
    ASSERT_EQ(month.Truncate(day), first.time_since_epoch().count()) << day;
    const auto monday = at - (std::chrono::weekday(at) - std::chrono::Monday);
    ASSERT_EQ(week.Truncate(day), monday.time_since_epoch().count()) << day;
  }
}

TEST(GroupBy, ATimeWhosePeriodBeginsBeforeItsUnitIsAnError) {
  const auto type = arrow::timestamp(arrow::TimeUnit::NANO);
  const auto schema = arrow::schema({arrow::field("at", type)});
  const auto batch = FromJson(
      schema, {{arrow::MakeScalar(type, std::numeric_limits<int64_t>::min()).ValueOrDie()}});
  const auto result = GroupAll(MakeGrouping({"year(at)"}, {}), schema, {{batch}});
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.status().message().find("column 'at'"), std::string::npos);
}

TEST(GroupBy, DecimalsAreExactAndTheirMeansRounded) {
  const auto type = arrow::decimal128(15, 2);
  const auto schema = arrow::schema({arrow::field("total", type)});
  const auto value = [&](const char* text) {
    return std::make_shared<arrow::Decimal128Scalar>(
        arrow::Decimal128::FromString(text).ValueOrDie(), type);
  };
  const auto batch =
      FromJson(schema, {{value("0.10")}, {value("0.20")}, {nullptr}, {value("-999999999999.99")}});
  const auto result =
      GroupAll(MakeGrouping({}, {"sum(total)", "mean(total)", "min(total)", "max(total)", "count"}),
               schema, {{batch->Slice(0, 1)}, {batch->Slice(1)}})
          .ValueOrDie();
  EXPECT_EQ(result[0]->schema()->field(0)->type()->ToString(), "decimal128(38, 2)");
  EXPECT_EQ(
      Lines(result),
      (std::vector<std::string>{"-999999999999.69|-3.3333333333323e+11|-999999999999.99|0.20|4|"}));
}

TEST(GroupBy, ATotalOfNothingIsARowAndGroupsOfNothingAreNone) {
  const auto schema = RowSchema();
  const auto total = GroupAll(MakeGrouping({}, {"count", "sum(whole)", "min(text)"}), schema, {});
  EXPECT_EQ(Lines(*total), (std::vector<std::string>{"0|null|null|"}));
  const auto groups = GroupAll(MakeGrouping({"text"}, {"count"}), schema, {{BatchOf({})}});
  EXPECT_TRUE(Lines(*groups).empty());
}

TEST(GroupBy, OnlyNullsGiveNull) {
  const auto schema = RowSchema();
  const auto result = GroupAll(MakeGrouping({"text"}, {"count", "count(whole)", "sum(whole)",
                                                       "mean(measured)", "max(note)"}),
                               schema, {{BatchOf({Row{}, Row{}})}, {BatchOf({Row{}})}});
  EXPECT_EQ(Lines(*result), (std::vector<std::string>{"null|3|0|null|null|null|"}));
}

TEST(GroupBy, SumsThatDoNotFitAreErrorsThatNameTheColumn) {
  const auto expect = [](const arrow::ScalarVector& values, const char* aggregate,
                         const char* what) {
    const auto schema = arrow::schema({arrow::field("v", values[0]->type)});
    std::vector<std::vector<std::shared_ptr<arrow::Scalar>>> rows;
    for (const auto& value : values) rows.push_back({value});
    const auto result = GroupAll(MakeGrouping({}, {aggregate}), schema, {{FromJson(schema, rows)}});
    ASSERT_FALSE(result.ok()) << aggregate;
    EXPECT_EQ(KindOf(result.status()), ErrorKind::kUser);
    EXPECT_NE(result.status().message().find(what), std::string::npos) << result.status().message();
  };
  expect({S(INT64_MAX), S(int64_t{1})}, "sum(v)", "sum(v) does not fit 64 bits");
  expect({S(1e308), S(1e308)}, "sum(v)", "sum(v) of finite values");
  const auto huge = std::make_shared<arrow::Decimal128Scalar>(arrow::Decimal128::GetMaxValue(38),
                                                              arrow::decimal128(38, 0));
  expect({huge, huge}, "sum(v)", "sum(v) is beyond 38 digits");
}

// What leaves int64 on the way and comes back is no overflow, in whatever order it comes.
TEST(GroupBy, OnlyTheFinalSumHasToFit) {
  const auto schema = arrow::schema({arrow::field("v", arrow::int64())});
  const auto batch = FromJson(schema, {{S(INT64_MAX)}, {S(INT64_MAX)}, {S(INT64_MIN + 1)}});
  const auto result = GroupAll(MakeGrouping({}, {"sum(v)", "mean(v)"}), schema, {{batch}});
  EXPECT_EQ(Lines(*result),
            (std::vector<std::string>{"9223372036854775807|3.0744573456182584e+18|"}));
}

TEST(GroupBy, RefusesWhatHasNoMeaningAndNamesTheNearestColumn) {
  const auto place = arrow::struct_({arrow::field("name", arrow::utf8())});
  const auto schema = arrow::schema(
      {arrow::field("region", arrow::utf8()), arrow::field("tags", arrow::list(arrow::utf8())),
       arrow::field("day", arrow::date32()), arrow::field("place", place),
       arrow::field("places", arrow::list(place))});
  const auto refused = [&](StringList keys, StringList aggregates, const char* what) {
    GroupByTransform transform(MakeGrouping(std::move(keys), std::move(aggregates)));
    const auto bound = transform.Bind(schema);
    ASSERT_FALSE(bound.ok()) << what;
    EXPECT_EQ(KindOf(bound.status()), ErrorKind::kUser);
    EXPECT_NE(bound.status().message().find(what), std::string::npos) << bound.status().message();
  };
  refused({"regoin"}, {}, "did you mean 'region'?");
  refused({"region"}, {"sum(dai)"}, "did you mean 'day'?");
  // None of these can be cast.
  refused({"tags"}, {}, "cannot be a group's key; leave it out, or take it as text or its first");
  refused({"place"}, {}, "take its fields as columns (objects: flatten");
  refused({"places"}, {}, "take it as text (nested: json");
  refused({"month(region)"}, {}, "month is of a timestamp or date");
  refused({"hour(day)"}, {}, "hour is of a timestamp");
  refused({}, {"sum(region)"}, "sum has no meaning for column 'region'");
  refused({}, {"min(tags)"}, "min has no meaning for column 'tags'");
}

}  // namespace
}  // namespace bulkhaul
