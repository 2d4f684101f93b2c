// What every sink must keep, whatever it writes.
#include <thread>

#include <arrow/table.h>
#include <gtest/gtest.h>

#include "sink_fixture.h"

namespace bulkhaul::contract {
namespace {

class SinkContract : public testing::TestWithParam<SinkCase> {
 protected:
  Job MakeJob(const JobId& id, const Job::Texts& options = {}) {
    return Job(GetParam(), place_->destination(), id, options);
  }
  CommitReceipt Ok(Result<CommitReceipt> receipt) {
    EXPECT_TRUE(receipt.ok()) << receipt.status();
    return receipt.ok() ? *receipt : CommitReceipt{};
  }

  Rows ReadRows(const std::string& location) { return place_->Read(location); }

  const std::unique_ptr<Place> place_ = Place::For(GetParam());
};

// What `conflict` and an intermediate form promise.
class VersionContract : public SinkContract {};

TEST_P(SinkContract, RowsAppearAtCommitAndNotBefore) {
  Job job = MakeJob("job");
  const auto plan = job.Plan("t");
  const auto prepared = job.sink().Prepare(plan, false);
  ASSERT_TRUE(prepared.ok()) << prepared.status();
  ASSERT_OK_AND_ASSIGN(auto first, job.Stage(plan, 0, 0, 100));
  ASSERT_OK_AND_ASSIGN(auto second, job.Stage(plan, 1, 100, 150));
  EXPECT_EQ(first.rows_written, 100);
  EXPECT_EQ(first.ordinal, 0);
  EXPECT_EQ(second.unit_id, "0.1");
  EXPECT_GT(first.stored_bytes, 0);
  EXPECT_TRUE(place_->Published().empty());
  const auto receipt = Ok(job.Commit(job.Request(plan, {first, second})));
  EXPECT_EQ(receipt.rows, 150);
  EXPECT_EQ(receipt.dataset, plan.dataset.id);
  EXPECT_FALSE(receipt.already_committed);
  EXPECT_EQ(receipt.location, prepared->location);
  EXPECT_EQ(ReadRows(receipt.location), ExpectedRows(0, 150));
}

TEST_P(SinkContract, DryRunLeavesNoTrace) {
  Job job = MakeJob("job");
  const auto prepared = job.sink().Prepare(job.Plan("t"), true);
  ASSERT_TRUE(prepared.ok()) << prepared.status();
  EXPECT_FALSE(prepared->location.empty());
  EXPECT_TRUE(place_->Everything().empty());
}

TEST_P(SinkContract, TwoAttemptsOfOneUnitShareNothing) {
  Job job = MakeJob("job");
  const auto plan = job.Prepared("t");
  ASSERT_OK_AND_ASSIGN(auto slow, job.Stage(plan, 0, 0, 40));
  ASSERT_OK_AND_ASSIGN(auto fast, job.Stage(plan, 0, 0, 40));
  EXPECT_NE(slow.parts.at(0).path, fast.parts.at(0).path);
  ASSERT_OK(job.sink().Discard(job.id(), std::vector<AttemptId>{slow.attempt_id}));
  const auto receipt = Ok(job.Commit(job.Request(plan, {fast})));
  EXPECT_EQ(ReadRows(receipt.location), ExpectedRows(0, 40));
}

TEST_P(SinkContract, AbortedAttemptCannotBeCommitted) {
  Job job = MakeJob("job");
  const auto plan = job.Prepared("t");
  ASSERT_OK_AND_ASSIGN(auto writer, job.OpenUnit(plan));
  ASSERT_OK(writer->Write(*TestBatch(0, 10)));
  ASSERT_OK_AND_ASSIGN(auto staged, writer->Finish());
  writer->Abort();
  ASSERT_OK_AND_ASSIGN(auto kept, job.sink().Recover(job.id(), std::vector{staged}));
  EXPECT_TRUE(kept.empty());
  EXPECT_FALSE(job.Commit(job.Request(plan, {staged})).ok());
  EXPECT_TRUE(place_->Published().empty());
}

TEST_P(SinkContract, SecondCommitIsTheSameCommit) {
  Job job = MakeJob("job");
  const auto plan = job.Prepared("t");
  ASSERT_OK_AND_ASSIGN(auto staged, job.Stage(plan, 0, 0, 20));
  const auto request = job.Request(plan, {staged});
  const auto first = Ok(job.Commit(request));
  const auto again = Ok(job.Commit(request));
  EXPECT_TRUE(again.already_committed);
  EXPECT_EQ(again.location, first.location);
  job.Reopen();
  const auto elsewhere = Ok(job.Commit(request));
  EXPECT_TRUE(elsewhere.already_committed);
  EXPECT_EQ(elsewhere.location, first.location);
  EXPECT_EQ(elsewhere.rows, 20);
  EXPECT_EQ(ReadRows(first.location), ExpectedRows(0, 20));
}

TEST_P(SinkContract, WhatIsPublishedIsNotTakenBack) {
  Job job = MakeJob("job");
  const auto plan = job.Prepared("t");
  ASSERT_OK_AND_ASSIGN(auto staged, job.Stage(plan, 0, 0, 20));
  const auto request = job.Request(plan, {staged});
  ASSERT_OK(job.Commit(request).status());
  ASSERT_OK_AND_ASSIGN(const bool nothing, job.sink().LeftNothing(request, job.Journal(request)));
  EXPECT_FALSE(nothing);
}

TEST_P(SinkContract, DatasetWithoutRowsIsPublishedToo) {
  Job job = MakeJob("job");
  const auto plan = job.Prepared("t");
  ASSERT_OK_AND_ASSIGN(auto staged, job.Stage(plan, 0, 5, 5));
  EXPECT_TRUE(staged.parts.empty());
  EXPECT_EQ(staged.rows_written, 0);
  const auto receipt = Ok(job.Commit(job.Request(plan, {staged})));
  EXPECT_EQ(receipt.rows, 0);
  EXPECT_TRUE(ReadRows(receipt.location).empty());
  const auto without_units = job.Plan("u");
  const auto empty = Ok(job.Commit(job.Request(without_units, {})));
  EXPECT_TRUE(ReadRows(empty.location).empty());
}

TEST_P(SinkContract, WrongCountPublishesNothing) {
  Job job = MakeJob("job");
  const auto plan = job.Prepared("t");
  ASSERT_OK_AND_ASSIGN(auto staged, job.Stage(plan, 0, 0, 20));
  auto request = job.Request(plan, {staged});
  request.rows = 21;
  const auto receipt = job.Commit(request);
  ASSERT_FALSE(receipt.ok());
  EXPECT_EQ(KindOf(receipt.status()), ErrorKind::kBug) << receipt.status();
  EXPECT_TRUE(place_->Published().empty());
}

TEST_P(VersionContract, VersionKeepsWhatIsThere) {
  const auto first = Ok(MakeJob("one").Export("t", 0, 10));
  const auto second = Ok(MakeJob("two").Export("t", 0, 20));
  const auto third = Ok(MakeJob("three").Export("t", 0, 30));
  EXPECT_EQ(second.location, first.location + "_v2");
  EXPECT_EQ(third.location, first.location + "_v3");
  EXPECT_EQ(ReadRows(first.location), ExpectedRows(0, 10));
  EXPECT_EQ(ReadRows(second.location), ExpectedRows(0, 20));
  EXPECT_EQ(ReadRows(third.location), ExpectedRows(0, 30));
}

TEST_P(VersionContract, TimestampKeepsWhatIsThere) {
  const Job::Texts options = {{"conflict", "timestamp"}};
  const auto first = Ok(MakeJob("one", options).Export("t", 0, 10));
  const auto second = Ok(MakeJob("two", options).Export("t", 0, 20));
  const auto third = Ok(MakeJob("three", options).Export("t", 0, 30));
  EXPECT_TRUE(second.location.starts_with(first.location + "_20")) << second.location;
  EXPECT_NE(second.location, third.location);
  EXPECT_EQ(ReadRows(first.location), ExpectedRows(0, 10));
  EXPECT_EQ(ReadRows(second.location), ExpectedRows(0, 20));
  EXPECT_EQ(ReadRows(third.location), ExpectedRows(0, 30));
}

TEST_P(VersionContract, FailRefusesBeforeARowIsReadAndAtCommit) {
  const Job::Texts options = {{"conflict", "fail"}};
  Job late = MakeJob("late", options);
  const auto plan = late.Plan("t");
  ASSERT_OK(late.sink().Prepare(plan, false).status());
  ASSERT_OK_AND_ASSIGN(auto staged, late.Stage(plan, 0, 0, 5));
  const auto first = Ok(MakeJob("one", options).Export("t", 0, 10));
  const auto refused = MakeJob("two", options).sink().Prepare(plan, false);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(KindOf(refused.status()), ErrorKind::kUser);
  const auto too_late = late.Commit(late.Request(plan, {staged}));
  ASSERT_FALSE(too_late.ok());
  EXPECT_EQ(KindOf(too_late.status()), ErrorKind::kUser) << too_late.status();
  EXPECT_EQ(ReadRows(first.location), ExpectedRows(0, 10));
}

TEST_P(VersionContract, OverwriteReplaces) {
  const Job::Texts options = {{"conflict", "overwrite"}};
  const auto first = Ok(MakeJob("one", options).Export("t", 0, 10));
  const auto second = Ok(MakeJob("two", options).Export("t", 100, 120));
  EXPECT_EQ(second.location, first.location);
  EXPECT_EQ(ReadRows(second.location), ExpectedRows(100, 120));
}

TEST_P(VersionContract, JobsAtOnceLoseNothing) {
  constexpr int kJobs = 8;
  std::vector<CommitReceipt> receipts(kJobs);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kJobs; ++i) {
      threads.emplace_back([&, i] {
        Job job = MakeJob("job" + std::to_string(i));
        receipts[i] = Ok(job.Export("t", i * 100, i * 100 + 10));
      });
    }
  }
  std::map<std::string, int> places;
  for (int i = 0; i < kJobs; ++i) {
    ++places[receipts[i].location];
    EXPECT_EQ(ReadRows(receipts[i].location), ExpectedRows(i * 100, i * 100 + 10));
  }
  EXPECT_EQ(places.size(), static_cast<size_t>(kJobs));
}

