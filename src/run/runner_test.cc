#include "run/runner.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <mutex>
#include <numeric>
#include <set>
#include <thread>

#include <arrow/api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "commit/job_index.h"
#include "run/runner_testing.h"

namespace bulkhaul {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(RunnerTest, EveryStrategyPublishesTheSame) {
  Fill("a", 95);
  server_->on_read = [](const WorkUnit& unit, int batch) {
    static std::atomic<bool> failed{false};
    if (unit.ordinal == 2 && batch == 1 && !failed.exchange(true)) return TransientError("once");
    return Status::OK();
  };
  for (const char* strategy : {"eager", "lazy", "streaming"}) {
    Set("strategy", strategy);
    job_ = std::string(strategy) + id_;
    Store()->Clear();
    const auto report = Run().ValueOrDie();
    EXPECT_EQ(report.state, JobState::kDone) << report.error;
    EXPECT_EQ(report.strategy, strategy);
    EXPECT_THAT(report.ToText(), HasSubstr(std::string("strategy: ") + strategy));
    EXPECT_EQ(report.source_bytes, 95 * 16);
    ExpectWhole("s_a", 95);
  }
}

TEST_F(RunnerTest, PublishesEveryTableWhole) {
  Fill("a", 95);
  Fill("b", 3);
  Fill("empty", 0);
  const auto report = Run().ValueOrDie();
  EXPECT_EQ(report.state, JobState::kDone) << report.error;
  EXPECT_EQ(report.exit_code(), 0);
  ExpectWhole("s_a", 95);
  ExpectWhole("s_b", 3);
  ExpectWhole("s_empty", 0);
  EXPECT_EQ(report.rows, 98);
  EXPECT_EQ(report.units, 12);
  EXPECT_EQ(report.tables_published, 3);
  EXPECT_EQ(report.source_bytes, 98 * 16);
  EXPECT_EQ(report.epochs, 1);
  EXPECT_EQ(server_->snapshots_held(), 0u);
  EXPECT_EQ(Store()->Manifests().size(), 1u);
  EXPECT_LE(server_->sessions_peak, 3);
  EXPECT_LE(server_->opens, 3) << "connections are kept between units";
  EXPECT_EQ(recorder_.Of(ProgressKind::kTablePublished).size(), 3u);
  EXPECT_EQ(recorder_.Of(ProgressKind::kUnitDone).size(), 12u);
  const auto done = recorder_.Of(ProgressKind::kJobDone);
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0].totals.rows, 98);
  EXPECT_EQ(done[0].totals.units_running, 0);
  EXPECT_DOUBLE_EQ(done[0].totals.fraction, 1);
  const auto entry = FindJob(state_, job_).ValueOrDie();
  EXPECT_EQ(entry.state, "done");
  EXPECT_EQ(entry.ToJson().find("geheim"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(entry.folder + "/ledger.db"));
  EXPECT_TRUE(std::filesystem::exists(entry.folder + "/report.json"));
}

TEST_F(RunnerTest, PlanTouchesNothing) {
  Fill("a", 95);
  source_ = fakes::MakeSource(server_, settings_);
  auto sink = MakeMemorySink(spec_, job_).ValueOrDie();
  RunOptions options;
  options.job_id = job_;
  options.state_folder = state_;
  Runner runner(spec_, *source_, *sink, options);
  const auto plan = runner.Plan().ValueOrDie();
  ASSERT_EQ(plan.tables.size(), 1u);
  EXPECT_EQ(plan.tables[0].units, 10);
  EXPECT_EQ(plan.tables[0].output_name, "s_a");
  EXPECT_EQ(plan.estimated_rows, 95);
  EXPECT_EQ(plan.workers, 3);
  EXPECT_EQ(server_->pins, 0);
  EXPECT_FALSE(std::filesystem::exists(state_));
  EXPECT_EQ(plan.ToJson().find("geheim"), std::string::npos);
  EXPECT_THAT(plan.ToText(), HasSubstr("s.a"));
}

