#include "source/generator/generator_source.h"

#include <cmath>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "source/generator/generate_column.h"
#include "source/generator/generator_spec.h"

namespace bulkhaul {
namespace {

std::shared_ptr<arrow::Array> Generate(const std::string& column, int64_t first, int64_t count) {
  const auto columns = ParseGeneratorColumns(column).ValueOrDie();
  std::vector<uint64_t> hashes(static_cast<size_t>(count));
  RowHashes(7, 0, first, hashes);
  auto array = GenerateColumn(columns[0], hashes, first, arrow::default_memory_pool()).ValueOrDie();
  EXPECT_TRUE(array->ValidateFull().ok()) << column << array->ValidateFull().ToString();
  return array;
}

class EveryType : public testing::TestWithParam<const char*> {};

TEST_P(EveryType, IsThePureFunctionOfItsRow) {
  const auto whole = Generate(GetParam(), 0, 1000);
  for (const int64_t cut : {1, 7, 500, 999}) {
    EXPECT_TRUE(whole->Slice(0, cut)->Equals(*Generate(GetParam(), 0, cut))) << cut;
    EXPECT_TRUE(whole->Slice(cut)->Equals(*Generate(GetParam(), cut, 1000 - cut))) << cut;
  }
}

TEST_P(EveryType, HasManyValuesAndTheNullsAskedFor) {
  const auto plain = Generate(GetParam(), 0, 1000);
  EXPECT_EQ(plain->null_count(), 0);
  EXPECT_FALSE(plain->Slice(0, 500)->Equals(*plain->Slice(500)));
  const auto nulls = Generate(std::string(GetParam()) + "/null=0.25", 0, 10'000);
  EXPECT_NEAR(static_cast<double>(nulls->null_count()), 2500, 200);
}

INSTANTIATE_TEST_SUITE_P(Generator, EveryType,
                         testing::Values("c:int8", "c:int16", "c:int32", "c:int64", "c:uint8",
                                         "c:uint16", "c:uint32", "c:uint64", "c:float/min=-1/max=1",
                                         "c:double", "c:bool", "c:decimal(38,10)", "c:decimal(5,5)",
                                         "c:decimal(10,2)/min=-5/max=5", "c:string",
                                         "c:string/unicode/len=1-40", "c:string/choices=a|b|c",
                                         "c:binary/len=0-9", "c:date", "c:time", "c:timestamp",
                                         "c:timestamptz/min=2020-01-01/max=2020-12-31", "c:uuid",
                                         "c:list<int32>", "c:list<list<string/null=0.1>>/len=0-3",
                                         "c:struct<a:int8,b:list<double>>", "c:int64/serial"));

TEST(Generator, BoundsAreKept) {
  const auto array = Generate("c:int32/min=-3/max=3/skew", 0, 5000);
  const auto& values = static_cast<const arrow::Int32Array&>(*array);
  std::set<int32_t> seen;
  for (int64_t i = 0; i < values.length(); ++i) seen.insert(values.Value(i));
  EXPECT_EQ(seen, (std::set<int32_t>{-3, -2, -1, 0, 1, 2, 3}));
}

TEST(Generator, NanAndInfinitiesAppear) {
  const auto array = Generate("c:double/nan=0.3", 0, 3000);
  const auto& values = static_cast<const arrow::DoubleArray&>(*array);
  int nan = 0, infinite = 0;
  for (int64_t i = 0; i < values.length(); ++i) {
    nan += std::isnan(values.Value(i));
    infinite += std::isinf(values.Value(i));
  }
  EXPECT_NEAR(nan, 300, 80);
  EXPECT_NEAR(infinite, 600, 120);
}

TEST(Generator, DistinctLimitsTheValues) {
  const auto array = Generate("c:string/distinct=10", 0, 5000);
  const auto& values = static_cast<const arrow::StringArray&>(*array);
  std::set<std::string> seen;
  for (int64_t i = 0; i < values.length(); ++i) seen.insert(values.GetString(i));
  EXPECT_EQ(seen.size(), 10u);
}

TEST(Generator, SeedsAndTablesDiffer) {
  const auto one = ParseGeneratorUri("generator:seed=1&tables=2").ValueOrDie();
  const auto two = ParseGeneratorUri("generator:seed=2&tables=2").ValueOrDie();
  EXPECT_EQ(one.tables[0].name, "table_1");
  EXPECT_NE(one.tables[0].seed, one.tables[1].seed);
  EXPECT_NE(one.tables[0].seed, two.tables[0].seed);
}

TEST(Generator, OrdersPresetHasMatchingKeys) {
  const auto spec = ParseGeneratorUri("generator://?preset=orders&rows=1000").ValueOrDie();
  ASSERT_EQ(spec.tables.size(), 3u);
  EXPECT_EQ(spec.tables[0].name, "customers");
  EXPECT_EQ(spec.tables[0].rows, 100);
  EXPECT_EQ(spec.tables[1].rows, 1000);
  EXPECT_EQ(*spec.tables[1].columns[1].maximum, 100);
}

TEST(Generator, MistakesAreNamed) {
  const auto message = [](const char* uri) {
    const auto status = ParseGeneratorUri(uri).status();
    return status.ok() ? "accepted" : KindOf(status) == ErrorKind::kUser ? MessageOf(status) : "?";
  };
  EXPECT_NE(message("generator:row=1").find("'rows'"), std::string::npos);
  EXPECT_NE(message("generator:columns=a:strin").find("'string'"), std::string::npos);
  EXPECT_NE(message("generator:columns=a:int8/nul=1").find("'null'"), std::string::npos);
  EXPECT_NE(message("generator:columns=a").find("NAME:TYPE"), std::string::npos);
  EXPECT_NE(message("generator:columns=a:int8,a:int8").find("two columns"), std::string::npos);
  EXPECT_NE(message("generator:rows=many").find("number"), std::string::npos);
  EXPECT_NE(message("generator:columns=a:decimal(39,0)").find("38"), std::string::npos);
  EXPECT_NE(message("generator:columns=a:timestamp(s)").find("not generated"), std::string::npos);
  EXPECT_NE(message("generator:columns=a:decimal256(40,2)").find("38"), std::string::npos);
  EXPECT_NE(message("generator:preset=shop").find("orders"), std::string::npos);
}

}  // namespace
}  // namespace bulkhaul