TEST_P(VersionContract, OverwritingJobsAtOnceLeaveOneWhole) {
  constexpr int kJobs = 8;
  std::string location;
  std::mutex mutex;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kJobs; ++i) {
      threads.emplace_back([&, i] {
        Job job = MakeJob("job" + std::to_string(i), {{"conflict", "overwrite"}});
        const auto receipt = Ok(job.Export("t", i * 100, i * 100 + 10));
        std::lock_guard lock(mutex);
        location = receipt.location;
      });
    }
  }
  const Rows rows = ReadRows(location);
  ASSERT_EQ(rows.size(), 10u);
  const int64_t begin = rows.begin()->first;
  EXPECT_EQ(begin % 100, 0);
  EXPECT_EQ(rows, ExpectedRows(begin, begin + 10));
}

TEST_P(VersionContract, IntermediateRowsComeBackInOrder) {
  Job job = MakeJob("job");
  const auto plan = job.Plan("t");
  ASSERT_OK_AND_ASSIGN(auto staged, job.Stage(plan, 0, 0, 200, {.intermediate = true}));
  UnitContext context;
  ASSERT_OK_AND_ASSIGN(auto reader, job.sink().OpenStaged(plan, staged, context));
  ASSERT_OK_AND_ASSIGN(auto table, reader->ToTable());
  ASSERT_OK_AND_ASSIGN(auto whole, table->CombineChunksToBatch());
  EXPECT_TRUE(whole->Equals(*TestBatch(0, 200)));
  ASSERT_OK_AND_ASSIGN(auto empty, job.Stage(plan, 1, 0, 0, {.intermediate = true}));
  ASSERT_OK_AND_ASSIGN(auto none, job.sink().OpenStaged(plan, empty, context));
  EXPECT_TRUE(none->schema()->Equals(*plan.schema));
  ASSERT_OK_AND_ASSIGN(auto nothing, none->ToTable());
  EXPECT_EQ(nothing->num_rows(), 0);
}

