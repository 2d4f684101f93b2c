// What a job that was stopped, or failed, finds and does when it goes on.
#include <atomic>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "run/runner_testing.h"

namespace bulkhaul {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(RunnerTest, CancelStopsAndResumeFinishesInTheKeptSnapshot) {
  Fill("a", 100);
  settings_.kept = true;
  Set("keep_snapshot", "1h");
  std::atomic<int> reads{0};
  server_->on_read = [&](const WorkUnit&, int batch) {
    if (batch == 0 && ++reads == 5) stop_.request_stop();
    return Status::OK();
  };
  auto report = Run().ValueOrDie();
  EXPECT_EQ(report.state, JobState::kCancelled);
  EXPECT_EQ(report.exit_code(), 130);
  EXPECT_FALSE(Store()->Find("s_a"));
  EXPECT_EQ(server_->snapshots_held(), 1u);
  server_->Move("a", 0, 99, 500);  // must not be seen
  stop_ = std::stop_source();
  const int reads_before = reads;
  report = Run(true).ValueOrDie();
  EXPECT_EQ(report.state, JobState::kDone) << report.error;
  ExpectWhole("s_a", 100);
  EXPECT_EQ(Published("s_a")[0].second, 1000);
  EXPECT_LT(reads - reads_before, 10) << "finished units are not read again";
  EXPECT_EQ(report.epochs, 1);
  EXPECT_EQ(server_->snapshots_held(), 0u);
}

TEST_F(RunnerTest, ResumeWithoutTheSnapshotReadsAgainFromOneMoment) {
  Fill("a", 100);
  std::atomic<int> reads{0};
  server_->on_read = [&](const WorkUnit&, int batch) {
    if (batch == 0 && ++reads == 5) stop_.request_stop();
    return Status::OK();
  };
  EXPECT_EQ(Run()->state, JobState::kCancelled);
  server_->Move("a", 0, 99, 500);
  stop_ = std::stop_source();
  const auto report = Run(true).ValueOrDie();
  EXPECT_EQ(report.state, JobState::kDone) << report.error;
  ExpectWhole("s_a", 100);
  EXPECT_EQ(Published("s_a")[0].second, 500);
  EXPECT_EQ(report.epochs, 2);
}

TEST_F(RunnerTest, ConsistencyNoneKeepsFinishedUnits) {
  Fill("a", 100);
  settings_.consistent = false;
  Set("consistency", "none");
  Set("workers", "1");
  std::atomic<int> reads{0};
  server_->on_read = [&](const WorkUnit&, int batch) {
    if (batch == 0 && ++reads == 6) stop_.request_stop();
    return Status::OK();
  };
  EXPECT_EQ(Run()->state, JobState::kCancelled);
  stop_ = std::stop_source();
  EXPECT_EQ(Run(true)->state, JobState::kDone);
  ExpectWhole("s_a", 100);
  EXPECT_EQ(reads, 11) << "ten units, one of them begun twice";
}

TEST_F(RunnerTest, WhatChangedSinceIsReadAgainOnResume) {
  Fill("a", 100);
  Fill("b", 100);
  settings_.consistent = false;
  Set("consistency", "none");
  Set("workers", "1");
  Set("parallel_tables", "1");
  std::atomic<int> reads{0};
  server_->on_read = [&](const WorkUnit&, int batch) {
    if (batch == 0 && ++reads == 16) stop_.request_stop();
    return Status::OK();
  };
  server_->on_changed_axes = [](const Dataset&) { return std::vector<std::string>{"rows"}; };
  EXPECT_EQ(Run()->state, JobState::kCancelled);
  // Between two units of the table that is half read: a mix of both moments would have another sum.
  server_->Move("b", 0, 99, 500);
  stop_ = std::stop_source();
  EXPECT_EQ(Run(true)->state, JobState::kDone);
  ExpectWhole("s_a", 100);
  ExpectWhole("s_b", 100);
  EXPECT_EQ(reads, 26) << "ten units of the half read table again, none of the published one";
}

// Whole and not published: somebody may have mended what kept it from being published.
class ChangedBeforePublishing : public RunnerTest,
                                public testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(RunnerTest, ChangedBeforePublishing,
                         testing::Values("split", "single_file", "merge_small_parts"));

TEST_P(ChangedBeforePublishing, IsReadAgainOnResume) {
  Fill("a", 100);
  settings_.consistent = false;
  Set("consistency", "none");
  const std::string form = GetParam();
  if (form == "single_file") Set(form, "true");
  if (form == "merge_small_parts") Set(form, "1");
  std::atomic<bool> broken{true};
  FailCommitsWhile(broken, "a row refers to nothing");
  EXPECT_EQ(Run()->state, JobState::kFailed);
  broken = false;
  server_->Move("a", 0, 99, 500);
  server_->on_changed_axes = [](const Dataset&) { return std::vector<std::string>{"rows"}; };
  const auto report = Run(true).ValueOrDie();
  EXPECT_EQ(report.state, JobState::kDone) << report.error;
  ExpectWhole("s_a", 100);
  EXPECT_EQ(Published("s_a")[0].second, 500);
}

TEST_F(RunnerTest, WhatDidNotChangeIsPublishedOnResumeAsItIs) {
  Fill("a", 100);
  settings_.consistent = false;
  Set("consistency", "none");
  std::atomic<bool> broken{true};
  FailCommitsWhile(broken, "read-only");
  EXPECT_EQ(Run()->state, JobState::kFailed);
  broken = false;
  const int reads = server_->reads;
  EXPECT_EQ(Run(true)->state, JobState::kDone);
  ExpectWhole("s_a", 100);
  EXPECT_EQ(server_->reads, reads);
}

TEST_F(RunnerTest, RowsThatTheSourceMissesFailTheTableAndAreReadAgain) {
  Fill("a", 30);
  settings_.consistent = false;
  std::atomic<int> checks{0};
  server_->on_check_rows = [&](const std::map<std::string, int64_t>& rows, RowFindings* found) {
    EXPECT_EQ(rows.at("rows"), 30);
    if (++checks > 1) return Status::OK();
    found->wrong.push_back("rows");
    return PermanentError("one row is missing", "incomplete");
  };
  auto report = Run().ValueOrDie();
  EXPECT_EQ(report.state, JobState::kFailed);
  EXPECT_THAT(report.error, HasSubstr("one row is missing"));
  EXPECT_THAT(Store()->Names(), ElementsAre());
  const int reads = server_->reads;
  report = Run(true).ValueOrDie();
  EXPECT_EQ(report.state, JobState::kDone) << report.error;
  ExpectWhole("s_a", 30);
  EXPECT_EQ(server_->reads, 2 * reads);
}

TEST_F(RunnerTest, ACheckWhoseRequestsWereTriedAgainIsNotRepeatedAsAWhole) {
  Fill("a", 30);
  settings_.consistent = false;
  std::atomic<int> checks{0};
  server_->on_check_rows = [&](const std::map<std::string, int64_t>&, RowFindings*) {
    ++checks;
    return TransientError("HTTP 503");
  };
  Set("retries", "2");
  Set("retry_delay", "1ms");
  EXPECT_EQ(Run()->state, JobState::kFailed);
  EXPECT_EQ(checks.exchange(0), 3);
  server_->retries_requests = true;
  EXPECT_EQ(Run(true)->state, JobState::kFailed);
  EXPECT_EQ(checks, 1);
}

TEST_F(RunnerTest, ATableOfOneUnitIsCheckedToo) {
  Fill("a", 5);
  settings_.consistent = false;
  server_->on_check_rows = [&](const std::map<std::string, int64_t>&, RowFindings*) {
    return PermanentError("one row is missing", "incomplete");
  };
  EXPECT_EQ(Run()->state, JobState::kFailed);
  EXPECT_THAT(Store()->Names(), ElementsAre());
}

TEST_F(RunnerTest, CommitIsRetriedAndItsFailureLeavesTheJobResumable) {
  Fill("a", 30);
  std::atomic<int> tries{0};
  prepare_sink_ = [&](fakes::FaultySink& sink) {
    sink.on_commit = [&](const CommitRequest&) {
      return ++tries == 1 ? TransientError("busy") : Status::OK();
    };
    // The outcome is unknown to us, though the sink has published.
    sink.after_commit = [&](const CommitRequest&) {
      return tries == 2 ? PermanentError("disk full") : Status::OK();
    };
  };
  auto report = Run().ValueOrDie();
  EXPECT_EQ(report.state, JobState::kFailed);
  report = Run(true).ValueOrDie();
  EXPECT_EQ(report.state, JobState::kDone) << report.error;
  ExpectWhole("s_a", 30);
  EXPECT_THAT(Store()->Names(), ElementsAre("s_a")) << "published once";
}

TEST_F(RunnerTest, LostStagedPartsAreReadAgainOnResume) {
  Fill("a", 50);
  std::atomic<bool> broken{true};
  FailCommitsWhile(broken, "read-only file system");
  EXPECT_EQ(Run()->state, JobState::kFailed);
  Store()->Clear();
  broken = false;
  const auto report = Run(true).ValueOrDie();
  EXPECT_EQ(report.state, JobState::kDone) << report.error;
  ExpectWhole("s_a", 50);
  EXPECT_EQ(report.epochs, 2);
}

TEST_F(RunnerTest, ManifestIsTriedAgainOnResume) {
  Fill("a", 5);
  std::atomic<bool> broken{true};
  prepare_sink_ = [&](fakes::FaultySink& sink) {
    sink.on_commit_job = [&] { return broken ? PermanentError("disk full") : Status::OK(); };
  };
  EXPECT_EQ(Run()->state, JobState::kFailed);
  broken = false;
  EXPECT_EQ(Run(true)->state, JobState::kDone);
  EXPECT_EQ(Store()->Manifests().size(), 1u);
}

}  // namespace
}  // namespace bulkhaul
