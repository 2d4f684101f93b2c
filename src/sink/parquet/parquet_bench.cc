// Speed and size of the Parquet encoder alone.
//
//   tpchgen-cli parquet -s 0.1 --tables=lineitem --output-dir=DIR
//   BULKHAUL_BENCH_PARQUET=DIR/lineitem.parquet sink_parquet_bench
//
// Without the variable it writes rows shaped like TPC-H's lineitem.
#include <cstdlib>
#include <random>

#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_decimal.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/array/util.h>
#include <arrow/io/file.h>
#include <arrow/io/memory.h>
#include <arrow/util/decimal.h>
#include <arrow/util/logging.h>
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <parquet/arrow/reader.h>

#include "sink/parquet/parquet_encoder.h"

namespace bulkhaul {
namespace {

using Batches = std::vector<std::shared_ptr<arrow::RecordBatch>>;

constexpr int64_t kUnitRows = 450'000;  // what a unit of 64 MiB of heap pages holds
constexpr int64_t kBatchRows = 24 << 10;

Batches ReadFile(const std::string& path) {
  parquet::arrow::FileReaderBuilder builder;
  if (!builder.Open(arrow::io::ReadableFile::Open(path).ValueOrDie()).ok()) std::abort();
  parquet::ArrowReaderProperties properties;
  properties.set_batch_size(kBatchRows);
  builder.properties(properties);
  auto file = builder.Build().ValueOrDie();
  auto reader = file->GetRecordBatchReader().ValueOrDie();
  Batches batches;
  for (int64_t rows = 0; rows < kUnitRows;) {
    std::shared_ptr<arrow::RecordBatch> batch;
    if (!reader->ReadNext(&batch).ok() || batch == nullptr) break;
    // Parquet cuts batches at its own row groups; copying gives each its own buffers.
    rows += batch->num_rows();
    batches.push_back(std::move(batch));
  }
  return batches;
}

template <typename Builder, typename Value>
std::shared_ptr<arrow::Array> Column(std::shared_ptr<arrow::DataType> type, int64_t rows,
                                     Value value) {
  Builder builder(type, arrow::default_memory_pool());
  for (int64_t i = 0; i < rows; ++i) {
    if (!builder.Append(value(i)).ok()) std::abort();
  }
  return builder.Finish().ValueOrDie();
}

Batches MakeRows() {
  std::mt19937_64 random(7);
  const auto below = [&](int64_t limit) { return static_cast<int64_t>(random() % limit); };
  const char* modes[] = {"AIR", "FOB", "MAIL", "RAIL", "REG AIR", "SHIP", "TRUCK"};
  const char* words[] = {"carefully ", "final ", "deposits ", "sleep ", "quickly ", "regular "};
  Batches batches;
  const auto schema = arrow::schema(
      {arrow::field("orderkey", arrow::int64()), arrow::field("partkey", arrow::int64()),
       arrow::field("linenumber", arrow::int32()),
       arrow::field("quantity", arrow::decimal128(15, 2)),
       arrow::field("price", arrow::decimal128(15, 2)), arrow::field("shipdate", arrow::date32()),
       arrow::field("shipmode", arrow::utf8()), arrow::field("comment", arrow::utf8())});
  for (int64_t start = 0; start < kUnitRows; start += kBatchRows) {
    const int64_t rows = kBatchRows;
    const auto decimal = arrow::decimal128(15, 2);
    batches.push_back(arrow::RecordBatch::Make(
        schema, rows,
        {Column<arrow::Int64Builder>(arrow::int64(), rows,
                                     [&](int64_t i) { return (start + i) / 4; }),
         Column<arrow::Int64Builder>(arrow::int64(), rows, [&](int64_t) { return below(200'000); }),
         Column<arrow::Int32Builder>(arrow::int32(), rows, [&](int64_t i) { return i % 7; }),
         Column<arrow::Decimal128Builder>(
             decimal, rows, [&](int64_t) { return arrow::Decimal128(100 * (1 + below(50))); }),
         Column<arrow::Decimal128Builder>(
             decimal, rows, [&](int64_t) { return arrow::Decimal128(90'000 + below(10'000'000)); }),
         Column<arrow::Date32Builder>(
             arrow::date32(), rows,
             [&](int64_t) { return static_cast<int32_t>(8000 + below(2500)); }),
         Column<arrow::StringBuilder>(arrow::utf8(), rows,
                                      [&](int64_t) { return modes[below(7)]; }),
         Column<arrow::StringBuilder>(arrow::utf8(), rows, [&](int64_t) {
           return std::string(words[below(6)]) + words[below(6)] + words[below(6)];
         })}));
  }
  return batches;
}

const Batches& Input() {
  static const Batches batches = [] {
    const char* path = std::getenv("BULKHAUL_BENCH_PARQUET");
    return path ? ReadFile(path) : MakeRows();
  }();
  return batches;
}

// The same rows with decimals as eight bytes, as the PostgreSQL reader gives them.
Batches WithSmallDecimals(const Batches& batches) {
  Batches out;
  for (const auto& batch : batches) {
    arrow::FieldVector fields;
    arrow::ArrayVector columns;
    for (int i = 0; i < batch->num_columns(); ++i) {
      auto column = batch->column(i);
      if (column->type_id() == arrow::Type::DECIMAL128) {
        const auto& wide = static_cast<const arrow::Decimal128Array&>(*column);
        const auto& type = static_cast<const arrow::DecimalType&>(*wide.type());
        const auto narrow_type = arrow::decimal64(type.precision(), type.scale());
        column = Column<arrow::Decimal64Builder>(narrow_type, wide.length(), [&](int64_t row) {
          return arrow::Decimal64(
              static_cast<int64_t>(arrow::Decimal128(wide.GetValue(row)).low_bits()));
        });
      }
      fields.push_back(arrow::field(batch->schema()->field(i)->name(), column->type()));
      columns.push_back(std::move(column));
    }
    out.push_back(arrow::RecordBatch::Make(arrow::schema(fields), batch->num_rows(), columns));
  }
  return out;
}

void Write(benchmark::State& state, const Batches& batches, const Options& options) {
  const auto schema = batches.front()->schema();
  const auto settings = ParquetSettings::FromOptions(options, *schema).ValueOrDie();
  TuningCache cache;
  int64_t bytes = 0;
  int64_t rows = 0;
  int64_t held_max = 0;
  for ([[maybe_unused]] auto _ : state) {
    auto stream = arrow::io::BufferOutputStream::Create(64 << 20).ValueOrDie();
    auto encoder = MakeParquetEncoder(settings, schema, stream, arrow::default_memory_pool(),
                                      &cache, "lineitem")
                       .ValueOrDie();
    for (const auto& batch : batches) {
      ARROW_CHECK_OK(encoder->Write(*batch));
      rows += batch->num_rows();
      held_max = std::max(held_max, encoder->buffered_bytes());
    }
    ARROW_CHECK_OK(encoder->Finish());
    bytes = stream->Tell().ValueOrDie();
  }
  int64_t batch_rows = 0;
  for (const auto& batch : batches) batch_rows += batch->num_rows();
  state.counters["rows/s"] =
      benchmark::Counter(static_cast<double>(rows), benchmark::Counter::kIsRate);
  state.counters["bytes/row"] = static_cast<double>(bytes) / static_cast<double>(batch_rows);
  state.counters["held MiB"] = static_cast<double>(held_max) / (1 << 20);
}

Options With(std::initializer_list<std::pair<const char*, const char*>> texts) {
  Options options;
  for (const auto& [name, text] : texts) {
    if (!options.SetFromText(name, text).ok()) std::abort();
  }
  return options;
}

void BM_Default(benchmark::State& state) { Write(state, Input(), With({})); }
void BM_SmallDecimals(benchmark::State& state) {
  Write(state, WithSmallDecimals(Input()), With({}));
}
void BM_DictionaryOn(benchmark::State& state) {
  Write(state, Input(), With({{"dictionary", "on"}}));
}
void BM_DictionaryOff(benchmark::State& state) {
  Write(state, Input(), With({{"dictionary", "off"}}));
}
void BM_Zstd1(benchmark::State& state) { Write(state, Input(), With({{"compression", "zstd:1"}})); }
void BM_Snappy(benchmark::State& state) {
  Write(state, Input(), With({{"compression", "snappy"}}));
}
void BM_None(benchmark::State& state) { Write(state, Input(), With({{"compression", "none"}})); }
void BM_NoStatistics(benchmark::State& state) {
  Write(state, Input(), With({{"statistics", "false"}, {"page_index", "false"}}));
}
BENCHMARK(BM_Default)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_SmallDecimals)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_DictionaryOn)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_DictionaryOff)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_Zstd1)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_Snappy)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_None)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_NoStatistics)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace bulkhaul
