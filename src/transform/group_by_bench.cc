// What grouping costs a row, few groups and many.
#include <random>

#include <arrow/api.h>
#include <benchmark/benchmark.h>

#include "transform/group_table.h"

namespace bulkhaul {
namespace {

constexpr int64_t kRows = 65'536;

// Two short texts, an integer key below `distinct`, a decimal and a double.
std::shared_ptr<arrow::RecordBatch> Rows(uint64_t distinct) {
  std::mt19937_64 random(1);
  arrow::StringBuilder flag, status;
  arrow::Int64Builder key;
  arrow::Decimal128Builder price(arrow::decimal128(15, 2));
  arrow::DoubleBuilder tax;
  for (int64_t i = 0; i < kRows; ++i) {
    (void)flag.Append(std::string(1, static_cast<char>('A' + random() % 3)));
    (void)status.Append(random() % 2 ? "F" : "O");
    (void)key.Append(static_cast<int64_t>(random() % distinct));
    (void)price.Append(arrow::Decimal128(static_cast<int64_t>(random() % 10'000'000)));
    (void)tax.Append(static_cast<double>(random() % 100) / 100);
  }
  return arrow::RecordBatch::Make(
      arrow::schema({arrow::field("flag", arrow::utf8()), arrow::field("status", arrow::utf8()),
                     arrow::field("key", arrow::int64()), arrow::field("price", price.type()),
                     arrow::field("tax", arrow::float64())}),
      kRows,
      {flag.Finish().ValueOrDie(), status.Finish().ValueOrDie(), key.Finish().ValueOrDie(),
       price.Finish().ValueOrDie(), tax.Finish().ValueOrDie()});
}

void Group(benchmark::State& state, std::vector<const char*> columns, uint64_t distinct) {
  const auto batch = Rows(distinct);
  Grouping grouping;
  for (const char* column : columns) grouping.keys.push_back({column, TimePart::kNone, column});
  grouping.aggregates = {{AggregateFunction::kCount, "", "count"},
                         {AggregateFunction::kSum, "price", "sum"},
                         {AggregateFunction::kMean, "tax", "mean"}};
  auto table = GroupTable::Make(grouping, batch->schema()).ValueOrDie();
  for ([[maybe_unused]] auto _ : state) {
    if (!table->Add(*batch, arrow::default_memory_pool()).ok()) state.SkipWithError("Add");
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}
BENCHMARK_CAPTURE(Group, two_texts, {"flag", "status"}, 1);
BENCHMARK_CAPTURE(Group, integer_few, {"key"}, 100);
BENCHMARK_CAPTURE(Group, integer_many, {"key"}, 1'000'000);

void Total(benchmark::State& state) { Group(state, {}, 1); }
BENCHMARK(Total);

}  // namespace
}  // namespace bulkhaul
