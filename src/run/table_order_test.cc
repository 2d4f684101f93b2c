#include "run/table_order.h"

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <numeric>
#include <random>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "commit/job_index.h"
#include "run/fakes.h"
#include "run/runner.h"
#include "sink/memory/memory_sink.h"

namespace bulkhaul {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TableToOrder Named(const std::string& name, std::vector<std::string> after = {}) {
  return {.id = {"s", name}, .after = std::move(after), .place = {}};
}

std::vector<size_t> Earlier(const std::vector<EarlierTable>& before) {
  std::vector<size_t> tables;
  for (const auto& one : before) tables.push_back(one.table);
  return tables;
}

TEST(FindOrder, JoinsWhatTheSinkKnowsWithWhatTheUserSays) {
  std::vector<TableToOrder> tables = {Named("lines", {"s.ord*", "customers"}), Named("orders"),
                                      Named("customers")};
  tables[0].place = {"public.lines", {{"public.orders", "key a"}, {"public.orders", "key b"}}};
  tables[1].place = {"public.orders", {{"public.customers", "key c"}, {"public.elsewhere", "d"}}};
  tables[2].place = {"public.customers", {{"public.customers", "key of itself"}}};
  const auto order = FindOrder(tables).ValueOrDie();
  EXPECT_THAT(Earlier(order[0]), ElementsAre(1, 2));
  EXPECT_EQ(order[0][0].reason, "key a, key b");
  EXPECT_EQ(order[0][1].reason, "");
  EXPECT_THAT(Earlier(order[1]), ElementsAre(2));
  EXPECT_THAT(order[2], IsEmpty());
  EXPECT_THAT(FindCycle(order), IsEmpty());
}

TEST(FindOrder, NamesThatAreNoOtherTableAreRefused) {
  auto refused = FindOrder(std::vector{Named("orders", {"custmers"}), Named("customers")});
  EXPECT_THAT(refused.status().message(),
              AllOf(HasSubstr("s.orders: after names 'custmers'"), HasSubstr("'customers'?")));
  refused = FindOrder(std::vector{Named("orders", {"orders"}), Named("customers")});
  EXPECT_THAT(refused.status().message(), HasSubstr("the table itself"));
  EXPECT_TRUE(FindOrder(std::vector{Named("a", {"*"}), Named("b")}).ok());
}

TEST(FindCycle, NamesEachStepOfIt) {
  std::vector<TableToOrder> tables = {Named("a", {"b"}), Named("b", {"c"}), Named("c", {"d"}),
                                      Named("d")};
  tables[3].place = {"x.d", {{"x.b", "foreign key d_to_b"}}};
  tables[1].place.place = "x.b";
  const auto order = FindOrder(tables).ValueOrDie();
  const auto cycle = FindCycle(order);
  EXPECT_THAT(cycle, ElementsAre(1, 2, 3));
  const Status error = CycleError(tables, order, cycle);
  EXPECT_EQ(KindOf(error), ErrorKind::kUser);
  EXPECT_THAT(error.message(),
              HasSubstr("x.b after s.c, s.c after x.d, x.d after x.b (foreign key d_to_b); "));
}

// Tables "s.<name>" from a server into memory, with keys between them that the sink knows.
class TableOrderTest : public testing::Test {
 protected:
  void SetUp() override {
    job_ = NewId();
    state_ = std::filesystem::temp_directory_path() / ("bulkhaul_order_" + job_);
    server_ = std::make_shared<fakes::Server>();
    spec_.source_uri = "fake://server/db";
    spec_.destination_uri = "memory:" + job_;
    spec_.tables.push_back({"s.*", Options()});
    for (const auto& [name, value] : std::map<std::string, std::string>{
             {"retry_delay", "0"}, {"workers", "3"}, {"memory_limit", "4GiB"}}) {
      Set(name, value);
    }
  }
  void TearDown() override {
    MemoryStore::At(spec_.destination_uri)->Clear();
    std::filesystem::remove_all(state_);
  }
  void Set(const std::string& name, const std::string& value) {
    ASSERT_TRUE(spec_.options.SetFromText(name, value).ok()) << name;
  }
  void Table(const std::string& name, int64_t rows, std::vector<std::string> refers_to = {}) {
    fakes::Server::Rows values(rows);
    std::iota(values.begin(), values.end(), 0);
    server_->Put(name, std::move(values));
    keys_[name] = std::move(refers_to);
  }
  SinkPlace PlaceOfTable(const DatasetId& id) const {
    SinkPlace place{.place = "x." + id.name, .after = {}, .units_appear = units_appear_};
    for (const auto& other : keys_.at(id.name)) {
      place.after.push_back({"x." + other, "foreign key to_" + other});
    }
    return place;
  }
  // What was published before, in order; checks that no key is violated.
  Status Commit(const DatasetId& id) {
    std::lock_guard lock(mutex_);
    for (const auto& other : keys_.at(id.name)) {
      if (other != id.name && !published_.contains(other)) return BugError("key violated");
    }
    published_.insert(id.name);
    return Status::OK();
  }
  bool IsPublished(const std::string& name) {
    std::lock_guard lock(mutex_);
    return published_.contains(name);
  }