TEST_F(RunnerTest, NothingSelectedIsAnError) {
  const Status refused = Run().status();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(KindOf(refused), ErrorKind::kUser);
  EXPECT_FALSE(std::filesystem::exists(JobFolder(state_, job_))) << "the id must be free again";
}

TEST_F(RunnerTest, WishesThatTheTraitsCannotMeetAreRefusedWithTheWayOut) {
  settings_.consistent = false;
  Fill("a", 5);
  Set("consistency", "snapshot");
  EXPECT_THAT(MessageOf(Run().status()), HasSubstr("consistency: none"));
  settings_.consistent = true;
  Set("keep_snapshot", "30m");
  EXPECT_THAT(MessageOf(Run().status()), HasSubstr("keep_snapshot"));
  EXPECT_FALSE(std::filesystem::exists(JobFolder(state_, job_)));
}

TEST_F(RunnerTest, TransientErrorsAreRetriedAndLeaveNoTrace) {
  Fill("a", 80);
  std::mutex mutex;
  std::set<int64_t> failed;
  server_->on_read = [&](const WorkUnit& unit, int batch) {
    std::lock_guard lock(mutex);
    if (unit.ordinal % 2 == 0 && batch == 1 && failed.insert(unit.ordinal).second) {
      return TransientError("connection reset", "ECONNRESET");
    }
    return Status::OK();
  };
  const auto report = Run().ValueOrDie();
  EXPECT_EQ(report.state, JobState::kDone) << report.error;
  EXPECT_EQ(report.retries, 4);
  ExpectWhole("s_a", 80);
  const auto retries = recorder_.Of(ProgressKind::kRetry);
  ASSERT_EQ(retries.size(), 4u);
  EXPECT_THAT(retries[0].message, HasSubstr("connection reset"));
  EXPECT_EQ(recorder_.Of(ProgressKind::kJobDone).at(0).totals.rows, 80);
}

TEST_F(RunnerTest, RetriesEnd) {
  Fill("a", 50);
  server_->on_read = [&](const WorkUnit& unit, int) {
    return unit.ordinal == 3 ? TransientError("connection reset") : Status::OK();
  };
  const auto report = Run().ValueOrDie();
  EXPECT_EQ(report.state, JobState::kFailed);
  EXPECT_EQ(report.exit_code(), 1);
  EXPECT_EQ(report.retries, 3);
  EXPECT_THAT(report.error, HasSubstr("s.a, unit 0.3"));
  EXPECT_FALSE(Store()->Find("s_a"));
  EXPECT_EQ(report.tables.at(0).state, "failed");
}

TEST_F(RunnerTest, PermanentErrorsAreNotRetried) {
  Fill("a", 50);
  server_->on_read = [](const WorkUnit&, int) { return PermanentError("block is corrupt"); };
  const auto report = Run().ValueOrDie();
  EXPECT_EQ(report.state, JobState::kFailed);
  EXPECT_EQ(report.retries, 0);
}

TEST_F(RunnerTest, ContinueFinishesTheOthersAndResumeRerunsOnlyWhatFailed) {
  Fill("a", 40);
  Fill("b", 40);
  Set("on_error", "continue");
  std::atomic<bool> broken{true};
  std::atomic<int> reads_of_a{0};
  server_->on_read = [&](const WorkUnit& unit, int) {
    if (unit.dataset.name == "a") ++reads_of_a;
    if (broken && unit.dataset.name == "b" && unit.ordinal == 2) {
      return PermanentError("cannot decode");
    }
    return Status::OK();
  };
  settings_.kept = true;
  Set("keep_snapshot", "1h");
  auto report = Run().ValueOrDie();
  EXPECT_EQ(report.state, JobState::kPartial);
  EXPECT_EQ(report.exit_code(), 3);
  ExpectWhole("s_a", 40);
  EXPECT_FALSE(Store()->Find("s_b"));
  EXPECT_EQ(report.tables.at(1).state, "failed");
  EXPECT_THAT(report.tables.at(1).error, HasSubstr("cannot decode"));
  EXPECT_TRUE(Store()->Manifests().empty()) << "the manifest appears when every table has";
  EXPECT_EQ(FindJob(state_, job_)->state, "partial");
  EXPECT_EQ(server_->snapshots_held(), 1u) << "kept for the resume, as after a cancel";

  broken = false;
  const int before = reads_of_a;
  report = Run(true).ValueOrDie();
  EXPECT_EQ(report.state, JobState::kDone) << report.error;
  EXPECT_EQ(reads_of_a, before);
  ExpectWhole("s_b", 40);
  EXPECT_TRUE(report.tables.at(0).earlier_run);
  EXPECT_EQ(Store()->Manifests().size(), 1u);
  EXPECT_FALSE(Store()->Find("s_a_v2"));
}

