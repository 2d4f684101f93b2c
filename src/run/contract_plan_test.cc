#include "run/contract_plan.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <arrow/type.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "run/drift_hook.h"

namespace bulkhaul {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ContractPlanTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("bulkhaul_drift_" + NewId());
    std::filesystem::create_directories(folder_);
    spec_.source_uri = "/data/orders.csv";
    spec_.destination_uri = "/exports";
    Write("c.yaml", "columns: {id: int64, name: string}\n");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& text) {
    const auto path = (folder_ / name).string();
    std::ofstream(path) << text;
    return path;
  }
  void Set(const char* name, const std::string& text) {
    ASSERT_TRUE(options_.SetFromText(name, text).ok()) << name;
    ASSERT_TRUE(spec_.options.SetFromText(name, text).ok());
  }
  Dataset Table(const arrow::FieldVector& fields) {
    Dataset dataset;
    dataset.id = {"", "orders"};
    dataset.schema = arrow::schema(fields);
    dataset.options = options_;
    return dataset;
  }
  Status Apply(const arrow::FieldVector& fields, bool hook = false) {
    std::vector<Dataset> datasets = {Table(fields)};
    const Status status = ApplyContracts(spec_, {folder_.string(), "job", hook}, &datasets);
    applied_ = datasets[0];
    return status;
  }

  std::filesystem::path folder_;
  JobSpec spec_;
  Options options_;
  Dataset applied_;
};

const auto kId = arrow::field("id", arrow::int64());
const auto kName = arrow::field("name", arrow::utf8());

TEST_F(ContractPlanTest, ASchemaThatFitsTakesTheContractAlong) {
  Set("contract", (folder_ / "c.yaml").string());
  ASSERT_TRUE(Apply({kId, kName}).ok());
  EXPECT_THAT(applied_.contract, HasSubstr("name"));
  EXPECT_THAT(applied_.warnings, IsEmpty());
}

TEST_F(ContractPlanTest, DriftFailsBeforeARowIsReadAndNamesEverything) {
  Set("contract", (folder_ / "c.yaml").string());
  const Status status =
      Apply({arrow::field("id", arrow::utf8()), arrow::field("x", arrow::int8())});
  EXPECT_EQ(CodeOf(status), kDriftCode);
  EXPECT_THAT(MessageOf(status),
              HasSubstr("orders: column 'x' (int8) was added (drift against the "
                        "contract); orders: column 'name' (string) was removed"));
  EXPECT_THAT(MessageOf(status), HasSubstr("column 'id' was int64, is string"));
}

TEST_F(ContractPlanTest, TheAdviceNamesTheKindsThatFailed) {
  Set("contract", (folder_ / "c.yaml").string());
  EXPECT_THAT(MessageOf(Apply({arrow::field("id", arrow::utf8()), kName})),
              HasSubstr("such a change does with drift: {retyped: warn}"));
  EXPECT_THAT(MessageOf(Apply(
                  {arrow::field("id", arrow::utf8()), kName, arrow::field("x", arrow::int8())})),
              HasSubstr("drift: {added: warn, retyped: warn}"));
}

TEST_F(ContractPlanTest, AColumnWithoutValuesIsNotRetyped) {
  Set("contract", (folder_ / "c.yaml").string());
  EXPECT_TRUE(Apply({WithFinding(*arrow::field("id", arrow::utf8()), kNothingSeen), kName}).ok());
  EXPECT_FALSE(Apply({WithFinding(*arrow::field("id", arrow::utf8()), ""), kName}).ok());
}

TEST_F(ContractPlanTest, PolicyTurnsDriftIntoWarnings) {
  Set("contract", (folder_ / "c.yaml").string());
  Set("drift", "added=warn");
  ASSERT_TRUE(Apply({kId, kName, arrow::field("x", arrow::int8())}).ok());
  EXPECT_THAT(applied_.warnings,
              ElementsAre("column 'x' (int8) was added (drift against the contract)"));
}