  JobReport Run(bool resume = false) {
    auto source = fakes::MakeSource(server_, {});
    fakes::FaultySink sink(MakeMemorySink(spec_, job_).ValueOrDie());
    sink.place = [this](const DatasetPlan& plan) { return PlaceOfTable(plan.dataset.id); };
    sink.on_commit = [this](const CommitRequest& request) -> Status {
      const auto& id = request.plan.dataset.id;
      if (on_commit_) ARROW_RETURN_NOT_OK(on_commit_(id.name));
      return Commit(id);
    };
    sink.after_commit = [this](const CommitRequest& request) {
      return after_commit_ ? after_commit_(request.plan.dataset.id.name) : Status::OK();
    };
    sink.on_begin = [this](const WorkUnit& unit) {
      return on_begin_ ? on_begin_(unit.dataset.name) : Status::OK();
    };
    sink.on_finish = [this](const WorkUnit& unit) {
      return on_finish_ ? on_finish_(unit.dataset.name) : Status::OK();
    };
    RunOptions options;
    options.job_id = job_;
    options.resume = resume;
    options.state_folder = state_;
    return Runner(spec_, *source, sink, options).Run().ValueOrDie();
  }
  static std::map<std::string, std::string> States(const JobReport& report) {
    std::map<std::string, std::string> states;
    for (const auto& table : report.tables) states[table.dataset.name] = table.state;
    return states;
  }
  static std::string ErrorOf(const JobReport& report, const std::string& name) {
    for (const auto& table : report.tables) {
      if (table.dataset.name == name) return table.error;
    }
    return "no such table";
  }

