#include "commit/job_index.h"

#include <cstdlib>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "commit/job_lock.h"
#include "commit/ledger.h"

namespace bulkhaul {
namespace {

class JobIndexTest : public testing::Test {
 protected:
  void SetUp() override {
    state_ = std::filesystem::temp_directory_path() / ("bulkhaul_index_" + NewId());
  }
  void TearDown() override { std::filesystem::remove_all(state_); }
  JobEntry Add(const std::string& id, const std::string& state, const std::string& at) {
    JobEntry entry;
    entry.id = id;
    entry.folder = JobFolder(state_, id);
    entry.source = "postgres://u:***@h/db";
    entry.destination = state_ + "/exports";
    entry.workspace = state_ + "/exports/.bulkhaul/" + id;
    entry.state = state;
    entry.created_at = entry.updated_at = at;
    std::filesystem::create_directories(entry.folder);
    EXPECT_TRUE(WriteJobEntry(entry).ok());
    return entry;
  }
  std::string state_;
};

TEST_F(JobIndexTest, ListsNewestFirstAndSaysWhatIsRunning) {
  EXPECT_TRUE(ListJobs(state_)->empty());
  Add("old", "done", "2026-01-01T00:00:00Z");
  const auto fresh = Add("new", "running", "2026-02-01T00:00:00Z");
  auto jobs = ListJobs(state_).ValueOrDie();
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0].id, "new");
  EXPECT_EQ(jobs[0].state, "interrupted") << "nobody holds its lock";
  EXPECT_EQ(jobs[1].state, "done");
  auto lock = JobLock::Take(fresh.folder).ValueOrDie();
  jobs = ListJobs(state_).ValueOrDie();
  EXPECT_EQ(jobs[0].state, "running");
  EXPECT_TRUE(jobs[0].owner.has_value());
}

TEST_F(JobIndexTest, FindsByIdFolderWorkspaceAndDestination) {
  const auto done = Add("first", "done", "2026-03-01T00:00:00Z");
  const auto failed = Add("second", "failed", "2026-02-01T00:00:00Z");
  EXPECT_EQ(FindJob(state_, "first")->id, "first");
  EXPECT_EQ(FindJob(state_, failed.folder)->id, "second");
  EXPECT_EQ(FindJob(state_, failed.workspace + "/")->id, "second");
  EXPECT_EQ(FindJob(state_, done.destination)->id, "second") << "the one that can be resumed";
  const auto missing = FindJob(state_, "secnd");
  ASSERT_FALSE(missing.ok());
  EXPECT_THAT(MessageOf(missing.status()), testing::HasSubstr("did you mean 'second'"));
}

TEST_F(JobIndexTest, CleansOldJobsButNeverARunningOne) {
  Add("old", "done", "2020-01-01T00:00:00Z");
  const auto running = Add("old-running", "running", "2020-01-01T00:00:00Z");
  Add("future", "done", "2999-01-01T00:00:00Z");
  auto lock = JobLock::Take(running.folder).ValueOrDie();
  const auto keep = [](const JobEntry&) { return false; };
  const auto give_up = [](const JobEntry&) { return true; };
  EXPECT_EQ(CleanJobs(state_, 1000, true, keep)->size(), 1u);
  EXPECT_EQ(CleanJobs(state_, 1000, false, keep)->size(), 0u);
  EXPECT_TRUE(FindJob(state_, "old").ok()) << "a dry run removes nothing";
  const auto removed = CleanJobs(state_, 1000, false, give_up).ValueOrDie();
  ASSERT_EQ(removed.size(), 1u);
  EXPECT_EQ(removed[0].id, "old");
  EXPECT_FALSE(FindJob(state_, "old").ok());
  EXPECT_TRUE(FindJob(state_, "old-running").ok());
  EXPECT_TRUE(FindJob(state_, "future").ok());
}

