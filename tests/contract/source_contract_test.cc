// What every source must do, whatever it reads from (src/source/source.h is the contract).

#include <filesystem>
#include <set>
#include <thread>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "base/hash.h"
#include "plan/drift.h"
#include "plan/splitting.h"
#include "source_case.h"

namespace bulkhaul {
namespace {

// Rows and an order-free sum of their hashes.
struct Sum {
  int64_t rows = 0;
  uint64_t hash = 0;
  bool operator==(const Sum&) const = default;
  void Add(const Sum& other) {
    rows += other.rows;
    hash += other.hash;
  }
};
std::ostream& operator<<(std::ostream& out, const Sum& sum) {
  return out << sum.rows << " rows, hash " << sum.hash;
}

Sum SumOf(const arrow::RecordBatch& batch) {
  Sum sum;
  for (int64_t row = 0; row < batch.num_rows(); ++row) {
    std::string text;
    for (const auto& column : batch.columns()) {
      text += column->GetScalar(row).ValueOrDie()->ToString();
      text += column->IsNull(row) ? '\1' : '\2';
    }
    sum.hash += Xxh3Of(text);
    ++sum.rows;
  }
  return sum;
}

class SourceContract : public testing::TestWithParam<SourceCase> {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "bulkhaul-contract-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    job_ = GetParam().prepare(folder_);
    source_ = GetParam().make(job_).ValueOrDie();
    worker_.job_id = "contract";
    worker_.options = &job_.options;
  }
  void TearDown() override {
    source_.reset();
    std::filesystem::remove_all(folder_);
  }

  Selector SelectorFor(const std::string& table, const Options& options = {}) {
    Selector selector;
    selector.tables.push_back({ExactPattern({"", table}), options});
    selector.options = job_.options;
    return selector;
  }

  // Also through JSON, as a worker elsewhere would get it.
  Dataset Discovered(const std::string& table, const Options& options = {}) {
    auto datasets = source_->Discover(SelectorFor(table, options));
    EXPECT_TRUE(datasets.ok()) << datasets.status();
    EXPECT_EQ(datasets->size(), 1u);
    return Dataset::FromJson(datasets->at(0).ToJson()).ValueOrDie();
  }

  std::vector<WorkUnit> SplitAll(const Snapshot& snapshot, const Dataset& dataset,
                                 const SplitHint& hint) {
    std::vector<WorkUnit> units;
    std::string cursor;
    do {
      auto page = source_->Split(snapshot, dataset, hint, cursor);
      EXPECT_TRUE(page.ok()) << page.status();
      EXPECT_LE(static_cast<int64_t>(page->units.size()), hint.page_units_max);
      for (auto& unit : page->units) {
        units.push_back(WorkUnit::FromJson(unit.ToJson()).ValueOrDie());
      }
      cursor = page->next_cursor;
    } while (!cursor.empty());
    return units;
  }

  UnitContext ContextFor(std::stop_token stop = {}) {
    UnitContext context;
    context.stop = std::move(stop);
    context.attempt_id = "attempt";
    context.pool = arrow::default_memory_pool();
    return context;
  }

  static Result<Sum> ReadUnit(Session& session, const Dataset& dataset, const WorkUnit& unit,
                              UnitContext& context) {
    ARROW_ASSIGN_OR_RAISE(auto reader, session.Read(unit, context));
    const auto schema = WithoutFindings(dataset.schema);
    EXPECT_TRUE(reader->schema()->Equals(schema, true));
    Sum sum;
    while (true) {
      std::shared_ptr<arrow::RecordBatch> batch;
      ARROW_RETURN_NOT_OK(reader->ReadNext(&batch));
      if (batch == nullptr) break;
      EXPECT_GT(batch->num_rows(), 0);
      EXPECT_LE(batch->num_rows(), context.batch_rows_max);
      EXPECT_TRUE(batch->schema()->Equals(schema, true));
      EXPECT_TRUE(batch->ValidateFull().ok()) << batch->ValidateFull();
      sum.Add(SumOf(*batch));
    }
    EXPECT_EQ(reader->covered(), unit.range);
    EXPECT_GE(reader->bytes_read(), sum.rows);  // of no rows there may be a header
    return sum;
  }

