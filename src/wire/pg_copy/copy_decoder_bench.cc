// Decoding speed in bytes of COPY stream, for rows shaped like TPC-H's lineitem and orders.
#include <random>

#include <benchmark/benchmark.h>

#include "wire/pg_copy/copy_decoder.h"
#include "wire/pg_copy/copy_encoder.h"
#include "wire/pg_copy/testing.h"

namespace bulkhaul::pg {
namespace {

using testing::BigEndian;
using testing::Field;
using testing::FieldCount;

constexpr int kRows = 50'000;
constexpr int32_t kMoneyTypmod = ((15 << 16) | 2) + 4;  // numeric(15,2)

// numeric(15,2) as numeric_send() writes it.
std::string Numeric(int64_t cents) {
  std::vector<int> groups = {static_cast<int>(cents % 100 * 100)};
  for (int64_t whole = cents / 100; whole > 0; whole /= 10'000) {
    groups.insert(groups.begin(), static_cast<int>(whole % 10'000));
  }
  int weight = static_cast<int>(groups.size()) - 2;
  while (!groups.empty() && groups.back() == 0) groups.pop_back();
  if (groups.empty()) weight = 0;
  std::string value =
      BigEndian(groups.size(), 2) + BigEndian(weight, 2) + BigEndian(0, 2) + BigEndian(2, 2);
  for (const int group : groups) value += BigEndian(group, 2);
  return value;
}

std::string Words(std::mt19937_64& random, size_t bytes_max) {
  static const char* const kWords[] = {"carefully", "final", "packages", "ironic",  "requests",
                                       "sleep",     "above", "the",      "regular", "deposits"};
  const size_t bytes = 10 + random() % (bytes_max - 10);
  std::string text;
  while (text.size() < bytes) text += std::string(kWords[random() % 10]) + " ";
  return text.substr(0, bytes);
}

std::vector<ColumnSpec> LineitemColumns() {
  const auto column = [](const char* name, uint32_t oid, int32_t typmod = -1) {
    ColumnSpec spec;
    spec.name = name;
    spec.type = BuiltinType(oid);
    spec.typmod = typmod;
    return spec;
  };
  return {column("l_orderkey", kInt8Oid),
          column("l_partkey", kInt8Oid),
          column("l_suppkey", kInt8Oid),
          column("l_linenumber", kInt4Oid),
          column("l_quantity", kNumericOid, kMoneyTypmod),
          column("l_extendedprice", kNumericOid, kMoneyTypmod),
          column("l_discount", kNumericOid, kMoneyTypmod),
          column("l_tax", kNumericOid, kMoneyTypmod),
          column("l_returnflag", kBpcharOid),
          column("l_linestatus", kBpcharOid),
          column("l_shipdate", kDateOid),
          column("l_commitdate", kDateOid),
          column("l_receiptdate", kDateOid),
          column("l_shipinstruct", kBpcharOid),
          column("l_shipmode", kBpcharOid),
          column("l_comment", kVarcharOid)};
}

// The tuples, one string each.
std::vector<std::string> LineitemRows() {
  static const char* const kInstructions[] = {
      "DELIVER IN PERSON        ", "COLLECT COD              ", "NONE                     ",
      "TAKE BACK RETURN         "};
  static const char* const kModes[] = {"REG AIR   ", "AIR       ", "RAIL      ", "SHIP      ",
                                       "TRUCK     ", "MAIL      ", "FOB       "};
  std::mt19937_64 random(1);
  std::vector<std::string> rows;
  for (int row = 0; row < kRows; ++row) {
    const int64_t quantity = 1 + random() % 50;
    const int32_t day = -2922 + static_cast<int32_t>(random() % 2500);
    rows.push_back(FieldCount(16) + Field(BigEndian(row / 4, 8)) +
                   Field(BigEndian(random() % 200'000, 8)) +
                   Field(BigEndian(random() % 10'000, 8)) + Field(BigEndian(row % 4, 4)) +
                   Field(Numeric(quantity * 100)) +
                   Field(Numeric(quantity * static_cast<int64_t>(90'000 + random() % 110'000))) +
                   Field(Numeric(random() % 11)) + Field(Numeric(random() % 9)) +
                   Field(random() % 2 ? "N" : "R") + Field(random() % 2 ? "O" : "F") +
                   Field(BigEndian(day, 4)) + Field(BigEndian(day + 30, 4)) +
                   Field(BigEndian(day + 20, 4)) + Field(kInstructions[random() % 4]) +
                   Field(kModes[random() % 7]) + Field(Words(random, 44)));
  }
  return rows;
}

std::unique_ptr<CopyDecoder> LineitemDecoder() {
  std::vector<ColumnMapping> mappings;
  for (const ColumnSpec& column : LineitemColumns()) {
    mappings.push_back(MapColumn(column, MappingOptions{}).ValueOrDie());
  }
  return CopyDecoder::Make(std::move(mappings), {}, arrow::default_memory_pool()).ValueOrDie();
}

void FeedAll(CopyDecoder& decoder, std::string_view bytes) {
  std::span<const uint8_t> rest(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  while (!rest.empty()) {
    rest = rest.subspan(decoder.Feed(rest).ValueOrDie());
    if (decoder.batch_ready()) benchmark::DoNotOptimize(decoder.TakeBatch().ValueOrDie());
  }
}

// Chunks as a socket gives them.
void LineitemInChunks(benchmark::State& state) {
  std::string tuples;
  for (const std::string& row : LineitemRows()) tuples += row;
  const std::string stream = testing::Stream(tuples);
  const size_t chunk_bytes = state.range(0);
  auto decoder = LineitemDecoder();
  for ([[maybe_unused]] auto _ : state) {
    decoder->Reset();
    for (size_t place = 0; place < stream.size(); place += chunk_bytes) {
      FeedAll(*decoder, std::string_view(stream).substr(place, chunk_bytes));
    }
    benchmark::DoNotOptimize(decoder->TakeBatch().ValueOrDie());
  }
  state.SetBytesProcessed(state.iterations() * stream.size());
  state.SetItemsProcessed(state.iterations() * kRows);
}
BENCHMARK(LineitemInChunks)->Arg(8 << 10)->Arg(64 << 10)->Arg(1 << 20);

// A row at a time, as libpq's PQgetCopyData() gives them.
void LineitemRowByRow(benchmark::State& state) {
  const std::vector<std::string> rows = LineitemRows();
  const std::string header = testing::Stream("").substr(0, 19);
  auto decoder = LineitemDecoder();
  int64_t bytes = 0;
  for ([[maybe_unused]] auto _ : state) {
    decoder->Reset();
    FeedAll(*decoder, header);
    for (const std::string& row : rows) FeedAll(*decoder, row);
    FeedAll(*decoder, "\xff\xff");
    benchmark::DoNotOptimize(decoder->TakeBatch().ValueOrDie());
    bytes += decoder->bytes_fed();
  }
  state.SetBytesProcessed(bytes);
  state.SetItemsProcessed(state.iterations() * kRows);
}
BENCHMARK(LineitemRowByRow);

// The way back: batches of the usual size, encoded in blocks.
void EncodeLineitem(benchmark::State& state) {
  std::string tuples;
  for (const std::string& row : LineitemRows()) tuples += row;
  auto decoder = LineitemDecoder();
  FeedAll(*decoder, testing::Stream(tuples));
  const auto batch = decoder->TakeBatch().ValueOrDie();
  std::vector<EncodeColumn> columns;
  const auto targets = LineitemColumns();
  for (int i = 0; i < batch->num_columns(); ++i) {
    columns.push_back(
        {targets[i].name, i, PlanEncoding(*batch->column(i)->type(), targets[i], {}).ValueOrDie()});
  }
  CopyEncoder encoder(std::move(columns));
  ByteBuffer out;
  int64_t bytes = 0;
  for ([[maybe_unused]] auto _ : state) {
    for (int64_t row = 0; row < batch->num_rows(); row += CopyEncoder::kBlockRows) {
      out.Clear();
      const int64_t rows = std::min(CopyEncoder::kBlockRows, batch->num_rows() - row);
      if (!encoder.Encode(*batch, row, rows, &out).ok()) state.SkipWithError("encode");
      benchmark::DoNotOptimize(out.data());
      bytes += static_cast<int64_t>(out.size());
    }
  }
  state.SetBytesProcessed(bytes);
}
BENCHMARK(EncodeLineitem);

}  // namespace
}  // namespace bulkhaul::pg
