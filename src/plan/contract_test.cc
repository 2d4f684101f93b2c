#include "plan/contract.h"

#include <arrow/extension/uuid.h>
#include <arrow/scalar.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plan/drift.h"
#include "plan/type_name.h"

namespace bulkhaul {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kOrders[] = R"(columns:
  id: {type: int64, nullable: false, unique: true}
  amount: {type: 'decimal(15,2)', min: 0, max: 99.5}
  email:
    type: string
    min_length: 3
    max_length: 200
    pattern: '[^@]+@[^@]+'
  status: {type: string, allowed: [new, paid, 'on hold']}
  updated: timestamptz
  tags: {type: 'list<item: string>'}
  anything:
rows: {min: 1, max: 1_000_000}
freshness: {column: updated, max_age: 24h}
)";

std::string Refusal(const std::string& text) {
  const auto file = ParseContract(text, "c.yaml");
  if (file.ok()) return "accepted";
  EXPECT_EQ(KindOf(file.status()), ErrorKind::kUser);
  return MessageOf(file.status());
}

TEST(Contract, IsReadAndWrittenWithoutLoss) {
  const auto file = ParseContract(kOrders, "c.yaml").ValueOrDie();
  const Contract& contract = *file.For({"public", "orders"});
  ASSERT_EQ(contract.columns.size(), 7U);
  const auto& id = contract.columns[0];
  EXPECT_TRUE(id.unique && !id.nullable && id.type == "int64");
  EXPECT_EQ(contract.columns[1].max, "99.5");
  EXPECT_THAT(contract.columns[3].allowed, ElementsAre("new", "paid", "on hold"));
  EXPECT_EQ(contract.columns[6].type, "");
  EXPECT_EQ(contract.rows_max, 1'000'000);
  EXPECT_EQ(contract.freshness_ms, 24 * 3'600'000);
  const auto again = ParseContract(contract.ToYaml(), "again.yaml").ValueOrDie();
  EXPECT_EQ(again.tables[0].second, contract) << contract.ToYaml();
}

TEST(Contract, WhatIsWrittenOfAnyTypeIsRead) {
  using arrow::TimeUnit;
  Contract contract;
  for (const auto& type : arrow::DataTypeVector{arrow::null(),
                                                arrow::float16(),
                                                arrow::large_utf8(),
                                                arrow::large_binary(),
                                                arrow::utf8_view(),
                                                arrow::fixed_size_binary(16),
                                                arrow::decimal256(70, 2),
                                                arrow::decimal64(10, 2),
                                                arrow::time32(TimeUnit::MILLI),
                                                arrow::time64(TimeUnit::NANO),
                                                arrow::timestamp(TimeUnit::MILLI),
                                                arrow::timestamp(TimeUnit::NANO, "UTC"),
                                                arrow::timestamp(TimeUnit::MICRO, "Europe/Berlin"),
                                                arrow::duration(TimeUnit::SECOND),
                                                arrow::month_day_nano_interval(),
                                                arrow::extension::uuid(),
                                                arrow::list(arrow::utf8()),
                                                arrow::struct_({arrow::field("a", arrow::int8())}),
                                                arrow::map(arrow::utf8(), arrow::int8()),
                                                arrow::date64(),
                                                arrow::dictionary(arrow::int8(), arrow::utf8())}) {
    ContractColumn column;
    column.name = "c" + std::to_string(contract.columns.size());
    column.type = TypeName(*type);
    contract.columns.push_back(column);
  }
  const auto read = ParseContract(contract.ToYaml(), "c.yaml");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->tables[0].second, contract) << contract.ToYaml();
}

TEST(Contract, TextThatLooksLikeSomethingElseIsKept) {
  Contract contract;
  ContractColumn column;
  column.name = "yes: no #1";
  column.type = "string";
  column.pattern = "^'.*' # \\d{2}: \"$";
  column.allowed = {"a, b", "true", " ", "[x]"};
  contract.columns = {column};
  EXPECT_EQ(ParseContract(contract.ToYaml(), "c.yaml").ValueOrDie().tables[0].second, contract)
      << contract.ToYaml();
}