  std::string job_, state_;
  std::shared_ptr<fakes::Server> server_;
  JobSpec spec_;
  bool units_appear_ = false;
  std::map<std::string, std::vector<std::string>> keys_;
  std::function<Status(const std::string&)> on_commit_, after_commit_, on_begin_, on_finish_;
  std::mutex mutex_;
  std::set<std::string> published_;  // guarded by mutex_
};

TEST_F(TableOrderTest, IsKeptWhateverTheSizesAndTheLimits) {
  std::mt19937 random(7);
  for (int i = 0; i < 25; ++i) {
    std::vector<std::string> refers_to = {fmt::format("t{}", i)};  // to itself: no obstacle
    for (int other = 0; other < i; ++other) {
      if (random() % 5 == 0) refers_to.push_back(fmt::format("t{}", other));
    }
    Table(fmt::format("t{}", i), random() % 60, refers_to);
  }
  const std::string first_job = job_;
  for (const bool appear : {false, true}) {
    for (const char* tables : {"1", "3", ""}) {
      units_appear_ = appear;
      published_.clear();
      job_ = fmt::format("{}-{}-{}", first_job, appear, tables);
      if (*tables) Set("parallel_tables", tables);
      on_begin_ = [&](const std::string& name) {
        for (const auto& other : keys_.at(name)) {
          if (appear && other != name && !IsPublished(other)) return BugError("begun too early");
        }
        return Status::OK();
      };
      const auto report = Run();
      EXPECT_EQ(report.state, JobState::kDone) << report.error;
      EXPECT_EQ(published_.size(), 25u);
    }
  }
}

TEST_F(TableOrderTest, ATableIsStagedWhileAnotherComesBeforeIt) {
  Table("parent", 5);
  Table("child", 100, {"parent"});
  Set("workers", "2");
  bool child_staged = false;
  std::condition_variable changed;
  std::mutex mutex;
  int left = 10;
  on_finish_ = [&](const std::string& name) {
    std::unique_lock lock(mutex);
    if (name == "child") {
      child_staged = --left == 0;
      changed.notify_all();
      return Status::OK();
    }
    const bool seen = changed.wait_for(lock, std::chrono::minutes(1), [&] { return child_staged; });
    return seen ? Status::OK() : BugError("the child waited for its parent before it was staged");
  };
  const auto report = Run();
  EXPECT_EQ(report.state, JobState::kDone) << report.error;
  const auto& child = report.tables[report.tables[0].dataset.name == "child" ? 0 : 1];
  ASSERT_EQ(child.after.size(), 1u);
  EXPECT_EQ(child.after[0].ToString(), "x.parent (foreign key to_parent)");
}

TEST_F(TableOrderTest, WhatComesAfterAFailedTableFailsWithItAndResumeLoadsIt) {
  Table("parent", 20);
  Table("child", 30, {"parent"});
  Table("other", 10);
  Table("grandchild", 40, {"other", "child"});
  Set("on_error", "continue");
  on_commit_ = [](const std::string& name) {
    return name == "parent" ? PermanentError("no room") : Status::OK();
  };
  auto report = Run();
  EXPECT_EQ(report.state, JobState::kPartial);
  EXPECT_EQ(States(report), (std::map<std::string, std::string>{{"parent", "failed"},
                                                                {"child", "failed"},
                                                                {"other", "published"},
                                                                {"grandchild", "failed"}}));
  EXPECT_EQ(ErrorOf(report, "child"),
            "not loaded: its foreign key to_parent refers to x.parent, which failed");
  EXPECT_THAT(ErrorOf(report, "grandchild"), HasSubstr("refers to x.child, which failed"));
  EXPECT_THAT(ErrorOf(report, "parent"), HasSubstr("no room"));
  on_commit_ = nullptr;
  report = Run(true);
  EXPECT_EQ(report.state, JobState::kDone) << report.error;
  EXPECT_EQ(published_.size(), 4u);
}

TEST_F(TableOrderTest, UnitsThatWaitAreNotBegunWhenTheirTurnDoesNotCome) {
  Table("parent", 20);
  Table("child", 30, {"parent"});
  Table("other", 10);
  Set("on_error", "continue");
  on_begin_ = [](const std::string& name) {
    return name == "child" ? BugError("begun") : Status::OK();
  };
  units_appear_ = true;
  server_->on_read = [](const WorkUnit& unit, int) {
    return unit.dataset.name == "parent" ? UserError("it is forbidden") : Status::OK();
  };
  const auto report = Run();
  EXPECT_EQ(report.state, JobState::kPartial);
  EXPECT_THAT(ErrorOf(report, "child"), HasSubstr("x.parent, which failed"));
  EXPECT_EQ(States(report).at("other"), "published");
}

TEST_F(TableOrderTest, ACycleIsRefusedBeforeARowIsRead) {
  Table("a", 10, {"b"});
  Table("b", 10, {"a"});
  Table("after_b", 10, {"b"});
  Table("other", 10);
  auto report = Run();
  EXPECT_EQ(report.state, JobState::kFailed);
  EXPECT_THAT(report.error, AllOf(HasSubstr("x.a after x.b (foreign key to_b)"),
                                  HasSubstr("x.b after x.a (foreign key to_a)")));
  EXPECT_EQ(server_->reads, 0);
  EXPECT_THAT(published_, IsEmpty());
  Set("on_error", "continue");
  job_ += "-continue";
  report = Run();
  EXPECT_EQ(report.state, JobState::kPartial);
  EXPECT_THAT(published_, ElementsAre("other"));
  EXPECT_THAT(ErrorOf(report, "a"), HasSubstr("none of these tables can be published first"));
  EXPECT_THAT(ErrorOf(report, "after_b"), HasSubstr("x.b, which failed"));
}

// The parent's commit has begun, and nobody knows how far it came.
TEST_F(TableOrderTest, ResumeWaitsForAPublicationThatWasCutOff) {
  Table("parent", 20);
  Table("child", 30, {"parent"});
  Set("workers", "1");
  after_commit_ = [](const std::string& name) {
    return name == "parent" ? PermanentError("cut off") : Status::OK();
  };
  EXPECT_EQ(Run().state, JobState::kFailed);
  EXPECT_FALSE(IsPublished("child"));
  published_.clear();
  after_commit_ = nullptr;
  const auto report = Run(true);
  EXPECT_EQ(report.state, JobState::kDone) << report.error;
  EXPECT_EQ(published_.size(), 2u);
}

TEST_F(TableOrderTest, StatusSaysWhatATableWaitsFor) {
  Table("parent", 20);
  Table("child", 30, {"parent"});
  on_commit_ = [](const std::string&) { return PermanentError("no room"); };
  EXPECT_EQ(Run().state, JobState::kFailed);
  const auto status = ReadJobStatus(FindJob(state_, job_).ValueOrDie()).ValueOrDie();
  EXPECT_THAT(status.ToText(), HasSubstr("x.parent (foreign key to_parent)"));
  EXPECT_THAT(status.ToJson(), HasSubstr(R"("waits_for":[{"reason":"foreign key to_parent")"));
}

TEST_F(TableOrderTest, TheUserMaySayIt) {
  Table("a", 30);
  Table("b", 10);
  Options after;
  ASSERT_TRUE(after.SetFromText("after", "b").ok());
  spec_.tables.push_back({"s.a", after});
  on_commit_ = [&](const std::string& name) {
    return name == "a" && !IsPublished("b") ? BugError("too early") : Status::OK();
  };
  const auto report = Run();
  EXPECT_EQ(report.state, JobState::kDone) << report.error;
}

}  // namespace
}  // namespace bulkhaul
