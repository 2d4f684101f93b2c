#include "commit/ledger.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <thread>

#include <arrow/api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"

namespace bulkhaul {
namespace {

class LedgerTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("bulkhaul_ledger_" + NewId());
    job_folder_ = folder_ + "/jobs/j1";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  static DatasetRecord Record(int64_t index, const std::string& name) {
    DatasetRecord record;
    record.index = index;
    record.dataset.id = {"public", name};
    record.dataset.kind = "table";
    record.dataset.schema = arrow::schema({arrow::field("id", arrow::int64())});
    record.output_schema = record.dataset.schema;
    record.output_name = "public_" + name;
    return record;
  }
  static std::vector<WorkUnit> Units(const DatasetRecord& record, int64_t count) {
    std::vector<WorkUnit> units(count);
    for (int64_t i = 0; i < count; ++i) {
      units[i].id = std::to_string(record.index) + "." + std::to_string(i);
      units[i].dataset = record.dataset.id;
      units[i].ordinal = i;
      units[i].range = {"pages", i == 0 ? "" : std::to_string(i),
                        i + 1 == count ? "" : std::to_string(i + 1)};
    }
    return units;
  }
  static AttemptRecord Attempt(const std::string& id, int64_t ordinal, int64_t epoch = 1) {
    AttemptRecord attempt;
    attempt.id = id;
    attempt.ordinal = ordinal;
    attempt.epoch = epoch;
    return attempt;
  }
  static StagedResult ResultOf(const AttemptRecord& attempt, int64_t rows) {
    StagedResult result;
    result.attempt_id = attempt.id;
    result.unit_id = "0." + std::to_string(attempt.ordinal);
    result.dataset = {"public", "t"};
    result.epoch = attempt.epoch;
    result.ordinal = attempt.ordinal;
    result.rows_read = result.rows_written = rows;
    result.parts = {{"staged/" + attempt.id, rows, rows * 8, 7, "", "", ""}};
    result.stored_bytes = rows * 8;
    return result;
  }
  // A ledger with one dataset of `units` units in epoch 1.
  std::unique_ptr<Ledger> Planned(int64_t units) {
    auto ledger = Ledger::Create(job_folder_, "j1", "{}").ValueOrDie();
    const DatasetRecord record = Record(0, "t");
    EXPECT_TRUE(ledger->SaveDatasets({&record, 1}).ok());
    Begin(*ledger, 1, units);
    return ledger;
  }
  void Begin(Ledger& ledger, int64_t epoch, int64_t units) {
    Snapshot snapshot;
    snapshot.id = "s" + std::to_string(epoch);
    snapshot.epoch = epoch;
    const int64_t index = 0;
    ASSERT_TRUE(ledger.BeginEpoch(snapshot, {&index, 1}).ok());
    const std::vector<Ledger::PlannedUnits> planned = {
        {0, UnitStage::kRead, Units(Record(0, "t"), units)}};
    ASSERT_TRUE(ledger.SaveUnits(epoch, planned).ok());
  }