TEST(Contract, SeveralTablesByPattern) {
  const auto file = ParseContract(
                        "tables:\n  public.orders: {columns: {id: int64}}\n"
                        "  'log_*': {columns: {at: timestamp}}\n",
                        "c.yaml")
                        .ValueOrDie();
  EXPECT_EQ(file.For({"public", "orders"})->columns[0].name, "id");
  EXPECT_EQ(file.For({"x", "log_2024"})->columns[0].name, "at");
  EXPECT_EQ(file.For({"public", "customers"}), nullptr);
  EXPECT_EQ(ParseContract(file.ToYaml(), "c.yaml").ValueOrDie().tables, file.tables);
}

TEST(Contract, ErrorsNameLineColumnAndTheNearestKey) {
  EXPECT_EQ(Refusal("columns:\n  id: {type: int64, nulable: false}\n"),
            "c.yaml:2:21: unknown key 'nulable' of column id; did you mean 'nullable'?");
  EXPECT_THAT(Refusal("colums: {}\n"), HasSubstr("c.yaml:1:1: unknown key 'colums'"));
  EXPECT_THAT(Refusal("columns: {id: int46}\n"), HasSubstr("c.yaml:1:15: 'int46' is not a type"));
  EXPECT_THAT(Refusal("columns:\n  id: int64\n  id: int32\n"), HasSubstr("c.yaml:3:3"));
  EXPECT_THAT(Refusal("rows: {min: 1}\n"), HasSubstr("needs columns"));
  EXPECT_THAT(Refusal("columns: {a: int64}\nrows: {min: 5, max: 2}\n"), HasSubstr("above max"));
  EXPECT_THAT(Refusal("columns: {a: int64}\nfreshness: {column: a, max_age: 1h}\n"),
              HasSubstr("c.yaml:2:1: freshness: 'a' is no column of type timestamp"));
}

TEST(Contract, RulesThatCannotFitTheTypeAreRefused) {
  EXPECT_THAT(Refusal("columns: {a: {type: int8, max: 300}}\n"),
              HasSubstr("c.yaml:1:32: '300' is no value of type int8"));
  EXPECT_THAT(Refusal("columns: {a: {type: string, min: 3}}\n"),
              HasSubstr("column a is string, which has no smallest or largest value"));
  EXPECT_THAT(Refusal("columns: {a: {type: int8, max_length: 3}}\n"), HasSubstr("has no length"));
  EXPECT_THAT(Refusal("columns: {a: {type: int8, pattern: x}}\n"), HasSubstr("has no text"));
  EXPECT_THAT(Refusal("columns: {a: {type: string, pattern: '(x'}}\n"),
              HasSubstr("c.yaml:1:38: pattern: "));
  EXPECT_THAT(Refusal("columns: {a: {type: date, min: 2024-02-30}}\n"),
              HasSubstr("'2024-02-30' is no value of type date"));
  EXPECT_THAT(Refusal("columns: {a: {type: 'decimal(5,2)', min: 0.125}}\n"),
              HasSubstr("no value of type decimal(5,2)"));
  EXPECT_THAT(Refusal("columns: {a: {type: string, nullable: 'yes'}}\n"),
              HasSubstr("nullable must be true or false"));
}

