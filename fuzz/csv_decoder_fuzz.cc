// Any bytes as CSV: an error or valid Arrow data, and rows set aside, the same however the text is
// cut.
//
// Input: one byte of options, one byte of which the highest bit says whether rows are set aside and
// the others where the text is cut, then the text.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/api.h>

#include "die.h"
#include "wire/csv/csv_decoder.h"

namespace {

using namespace bulkhaul;
using namespace bulkhaul::csv;

std::unique_ptr<CsvDecoder> MakeDecoder(uint8_t choice, bool refuses) {
  CsvReading reading;
  if (refuses) reading.refused_max = INT32_MAX;
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

struct Read {
  std::shared_ptr<arrow::Table> rows;  // null for an error
  std::vector<CsvRefused> refused;
};

// The text, read in pieces of `piece` bytes.
Read ReadIn(uint8_t choice, bool refuses, std::string_view text, size_t piece) {
  const auto decoder = MakeDecoder(choice, refuses);
  const char row_end = choice & 4 ? '\r' : '\n';
  Read read;
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  size_t wanted = piece;
  int64_t line = 1;
  for (size_t at = 0; at < text.size();) {
    const auto part = text.substr(at, wanted);
    const auto used = decoder->Index(part, at + part.size() == text.size(), line);
    if (!used.ok()) return {};
    if (*used > part.size()) Die("more was used than given");
    const int64_t indexed = decoder->rows();
    auto batch = decoder->Decode(0, indexed);
    if (!batch.ok()) return {};
    const Status valid = (*batch)->ValidateFull();
    if (!valid.ok()) Die("invalid batch: " + valid.ToString());
    if (!refuses && (*batch)->num_rows() != indexed) Die("rows are missing");
    for (int64_t row = 1; row < (*batch)->num_rows(); ++row) {
      if (decoder->LineOfDecoded(row) < decoder->LineOfDecoded(row - 1)) Die("lines go back");
    }
    batches.push_back(*std::move(batch));
    for (auto& refused : decoder->TakeRefused()) read.refused.push_back(std::move(refused));
    line += std::count(part.begin(), part.begin() + static_cast<std::ptrdiff_t>(*used), row_end);
    at += *used;
    wanted = *used == 0 ? wanted + piece : piece;
  }
  if (!refuses && !read.refused.empty()) Die("rows are set aside unasked");
  read.rows = arrow::Table::FromRecordBatches(decoder->schema(), batches).ValueOrDie();
  return read;
}

bool Same(const CsvRefused& a, const CsvRefused& b) {
  return a.reason == b.reason && a.line == b.line && a.column == b.column && a.fields == b.fields &&
         a.value == b.value && a.text == b.text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  const bool refuses = (data[1] & 128) != 0;
  const auto [whole, refused] = ReadIn(data[0], refuses, text, text.size() + 1);
  const auto [pieces, others] = ReadIn(data[0], refuses, text, size_t{data[1]} % 128 + 1);
  if ((whole == nullptr) != (pieces == nullptr)) Die("an error for one way of cutting only");
  if (whole != nullptr &&
      !std::equal(refused.begin(), refused.end(), others.begin(), others.end(), Same)) {
    Die("other rows are set aside when the text is cut");
  }
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
