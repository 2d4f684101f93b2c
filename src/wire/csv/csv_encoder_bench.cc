// Speed of the CSV encoder on rows shaped like TPC-H's lineitem.
#include <random>

#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_decimal.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/util/decimal.h>
#include <benchmark/benchmark.h>

#include "wire/csv/csv_encoder.h"

namespace bulkhaul {
namespace {

constexpr int64_t kRows = 20'000;

template <typename Builder, typename Value>
std::shared_ptr<arrow::Array> Column(std::shared_ptr<arrow::DataType> type, Value value) {
  Builder builder(type, arrow::default_memory_pool());
  for (int64_t i = 0; i < kRows; ++i) {
    if (!builder.Append(value(i)).ok()) std::abort();
  }
  return builder.Finish().ValueOrDie();
}

void Encode(benchmark::State& state, const std::shared_ptr<arrow::Array>& column,
            const CsvFormatOptions& options) {
  const auto schema = arrow::schema({arrow::field("c", column->type())});
  const auto batch = arrow::RecordBatch::Make(schema, column->length(), {column});
  auto encoder = CsvEncoder::Make(schema, options).ValueOrDie();
  CsvBuffer out;
  int64_t bytes = 0;
  for ([[maybe_unused]] auto _ : state) {
    out.Clear();
    if (!encoder->AppendRows(*batch, 0, batch->num_rows(), &out).ok()) std::abort();
    bytes += static_cast<int64_t>(out.size());
  }
  state.SetBytesProcessed(bytes);
  state.SetItemsProcessed(state.iterations() * kRows);
}

std::shared_ptr<arrow::Array> Texts() {
  return Column<arrow::StringBuilder>(
      arrow::utf8(), [](int64_t i) { return "carefully final deposits " + std::to_string(i); });
}

void BM_Integers(benchmark::State& state) {
  Encode(state, Column<arrow::Int64Builder>(arrow::int64(), [](int64_t i) { return i * 7919; }),
         {});
}
void BM_Decimals(benchmark::State& state) {
  Encode(state,
         Column<arrow::Decimal128Builder>(arrow::decimal128(15, 2),
                                          [](int64_t i) { return arrow::Decimal128(i * 7919); }),
         {});
}
void BM_Doubles(benchmark::State& state) {
  Encode(state,
         Column<arrow::DoubleBuilder>(arrow::float64(),
                                      [](int64_t i) { return 1.0 / static_cast<double>(i + 1); }),
         {});
}
void BM_Dates(benchmark::State& state) {
  Encode(state,
         Column<arrow::Date32Builder>(
             arrow::date32(), [](int64_t i) { return static_cast<int32_t>(8000 + i % 2500); }),
         {});
}
void BM_Timestamps(benchmark::State& state) {
  Encode(state,
         Column<arrow::TimestampBuilder>(
             arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"),
             [](int64_t i) { return 1'795'256'100'123'456 + i * 1'000'003; }),
         {});
}
void BM_Texts(benchmark::State& state) { Encode(state, Texts(), {}); }
void BM_QuotedTexts(benchmark::State& state) {
  Encode(state, Texts(), {.quote = CsvFormatOptions::Quote::kAll});
}
BENCHMARK(BM_Integers);
BENCHMARK(BM_Decimals);
BENCHMARK(BM_Doubles);
BENCHMARK(BM_Dates);
BENCHMARK(BM_Timestamps);
BENCHMARK(BM_Texts);
BENCHMARK(BM_QuotedTexts);

}  // namespace
}  // namespace bulkhaul