TEST(Contract, ValuesOfEveryOrderedType) {
  const auto text = [](const std::shared_ptr<arrow::DataType>& type, const char* written) {
    return ParseContractValue(type, written).ValueOrDie()->ToString();
  };
  EXPECT_EQ(text(arrow::decimal128(5, 2), "-1.5"), "-1.50");
  EXPECT_EQ(text(arrow::decimal256(50, 1), "-3"), "-3.0");
  EXPECT_EQ(text(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"), "2024-01-02T03:04:05Z"),
            text(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"), "2024-01-02 03:04:05"));
  EXPECT_EQ(text(arrow::time64(arrow::TimeUnit::MICRO), "12:30:00"), "12:30:00.000000");
}

TEST(Contract, CarriageReturnsAreWrittenSoThatTheyAreRead) {
  Contract contract;
  ContractColumn& column = contract.columns.emplace_back();
  column.name = "a\rb";
  column.type = "list<a\r\r>";
  column.allowed = {"x\r", "\r\n"};
  const auto written = ParseContract(contract.ToYaml(), "again");
  ASSERT_TRUE(written.ok()) << written.status() << contract.ToYaml();
  EXPECT_EQ(written->tables.at(0).second, contract) << contract.ToYaml();
}

TEST(Contract, AMissingFileSaysWhich) {
  const auto file = LoadContract("/nowhere/orders.yaml");
  EXPECT_THAT(MessageOf(file.status()),
              HasSubstr("cannot read the contract '/nowhere/orders.yaml'"));
}

using Columns = std::vector<ExpectedColumn>;

std::vector<std::string> Drift(const Columns& before, const Columns& now) {
  std::vector<std::string> sentences;
  for (const auto& change : FindDrift(before, now)) sentences.push_back(change.ToString());
  return sentences;
}

TEST(Drift, EachKindIsFound) {
  const Columns before = {{"a", "int32"}, {"b", "string"}, {"c", "date"}};
  EXPECT_THAT(Drift(before, before), IsEmpty());
  EXPECT_THAT(Drift(before, {{"a", "int64"}, {"c", "date"}, {"d", "bool"}}),
              ElementsAre("column 'd' (bool) was added", "column 'b' (string) was removed",
                          "column 'a' was int32, is int64"));
  EXPECT_THAT(Drift(before, {{"b", "string"}, {"a", "int32"}, {"c", "date"}}),
              ElementsAre("columns are in another order: 'b' now stands where 'a' stood"));
  // A column in front of the others is added; the others keep their order.
  EXPECT_THAT(Drift(before, {{"x", "int8"}, {"a", "int32"}, {"b", "string"}, {"c", "date"}}),
              ElementsAre("column 'x' (int8) was added"));
  EXPECT_THAT(Drift({{"a", ""}}, {{"a", "int8"}}), IsEmpty()) << "any type";
}

TEST(Drift, OnlyTypesThatHoldEveryValueWiden) {
  EXPECT_TRUE(Widens("int16", "int32"));
  EXPECT_TRUE(Widens("uint32", "int64"));
  EXPECT_TRUE(Widens("int32", "double"));
  EXPECT_TRUE(Widens("int64", "decimal(19,0)"));
  EXPECT_TRUE(Widens("decimal(5,2)", "decimal(7,3)"));
  EXPECT_TRUE(Widens("float", "double"));
  EXPECT_TRUE(Widens("timestamp(s)", "timestamp(us)"));
  EXPECT_TRUE(Widens("date", "timestamp"));
  EXPECT_FALSE(Widens("date", "timestamptz"));
  EXPECT_FALSE(Widens("date", "timestamp(ns)"));
  EXPECT_FALSE(Widens("timestamp", "date"));
  EXPECT_FALSE(Widens("int64", "double"));
  EXPECT_FALSE(Widens("uint64", "int64"));
  EXPECT_FALSE(Widens("int64", "decimal(18,0)"));
  EXPECT_FALSE(Widens("decimal(5,2)", "decimal(6,4)"));
  EXPECT_FALSE(Widens("int64", "int32"));
  EXPECT_FALSE(Widens("string", "int32"));
  EXPECT_FALSE(Widens("timestamp", "timestamptz"));
  EXPECT_FALSE(Widens("timestamp(ms)", "timestamp(ns)"));
}

TEST(Drift, AColumnWithoutValuesSaysNothingOfItsType) {
  const Columns before = {{"a", "int64"}, {"b", "date"}};
  Columns now = {{"a", "string", /*found=*/true, /*unseen=*/true}, {"b", "date", true}};
  EXPECT_THAT(Drift(before, now), IsEmpty());
  const auto kept = Remembered(before, now);
  ASSERT_EQ(kept.size(), 2u);
  EXPECT_EQ(kept[0].type, "int64");
  EXPECT_EQ(Remembered({}, now)[0].type, "") << "any, until there are values";
  now[0].unseen = false;
  now[0].misfit = "a.csv, line 3: 'x' is no int64";
  EXPECT_THAT(Drift(before, now),
              ElementsAre("column 'a' was int64, is string: a.csv, line 3: 'x' is no int64"));
  EXPECT_EQ(Remembered(before, now)[0].type, "string");
}

TEST(Drift, ValuesThatShowLessThanThoseBeforeAreNoDrift) {
  const auto drift = [](const char* before, const char* now, bool found) {
    return Drift({{"a", before, found}}, {{"a", now, true}});
  };
  EXPECT_THAT(drift("double", "int64", true), IsEmpty());
  EXPECT_THAT(drift("decimal(38,3)", "decimal(38,2)", true), IsEmpty());
  EXPECT_THAT(drift("decimal(38,3)", "double", true), IsEmpty());
  EXPECT_THAT(drift("decimal(15,2)", "int64", true), IsEmpty());
  EXPECT_THAT(drift("timestamp", "date", true), IsEmpty());
  EXPECT_THAT(drift("timestamp(ns)", "timestamp", true), IsEmpty());
  // The other way is a change, and so is anything where a type was said and not found.
  EXPECT_THAT(drift("int64", "double", true), ElementsAre("column 'a' was int64, is double"));
  EXPECT_THAT(drift("date", "timestamp", true), ElementsAre("column 'a' was date, is timestamp"));
  EXPECT_THAT(drift("double", "decimal(38,2)", true), testing::SizeIs(1));
  EXPECT_THAT(drift("timestamptz", "date", true), testing::SizeIs(1));
  EXPECT_THAT(drift("string", "int64", true), testing::SizeIs(1));
  EXPECT_THAT(drift("double", "int64", false), testing::SizeIs(1));
  // What is remembered is what holds the values of all runs.
  EXPECT_EQ(Remembered(Columns{{"a", "double", true}}, Columns{{"a", "int64", true}})[0].type,
            "double");
}

TEST(Drift, FindingsAreOfThePlanOnly) {
  const auto plain = arrow::schema(
      {arrow::field("a", arrow::int64()),
       arrow::field("b", arrow::utf8(), false, arrow::key_value_metadata({"k"}, {"v"}))});
  const auto found = arrow::schema(
      {WithFinding(*plain->field(0), ""), WithFinding(*plain->field(1), kNothingSeen)});
  const auto columns = ExpectedColumns(*found);
  EXPECT_TRUE(columns[0].found && !columns[0].unseen);
  EXPECT_TRUE(columns[1].found && columns[1].unseen);
  EXPECT_FALSE(ExpectedColumns(*plain)[0].found);
  EXPECT_TRUE(WithoutFindings(found)->Equals(*plain, /*check_metadata=*/true));
}

TEST(Drift, PolicyPerKind) {
  Options options;
  const auto policy = [&](bool contract) {
    return DriftPolicy::From(options, contract).ValueOrDie();
  };
  const DriftChange added{DriftKind::kAdded, "a", "", "int8", false};
  DriftChange retyped{DriftKind::kRetyped, "a", "int8", "int16", true};
  EXPECT_EQ(policy(true).For(added), DriftAction::kFail);
  EXPECT_EQ(policy(false).For(added), DriftAction::kWarn);
  ASSERT_TRUE(options.Set("drift", StringPairs{{"all", "warn"}, {"retyped", "evolve"}}).ok());
  EXPECT_EQ(policy(true).For(added), DriftAction::kWarn);
  EXPECT_EQ(policy(true).For(retyped), DriftAction::kEvolve);
  retyped.widens = false;
  EXPECT_EQ(policy(true).For(retyped), DriftAction::kFail);
  ASSERT_TRUE(options.Set("drift", StringPairs{{"aded", "warn"}}).ok());
  EXPECT_THAT(MessageOf(DriftPolicy::From(options, true).status()),
              HasSubstr("did you mean 'added'?"));
  ASSERT_TRUE(options.Set("drift", StringPairs{{"added", "ignore"}}).ok());
  EXPECT_THAT(MessageOf(DriftPolicy::From(options, true).status()),
              HasSubstr("'ignore' is no action"));
}

}  // namespace
}  // namespace bulkhaul