  std::string folder_, job_folder_;
};

TEST_F(LedgerTest, KeepsWhatItWasToldAcrossReopening) {
  {
    auto ledger = Planned(2);
    const auto attempt = Attempt("0.0-a", 0);
    ASSERT_TRUE(ledger->BeginAttempt(attempt).ok());
    ASSERT_TRUE(*ledger->FinishAttempt(attempt, ResultOf(attempt, 5)));
    ASSERT_TRUE(ledger->BeginAttempt(Attempt("0.1-b", 1)).ok());
  }
  auto ledger = Ledger::Open(job_folder_).ValueOrDie();
  EXPECT_EQ(ledger->job(), "j1");
  EXPECT_EQ(ledger->spec_json(), "{}");
  const auto datasets = ledger->Datasets().ValueOrDie();
  ASSERT_EQ(datasets.size(), 1u);
  EXPECT_EQ(datasets[0].dataset.id.ToString(), "public.t");
  EXPECT_EQ(datasets[0].epoch, 1);
  EXPECT_EQ(ledger->Snapshots().ValueOrDie().at(0).id, "s1");
  const auto units = ledger->Units(0, UnitStage::kRead).ValueOrDie();
  ASSERT_EQ(units.size(), 2u);
  EXPECT_TRUE(units[0].done);
  EXPECT_FALSE(units[1].done);
  EXPECT_EQ(units[1].unit.range.begin, "1");
  const auto staged = ledger->Staged(0, UnitStage::kRead).ValueOrDie();
  ASSERT_EQ(staged.size(), 1u);
  EXPECT_EQ(staged[0].rows_written, 5);
  // The attempt that its process never finished.
  EXPECT_THAT(ledger->LooseAttempts(0).ValueOrDie(), testing::ElementsAre("0.1-b"));
  EXPECT_NE(ledger->StartedAt(0).ValueOrDie(), "");
}

TEST_F(LedgerTest, FirstAttemptToFinishWins) {
  auto ledger = Planned(1);
  const auto first = Attempt("0.0-a", 0), second = Attempt("0.0-b", 0);
  ASSERT_TRUE(ledger->BeginAttempt(first).ok());
  ASSERT_TRUE(ledger->BeginAttempt(second).ok());
  EXPECT_TRUE(*ledger->FinishAttempt(second, ResultOf(second, 3)));
  EXPECT_FALSE(*ledger->FinishAttempt(first, ResultOf(first, 3)));
  EXPECT_EQ(ledger->Staged(0, UnitStage::kRead).ValueOrDie().at(0).attempt_id, "0.0-b");
  EXPECT_THAT(ledger->LooseAttempts(0).ValueOrDie(), testing::ElementsAre("0.0-a"));
}

TEST_F(LedgerTest, AttemptOfAnOldEpochDoesNotCount) {
  auto ledger = Planned(1);
  const auto old = Attempt("0.0-a", 0, 1);
  ASSERT_TRUE(ledger->BeginAttempt(old).ok());
  Begin(*ledger, 2, 1);
  EXPECT_FALSE(*ledger->FinishAttempt(old, ResultOf(old, 3)));
  EXPECT_TRUE(ledger->Staged(0, UnitStage::kRead).ValueOrDie().empty());
  EXPECT_EQ(ledger->Datasets().ValueOrDie()[0].epoch, 2);
}

TEST_F(LedgerTest, DatasetAdvancesOnlyWhenEveryUnitIsDone) {
  auto ledger = Planned(2);
  EXPECT_FALSE(*ledger->MarkStaged(0));
  for (int i = 0; i < 2; ++i) {
    EXPECT_FALSE(ledger->SaveJournal(0, "{}").ok()) << "not staged yet";
    const auto attempt = Attempt("0." + std::to_string(i) + "-a", i);
    ASSERT_TRUE(ledger->BeginAttempt(attempt).ok());
    ASSERT_TRUE(*ledger->FinishAttempt(attempt, ResultOf(attempt, 1)));
  }
  EXPECT_TRUE(*ledger->MarkStaged(0));
  EXPECT_TRUE(ledger->SaveJournal(0, "{\"step\":1}").ok());
  EXPECT_EQ(ledger->Journal(0).ValueOrDie(), "{\"step\":1}");
  CommitReceipt receipt;
  receipt.dataset = {"public", "t"};
  receipt.rows = 2;
  EXPECT_TRUE(ledger->Publish(0, receipt, "2026-11-21T10:00:00Z").ok());
  EXPECT_FALSE(ledger->Publish(0, receipt, "2026-11-21T10:00:00Z").ok());
  const auto record = ledger->Datasets().ValueOrDie()[0];
  EXPECT_EQ(record.state, DatasetState::kPublished);
  EXPECT_EQ(record.receipt->rows, 2);
}

TEST_F(LedgerTest, LastUnitMayStageTheDatasetInTheSameStep) {
  auto ledger = Planned(2);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(ledger->Datasets().ValueOrDie()[0].state, DatasetState::kPlanned);
    const auto attempt = Attempt("0." + std::to_string(i) + "-a", i);
    ASSERT_TRUE(ledger->BeginAttempt(attempt).ok());
    ASSERT_TRUE(*ledger->FinishAttempt(attempt, ResultOf(attempt, 1), true));
  }
  EXPECT_EQ(ledger->Datasets().ValueOrDie()[0].state, DatasetState::kStaged);
}

