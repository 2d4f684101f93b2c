#include "run/unit_cache.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "run/fakes.h"
#include "run/runner.h"
#include "sink/memory/memory_sink.h"

namespace bulkhaul {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;

constexpr int64_t kRows = 30, kUnits = 3;

// Jobs over one table of three units, with one cache.
class UnitCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() / ("bulkhaul_unit_cache_" + NewId());
    server_ = std::make_shared<fakes::Server>();
    settings_.consistent = false;
    fakes::Server::Rows values(kRows);
    std::iota(values.begin(), values.end(), 1000);
    server_->Put("t", std::move(values));
    server_->on_content = [this](const WorkUnit& unit) -> Result<UnitContent> {
      return UnitContent{.address = unit.range.begin + ".." + unit.range.end,
                         .fingerprint = "version " + std::to_string(version_),
                         .rows = rows_,
                         .ends_ms = ends_ms_,
                         .label = "t",
                         .reason = ""};
    };
    spec_.source_uri = "fake://server/db";
    spec_.tables.push_back({"s.*", Options()});
    for (const auto& [name, value] : {std::pair("workers", "1"),
                                      {"memory_limit", "4GiB"},
                                      {"consistency", "none"},
                                      {"cache", "true"},
                                      {"retry_delay", "0"}}) {
      Set(name, value);
    }
    Set("cache_dir", (root_ / "cache").string());
  }
  void TearDown() override { fs::remove_all(root_); }
  void Set(const std::string& name, const std::string& value) {
    ASSERT_TRUE(spec_.options.SetFromText(name, value).ok()) << name;
  }
  JobReport Run() { return TryRun().ValueOrDie(); }
  Result<JobReport> TryRun() {
    const std::string id = NewId();
    spec_.destination_uri = "memory:" + id;
    RunOptions options;
    options.job_id = "job-" + id;
    options.state_folder = (root_ / "state").string();
    const auto source = fakes::MakeSource(server_, settings_);
    const auto sink = MakeMemorySink(spec_, options.job_id).ValueOrDie();
    auto report = Runner(spec_, *source, *sink, options).Run();
    MemoryStore::At(spec_.destination_uri)->Clear();
    return report;
  }
  int64_t Entries() const {
    return std::distance(fs::directory_iterator(root_ / "cache"), fs::directory_iterator());
  }

  fs::path root_;
  std::shared_ptr<fakes::Server> server_;
  fakes::SourceSettings settings_;
  JobSpec spec_;
  std::atomic<int> version_{1};
  int64_t rows_ = kRows / kUnits;
  int64_t ends_ms_ = 0;
};

TEST_F(UnitCacheTest, ASecondJobReadsNothing) {
  auto report = Run();
  EXPECT_EQ(report.cache.misses, kUnits);
  EXPECT_EQ(server_->reads, kUnits);
  report = Run();
  EXPECT_EQ(report.state, JobState::kDone);
  EXPECT_EQ(server_->reads, kUnits);
  EXPECT_EQ(report.cache.hits, kUnits);
  EXPECT_EQ(report.cache.rows, kRows);
  EXPECT_EQ(report.rows, kRows);
  EXPECT_EQ(report.cache.HitRate(), 1);
  EXPECT_TRUE(report.tables[0].counters.empty());
  version_ = 2;
  EXPECT_EQ(Run().cache.misses, kUnits);
  EXPECT_EQ(Run().cache.hits, kUnits);
  EXPECT_EQ(Entries(), kUnits) << "replaced";
}

TEST_F(UnitCacheTest, WhatChangedWhileItWasReadIsNotKept) {
  server_->on_read = [this](const WorkUnit& unit, int batch) {
    if (unit.ordinal == 1 && batch == 0) ++version_;
    return Status::OK();
  };
  EXPECT_EQ(Run().cache.misses, kUnits);
  EXPECT_EQ(Entries(), kUnits - 1);
}

TEST_F(UnitCacheTest, AnotherNumberOfRowsThanWasSeenIsNotKept) {
  rows_ = 9;
  const auto report = Run();
  EXPECT_EQ(report.rows, kRows);
  EXPECT_EQ(Entries(), 0);
}

TEST_F(UnitCacheTest, AFailedUnitLeavesNothing) {
  Set("retries", "0");
  server_->on_read = [](const WorkUnit& unit, int batch) {
    return unit.ordinal == 1 && batch == 1 ? PermanentError("broken") : Status::OK();
  };
  EXPECT_EQ(Run().state, JobState::kFailed);
  EXPECT_EQ(Entries(), 1) << "that of the unit before it";
}

TEST_F(UnitCacheTest, OnlyWhatIsSettledIsKept) {
  ends_ms_ = INT64_MAX / 2;
  EXPECT_EQ(Run().cache.passed, kUnits);
  EXPECT_EQ(Entries(), 0);
  ends_ms_ = -1;
  EXPECT_EQ(Run().cache.misses, kUnits);
  EXPECT_EQ(Run().cache.misses, kUnits) << "unchanged, but not for long";
  Set("cache_settle", "0");
  EXPECT_EQ(Run().cache.hits, kUnits);
}

TEST_F(UnitCacheTest, WithoutAnAddressOrWithALimitNothingIsKept) {
  Set("limit", "5");
  EXPECT_EQ(Run().cache.misses, 0);
  Set("limit", "0");
  server_->on_content = [](const WorkUnit&) -> Result<UnitContent> {
    UnitContent content;
    content.reason = "it has a reason";
    return content;
  };
  auto report = Run();
  EXPECT_EQ(report.cache.passed, kUnits);
  EXPECT_THAT(report.warnings, Contains(HasSubstr("it has a reason")));
  server_->on_content = [](const WorkUnit&) -> Result<UnitContent> {
    return UserError("you may not look", "403");
  };
  report = Run();
  EXPECT_EQ(report.state, JobState::kDone);
  EXPECT_EQ(report.cache.passed, kUnits);
  EXPECT_THAT(report.warnings, Contains(HasSubstr("you may not look")));
  EXPECT_EQ(Entries(), 0);
}

TEST_F(UnitCacheTest, ACacheThatGoesAwayIsNoFailure) {
  Run();
  fs::remove_all(root_ / "cache");
  std::ofstream(root_ / "cache") << "a file";
  const auto refused = TryRun();
  ASSERT_FALSE(refused.ok()) << "there is no place for it: said before anything is read";
  EXPECT_THAT(refused.status().message(), HasSubstr("the cache: cannot make folder"));
  fs::remove(root_ / "cache");
  server_->on_read = [this](const WorkUnit&, int) {
    fs::remove_all(root_ / "cache");
    return Status::OK();
  };
  const auto without = Run();
  EXPECT_EQ(without.state, JobState::kDone) << without.error;
  EXPECT_EQ(without.rows, kRows);
  EXPECT_THAT(without.warnings, Contains(HasSubstr("the cache: ")));
}

}  // namespace
}  // namespace bulkhaul