TEST_F(RunnerTest, AResumeIsAdvisedOnlyForTablesThatItMayHelp) {
  for (const char* table : {"a", "b", "c"}) Fill(table, 5);
  Set("on_error", "continue");
  bool both = false;
  server_->on_read = [&](const WorkUnit& unit, int) {
    if (unit.dataset.name == "a") return OptionError("no such field: leave it out");
    if (both && unit.dataset.name == "b") return PermanentError("cannot decode");
    return Status::OK();
  };
  auto report = Run().ValueOrDie();
  EXPECT_EQ(report.state, JobState::kPartial);
  EXPECT_EQ(report.error, "1 of 3 tables failed");
  EXPECT_EQ(report.error_code, kOptionCode);
  EXPECT_EQ(report.tables.at(0).error_code, kOptionCode);
  both = true;
  job_ += "2";
  report = Run().ValueOrDie();
  EXPECT_THAT(report.error, HasSubstr("2 of 3 tables failed; go on with 'bulkhaul resume"));
  EXPECT_EQ(report.error_code, "");
  EXPECT_EQ(report.TablesFor(Remedy::kOptions), 1);
  EXPECT_EQ(report.TablesFor(Remedy::kResume), 1);
}

TEST_F(RunnerTest, OneForbiddenTableDoesNotStopTheOthers) {
  Fill("a", 5);
  Fill("forbidden", 5);
  Fill("z", 5);
  auto report = Run().ValueOrDie();
  EXPECT_EQ(report.state, JobState::kFailed);
  EXPECT_FALSE(Store()->Find("s_a"));
  Set("on_error", "continue");
  job_ += "c";
  report = Run().ValueOrDie();
  EXPECT_EQ(report.state, JobState::kPartial);
  ExpectWhole("s_a", 5);
  ExpectWhole("s_z", 5);
  EXPECT_THAT(report.tables.at(1).error, HasSubstr("permission denied"));
}

TEST_F(RunnerTest, LostSnapshotBeginsANewEpochAndMixesNothing) {
  Fill("a", 60);
  Fill("z", 10);
  std::atomic<bool> lost{false};
  server_->on_read = [&](const WorkUnit& unit, int batch) {
    if (unit.dataset.name == "a" && unit.ordinal == 3 && batch == 1 && !lost.exchange(true)) {
      server_->LoseSnapshots();
      server_->Move("a", 0, 55, 500);  // visible to the new epoch only
      return SnapshotLostError("invalid snapshot identifier", "22023");
    }
    return Status::OK();
  };
  const auto report = Run().ValueOrDie();
  EXPECT_EQ(report.state, JobState::kDone) << report.error;
  EXPECT_EQ(report.epochs, 2);
  ExpectWhole("s_a", 60);
  ExpectWhole("s_z", 10);
  EXPECT_EQ(Published("s_a")[0].second, 500);
  EXPECT_EQ(report.tables.at(0).epoch, 2);
  EXPECT_EQ(server_->snapshots_held(), 0u);
}