TEST_F(LedgerTest, AssemblyIsASecondStageOfUnits) {
  auto ledger = Planned(1);
  WorkUnit group;
  group.id = "0.a0";
  EXPECT_FALSE(*ledger->BeginAssembly(0, "{}", {&group, 1}));
  const auto attempt = Attempt("0.0-a", 0);
  ASSERT_TRUE(ledger->BeginAttempt(attempt).ok());
  ASSERT_TRUE(*ledger->FinishAttempt(attempt, ResultOf(attempt, 4)));
  EXPECT_TRUE(*ledger->BeginAssembly(0, "{\"d\":1}", {&group, 1}));
  EXPECT_FALSE(*ledger->MarkStaged(0));
  auto joined = Attempt("0.a0-b", 0);
  joined.stage = UnitStage::kAssemble;
  ASSERT_TRUE(ledger->BeginAttempt(joined).ok());
  ASSERT_TRUE(*ledger->FinishAttempt(joined, ResultOf(joined, 4)));
  EXPECT_TRUE(*ledger->MarkStaged(0));
  // A lost part takes the dataset back to the stage that makes it.
  ASSERT_TRUE(ledger->ForgetResult(0, UnitStage::kAssemble, 0).ok());
  EXPECT_EQ(ledger->Datasets().ValueOrDie()[0].state, DatasetState::kRead);
  EXPECT_EQ(ledger->Datasets().ValueOrDie()[0].decision, "{\"d\":1}");
  ASSERT_TRUE(ledger->ForgetResult(0, UnitStage::kRead, 0).ok());
  EXPECT_EQ(ledger->Datasets().ValueOrDie()[0].state, DatasetState::kPlanned);
}

TEST_F(LedgerTest, FailedDatasetGoesBackToWhereItWas) {
  auto ledger = Planned(1);
  const auto attempt = Attempt("0.0-a", 0);
  ASSERT_TRUE(ledger->BeginAttempt(attempt).ok());
  ASSERT_TRUE(*ledger->FinishAttempt(attempt, ResultOf(attempt, 1)));
  ASSERT_TRUE(*ledger->MarkStaged(0));
  ASSERT_TRUE(ledger->FailDataset(0, UserError("postgres://u:geheim@h/db is full")).ok());
  auto record = ledger->Datasets().ValueOrDie()[0];
  EXPECT_EQ(record.state, DatasetState::kFailed);
  EXPECT_EQ(record.error_kind, "user");
  EXPECT_EQ(record.error.find("geheim"), std::string::npos);
  ASSERT_TRUE(ledger->Reopen(0).ok());
  EXPECT_EQ(ledger->Datasets().ValueOrDie()[0].state, DatasetState::kStaged);
}

TEST_F(LedgerTest, SecondOwnerIsRefusedWithTheFirstsPidAndHost) {
  auto ledger = Planned(1);
  const Status refused = Ledger::Open(job_folder_).status();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(KindOf(refused), ErrorKind::kUser);
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  EXPECT_THAT(MessageOf(refused), testing::HasSubstr(std::to_string(getpid())));
  EXPECT_THAT(MessageOf(refused), testing::HasSubstr(host));
  EXPECT_EQ(LockOwnerOf(job_folder_).ValueOrDie()->pid, getpid());
  ledger.reset();
  EXPECT_FALSE(LockOwnerOf(job_folder_).ValueOrDie().has_value());
  EXPECT_TRUE(Ledger::Open(job_folder_).ok());
}

TEST_F(LedgerTest, LockOfADeadOwnerIsTakenOver) {
  Planned(1).reset();
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    auto lock = JobLock::Take(job_folder_);
    char ok = lock.ok() ? 'y' : 'n';
    if (write(ready[1], &ok, 1) != 1) _exit(1);
    for (;;) pause();
  }
  char answer = 0;
  ASSERT_EQ(read(ready[0], &answer, 1), 1);
  ASSERT_EQ(answer, 'y');
  const Status refused = Ledger::Open(job_folder_).status();
  EXPECT_THAT(MessageOf(refused), testing::HasSubstr(std::to_string(child)));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(Ledger::Open(job_folder_).ok());
  close(ready[0]);
  close(ready[1]);
}

TEST_F(LedgerTest, CreateRefusesAJobThatHasBegun) {
  Planned(1).reset();
  const Status refused = Ledger::Create(job_folder_, "j1", "{}").status();
  EXPECT_THAT(MessageOf(refused), testing::HasSubstr("resume j1"));
}

