#include "commit/committer.h"

#include <algorithm>
#include <filesystem>
#include <random>
#include <set>

#include <arrow/api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "base/text.h"

namespace bulkhaul {
namespace {

// A sink that keeps receipts and can be told to fail; what else a sink does is not asked of it
// here.
class ReceiptSink : public Sink {
 public:
  SinkTraits Traits() const override { return {}; }
  Result<SinkPlan> Prepare(const DatasetPlan&, bool) override { return SinkPlan(); }
  Result<std::unique_ptr<UnitWriter>> Begin(const DatasetPlan&, const WorkUnit&, const AttemptId&,
                                            const std::shared_ptr<arrow::Schema>&, WriteStage,
                                            UnitContext&) override {
    return BugError("the committer writes no rows");
  }
  Result<std::unique_ptr<arrow::RecordBatchReader>> OpenStaged(const DatasetPlan&,
                                                               const StagedResult&,
                                                               UnitContext&) override {
    return BugError("the committer reads no rows");
  }
  Result<std::vector<StagedResult>> Recover(const JobId&, std::span<const StagedResult>) override {
    return std::vector<StagedResult>();
  }
  Result<CommitReceipt> Commit(const CommitRequest& request, CommitContext& context) override {
    recovered.push_back(context.recovered);
    ARROW_RETURN_NOT_OK(context.record("{\"step\":\"renaming\"}"));
    if (!fail.ok()) return std::exchange(fail, Status::OK());
    CommitReceipt receipt;
    receipt.dataset = request.plan.dataset.id;
    receipt.rows = request.rows + rows_off;
    receipt.rows_left_out = rows_left_out;
    receipt.already_committed = !keys.insert(request.idempotency_key).second;
    return receipt;
  }
  Status CommitJob(const JobManifest&) override { return Status::OK(); }
  Status Discard(const JobId&, std::span<const AttemptId>) override { return Status::OK(); }

  Status fail;
  int64_t rows_off = 0;
  int64_t rows_left_out = 0;
  std::set<std::string> keys;
  std::vector<std::optional<std::string>> recovered;
};

class CommitterTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("bulkhaul_committer_" + NewId());
    ledger_ = Ledger::Create(folder_ + "/jobs/j", "j", "{}").ValueOrDie();
    record_.dataset.id = {"s", "t"};
    record_.dataset.schema = arrow::schema({arrow::field("id", arrow::int64())});
    record_.output_schema = record_.dataset.schema;
    record_.output_name = "s_t";
    record_.epoch = 1;
    ASSERT_TRUE(ledger_->SaveDatasets({&record_, 1}).ok());
    Snapshot snapshot;
    snapshot.epoch = 1;
    const int64_t index = 0;
    ASSERT_TRUE(ledger_->BeginEpoch(snapshot, {&index, 1}).ok());
  }
  void TearDown() override {
    ledger_.reset();
    std::filesystem::remove_all(folder_);
  }
  // Two units of ten rows, staged; `change` may spoil the second's result.
  void Stage(const std::function<void(StagedResult&)>& change) {
    std::vector<WorkUnit> units(2);
    for (int i = 0; i < 2; ++i) {
      units[i].id = "0." + std::to_string(i);
      units[i].dataset = record_.dataset.id;
      units[i].ordinal = i;
      units[i].range = {"pages", i == 0 ? "" : "5", i == 0 ? "5" : ""};
    }
    const std::vector<Ledger::PlannedUnits> planned = {{0, UnitStage::kRead, units}};
    ASSERT_TRUE(ledger_->SaveUnits(1, planned).ok());
    for (int i = 0; i < 2; ++i) {
      AttemptRecord attempt;
      attempt.id = units[i].id + "-a";
      attempt.ordinal = i;
      attempt.epoch = 1;
      ASSERT_TRUE(ledger_->BeginAttempt(attempt).ok());
      StagedResult result;
      result.unit_id = units[i].id;
      result.attempt_id = attempt.id;
      result.dataset = record_.dataset.id;
      result.epoch = 1;
      result.ordinal = i;
      result.ranges = {units[i].range};
      result.parts = {{"p" + std::to_string(i), 10, 80, 1, "", "", ""}};
      result.rows_read = result.rows_written = 10;
      result.stored_bytes = 80;
      if (i == 1) change(result);
      ASSERT_TRUE(*ledger_->FinishAttempt(attempt, result));
    }
    ASSERT_TRUE(*ledger_->MarkStaged(0));
  }
  Result<CommitReceipt> Commit() {
    CommitInput input;
    input.record = ledger_->Datasets().ValueOrDie().at(0);
    input.schema = record_.output_schema;
    return Committer(*ledger_, sink_).Commit(input);
  }
  void ExpectRefused(const std::function<void(StagedResult&)>& change, const std::string& why) {
    Stage(change);
    const auto receipt = Commit();
    ASSERT_FALSE(receipt.ok());
    EXPECT_EQ(KindOf(receipt.status()), ErrorKind::kBug);
    EXPECT_THAT(MessageOf(receipt.status()), testing::HasSubstr(why));
    EXPECT_TRUE(sink_.recovered.empty()) << "the sink must not be asked to publish";
  }

  std::string folder_;
  std::unique_ptr<Ledger> ledger_;
  DatasetRecord record_;
  ReceiptSink sink_;
};

TEST_F(CommitterTest, PublishesWhatAddsUp) {
  Stage([](StagedResult&) {});
  const auto receipt = Commit();
  ASSERT_TRUE(receipt.ok()) << receipt.status();
  EXPECT_EQ(receipt->rows, 20);
  EXPECT_EQ(ledger_->Datasets().ValueOrDie()[0].state, DatasetState::kPublished);
}

