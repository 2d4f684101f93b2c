// Any bytes as CSV: an error or valid Arrow data, the same however the text is cut.
//
// Input: one byte of options, one byte that says where the text is cut, then the text.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include <arrow/api.h>

#include "wire/csv/csv_decoder.h"

namespace {

using namespace bulkhaul;
using namespace bulkhaul::csv;

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::abort();
}

std::unique_ptr<CsvDecoder> MakeDecoder(uint8_t choice) {
  CsvReading reading;
  if (choice & 1) reading.dialect.delimiter = ';';
  if (choice & 2) reading.dialect.escape = '\\';
  if (choice & 4) reading.dialect.row_end = '\r';
  if (choice & 8) reading.dialect.quote = '\0';
  if (choice & 16) reading.ragged = choice & 32 ? OnRagged::kPad : OnRagged::kSkip;
  if (choice & 64) reading.misfit = OnMisfit::kNull;
  if (choice & 128) reading.invalid_utf8 = OnInvalidUtf8::kReplace;
  reading.fields = 6;
  const std::shared_ptr<arrow::DataType> types[] = {
      arrow::utf8(),    arrow::int64(),
      arrow::float64(), arrow::decimal128(20, 3),
      arrow::date32(),  arrow::timestamp(arrow::TimeUnit::MICRO)};
  std::vector<CsvColumn> columns;
  for (int i = 0; i < reading.fields; ++i) {
    CsvColumn column;
    column.name = "c" + std::to_string(i);
    column.type.type = types[i];
    column.field = i;
    if (i == 4 && (choice & 64)) column.type.date_format = "d/M/yyyy";
    columns.push_back(std::move(column));
  }
  return CsvDecoder::Make(reading, std::move(columns), arrow::default_memory_pool()).ValueOrDie();
}

// The rows of the text, read in pieces of `piece` bytes; null for an error.
std::shared_ptr<arrow::Table> Read(uint8_t choice, std::string_view text, size_t piece) {
  const auto decoder = MakeDecoder(choice);
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  size_t wanted = piece;
  for (size_t at = 0; at < text.size();) {
    const auto part = text.substr(at, wanted);
    const auto used = decoder->Index(part, at + part.size() == text.size(), 1);
    if (!used.ok()) return nullptr;
    if (*used > part.size()) Die("more was used than given");
    auto batch = decoder->Decode(0, decoder->rows());
    if (!batch.ok()) return nullptr;
    const Status valid = (*batch)->ValidateFull();
    if (!valid.ok()) Die("invalid batch: " + valid.ToString());
    batches.push_back(*std::move(batch));
    at += *used;
    wanted = *used == 0 ? wanted + piece : piece;
  }
  return arrow::Table::FromRecordBatches(decoder->schema(), batches).ValueOrDie();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  const auto whole = Read(data[0], text, text.size() + 1);
  const auto pieces = Read(data[0], text, size_t{data[1]} + 1);
  if ((whole == nullptr) != (pieces == nullptr)) Die("an error for one way of cutting only");
  // NaN is the same as NaN here.
  const auto exactly = arrow::EqualOptions::Defaults().nans_equal(true).atol(0);
  for (int i = 0; whole != nullptr && i < whole->num_columns(); ++i) {
    if (!whole->column(i)->ApproxEquals(*pieces->column(i), exactly)) {
      Die("other rows when the text is cut");
    }
  }
  CsvDialect dialect = DetectDialect(text, {}, false);
  std::vector<std::string> fields;
  const auto row = FirstRow(text, dialect, true, &fields);
  if (row.ok() && *row > text.size()) Die("a row longer than the text");
  return 0;
}
