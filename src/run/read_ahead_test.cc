#include "run/read_ahead.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <semaphore>
#include <string>
#include <utility>

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <gtest/gtest.h>

namespace bulkhaul {
namespace {

constexpr int64_t kAll = std::numeric_limits<int64_t>::max();

// `batches` of one row each, then the end or an error.
class Counter : public UnitReader {
 public:
  explicit Counter(int batches, Status end = Status::OK())
      : batches_(batches), end_(std::move(end)) {}
  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* out) override {
    out->reset();
    if (given == batches_) return end_;
    const int64_t value = given++;
    if (on_read) on_read();
    const auto values = std::make_shared<arrow::Int64Array>(
        1, arrow::Buffer::FromString(
               std::string(reinterpret_cast<const char*>(&value), sizeof(value))));
    *out = arrow::RecordBatch::Make(schema_, 1, {values});
    return Status::OK();
  }
  UnitRange covered() const override { return {}; }
  int64_t bytes_read() const override { return given * 8; }
  // As many as the batch says.
  std::vector<RefusedRow> TakeRefused() override {
    return std::vector<RefusedRow>(static_cast<size_t>(given - 1));
  }

  std::atomic<int> given{0};
  std::function<void()> on_read;

 private:
  const int batches_;
  const Status end_;
  const std::shared_ptr<arrow::Schema> schema_ = arrow::schema({arrow::field("n", arrow::int64())});
};

void Ignore(int64_t, int64_t) {}

int64_t ValueOf(const arrow::RecordBatch& batch) {
  return static_cast<const arrow::Int64Array&>(*batch.column(0)).Value(0);
}

TEST(ReadAhead, ReadsEverythingBeforeAnythingIsTaken) {
  Counter reader(100);
  std::binary_semaphore whole(0);
  ReadAhead ahead(
      reader, [] { return kAll; },
      [&](int64_t rows, int64_t bytes) {
        EXPECT_EQ(bytes, rows * 8);
        if (rows == 100) whole.release();
      });
  whole.acquire();
  for (int64_t i = 0; i < 100; ++i) EXPECT_EQ(ValueOf(**ahead.Next()), i);
  EXPECT_EQ(*ahead.Next(), nullptr);
  EXPECT_EQ(*ahead.Next(), nullptr);
}

TEST(ReadAhead, StaysWithinItsAllowance) {
  Counter reader(200);
  std::atomic<int> taken{0};
  std::atomic<int64_t> allowance{3 * 8};
  reader.on_read = [&] { EXPECT_LE(reader.given - taken, 4) << "three wait, one is being read"; };
  ReadAhead ahead(
      reader, [&] { return allowance.load(); }, Ignore);
  for (int64_t i = 0; i < 200; ++i) {
    ++taken;
    EXPECT_EQ(ValueOf(**ahead.Next()), i);
    if (i == 100) allowance = 0;  // memory shrank: one may still wait
  }
  EXPECT_EQ(*ahead.Next(), nullptr);
}

TEST(ReadAhead, AnErrorComesBehindTheRowsBeforeIt) {
  Counter reader(2, TransientError("lost"));
  ReadAhead ahead(
      reader, [] { return kAll; }, Ignore);
  EXPECT_EQ(ValueOf(**ahead.Next()), 0);
  EXPECT_EQ(ValueOf(**ahead.Next()), 1);
  EXPECT_EQ(KindOf(ahead.Next().status()), ErrorKind::kTransient);
}

TEST(ReadAhead, EndsWithBatchesThatNobodyTakes) {
  Counter reader(1'000'000);
  {
    ReadAhead ahead(
        reader, [] { return int64_t{1000}; }, Ignore);
    EXPECT_EQ(ValueOf(**ahead.Next()), 0);
  }
  EXPECT_LT(reader.given, 1'000'000);
}

TEST(ReadAhead, RowsThatWereSetAsideComeWithTheirBatch) {
  Counter reader(10);
  std::binary_semaphore whole(0);
  ReadAhead ahead(
      reader, [] { return kAll; },
      [&](int64_t rows, int64_t) {
        if (rows == 10) whole.release();
      });
  whole.acquire();
  for (size_t i = 0; i < 10; ++i) {
    ASSERT_TRUE(ahead.Next().ok());
    EXPECT_EQ(ahead.TakeRefused().size(), i);
    EXPECT_TRUE(ahead.TakeRefused().empty());
  }
  EXPECT_EQ(*ahead.Next(), nullptr);
  EXPECT_TRUE(ahead.TakeRefused().empty());
}

// As readers do that fill a buffer again when nobody else holds it.
TEST(ReadAhead, BatchesEndOnTheReadingThread) {
  Counter reader(50);
  std::optional<std::weak_ptr<arrow::RecordBatch>> before;
  ReadAhead ahead(
      reader, [] { return int64_t{0}; }, Ignore);
  for (int i = 0; i < 50; ++i) {
    auto batch = *ahead.Next();
    ASSERT_NE(batch, nullptr);
    before = batch;
    batch.reset();
    EXPECT_FALSE(before->expired()) << "kept until the reader may take it back";
  }
}

}  // namespace
}  // namespace bulkhaul