TEST_F(RunnerTest, UnitsDoneAfterTheViewWentDoNotCount) {
  // Sessions that imported the snapshot live on when its holder is gone.
  Fill("a", 20);
  std::atomic<bool> lost{false};
  server_->on_read = [&](const WorkUnit& unit, int batch) {
    if (unit.ordinal == 1 && batch == 3 && !lost.exchange(true)) server_->LoseSnapshots();
    return Status::OK();
  };
  Set("workers", "1");
  const auto report = Run().ValueOrDie();
  EXPECT_EQ(report.state, JobState::kDone) << report.error;
  EXPECT_EQ(report.epochs, 2);
  ExpectWhole("s_a", 20);
}

TEST_F(RunnerTest, StrictRefusesTablesFromTwoSnapshots) {
  Fill("big", 60);
  Fill("tiny", 2);
  Set("strict", "true");
  Set("workers", "1");
  std::atomic<bool> lose{false};
  server_->on_read = [&](const WorkUnit& unit, int) {
    if (unit.dataset.name == "tiny" && lose.exchange(false)) {
      server_->LoseSnapshots();
      return SnapshotLostError("gone");
    }
    return Status::OK();
  };
  lose = true;  // the big table is published first
  auto report = Run().ValueOrDie();
  EXPECT_EQ(report.state, JobState::kFailed);
  EXPECT_THAT(report.error, HasSubstr("strict"));
  ExpectWhole("s_big", 60);
  EXPECT_FALSE(Store()->Find("s_tiny"));
}

TEST_F(RunnerTest, StrictReadsAllAgainWhileNothingIsPublished) {
  Fill("a", 60);
  Fill("b", 50);
  Set("strict", "true");
  std::atomic<bool> lost{false};
  server_->on_read = [&](const WorkUnit& unit, int) {
    if (unit.ordinal == 2 && !lost.exchange(true)) {
      server_->LoseSnapshots();
      return SnapshotLostError("gone");
    }
    return Status::OK();
  };
  const auto report = Run().ValueOrDie();
  EXPECT_EQ(report.state, JobState::kDone) << report.error;
  for (const auto& table : report.tables) EXPECT_EQ(table.epoch, 2);
  ExpectWhole("s_a", 60);
  ExpectWhole("s_b", 50);
}

TEST_F(RunnerTest, SnapshotsThatNeverLastEndTheJob) {
  Fill("a", 60);
  server_->on_read = [&](const WorkUnit&, int) {
    server_->LoseSnapshots();
    return SnapshotLostError("gone");
  };
  const auto report = Run().ValueOrDie();
  EXPECT_EQ(report.state, JobState::kFailed);
  EXPECT_EQ(report.error_kind, "snapshot_lost");
}

TEST_F(RunnerTest, LimitIsExactWhateverTheUnits) {
  Fill("a", 100);
  Set("limit", "37");
  const auto report = Run().ValueOrDie();
  EXPECT_EQ(report.state, JobState::kDone) << report.error;
  EXPECT_EQ(report.rows, 37);
  EXPECT_EQ(Published("s_a").size(), 37u);
}

TEST_F(RunnerTest, LimitIsExactAlsoWhenUnitsAreRetried) {
  Fill("a", 100);
  Set("limit", "37");
  std::atomic<int> failures{0};
  server_->on_read = [&](const WorkUnit&, int batch) {
    return batch == 1 && failures.fetch_add(1) < 2 ? TransientError("reset") : Status::OK();
  };
  EXPECT_EQ(Run()->state, JobState::kDone);
  EXPECT_EQ(Published("s_a").size(), 37u);
}

TEST_F(RunnerTest, TypeChangedSincePlanningIsAClearError) {
  Fill("a", 10);
  server_->altered_type = arrow::utf8();
  const auto report = Run().ValueOrDie();
  EXPECT_EQ(report.state, JobState::kFailed);
  EXPECT_THAT(report.error, HasSubstr("column 2 was v int64, is v string"));
}

TEST_F(RunnerTest, SlowUnitIsStoppedByItsTimeoutAndTriedAgain) {
  Fill("a", 30);
  // A busy machine may hold up the other units too.
  Set("unit_timeout", "500ms");
  Set("retries", "1000");
  std::atomic<bool> slow{true};
  server_->on_read = [&](const WorkUnit& unit, int) {
    if (unit.ordinal == 1 && slow.exchange(false)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(600));
    }
    return Status::OK();
  };
  const auto report = Run().ValueOrDie();
  EXPECT_EQ(report.state, JobState::kDone) << report.error;
  EXPECT_GE(report.retries, 1);
  EXPECT_THAT(recorder_.Of(ProgressKind::kRetry).at(0).message, HasSubstr("unit_timeout"));
  ExpectWhole("s_a", 30);
}

