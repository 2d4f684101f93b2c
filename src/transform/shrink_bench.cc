// What observing costs while rows pass, by column type.
#include <random>

#include <arrow/api.h>
#include <benchmark/benchmark.h>

#include "transform/column_statistics.h"
#include "transform/dictionary_builder.h"

namespace bulkhaul {
namespace {

constexpr int64_t kRows = 65'536;

std::shared_ptr<arrow::Array> Column(const std::shared_ptr<arrow::DataType>& type) {
  std::mt19937_64 random(1);
  auto builder = arrow::MakeBuilder(type).ValueOrDie();
  for (int64_t i = 0; i < kRows; ++i) {
    const uint64_t bits = random();
    switch (type->id()) {
      case arrow::Type::INT64:
        (void)static_cast<arrow::Int64Builder&>(*builder).Append(static_cast<int64_t>(bits));
        break;
      case arrow::Type::DOUBLE:
        (void)static_cast<arrow::DoubleBuilder&>(*builder).Append(static_cast<double>(bits % 4096));
        break;
      case arrow::Type::DECIMAL128:
        (void)static_cast<arrow::Decimal128Builder&>(*builder).Append(
            arrow::Decimal128(static_cast<int64_t>(bits % 1'000'000) * 100));
        break;
      default:
        (void)static_cast<arrow::StringBuilder&>(*builder).Append("Clerk#" +
                                                                  std::to_string(bits % 1000));
    }
  }
  return builder->Finish().ValueOrDie();
}

void Observe(benchmark::State& state, const std::shared_ptr<arrow::DataType>& type) {
  const auto column = Column(type);
  ColumnStatistics statistics(type, 0);
  for ([[maybe_unused]] auto _ : state) statistics.Observe(*column);
  benchmark::DoNotOptimize(statistics.Narrowest());
  state.SetItemsProcessed(state.iterations() * kRows);
}
BENCHMARK_CAPTURE(Observe, int64, arrow::int64());
BENCHMARK_CAPTURE(Observe, double, arrow::float64());
BENCHMARK_CAPTURE(Observe, decimal, arrow::decimal128(15, 2));
BENCHMARK_CAPTURE(Observe, string, arrow::utf8());

void Encode(benchmark::State& state) {
  const auto column = Column(arrow::utf8());
  DictionaryBuilder builder;
  for ([[maybe_unused]] auto _ : state) {
    benchmark::DoNotOptimize(builder.Encode(*column, arrow::default_memory_pool()).ValueOrDie());
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}
BENCHMARK(Encode);

}  // namespace
}  // namespace bulkhaul