TEST_P(SinkContract, RecoverKeepsWhatIsWhole) {
  Job job = MakeJob("job");
  const auto plan = job.Prepared("t");
  ASSERT_OK_AND_ASSIGN(auto kept, job.Stage(plan, 0, 0, 10));
  ASSERT_OK_AND_ASSIGN(auto gone, job.Stage(plan, 1, 10, 20));
  ASSERT_OK_AND_ASSIGN(auto empty, job.Stage(plan, 2, 20, 20));
  ASSERT_OK(job.sink().Discard(job.id(), std::vector<AttemptId>{gone.attempt_id}));
  ASSERT_OK_AND_ASSIGN(auto whole, job.sink().Recover(job.id(), std::vector{kept, gone, empty}));
  ASSERT_EQ(whole.size(), 2u);
  EXPECT_EQ(whole[0].attempt_id, kept.attempt_id);
  EXPECT_EQ(whole[1].attempt_id, empty.attempt_id);
}

TEST_P(SinkContract, DiscardOfTheJobTakesEverythingStaged) {
  Job job = MakeJob("job");
  const auto plan = job.Prepared("t");
  ASSERT_OK_AND_ASSIGN(auto staged, job.Stage(plan, 0, 0, 10));
  ASSERT_OK(job.sink().Discard(job.id(), {}));
  ASSERT_OK(job.sink().Discard(job.id(), {}));
  ASSERT_OK_AND_ASSIGN(auto whole, job.sink().Recover(job.id(), std::vector{staged}));
  EXPECT_TRUE(whole.empty());
  EXPECT_TRUE(place_->Everything().empty());
}

TEST_P(SinkContract, ManifestIsWrittenOnceHoweverOften) {
  Job job = MakeJob("job");
  const auto receipt = Ok(job.Export("t", 0, 10));
  JobManifest manifest;
  manifest.job_id = job.id();
  manifest.json = "{\"job\":1}";
  manifest.finished_at = "2026-11-21T10:15:00Z";
  manifest.receipts = {receipt};
  ASSERT_OK(job.sink().CommitJob(manifest));
  ASSERT_OK(job.sink().CommitJob(manifest));
  EXPECT_EQ(ReadRows(receipt.location), ExpectedRows(0, 10));
}

TEST_P(SinkContract, TraitsSayWhatItIs) {
  const SinkTraits traits = MakeJob("job").sink().Traits();
  EXPECT_EQ(traits.name, GetParam().name);
  EXPECT_TRUE(traits.atomic_commit);
  EXPECT_TRUE(traits.atomic_swap);
}

INSTANTIATE_TEST_SUITE_P(Sinks, SinkContract, testing::ValuesIn(AllSinks()),
                         [](const auto& info) { return std::string(info.param.name); });
INSTANTIATE_TEST_SUITE_P(Sinks, VersionContract, testing::ValuesIn(VersionSinks()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace bulkhaul::contract