TEST_F(RunnerTest, JobTimeoutEndsTheJobResumable) {
  Fill("a", 30);
  Set("job_timeout", "50ms");
  server_->on_read = [&](const WorkUnit&, int) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return Status::OK();
  };
  auto report = Run().ValueOrDie();
  EXPECT_EQ(report.state, JobState::kFailed);
  EXPECT_THAT(report.error, HasSubstr("job_timeout"));
  Set("job_timeout", "0");
  EXPECT_EQ(Run(true)->state, JobState::kDone);
  ExpectWhole("s_a", 30);
}

TEST_F(RunnerTest, NeverMoreConnectionsThanTheSourceHas) {
  Fill("a", 200);
  settings_.connections_max = 2;
  Set("workers", "8");
  const auto report = Run().ValueOrDie();
  EXPECT_EQ(report.state, JobState::kDone) << report.error;
  EXPECT_LE(server_->sessions_peak, 2);
  EXPECT_THAT(report.warnings, testing::Contains(HasSubstr("2 free")));
}

TEST_F(RunnerTest, AServerThatRunsOutOfConnectionsLowersTheWorkers) {
  Fill("a", 200);
  Set("workers", "4");
  std::atomic<bool> taken{false};
  server_->on_open = [&] {
    return taken.exchange(true) ? TransientError("sorry, too many clients already", "53300")
                                : Status::OK();
  };
  const auto report = Run().ValueOrDie();
  EXPECT_EQ(report.state, JobState::kDone) << report.error;
  ExpectWhole("s_a", 200);
  EXPECT_EQ(server_->sessions_peak, 1);
}

TEST_F(RunnerTest, WorkersPerTableIsKeptWhenItWasAskedFor) {
  Fill("a", 200);
  Set("workers", "6");
  Set("workers_per_table", "2");
  std::atomic<int> now{0}, peak{0};
  server_->on_read = [&](const WorkUnit&, int batch) {
    if (batch == 0) {
      const int seen = ++now;
      int top = peak;
      while (top < seen && !peak.compare_exchange_weak(top, seen)) {
      }
    }
    if (batch == 3) --now;
    return Status::OK();
  };
  EXPECT_EQ(Run()->state, JobState::kDone);
  EXPECT_LE(peak, 2);
}

TEST_F(RunnerTest, SingleFileJoinsAllUnitsInOrder) {
  Fill("a", 100);
  Set("single_file", "true");
  const auto report = Run().ValueOrDie();
  EXPECT_EQ(report.state, JobState::kDone) << report.error;
  ExpectWhole("s_a", 100);
  EXPECT_EQ(report.tables.at(0).units, 10);
  EXPECT_EQ(report.units, 11) << "ten read, one put together";
}

TEST_F(RunnerTest, AssemblyIsRetriedAndResumed) {
  Fill("a", 100);
  Set("merge_small_parts", "1");
  std::atomic<bool> broken{true};
  prepare_sink_ = [&](fakes::FaultySink& sink) {
    sink.on_begin = [&](const WorkUnit& unit) {
      return broken && unit.id == "0.a4" ? PermanentError("disk full") : Status::OK();
    };
  };
  EXPECT_EQ(Run()->state, JobState::kFailed);
  broken = false;
  std::atomic<int> reads{0};
  server_->on_read = [&](const WorkUnit&, int) {
    ++reads;
    return Status::OK();
  };
  const auto report = Run(true).ValueOrDie();
  EXPECT_EQ(report.state, JobState::kDone) << report.error;
  EXPECT_EQ(reads, 0) << "the staged rows are enough";
  ExpectWhole("s_a", 100);
}