TEST_F(JobIndexTest, TheLastOfTwoJobsInOneSecondCounts) {
  // Ids are random: neither order of them may decide.
  for (const auto* ids : {"ab", "ba"}) {
    const std::string first(1, ids[0]), second(1, ids[1]);
    std::filesystem::remove_all(state_);
    const auto path = (std::filesystem::path(state_) / "one.csv").string();
    for (const auto& id : {first, second}) {
      const auto entry = Add(id, "failed", JobTime());
      ASSERT_TRUE(WriteFileRecord(entry.folder, {path, "metadata of " + id}).ok());
    }
    EXPECT_EQ(FindFileRecord(state_, path).ValueOrDie()->metadata, "metadata of " + second);
    EXPECT_EQ(ListJobs(state_)->front().id, second);
    EXPECT_EQ(FindJob(state_, state_ + "/exports")->id, second);
  }
}

TEST_F(JobIndexTest, KeepsTheSpecWithoutItsSecrets) {
  JobSpec spec;
  spec.source_uri = "postgres://reader:geheim@db/shop";
  spec.destination_uri = "out";
  const auto entry = Add("j", "failed", "2026-01-01T00:00:00Z");
  Ledger::Create(entry.folder, "j", spec.ToJson(true)).ValueOrDie().reset();
  const auto loaded = LoadJobSpec(entry).ValueOrDie();
  EXPECT_EQ(loaded.destination_uri, "out");
  EXPECT_EQ(loaded.ToJson(false).find("geheim"), std::string::npos);
  EXPECT_THAT(loaded.source_uri, testing::HasSubstr("db/shop"));
}

TEST_F(JobIndexTest, AJobThatDiedBeforeItWroteItsEntryIsFound) {
  JobSpec spec;
  spec.source_uri = "postgres://reader:geheim@db/shop";
  spec.destination_uri = "out";
  Ledger::Create(JobFolder(state_, "early"), "early", spec.ToJson(true)).ValueOrDie().reset();
  const auto entry = FindJob(state_, "early").ValueOrDie();
  EXPECT_EQ(entry.state, "interrupted");
  EXPECT_EQ(entry.destination, "out");
  EXPECT_NE(entry.created_at, "");
  EXPECT_EQ(ListJobs(state_)->size(), 1u);
}

TEST_F(JobIndexTest, StatusComesFromTheLedger) {
  const auto entry = Add("j", "failed", "2026-01-01T00:00:00Z");
  EXPECT_TRUE(ReadJobStatus(entry)->tables.empty());
  auto ledger = Ledger::Create(entry.folder, "j", "{}").ValueOrDie();
  DatasetRecord record;
  record.dataset.id = {"s", "t"};
  record.dataset.schema = arrow::schema({});
  ASSERT_TRUE(ledger->SaveDatasets({&record, 1}).ok());
  ASSERT_TRUE(ledger->FailDataset(0, UserError("no grant")).ok());
  const auto status = ReadJobStatus(entry).ValueOrDie();
  ASSERT_EQ(status.tables.size(), 1u);
  EXPECT_EQ(status.tables[0].state, "failed");
  EXPECT_THAT(status.ToText(), testing::HasSubstr("no grant"));
  EXPECT_THAT(status.ToJson(), testing::HasSubstr("\"state\":\"failed\""));
}

TEST(CheckJobId, TakesOnlyWhatIsSafeAsAFolderName) {
  for (const char* good : {"a", "nightly-2026_11.21", "A1"}) EXPECT_TRUE(CheckJobId(good).ok());
  const std::string long_id(65, 'a');
  for (const char* bad : {"", ".", "..", "../x", "a/b", "-rf", "a b", "ü", long_id.c_str()}) {
    EXPECT_FALSE(CheckJobId(bad).ok()) << bad;
  }
}

TEST(StateFolder, FollowsTheXdgRules) {
  const char* home = std::getenv("HOME");
  const std::string home_before = home ? home : "";
  setenv("XDG_STATE_HOME", "/x/state", 1);
  EXPECT_EQ(*StateFolder(), "/x/state/bulkhaul");
  setenv("XDG_STATE_HOME", "relative", 1);
  setenv("HOME", "/home/someone", 1);
  EXPECT_EQ(*StateFolder(), "/home/someone/.local/state/bulkhaul");
  unsetenv("XDG_STATE_HOME");
  unsetenv("HOME");
  EXPECT_FALSE(StateFolder().ok());
  if (home) setenv("HOME", home_before.c_str(), 1);
}

}  // namespace
}  // namespace bulkhaul
