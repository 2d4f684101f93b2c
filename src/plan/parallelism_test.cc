#include "plan/parallelism.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bulkhaul {
namespace {

Options Make(std::initializer_list<std::pair<const char*, int64_t>> settings) {
  Options options;
  for (const auto& [name, value] : settings) EXPECT_TRUE(options.Set(name, value).ok());
  return options;
}

TEST(Parallelism, DefaultsFollowTheCores) {
  struct Case {
    int cores, workers, tables, per_table;
  };
  for (const auto& c : {Case{1, 2, 1, 2}, Case{2, 2, 2, 2}, Case{8, 8, 8, 4}, Case{16, 16, 12, 8},
                        Case{64, 64, 12, 8}}) {
    const auto plan = PlanParallelism({}, {.cores = c.cores});
    ASSERT_TRUE(plan.ok());
    EXPECT_EQ(plan->workers, c.workers) << c.cores;
    EXPECT_EQ(plan->parallel_tables, c.tables) << c.cores;
    EXPECT_EQ(plan->workers_per_table, c.per_table) << c.cores;
    EXPECT_EQ(plan->units_in_flight, 96);
    EXPECT_TRUE(plan->notes.empty());
  }
}

TEST(Parallelism, ASourceMayHaveADefaultOfItsOwn) {
  const auto found = PlanParallelism({}, {.cores = 2, .workers_default = 4, .workers_max = 64});
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->workers_start, 4);
  EXPECT_EQ(found->workers, 64);
  EXPECT_EQ(found->workers_per_table, 64);
  const auto fixed = PlanParallelism(Make({{"workers", 3}}),
                                     {.cores = 2, .workers_default = 4, .workers_max = 64});
  ASSERT_TRUE(fixed.ok());
  EXPECT_EQ(fixed->workers_start, 0);
  EXPECT_EQ(fixed->workers, 3);
  const auto plan = PlanParallelism({}, {.cores = 2, .workers_default = 8});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->workers, 8);
  EXPECT_EQ(plan->workers_per_table, 8);
  const auto asked = PlanParallelism(Make({{"workers", 3}}), {.cores = 2, .workers_default = 8});
  EXPECT_EQ(asked->workers, 3);
  EXPECT_EQ(asked->workers_per_table, 3);
}

TEST(Parallelism, StaysBelowTheFreeConnections) {
  const auto options = Make({{"workers", 32}, {"parallel_tables", 10}, {"workers_per_table", 20}});
  const auto plan = PlanParallelism(options, {.cores = 8, .source_connections_max = 5});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->workers, 5);
  EXPECT_EQ(plan->parallel_tables, 5);
  EXPECT_EQ(plan->workers_per_table, 5);
  ASSERT_EQ(plan->notes.size(), 1u);
  EXPECT_EQ(plan->notes[0], "workers lowered from 32 to 5: the source has 5 free connections");
  EXPECT_EQ(PlanParallelism(options, {.cores = 8, .sink_connections_max = 1})->workers, 1);
  EXPECT_EQ(KindOf(PlanParallelism(options, {.cores = 8, .source_connections_max = 0}).status()),
            ErrorKind::kUser);
}

TEST(Parallelism, ATableMayOverride) {
  const auto plan = PlanParallelism(Make({{"workers", 8}}), {.cores = 8});
  EXPECT_EQ(WorkersForTable({}, *plan), 4);
  EXPECT_EQ(WorkersForTable(Make({{"workers_per_table", 6}}), *plan), 6);
  EXPECT_EQ(WorkersForTable(Make({{"workers_per_table", 60}}), *plan), 8);
}

TEST(Parallelism, UnitsInFlightNeverStarveTheWorkers) {
  EXPECT_EQ(PlanParallelism(Make({{"workers", 200}, {"units_in_flight", 1}}), {})->units_in_flight,
            200);
}

TEST(Parallelism, ThisMachineHasACore) { EXPECT_GE(AvailableCores(), 1); }

}  // namespace
}  // namespace bulkhaul
