#include "source/files/given_types.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "source/files/json_contract.h"

namespace bulkhaul::files {
namespace {

using testing::HasSubstr;

class GivenTypesTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = std::filesystem::temp_directory_path() / ("bulkhaul_types_" + NewId() + ".yaml");
    std::ofstream(path_) << "columns: {order_id: int32, total: double, tags: 'list<item: string>', "
                            "note: }\n";
    Set("contract", path_.string());
  }
  void TearDown() override { std::filesystem::remove(path_); }

  void Set(const char* name, const std::string& text) {
    ASSERT_TRUE(options_.SetFromText(name, text).ok()) << name;
  }
  GivenTypes Types(const arrow::Schema* there = nullptr) {
    Contracts contracts;
    return GivenTypes::Make(options_, {"", "orders"}, &contracts, there).ValueOrDie();
  }

  std::filesystem::path path_;
  Options options_;
};

TEST_F(GivenTypesTest, ColumnsAreThoseOfTheFile) {
  Set("column_naming", "snake");
  Set("rename", "sum=total");
  const auto types = Types();
  EXPECT_TRUE(types.Of("OrderID")->Equals(arrow::int32()));
  EXPECT_TRUE(types.Of("sum")->Equals(arrow::float64()));
  EXPECT_EQ(types.Of("tags"), nullptr) << "found from the values";
  EXPECT_EQ(types.Of("note"), nullptr) << "any type";
  EXPECT_EQ(types.Of("other"), nullptr);
  EXPECT_FALSE(types.Lenient("OrderID"));
}

TEST_F(GivenTypesTest, ACastAndColumnsThatAreNotTakenHaveNone) {
  Set("cast", "total=int64");
  Set("drop", "order_id");
  EXPECT_EQ(Types().Of("total"), nullptr);
  EXPECT_EQ(Types().Of("order_id"), nullptr);
  EXPECT_FALSE(Types().Lenient("total"));
}

TEST_F(GivenTypesTest, DriftMayLetAnotherTypePass) {
  Set("drift", "retyped=warn");
  EXPECT_TRUE(Types().Lenient("total"));
  EXPECT_FALSE(Types().Lenient("other"));
}

TEST_F(GivenTypesTest, ATableHasThemWhereNobodyElseDoes) {
  const auto there =
      arrow::schema({arrow::field("order_id", arrow::int64()), arrow::field("note", arrow::utf8()),
                     arrow::field("other", arrow::date32()), arrow::field("day", arrow::date32())});
  Set("cast", "other=string");
  const auto types = Types(there.get());
  EXPECT_TRUE(types.Of("order_id")->Equals(arrow::int32())) << "the contract's";
  EXPECT_TRUE(types.Of("note")->Equals(arrow::utf8())) << "the contract takes any";
  EXPECT_EQ(types.Of("other"), nullptr) << "cast";

  Set("contract", "");
  EXPECT_TRUE(Types(there.get()).Of("order_id")->Equals(arrow::int64()));
  EXPECT_FALSE(Types(there.get()).Lenient("order_id")) << "the table takes nothing else";
  EXPECT_TRUE(Types(there.get()).Lenient("day")) << "its server may read more";
  Set("drift", "retyped=evolve");
  EXPECT_TRUE(Types(there.get()).Lenient("order_id")) << "it may become what the values need";
}

TEST_F(GivenTypesTest, WithoutAContractThereAreNone) {
  Contracts contracts;
  const auto types = GivenTypes::Make(Options(), {"", "orders"}, &contracts, nullptr);
  EXPECT_TRUE(types.ok() && types->empty());
}

TEST(TypeTrial, OneValueOfTheTypeMakesTheOthersWrong) {
  TypeTrial trial(arrow::decimal128(5, 2));
  EXPECT_TRUE(trial.Holds(false)) << "without values";
  trial.Add("1.125", "a.csv", 2);
  EXPECT_FALSE(trial.Holds(false));
  EXPECT_EQ(trial.misfit(), "a.csv, line 2: '1.125' is no decimal(5,2)");
  trial.Add("1.12", "a.csv", 3);
  trial.Add("x", "a.csv", 4);
  EXPECT_TRUE(trial.Holds(false));
  EXPECT_FALSE(trial.Holds(/*lenient=*/true));
  EXPECT_THAT(trial.misfit(), HasSubstr("line 2"));
}

TEST(TypeTrial, ValuesOfEachType) {
  const auto fits = [](const std::shared_ptr<arrow::DataType>& type, const char* value) {
    TypeTrial trial(type);
    trial.Add(value, "a.csv", 1);
    return trial.Holds(false);
  };
  EXPECT_TRUE(fits(arrow::int8(), "-128") && !fits(arrow::int8(), "128"));
  EXPECT_TRUE(fits(arrow::uint32(), "4294967295") && !fits(arrow::uint32(), "-1"));
  EXPECT_TRUE(fits(arrow::uint64(), "18446744073709551615") && !fits(arrow::uint64(), "-1"));
  EXPECT_TRUE(fits(arrow::float64(), "2") && !fits(arrow::float64(), "two"));
  EXPECT_TRUE(fits(arrow::boolean(), "yes") && !fits(arrow::boolean(), "2"));
  EXPECT_TRUE(fits(arrow::date32(), "2024-02-29") && !fits(arrow::date32(), "2023-02-29"));
  const auto time = arrow::timestamp(arrow::TimeUnit::MICRO);
  EXPECT_TRUE(fits(time, "2024-02-29") && !fits(time, "2024-02-29T10:00:00Z"));
  EXPECT_TRUE(fits(arrow::utf8(), "anything"));
}

TEST(JsonTrials, UnknownPartsMakeATypeUnknown) {
  EXPECT_TRUE(HasUnknown(*arrow::null()));
  EXPECT_TRUE(HasUnknown(*arrow::list(arrow::null())));
  EXPECT_FALSE(HasUnknown(*arrow::struct_({arrow::field("a", arrow::int64())})));
  const auto layout = JsonLayout::From(JsonLayout{"utf-8", {"a"}, {"b"}}.ToJson());
  EXPECT_TRUE(layout.encoding == "utf-8" && layout.contract.contains("a") &&
              layout.as_text.contains("b"));
  EXPECT_EQ(JsonLayout::From("utf-16le").encoding, "utf-16le");
}

}  // namespace
}  // namespace bulkhaul::files