TEST_F(CommitterTest, RefusesAGap) {
  ExpectRefused([](StagedResult& result) { result.ranges[0].begin = "6"; }, "s.t");
}
TEST_F(CommitterTest, RefusesAnOverlap) {
  ExpectRefused([](StagedResult& result) { result.ranges[0].begin = ""; }, "s.t");
}
TEST_F(CommitterTest, RefusesAnotherAxis) {
  ExpectRefused([](StagedResult& result) { result.ranges.push_back({"nulls", "", ""}); }, "axis");
}
TEST_F(CommitterTest, RefusesLostRows) {
  ExpectRefused([](StagedResult& result) { result.rows_read = 11; }, "11 rows read");
}
TEST_F(CommitterTest, RefusesPartsThatDoNotAddUp) {
  ExpectRefused([](StagedResult& result) { result.parts[0].rows = 9; }, "parts hold");
}
TEST_F(CommitterTest, RefusesAResultOfAnotherEpoch) {
  ExpectRefused([](StagedResult& result) { result.epoch = 2; }, "epoch");
}
TEST_F(CommitterTest, RefusesAResultOfAnotherTable) {
  ExpectRefused([](StagedResult& result) { result.dataset.name = "u"; }, "belongs to");
}

TEST_F(CommitterTest, ReceiptWithOtherRowsIsAnError) {
  Stage([](StagedResult&) {});
  sink_.rows_off = -1;
  const auto receipt = Commit();
  ASSERT_FALSE(receipt.ok());
  EXPECT_THAT(MessageOf(receipt.status()), testing::HasSubstr("19 published"));
  EXPECT_NE(ledger_->Datasets().ValueOrDie()[0].state, DatasetState::kPublished);
}

TEST_F(CommitterTest, FewerRowsAreThoseThatTheSinkLeftOut) {
  Stage([](StagedResult&) {});
  const auto refused = [&](int64_t rows_off, int64_t rows_left_out) {
    sink_.rows_off = rows_off;
    sink_.rows_left_out = rows_left_out;
    return !Commit().ok();
  };
  EXPECT_TRUE(refused(1, -1));
  EXPECT_TRUE(refused(0, 1));
  EXPECT_TRUE(refused(-2, 1));
  sink_.rows_off = -1;
  sink_.rows_left_out = 1;
  const auto receipt = Commit();
  ASSERT_TRUE(receipt.ok()) << receipt.status();
  EXPECT_EQ(receipt->rows, 19);
  EXPECT_EQ(ledger_->Datasets().ValueOrDie()[0].receipt->rows_left_out, 1);
}

TEST_F(CommitterTest, SecondTryGetsTheJournalOfTheFirst) {
  Stage([](StagedResult&) {});
  sink_.fail = TransientError("connection lost");
  EXPECT_FALSE(Commit().ok());
  EXPECT_EQ(ledger_->Datasets().ValueOrDie()[0].state, DatasetState::kPublishing);
  const auto receipt = Commit();
  ASSERT_TRUE(receipt.ok()) << receipt.status();
  EXPECT_EQ(sink_.recovered.at(0), std::nullopt);
  EXPECT_EQ(sink_.recovered.at(1), "{\"step\":\"renaming\"}");
}

// Cuts one axis at some of the bounds 1 … 19.
std::vector<UnitRange> Cut(const std::string& axis, const std::set<int>& bounds) {
  std::vector<UnitRange> ranges;
  std::string begin;
  for (const int bound : bounds) {
    ranges.push_back({axis, begin, std::to_string(bound)});
    begin = std::to_string(bound);
  }
  ranges.push_back({axis, begin, ""});
  return ranges;
}

TEST(CheckRangesTile, AcceptsEveryCutInAnyOrderAndNothingElse) {
  EXPECT_TRUE(rc::check("ranges tile", [] {
    std::set<int> bounds;
    for (const int bound : *rc::gen::container<std::vector<int>>(rc::gen::inRange(1, 20))) {
      bounds.insert(bound);
    }
    std::vector<UnitRange> planned, covered;
    const int axes = *rc::gen::inRange(1, 4);
    for (int axis = 0; axis < axes; ++axis) {
      const std::string name = "axis" + std::to_string(axis);
      for (auto& range : Cut(name, bounds)) planned.push_back(range);
      for (auto& range : Cut(name, bounds)) covered.push_back(range);
    }
    std::mt19937 random(*rc::gen::arbitrary<uint32_t>());
    std::shuffle(covered.begin(), covered.end(), random);
    RC_ASSERT(CheckRangesTile(planned, covered).ok());

    auto lost = covered;
    lost.erase(lost.begin() + *rc::gen::inRange<size_t>(0, lost.size()));
    RC_ASSERT(!CheckRangesTile(planned, lost).ok());

    auto doubled = covered;
    doubled.push_back(doubled[*rc::gen::inRange<size_t>(0, doubled.size())]);
    RC_ASSERT(!CheckRangesTile(planned, doubled).ok());

    auto moved = covered;
    auto& range = moved[*rc::gen::inRange<size_t>(0, moved.size())];
    (range.begin.empty() ? range.end : range.begin) = "99";
    RC_ASSERT(!CheckRangesTile(planned, moved).ok());
  }));
}

TEST(CheckRangesTile, NoUnitsTileNothing) { EXPECT_TRUE(CheckRangesTile({}, {}).ok()); }

}  // namespace
}  // namespace bulkhaul
