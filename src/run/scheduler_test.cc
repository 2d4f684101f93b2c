#include "run/scheduler.h"

#include <atomic>
#include <set>
#include <thread>

#include <gtest/gtest.h>

namespace bulkhaul {
namespace {

class SchedulerTest : public testing::Test {
 protected:
  TableRun* Table(int64_t units, int64_t weight, int workers_max = 2) {
    auto table = std::make_unique<TableRun>();
    table->record.index = static_cast<int64_t>(tables_.size());
    table->units = units;
    table->weight = weight;
    table->workers_max = workers_max;
    tables_.push_back(std::move(table));
    return tables_.back().get();
  }
  std::unique_ptr<Scheduler> Make(SchedulerLimits limits) {
    return std::make_unique<Scheduler>(limits, [](TableRun& table) {
      std::vector<UnitRecord> units(table.units);
      for (int64_t i = 0; i < table.units; ++i) units[i].unit.ordinal = i;
      return units;
    });
  }
  static Task Take(Scheduler& scheduler) { return std::move(*scheduler.Next({}).ValueOrDie()); }
  std::vector<std::unique_ptr<TableRun>> tables_;
};

TEST_F(SchedulerTest, LargestTableFirstThenItsFinish) {
  auto scheduler = Make({1, true, true});
  TableRun* small = Table(1, 10);
  TableRun* large = Table(1, 1000);
  scheduler->AddUnits(small);
  scheduler->AddUnits(large);
  Task task = Take(*scheduler);
  EXPECT_EQ(task.table, large);
  scheduler->UnitDone(task);
  task = Take(*scheduler);
  EXPECT_EQ(task.kind, TaskKind::kFinish);
  EXPECT_EQ(task.table, large);
  scheduler->FinishDone(task, NextStep::kOver);
  task = Take(*scheduler);
  EXPECT_EQ(task.table, small);
  scheduler->UnitDone(task);
  scheduler->FinishDone(Take(*scheduler), NextStep::kOver);
  EXPECT_TRUE(scheduler->WaitForEvent({}));
}

TEST_F(SchedulerTest, AskedForLimitsHoldAndDefaultsGiveWay) {
  for (const bool fixed : {true, false}) {
    auto scheduler = Make({1, fixed, fixed});
    scheduler->AddUnits(Table(3, 100, 1));
    scheduler->AddUnits(Table(3, 10, 1));
    Task first = Take(*scheduler);
    std::stop_source stop;
    std::optional<Task> second;
    std::jthread other([&] { second = std::move(*scheduler->Next(stop.get_token())); });
    if (fixed) {
      stop.request_stop();
      other.join();
      EXPECT_FALSE(second.has_value());
    } else {
      other.join();
      ASSERT_TRUE(second.has_value());
      EXPECT_EQ(second->table, first.table) << "one table after the other, as far as it goes";
    }
  }
}

TEST_F(SchedulerTest, AnEmptyStageIsFinishedAtOnce) {
  auto scheduler = Make({2, true, true});
  scheduler->AddUnits(Table(0, 1));
  const Task task = Take(*scheduler);
  EXPECT_EQ(task.kind, TaskKind::kFinish);
  scheduler->FinishDone(task, NextStep::kOver);
  EXPECT_TRUE(scheduler->WaitForEvent({}));
}

TEST_F(SchedulerTest, RetryWaitsWhileOthersRun) {
  auto scheduler = Make({1, true, true});
  scheduler->AddUnits(Table(2, 1));
  Task failed = Take(*scheduler);
  const int64_t ordinal = failed.unit.unit.ordinal;
  failed.tries = 1;
  scheduler->Retry(std::move(failed), 30);
  const Task other = Take(*scheduler);
  EXPECT_NE(other.unit.unit.ordinal, ordinal);
  scheduler->UnitDone(other);
  const Task again = Take(*scheduler);
  EXPECT_EQ(again.unit.unit.ordinal, ordinal);
  EXPECT_EQ(again.tries, 1);
  scheduler->UnitDone(again);
  EXPECT_EQ(Take(*scheduler).kind, TaskKind::kFinish);
}

TEST_F(SchedulerTest, AnotherStageLoadsItsUnitsAnew) {
  auto scheduler = Make({1, true, true});
  TableRun* table = Table(1, 1);
  scheduler->AddUnits(table);
  scheduler->UnitDone(Take(*scheduler));
  table->units = 2;
  scheduler->FinishDone(Take(*scheduler), NextStep::kUnits);
  scheduler->UnitDone(Take(*scheduler));
  scheduler->UnitDone(Take(*scheduler));
  scheduler->FinishDone(Take(*scheduler), NextStep::kOver);
  EXPECT_TRUE(scheduler->WaitForEvent({}));
}

TEST_F(SchedulerTest, DroppedTableGivesOutNothingMore) {
  auto scheduler = Make({1, true, true});
  TableRun* failing = Table(5, 100);
  TableRun* other = Table(1, 1);
  scheduler->AddUnits(failing);
  scheduler->AddUnits(other);
  const Task first = Take(*scheduler), second = Take(*scheduler);
  scheduler->Drop(first);
  scheduler->UnitDone(second);  // was running when the table failed
  const Task next = Take(*scheduler);
  EXPECT_EQ(next.table, other);
  scheduler->UnitDone(next);
  scheduler->FinishDone(Take(*scheduler), NextStep::kOver);
  EXPECT_TRUE(scheduler->WaitForEvent({}));
}

TEST_F(SchedulerTest, RemovedTableComesBackWhole) {
  auto scheduler = Make({1, true, true});
  TableRun* table = Table(4, 1);
  scheduler->AddUnits(table);
  Task running = Take(*scheduler);
  scheduler->Remove(table);
  std::atomic<bool> idle{false};
  std::jthread waiter([&] {
    scheduler->WaitIdle([](const TableRun&) { return true; }, {});
    idle = true;
  });
  EXPECT_FALSE(idle);
  scheduler->GiveBack(std::move(running));
  waiter.join();
  EXPECT_TRUE(idle);
  scheduler->AddUnits(table);
  std::set<int64_t> ordinals;
  for (int i = 0; i < 4; ++i) {
    const Task task = Take(*scheduler);
    ordinals.insert(task.unit.unit.ordinal);
    scheduler->UnitDone(task);
  }
  EXPECT_EQ(ordinals.size(), 4u);
}

TEST_F(SchedulerTest, ATableThatWaitsIsInNobodysWay) {
  auto scheduler = Make({1, true, true});
  TableRun* child = Table(1, 10);
  TableRun* parent = Table(1, 1);
  child->after.push_back({parent, ""});
  scheduler->AddUnits(child);
  scheduler->UnitDone(Take(*scheduler));
  scheduler->FinishDone(Take(*scheduler), NextStep::kWait);
  scheduler->AddUnits(parent);
  Task task = Take(*scheduler);
  EXPECT_EQ(task.table, parent) << "though only one table may be active";
  scheduler->UnitDone(task);
  task = Take(*scheduler);
  EXPECT_EQ(task.table, parent);
  parent->published = true;
  scheduler->FinishDone(task, NextStep::kOver);
  task = Take(*scheduler);
  EXPECT_EQ(task.table, child);
  EXPECT_EQ(task.kind, TaskKind::kFinish);
  scheduler->FinishDone(task, NextStep::kOver);
  EXPECT_TRUE(scheduler->WaitForEvent({}));
}

TEST_F(SchedulerTest, UnitsThatAppearAreNotBegunBeforeTheTablesTheyComeAfter) {
  auto scheduler = Make({4, false, false});
  TableRun* child = Table(1, 10);
  TableRun* parent = Table(1, 1);
  child->after.push_back({parent, ""});
  child->units_appear = true;
  scheduler->AddUnits(child);
  scheduler->AddUnits(parent);
  Task task = Take(*scheduler);
  EXPECT_EQ(task.table, parent);
  scheduler->UnitDone(task);
  task = Take(*scheduler);
  parent->published = true;
  scheduler->FinishDone(task, NextStep::kOver);
  EXPECT_EQ(Take(*scheduler).table, child);
}

TEST_F(SchedulerTest, FailureToLoadIsReported) {
  Scheduler scheduler({1, true, true}, [](TableRun&) -> Result<std::vector<UnitRecord>> {
    return PermanentError("the ledger is damaged");
  });
  scheduler.AddUnits(Table(1, 1));
  EXPECT_FALSE(scheduler.Next({}).ok());
}

TEST_F(SchedulerTest, ManyThreadsRunEachUnitOnce) {
  auto scheduler = Make({3, false, false});
  std::map<TableRun*, std::atomic<int>> runs;
  int64_t expected = 0;
  for (int i = 0; i < 40; ++i) {
    TableRun* table = Table(i % 7, i);
    runs[table] = 0;
    expected += i % 7;
  }
  for (const auto& table : tables_) scheduler->AddUnits(table.get());
  std::atomic<int64_t> units{0}, finishes{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int turn = t;; ++turn) {
          auto task = *scheduler->Next({});
          if (!task) return;
          if (task->kind == TaskKind::kFinish) {
            ++finishes;
            EXPECT_EQ(runs.at(task->table), task->table->units);
            scheduler->FinishDone(*task, NextStep::kOver);
          } else if (turn % 5 == 0 && task->tries == 0) {
            ++task->tries;
            scheduler->Retry(std::move(*task), 0);
          } else {
            ++units;
            ++runs.at(task->table);
            scheduler->UnitDone(*task);
          }
        }
      });
    }
    EXPECT_TRUE(scheduler->WaitForEvent({}));
    scheduler->Close();
  }
  EXPECT_EQ(units, expected);
  EXPECT_EQ(finishes, 40);
}

}  // namespace
}  // namespace bulkhaul