TEST_F(RunnerTest, CommitJobPublishesNothingUntilAllIsStaged) {
  Fill("a", 30);
  Fill("b", 30);
  Set("commit", "job");
  std::atomic<int> reads{0}, reads_at_commit{-1};
  server_->on_read = [&](const WorkUnit&, int batch) {
    if (batch == 0) ++reads;
    return Status::OK();
  };
  prepare_sink_ = [&](fakes::FaultySink& sink) {
    sink.traits = [](SinkTraits traits) {
      traits.job_commit = true;
      return traits;
    };
    sink.on_commit = [&](const CommitRequest&) {
      int never = -1;
      reads_at_commit.compare_exchange_strong(never, reads.load());
      return Status::OK();
    };
  };
  EXPECT_EQ(Run()->state, JobState::kDone);
  EXPECT_EQ(reads_at_commit, 6);
}

TEST_F(RunnerTest, CommitJobPublishesNothingWhenATableFails) {
  Fill("a", 30);
  Fill("b", 30);
  Set("commit", "job");
  Set("on_error", "continue");
  server_->on_read = [&](const WorkUnit& unit, int) {
    return unit.dataset.name == "b" ? PermanentError("corrupt") : Status::OK();
  };
  prepare_sink_ = [&](fakes::FaultySink& sink) {
    sink.traits = [](SinkTraits traits) {
      traits.job_commit = true;
      return traits;
    };
  };
  const auto report = Run().ValueOrDie();
  EXPECT_EQ(report.state, JobState::kFailed);
  EXPECT_TRUE(Store()->Names().empty());
}

TEST_F(RunnerTest, SecondRunOfAnUnfinishedJobIsRefused) {
  Fill("a", 5);
  server_->on_read = [](const WorkUnit&, int) { return PermanentError("corrupt"); };
  EXPECT_EQ(Run()->state, JobState::kFailed);
  EXPECT_THAT(MessageOf(Run().status()), HasSubstr("resume"));
}

TEST_F(RunnerTest, AJobIdMayBeUsedAgainOnceItsJobIsDone) {
  Fill("a", 5);
  EXPECT_EQ(Run()->state, JobState::kDone);
  EXPECT_EQ(Run()->state, JobState::kDone);
  EXPECT_THAT(Store()->Names(), ElementsAre("s_a", "s_a_v2"));
  EXPECT_THAT(MessageOf(Run(true).status()), HasSubstr("done"));
}

TEST_F(RunnerTest, TooSmallABudgetSaysWhatIsNeeded) {
  Fill("a", 5);
  Set("memory_limit", "1KiB");
  const auto report = Run().ValueOrDie();
  EXPECT_EQ(report.state, JobState::kFailed);
  EXPECT_THAT(report.error, HasSubstr("memory_limit"));
}

// A sink that holds a table in one connection; another table has another one.
TEST_F(RunnerTest, ASinkThatTakesOneUnitAtATimeGetsOne) {
  Fill("a", 100);
  Fill("b", 100);
  Set("workers", "4");
  Set("parallel_tables", "2");
  std::mutex mutex;
  std::map<DatasetId, int> open;
  int most = 0;
  prepare_sink_ = [&](fakes::FaultySink& sink) {
    sink.units_at_once_max = 1;
    sink.on_begin = [&](const WorkUnit& unit) {
      std::lock_guard lock(mutex);
      most = std::max(most, ++open[unit.dataset]);
      return Status::OK();
    };
    sink.on_finish = [&](const WorkUnit& unit) {
      std::lock_guard lock(mutex);
      --open[unit.dataset];
      return Status::OK();
    };
  };
  // Long enough for the others to begin, if they could.
  server_->on_read = [](const WorkUnit&, int) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    return Status::OK();
  };
  const auto report = Run().ValueOrDie();
  EXPECT_EQ(report.state, JobState::kDone) << report.error;
  EXPECT_EQ(most, 1);
  ExpectWhole("s_a", 100);
  ExpectWhole("s_b", 100);
}

}  // namespace
}  // namespace bulkhaul