TEST_F(ContractPlanTest, NamesAndTypesAreThoseAfterRenameAndCast) {
  Set("contract", (folder_ / "c.yaml").string());
  Set("rename", "key=id");
  Set("cast", "id=int64");
  EXPECT_TRUE(Apply({arrow::field("key", arrow::int32()), kName}).ok());
}

TEST_F(ContractPlanTest, WhatCannotWorkIsRefused) {
  Set("contract", (folder_ / "gone.yaml").string());
  EXPECT_THAT(MessageOf(Apply({kId, kName})), HasSubstr("cannot read the contract"));
  Set("contract", Write("other.yaml", "tables: {customers: {columns: {id: int64}}}\n"));
  EXPECT_THAT(MessageOf(Apply({kId, kName})), HasSubstr("says nothing of orders"));
  Set("contract", (folder_ / "c.yaml").string());
  Set("reject", "quarantine");
  spec_.destination_uri = "postgres://host/db";
  EXPECT_THAT(MessageOf(Apply({kId, kName})), HasSubstr("needs a folder"));
  Set("quarantine", "/somewhere");
  EXPECT_TRUE(Apply({kId, kName}).ok());
  Set("commit", "unit");
  EXPECT_TRUE(Apply({kId, kName}).ok());
  Set("contract", Write("u.yaml", "columns: {id: {unique: true}, name: }\n"));
  EXPECT_THAT(MessageOf(Apply({kId, kName})), HasSubstr("set commit: table"));
}

TEST_F(ContractPlanTest, QuarantineStandsBesideWhatAppearsInOneStep) {
  const auto place = [&] { return QuarantineFile(spec_, Table({kId}), "orders", "j1"); };
  EXPECT_EQ(place(), "/exports/_quarantine/orders_j1.parquet");
  ASSERT_TRUE(spec_.options.SetFromText("layout", "direct").ok());
  EXPECT_EQ(place(), "/exports_quarantine/orders_j1.parquet");
  Set("quarantine", "/bad");
  EXPECT_EQ(place(), "/bad/orders_j1.parquet");
}

TEST_F(ContractPlanTest, TheHookIsToldWithoutAShell) {
  const auto script = Write("hook",
                            "#!/bin/sh\nprintf '%s|%s|%s|%s' \"$1\" "
                            "\"$BULKHAUL_DRIFT_TABLE\" \"$BULKHAUL_DRIFT_ACTION\" "
                            "\"$BULKHAUL_DRIFT_CHANGES\" > \"$0.out\"\n");
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  Set("contract", (folder_ / "c.yaml").string());
  Set("on_drift", script + ",$(touch /tmp/never)");
  EXPECT_FALSE(Apply({kId}, /*hook=*/false).ok());
  EXPECT_FALSE(std::filesystem::exists(script + ".out")) << "plan runs nothing";
  EXPECT_FALSE(Apply({kId}, /*hook=*/true).ok());
  std::ifstream out(script + ".out");
  const std::string told((std::istreambuf_iterator<char>(out)), {});
  EXPECT_EQ(told,
            "$(touch /tmp/never)|orders|fail|[{\"after\":\"\",\"before\":\"string\","
            "\"column\":\"name\",\"kind\":\"removed\"}]");
}

TEST(DriftHook, FailuresSayWhy) {
  EXPECT_TRUE(RunHook({"true"}, {}).ok());
  EXPECT_THAT(MessageOf(RunHook({"false"}, {})), HasSubstr("exit code 1"));
  EXPECT_THAT(MessageOf(RunHook({"/nowhere/hook"}, {})), HasSubstr("cannot run the command"));
  EXPECT_THAT(MessageOf(RunHook({"sh", "-c", "kill -TERM $$"}, {})), HasSubstr("signal 15"));
  EXPECT_THAT(MessageOf(RunHook({"sleep", "1000"}, {}, 1)), HasSubstr("was killed"));
}

}  // namespace
}  // namespace bulkhaul