TEST_F(LedgerTest, CanBeLookedAtBesideItsOwner) {
  auto owner = Planned(3);
  auto reader = Ledger::OpenReadOnly(job_folder_).ValueOrDie();
  EXPECT_EQ(reader->Totals(0)->units, 3);
  const auto attempt = Attempt("0.0-a", 0);
  ASSERT_TRUE(owner->BeginAttempt(attempt).ok());
  EXPECT_EQ(reader->Totals(0)->units_running, 1);
  EXPECT_FALSE(reader->SetMeta("a", "b").ok());
}

TEST_F(LedgerTest, ThreadsShareTransactionsAndEachGetsItsOwnAnswer) {
  auto ledger = Planned(64);
  std::atomic<int> won{0}, lost{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 64; ++i) {
          const auto attempt = Attempt(std::to_string(i) + "-" + std::to_string(t), i);
          EXPECT_TRUE(ledger->BeginAttempt(attempt).ok());
          // A change that fails must not take its neighbours' changes with it.
          EXPECT_FALSE(ledger->BeginAttempt(attempt).ok());
          auto first = ledger->FinishAttempt(attempt, ResultOf(attempt, 1));
          EXPECT_TRUE(first.ok());
          ++(*first ? won : lost);
        }
      });
    }
  }
  EXPECT_EQ(won, 64);
  EXPECT_EQ(lost, 3 * 64);
  EXPECT_TRUE(*ledger->MarkStaged(0));
  std::set<AttemptId> ids;
  for (const auto& result : *ledger->Staged(0, UnitStage::kRead)) ids.insert(result.attempt_id);
  EXPECT_EQ(ids.size(), 64u);
}

// What was written to a WAL: pages, and the transactions that they belong to. Source: SQLite,
// "WAL-mode File Format".
struct WalContent {
  int64_t pages = 0, commits = 0;
};

WalContent ReadWal(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  const auto number = [&](size_t at) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
    return value;
  };
  constexpr size_t kHeader = 32, kFrameHeader = 24, kSalts = 16;
  WalContent content;
  if (bytes.size() < kHeader) return content;
  const size_t page = number(8);
  for (size_t at = kHeader; at + kFrameHeader + page <= bytes.size(); at += kFrameHeader + page) {
    if (bytes.compare(at + 8, 8, bytes, kSalts, 8) != 0) break;  // of an earlier round
    ++content.pages;
    if (number(at + 4) != 0) ++content.commits;
  }
  return content;
}

TEST_F(LedgerTest, TenThousandUnitsAreOneTransaction) {
  auto ledger = Planned(1);
  const std::vector<Ledger::PlannedUnits> planned = {
      {1, UnitStage::kRead, Units(Record(1, "big"), 10'000)}};
  const std::string wal = job_folder_ + "/ledger.db-wal";
  const auto before = ReadWal(wal);
  ASSERT_TRUE(ledger->SaveUnits(1, planned).ok());
  EXPECT_EQ(ReadWal(wal).commits - before.commits, 1);
  EXPECT_EQ(ledger->UnitCount(1, UnitStage::kRead).ValueOrDie(), 10'000);
  EXPECT_LT(
      std::filesystem::file_size(job_folder_ + "/ledger.db") + std::filesystem::file_size(wal),
      20u << 20);
}

// Its time is that of the disk: so many pages in two transactions, one at the begin and one at the
// end.
TEST_F(LedgerTest, AUnitIsTwoSmallTransactions) {
  constexpr int kUnits = 20;  // that leave the WAL shorter than a checkpoint
  auto ledger = Planned(kUnits);
  const std::string wal = job_folder_ + "/ledger.db-wal";
  const auto before = ReadWal(wal);
  for (int i = 0; i < kUnits; ++i) {
    const auto attempt = Attempt(std::to_string(i), i);
    ASSERT_TRUE(ledger->BeginAttempt(attempt).ok());
    ASSERT_TRUE(*ledger->FinishAttempt(attempt, ResultOf(attempt, 1)));
  }
  const auto after = ReadWal(wal);
  EXPECT_EQ(after.commits - before.commits, 2 * kUnits);
  EXPECT_LE(after.pages - before.pages, 10 * kUnits);
}

}  // namespace
}  // namespace bulkhaul
