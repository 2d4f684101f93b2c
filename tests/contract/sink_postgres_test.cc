// What if_exists promises, by the sink's own door.
#include <algorithm>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>

#include "sink_fixture.h"

namespace bulkhaul::contract {
namespace {

class PostgresSinkTest : public testing::Test {
 protected:
  static const SinkCase& Case() { return AllSinks().back(); }
  Job MakeJob(const JobId& id, const std::string& if_exists) {
    return Job(Case(), place_->destination(), id, {{"if_exists", if_exists}});
  }

  const std::unique_ptr<Place> place_ = Place::For(Case());
};

TEST_F(PostgresSinkTest, FailRefusesBeforeARowIsReadAndAtCommit) {
  Job late = MakeJob("late", "fail");
  const auto plan = late.Prepared("t");
  ASSERT_OK_AND_ASSIGN(auto staged, late.Stage(plan, 0, 0, 5));
  ASSERT_OK(MakeJob("one", "fail").Export("t", 0, 10).status());
  const auto refused = MakeJob("two", "fail").sink().Prepare(plan, false);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(KindOf(refused.status()), ErrorKind::kUser);
  const auto too_late = late.Commit(late.Request(plan, {staged}));
  ASSERT_FALSE(too_late.ok());
  EXPECT_EQ(KindOf(too_late.status()), ErrorKind::kUser) << too_late.status();
  EXPECT_EQ(place_->Read("public.t"), ExpectedRows(0, 10));
}

TEST_F(PostgresSinkTest, JobsThatAppendAtOnceLoseNothing) {
  constexpr int kJobs = 8;
  ASSERT_OK(MakeJob("first", "fail").Export("t", 0, 1).status());
  {
    std::vector<std::jthread> threads;
    for (int i = 1; i <= kJobs; ++i) {
      threads.emplace_back([&, i] {
        const auto receipt =
            MakeJob("job" + std::to_string(i), "append").Export("t", i * 100, i * 100 + 10);
        EXPECT_TRUE(receipt.ok()) << receipt.status();
      });
    }
  }
  EXPECT_EQ(place_->Read("public.t").size(), static_cast<size_t>(kJobs * 10 + 1));
}

TEST_F(PostgresSinkTest, TruncatingJobsAtOnceLeaveOneWhole) {
  constexpr int kJobs = 6;
  ASSERT_OK(MakeJob("first", "fail").Export("t", 0, 1).status());
  {
    std::vector<std::jthread> threads;
    for (int i = 1; i <= kJobs; ++i) {
      threads.emplace_back([&, i] {
        const auto receipt =
            MakeJob("job" + std::to_string(i), "truncate").Export("t", i * 100, i * 100 + 10);
        EXPECT_TRUE(receipt.ok()) << receipt.status();
      });
    }
  }
  const Rows rows = place_->Read("public.t");
  ASSERT_EQ(rows.size(), 10u);
  const int64_t begin = rows.begin()->first;
  EXPECT_EQ(rows, ExpectedRows(begin, begin + 10));
}

// Of two that replace one table the second finds another table than it planned for.
TEST_F(PostgresSinkTest, ReplaceRefusesATableThatIsAnotherOneByNow) {
  ASSERT_OK(MakeJob("first", "fail").Export("t", 0, 1).status());
  Job slow = MakeJob("slow", "replace");
  const auto plan = slow.Prepared("t");
  ASSERT_OK_AND_ASSIGN(auto staged, slow.Stage(plan, 0, 100, 120));
  ASSERT_OK(MakeJob("fast", "replace").Export("t", 200, 220).status());
  const auto refused = slow.Commit(slow.Request(plan, {staged}));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(CodeOf(refused.status()), "target_changed") << refused.status();
  EXPECT_EQ(place_->Read("public.t"), ExpectedRows(200, 220));
  ASSERT_OK(slow.sink().Discard("slow", {}));
}

TEST_F(PostgresSinkTest, ACommitThatStoppedAtItsJournalHasLeftNothing) {
  Job job = MakeJob("job", "fail");
  const auto plan = job.Prepared("t");
  ASSERT_OK_AND_ASSIGN(auto staged, job.Stage(plan, 0, 0, 20));
  const auto request = job.Request(plan, {staged});
  std::string journal;
  CommitContext context;
  context.record = [&](const std::string& state) {
    journal = state;
    return PermanentError("no room for the journal");
  };
  EXPECT_FALSE(job.sink().Commit(request, context).ok());
  ASSERT_FALSE(journal.empty());
  ASSERT_OK_AND_ASSIGN(const bool nothing, job.sink().LeftNothing(request, journal));
  EXPECT_TRUE(nothing);
  ASSERT_OK(job.Commit(request).status());
  ASSERT_OK_AND_ASSIGN(const bool nothing_now, job.sink().LeftNothing(request, journal));
  EXPECT_FALSE(nothing_now);
  EXPECT_EQ(place_->Read("public.t"), ExpectedRows(0, 20));
}

}  // namespace
}  // namespace bulkhaul::contract