  // Everything on one session, unit after unit.
  Sum ReadAll(const Snapshot& snapshot, const Dataset& dataset, const SplitHint& hint,
              int64_t batch_rows = 64 << 10) {
    const auto units = SplitAll(snapshot, dataset, hint);
    auto session = source_->Open(snapshot, {&dataset, 1}, worker_).ValueOrDie();
    Sum sum;
    for (const auto& unit : units) {
      auto context = ContextFor();
      context.batch_rows_max = batch_rows;
      const auto read = ReadUnit(*session, dataset, unit, context);
      EXPECT_TRUE(read.ok()) << read.status();
      sum.Add(read.ValueOr(Sum{}));
    }
    return sum;
  }

  Snapshot Pinned(const Dataset& dataset) {
    auto snapshot = source_->Pin({&dataset, 1});
    EXPECT_TRUE(snapshot.ok()) << snapshot.status();
    EXPECT_TRUE(source_->CheckPin(*snapshot).ok());
    return Snapshot::FromJson(snapshot->ToJson()).ValueOrDie();
  }

  static SplitHint Rows(int64_t rows, int64_t page_units = 10'000) {
    SplitHint hint;
    hint.unit_rows = rows;
    hint.page_units_max = page_units;
    return hint;
  }

  std::string folder_;
  JobSpec job_;
  WorkerContext worker_;
  std::unique_ptr<Source> source_;
};

TEST_P(SourceContract, EverySplitReadsEveryRowOnce) {
  const Dataset dataset = Discovered(GetParam().table);
  const Snapshot snapshot = Pinned(dataset);
  const Sum serial = ReadAll(snapshot, dataset, Rows(1'000'000));
  EXPECT_EQ(serial.rows, GetParam().rows);
  for (const int64_t unit_rows : {17, 100, 333, 1000, 4999, 5000}) {
    EXPECT_EQ(ReadAll(snapshot, dataset, Rows(unit_rows)), serial) << unit_rows;
  }
  source_->Release(snapshot);
}

TEST_P(SourceContract, UnitsTileAndPagesContinue) {
  const Dataset dataset = Discovered(GetParam().table);
  const Snapshot snapshot = Pinned(dataset);
  const auto whole = SplitAll(snapshot, dataset, Rows(100));
  const auto paged = SplitAll(snapshot, dataset, Rows(100, 3));
  ASSERT_EQ(whole.size(), paged.size());
  std::vector<UnitRange> ranges;
  for (size_t i = 0; i < whole.size(); ++i) {
    EXPECT_EQ(whole[i].range, paged[i].range);
    EXPECT_EQ(paged[i].ordinal, static_cast<int64_t>(i));
    EXPECT_EQ(paged[i].dataset, dataset.id);
    ranges.push_back(whole[i].range);
  }
  EXPECT_TRUE(CheckCovered(ranges, ranges).ok()) << CheckCovered(ranges, ranges);
  if (GetParam().rows > 0) {
    EXPECT_GE(whole.size(), 25u);
    EXPECT_LE(whole.size(), 100u);
  }
  SplitHint few = Rows(1);
  few.units_max = 4;
  EXPECT_LE(SplitAll(snapshot, dataset, few).size(), 5u);  // one more for NULL keys
  source_->Release(snapshot);
}

TEST_P(SourceContract, UnitsAreBalanced) {
  const Dataset dataset = Discovered(GetParam().table);
  const Snapshot snapshot = Pinned(dataset);
  auto session = source_->Open(snapshot, {&dataset, 1}, worker_).ValueOrDie();
  for (const auto& unit : SplitAll(snapshot, dataset, Rows(500))) {
    auto context = ContextFor();
    EXPECT_LE(ReadUnit(*session, dataset, unit, context).ValueOrDie().rows, 1000) << unit.ordinal;
  }
}

TEST_P(SourceContract, BatchesKeepTheirLimits) {
  const Dataset dataset = Discovered(GetParam().table);
  const Snapshot snapshot = Pinned(dataset);
  const Sum serial = ReadAll(snapshot, dataset, Rows(1'000'000));
  for (const int64_t batch_rows : {1, 7, 1000}) {
    EXPECT_EQ(ReadAll(snapshot, dataset, Rows(2500), batch_rows), serial) << batch_rows;
  }
}

TEST_P(SourceContract, AUnitReadAgainGivesTheSame) {
  const Dataset dataset = Discovered(GetParam().table);
  const Snapshot snapshot = Pinned(dataset);
  const auto units = SplitAll(snapshot, dataset, Rows(700));
  auto one = source_->Open(snapshot, {&dataset, 1}, worker_).ValueOrDie();
  auto other = source_->Open(snapshot, {&dataset, 1}, worker_).ValueOrDie();
  for (const auto& unit : units) {
    auto context = ContextFor();
    const Sum first = ReadUnit(*one, dataset, unit, context).ValueOrDie();
    EXPECT_EQ(ReadUnit(*one, dataset, unit, context).ValueOrDie(), first);
    EXPECT_EQ(ReadUnit(*other, dataset, unit, context).ValueOrDie(), first);
  }
}

TEST_P(SourceContract, BatchesStayWhileOthersAreRead) {
  const Dataset dataset = Discovered(GetParam().table);
  const Snapshot snapshot = Pinned(dataset);
  const Sum serial = ReadAll(snapshot, dataset, Rows(1'000'000));
  auto session = source_->Open(snapshot, {&dataset, 1}, worker_).ValueOrDie();
  std::vector<std::shared_ptr<arrow::RecordBatch>> kept;
  for (const auto& unit : SplitAll(snapshot, dataset, Rows(1'000'000))) {
    auto context = ContextFor();
    context.batch_rows_max = 64;
    auto reader = session->Read(unit, context).ValueOrDie();
    for (std::shared_ptr<arrow::RecordBatch> batch;;) {
      ASSERT_TRUE(reader->ReadNext(&batch).ok());
      if (batch == nullptr) break;
      kept.push_back(batch);
    }
  }
  Sum sum;
  for (const auto& batch : kept) sum.Add(SumOf(*batch));
  EXPECT_EQ(sum, serial);
}

TEST_P(SourceContract, TwoSessionsAtOnce) {
  const Dataset dataset = Discovered(GetParam().table);
  const Snapshot snapshot = Pinned(dataset);
  const Sum serial = ReadAll(snapshot, dataset, Rows(1'000'000));
  const auto units = SplitAll(snapshot, dataset, Rows(100));
  Sum sums[2];
  Status failures[2];
  {
    std::vector<std::jthread> threads;
    for (size_t t = 0; t < 2; ++t) {
      threads.emplace_back([&, t] {
        auto session = source_->Open(snapshot, {&dataset, 1}, worker_);
        if (!session.ok()) {
          failures[t] = session.status();
          return;
        }
        for (size_t i = t; i < units.size(); i += 2) {
          auto context = ContextFor();
          const auto read = ReadUnit(**session, dataset, units[i], context);
          if (!read.ok()) {
            failures[t] = read.status();
            return;
          }
          sums[t].Add(*read);
        }
      });
    }
  }
  EXPECT_TRUE(failures[0].ok()) << failures[0];
  EXPECT_TRUE(failures[1].ok()) << failures[1];
  sums[0].Add(sums[1]);
  EXPECT_EQ(sums[0], serial);
}

TEST_P(SourceContract, CancelStopsAndLeavesTheSessionUsable) {
  if (GetParam().rows == 0) return;
  const Dataset dataset = Discovered(GetParam().table);
  const Snapshot snapshot = Pinned(dataset);
  const auto units = SplitAll(snapshot, dataset, Rows(1'000'000));
  auto session = source_->Open(snapshot, {&dataset, 1}, worker_).ValueOrDie();
  auto before = ContextFor();
  const Sum unit = ReadUnit(*session, dataset, units[0], before).ValueOrDie();
  {
    std::stop_source stop;
    auto context = ContextFor(stop.get_token());
    context.batch_rows_max = 10;
    auto reader = session->Read(units[0], context).ValueOrDie();
    std::shared_ptr<arrow::RecordBatch> batch;
    ASSERT_TRUE(reader->ReadNext(&batch).ok());
    stop.request_stop();
    const Status status = reader->ReadNext(&batch);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(KindOf(status), ErrorKind::kCancelled) << status;
  }
  ASSERT_TRUE(session->ok());
  auto context = ContextFor();
  EXPECT_EQ(ReadUnit(*session, dataset, units[0], context).ValueOrDie(), unit);
}

TEST_P(SourceContract, AReaderMayBeLeftHalfWay) {
  if (GetParam().rows == 0) return;
  const Dataset dataset = Discovered(GetParam().table);
  const Snapshot snapshot = Pinned(dataset);
  const auto units = SplitAll(snapshot, dataset, Rows(1'000'000));
  auto session = source_->Open(snapshot, {&dataset, 1}, worker_).ValueOrDie();
  auto before = ContextFor();
  const Sum unit = ReadUnit(*session, dataset, units[0], before).ValueOrDie();
  for (int i = 0; i < 3; ++i) {
    auto context = ContextFor();
    context.batch_rows_max = 10;
    auto reader = session->Read(units[0], context).ValueOrDie();
    std::shared_ptr<arrow::RecordBatch> batch;
    ASSERT_TRUE(reader->ReadNext(&batch).ok());
    EXPECT_EQ(batch->num_rows(), 10);
  }
  auto context = ContextFor();
  EXPECT_EQ(ReadUnit(*session, dataset, units[0], context).ValueOrDie(), unit);
}

TEST_P(SourceContract, AnEmptyTableHasASchemaAndUnitsWithoutRows) {
  if (GetParam().empty_table.empty()) return;
  const Dataset dataset = Discovered(GetParam().empty_table);
  EXPECT_GE(dataset.schema->num_fields(), 2);
  const Snapshot snapshot = Pinned(dataset);
  EXPECT_FALSE(SplitAll(snapshot, dataset, Rows(10)).empty());
  EXPECT_EQ(ReadAll(snapshot, dataset, Rows(10)), Sum{});
}

TEST_P(SourceContract, OddNamesAreRead) {
  for (const auto& name : GetParam().odd_names) {
    const Dataset dataset = Discovered(name);
    EXPECT_EQ(dataset.id.name, name);
    const Snapshot snapshot = Pinned(dataset);
    EXPECT_EQ(ReadAll(snapshot, dataset, Rows(1)).rows, 3) << name;
    source_->Release(snapshot);
  }
}

TEST_P(SourceContract, DiscoverIsOrderedAndNamesWhatIsMissing) {
  Selector everything;
  everything.all = true;
  const auto datasets = source_->Discover(everything).ValueOrDie();
  EXPECT_TRUE(std::is_sorted(datasets.begin(), datasets.end(),
                             [](const auto& a, const auto& b) { return a.id < b.id; }));
  std::set<std::string> names;
  for (const auto& dataset : datasets) {
    names.insert(dataset.id.name);
    for (const auto& field : dataset.schema->fields()) {
      ASSERT_TRUE(field->metadata() != nullptr && field->metadata()->Contains(kSourceTypeKey));
    }
  }
  EXPECT_TRUE(names.contains(GetParam().table));
  for (const auto& name : GetParam().odd_names) EXPECT_TRUE(names.contains(name)) << name;
  const auto missing = source_->Discover(SelectorFor(GetParam().table + "x"));
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(KindOf(missing.status()), ErrorKind::kUser);
  EXPECT_NE(MessageOf(missing.status()).find(GetParam().table), std::string::npos);
}

TEST_P(SourceContract, ColumnsAndLimitAreKept) {
  Options options;
  ASSERT_TRUE(options.Set("columns", StringList{GetParam().column}).ok());
  ASSERT_TRUE(options.Set("limit", int64_t{42}).ok());
  const Dataset dataset = Discovered(GetParam().table, options);
  ASSERT_EQ(dataset.schema->num_fields(), 1);
  const Snapshot snapshot = Pinned(dataset);
  EXPECT_EQ(ReadAll(snapshot, dataset, Rows(10)).rows, std::min<int64_t>(42, GetParam().rows));
  Options wrong;
  ASSERT_TRUE(wrong.Set("columns", StringList{"no such column"}).ok());
  const auto refused = source_->Discover(SelectorFor(GetParam().table, wrong));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(KindOf(refused.status()), ErrorKind::kUser);
}

TEST_P(SourceContract, AnUnknownSnapshotIsLost) {
  if (!source_->Traits().consistent_snapshot) return;  // there is none to lose
  const Dataset dataset = Discovered(GetParam().table);
  Snapshot snapshot = Pinned(dataset);
  snapshot.id = "another";
  const Status status = source_->CheckPin(snapshot);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(KindOf(status), ErrorKind::kSnapshotLost);
  EXPECT_FALSE(source_->Open(snapshot, {&dataset, 1}, worker_).ok());
}

TEST_P(SourceContract, PlansWithoutASnapshot) {
  const Dataset dataset = Discovered(GetParam().table);
  const auto planned = SplitAll(Snapshot{}, dataset, Rows(100));
  const Snapshot snapshot = Pinned(dataset);
  EXPECT_EQ(planned.size(), SplitAll(snapshot, dataset, Rows(100)).size());
}

INSTANTIATE_TEST_SUITE_P(Sources, SourceContract, testing::ValuesIn(SourceCases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace bulkhaul
