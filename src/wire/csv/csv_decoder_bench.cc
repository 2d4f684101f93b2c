#include <string>

#include <benchmark/benchmark.h>

#include "wire/csv/csv_decoder.h"

namespace bulkhaul::csv {
namespace {

constexpr int64_t kRows = 8192;

// Rows as lineitem of TPC-H has them.
std::string Lineitem() {
  std::string text;
  for (int64_t i = 0; i < kRows; ++i) {
    text += std::to_string(i / 4 + 1000000) + ',' + std::to_string(i * 7919 % 200000) + ',' +
            std::to_string(i * 31 % 10000) + ',' + std::to_string(i % 7 + 1) + ',' +
            std::to_string(i % 50 + 1) + ',' + std::to_string(i * 977 % 90000 + 1000) + '.' +
            std::to_string(i % 90 + 10) + ",0.0" + std::to_string(i % 10) + ",0.0" +
            std::to_string(i % 9) + ",N,O,1996-03-1" + std::to_string(i % 10) + ",1996-02-1" +
            std::to_string(i % 10) + ",1996-04-2" + std::to_string(i % 9) +
            ",DELIVER IN PERSON,TRUCK,\"egular courts, above the " + std::to_string(i) + "\"\n";
  }
  return text;
}

std::unique_ptr<CsvDecoder> LineitemDecoder() {
  const std::shared_ptr<arrow::DataType> types[] = {
      arrow::int64(),  arrow::int64(),   arrow::int64(),   arrow::int64(),
      arrow::int64(),  arrow::float64(), arrow::float64(), arrow::float64(),
      arrow::utf8(),   arrow::utf8(),    arrow::date32(),  arrow::date32(),
      arrow::date32(), arrow::utf8(),    arrow::utf8(),    arrow::utf8()};
  std::vector<CsvColumn> columns;
  for (int i = 0; i < 16; ++i) {
    CsvColumn column;
    column.name = "c" + std::to_string(i);
    column.type.type = types[i];
    column.field = i;
    columns.push_back(std::move(column));
  }
  CsvReading reading;
  reading.fields = 16;
  return CsvDecoder::Make(reading, std::move(columns), arrow::default_memory_pool()).ValueOrDie();
}

void DecodeLineitem(benchmark::State& state) {
  const std::string text = Lineitem();
  const auto decoder = LineitemDecoder();
  for ([[maybe_unused]] auto _ : state) {
    if (!decoder->Index(text, true, 1).ok()) state.SkipWithError("index");
    auto batch = decoder->Decode(0, decoder->rows());
    if (!batch.ok()) state.SkipWithError(batch.status().ToString().c_str());
    benchmark::DoNotOptimize(batch);
  }
  state.SetBytesProcessed(static_cast<int64_t>(text.size()) * state.iterations());
  state.SetItemsProcessed(kRows * state.iterations());
}
BENCHMARK(DecodeLineitem);

// What finding the places to cut a large file costs.
void ScanForCuts(benchmark::State& state) {
  const std::string text = Lineitem();
  for ([[maybe_unused]] auto _ : state) {
    CsvScanState scan;
    benchmark::DoNotOptimize(ScanToRowEnd(text, CsvDialect{}, text.size(), &scan));
  }
  state.SetBytesProcessed(static_cast<int64_t>(text.size()) * state.iterations());
}
BENCHMARK(ScanForCuts);

}  // namespace
}  // namespace bulkhaul::csv
