// What a contract costs a row: the rules of a table like TPC-H's lineitem, together and one by one.
#include <random>
#include <string>

#include <arrow/api.h>
#include <benchmark/benchmark.h>

#include "transform/contract.h"

namespace bulkhaul {
namespace {

constexpr int64_t kRows = 65'536;

std::shared_ptr<arrow::Array> Texts(int64_t length) {
  std::mt19937_64 random(1);
  arrow::StringBuilder builder;
  for (int64_t i = 0; i < kRows; ++i) {
    (void)builder.Append(std::string(1 + random() % static_cast<uint64_t>(length), 'x'));
  }
  return builder.Finish().ValueOrDie();
}

std::shared_ptr<arrow::RecordBatch> Rows() {
  std::mt19937_64 random(1);
  arrow::Int64Builder key;
  arrow::Decimal128Builder price(arrow::decimal128(15, 2));
  arrow::DoubleBuilder tax;
  arrow::Date32Builder day;
  for (int64_t i = 0; i < kRows; ++i) {
    (void)key.Append(i);
    (void)price.Append(arrow::Decimal128(static_cast<int64_t>(random() % 10'000'000)));
    (void)tax.Append(static_cast<double>(random() % 100) / 100);
    (void)day.Append(static_cast<int32_t>(8000 + random() % 2000));
  }
  return arrow::RecordBatch::Make(
      arrow::schema({arrow::field("key", arrow::int64()), arrow::field("price", price.type()),
                     arrow::field("tax", arrow::float64()), arrow::field("day", arrow::date32()),
                     arrow::field("flag", arrow::utf8()), arrow::field("comment", arrow::utf8())}),
      kRows,
      {key.Finish().ValueOrDie(), price.Finish().ValueOrDie(), tax.Finish().ValueOrDie(),
       day.Finish().ValueOrDie(), Texts(1), Texts(44)});
}

void Check(benchmark::State& state, const char* columns) {
  const auto batch = Rows();
  Dataset dataset;
  dataset.contract = std::string("columns: {") + columns + "}";
  auto contract = ContractTransform::Make(dataset).ValueOrDie();
  if (!contract->Bind(batch->schema()).ok()) return state.SkipWithError("Bind");
  for ([[maybe_unused]] auto _ : state) {
    if (!contract->Apply(batch, arrow::default_memory_pool()).ok()) {
      return state.SkipWithError("Apply");
    }
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}
BENCHMARK_CAPTURE(Check, all_columns,
                  "key: {nullable: false, min: 0, max: 9999999},"
                  "price: {nullable: false, min: 0, max: 999999},"
                  "tax: {nullable: false, min: 0, max: 1},"
                  "day: {nullable: false, min: 1970-01-01, max: 2030-01-01},"
                  "flag: {nullable: false, min_length: 1, max_length: 1},"
                  "comment: {nullable: false, min_length: 1, max_length: 44}");
BENCHMARK_CAPTURE(Check, integer_range, "key: {min: 0, max: 9999999}");
BENCHMARK_CAPTURE(Check, decimal_range, "price: {min: 0, max: 999999}");
BENCHMARK_CAPTURE(Check, double_range, "tax: {min: 0, max: 1}");
BENCHMARK_CAPTURE(Check, length, "comment: {min_length: 1, max_length: 44}");
BENCHMARK_CAPTURE(Check, allowed, "flag: {allowed: [x, y, z]}");
BENCHMARK_CAPTURE(Check, pattern, "comment: {pattern: 'x+'}");

void Unique(benchmark::State& state) {
  const auto batch = Rows();
  RowMarks marks;
  marks.Reset(kRows);
  for ([[maybe_unused]] auto _ : state) {
    UniqueKeys keys("/dev/null", kRows + 1);
    benchmark::DoNotOptimize(keys.Add(*batch->column(0), marks, 0, 0));
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}
BENCHMARK(Unique);

}  // namespace
}  // namespace bulkhaul
