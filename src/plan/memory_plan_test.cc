#include "plan/memory_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace bulkhaul {
namespace {

constexpr int64_t kMiB = 1 << 20;

TEST(MemoryPlan, LeavesWhatFits) {
  const auto plan =
      PlanMemory({.budget_bytes = 1024 * kMiB, .workers = 8, .writer_bytes = 16 * kMiB});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->workers, 8);
  EXPECT_EQ(plan->batch_bytes, 4 * kMiB);
  EXPECT_EQ(plan->worker_bytes, 24 * kMiB);
  EXPECT_TRUE(plan->notes.empty());
}

TEST(MemoryPlan, LowersBatchesThenWorkersAndSaysSo) {
  auto plan = PlanMemory({.budget_bytes = 160 * kMiB, .workers = 8, .writer_bytes = 16 * kMiB});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->workers, 8);
  EXPECT_EQ(plan->batch_bytes, 2 * kMiB);
  EXPECT_THAT(plan->notes,
              testing::ElementsAre("batches lowered from 4 MiB to 2 MiB to stay within "
                                   "160 MiB"));
  plan = PlanMemory({.budget_bytes = 50 * kMiB, .workers = 8, .writer_bytes = 16 * kMiB});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->workers, 3);
  EXPECT_EQ(plan->batch_bytes, 256 << 10);
  ASSERT_EQ(plan->notes.size(), 2u);
  EXPECT_THAT(plan->notes[1], testing::StartsWith("workers lowered from 8 to 3"));
}

TEST(MemoryPlan, WorkersThatNobodyAskedForAreTakenAsFarAsTheBudgetReaches) {
  const auto plan = PlanMemory(
      {.budget_bytes = 160 * kMiB, .workers = 64, .workers_least = 4, .writer_bytes = 16 * kMiB});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->workers, 6);
  EXPECT_EQ(plan->batch_bytes, 4 * kMiB);
  EXPECT_TRUE(plan->notes.empty());
}

TEST(MemoryPlan, ReadsAheadInWhatIsLeft) {
  MemoryWishes wishes{.budget_bytes = 160 * kMiB, .workers = 4, .writer_bytes = 16 * kMiB};
  wishes.read_ahead_bytes = 10 * kMiB;
  auto plan = PlanMemory(wishes).ValueOrDie();
  EXPECT_EQ(plan.read_ahead_bytes, 10 * kMiB);
  EXPECT_EQ(plan.worker_bytes, 34 * kMiB);
  wishes.read_ahead_bytes = 1000 * kMiB;
  plan = PlanMemory(wishes).ValueOrDie();
  EXPECT_EQ(plan.workers, 4);
  EXPECT_EQ(plan.batch_bytes, 4 * kMiB) << "nothing else shrinks for it";
  EXPECT_EQ(plan.read_ahead_bytes, 16 * kMiB);
  EXPECT_EQ(plan.worker_bytes, 40 * kMiB);
}

TEST(ChooseMemory, ReadsAheadOnlyWithACoreThatNoWorkerHas) {
  const std::vector<int64_t> units(8, 40 * kMiB);
  Options options;
  const auto ahead = [&](int workers, int cores, std::span<const int64_t> of) {
    const auto choice =
        ChooseMemory(options, {.budget_bytes = 4096 * kMiB, .workers = workers, .cores = cores}, of,
                     8192 * kMiB);
    EXPECT_EQ(choice->decision.strategy, Strategy::kEager);
    EXPECT_EQ(choice->plan.read_ahead_bytes == 0,
              choice->decision.reason.find("have every core") != std::string::npos);
    return choice->plan.read_ahead_bytes;
  };
  EXPECT_EQ(ahead(2, 4, units), 40 * kMiB);
  EXPECT_EQ(ahead(4, 4, units), 0);
  EXPECT_EQ(ahead(2, 0, units), 40 * kMiB);
  // Of one unit there is one worker.
  EXPECT_EQ(ahead(2, 2, std::span(units).first(1)), 40 * kMiB);
  ASSERT_TRUE(options.Set("strategy", std::string("eager")).ok());
  EXPECT_EQ(ahead(4, 4, units), 40 * kMiB);
}

TEST(MemoryPlan, RefusesABudgetThatNothingFits) {
  const auto plan = PlanMemory({.budget_bytes = 8 * kMiB, .workers = 2, .writer_bytes = 16 * kMiB});
  EXPECT_EQ(KindOf(plan.status()), ErrorKind::kUser);
  EXPECT_THAT(plan.status().message(), testing::HasSubstr("needs 16.5 MiB"));
}

TEST(MemoryPlan, BudgetIsHalfOfWhatThereIs) {
  Options options;
  EXPECT_EQ(ResolveMemoryBudget(options, 1000), 500);
  ASSERT_TRUE(options.Set("memory_limit", int64_t{77}).ok());
  EXPECT_EQ(ResolveMemoryBudget(options, 1000), 77);
}

TEST(MemoryPlan, NeverExceedsTheBudget) {
  EXPECT_TRUE(rc::check("a plan fits", [] {
    MemoryWishes wishes;
    wishes.budget_bytes = *rc::gen::inRange<int64_t>(0, 4096 * kMiB);
    wishes.fixed_bytes = *rc::gen::inRange<int64_t>(0, 64 * kMiB);
    wishes.workers = *rc::gen::inRange(1, 200);
    wishes.batch_bytes = *rc::gen::inRange<int64_t>(4096, 64 * kMiB);
    wishes.writer_bytes = *rc::gen::inRange<int64_t>(0, 64 * kMiB);
    wishes.read_ahead_bytes = *rc::gen::inRange<int64_t>(0, 512 * kMiB);
    const auto plan = PlanMemory(wishes);
    if (!plan.ok()) {
      const auto least = std::min(kBatchBytesMin, wishes.batch_bytes);
      RC_ASSERT(wishes.fixed_bytes + 2 * least + wishes.writer_bytes > wishes.budget_bytes);
      return;
    }
    RC_ASSERT(wishes.fixed_bytes + plan->workers * plan->worker_bytes <= wishes.budget_bytes);
    RC_ASSERT(plan->batch_bytes <= wishes.batch_bytes);
    RC_ASSERT(plan->workers >= 1);
    RC_ASSERT(plan->workers <= wishes.workers);
  }));
}

}  // namespace
}  // namespace bulkhaul
