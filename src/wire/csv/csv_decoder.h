// CSV text into typed columns.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>

#include "base/error.h"
#include "wire/csv/csv_dialect.h"
#include "wire/csv/csv_inference.h"
#include "wire/csv/csv_scanner.h"

namespace bulkhaul::csv {

enum class OnRagged { kError, kPad, kSkip };
enum class OnMisfit { kError, kNull };
enum class OnInvalidUtf8 { kError, kReplace, kNull };

struct CsvReading {
  CsvDialect dialect;
  OnRagged ragged = OnRagged::kError;
  OnMisfit misfit = OnMisfit::kError;
  OnInvalidUtf8 invalid_utf8 = OnInvalidUtf8::kError;
  // Options of which larger values show types more rows, for messages; "": they had all.
  std::string larger_sample = {};
  int fields = 0;  // in a row
};

struct CsvColumn {
  std::string name;
  CsvType type;
  int field = 0;  // of the row
};

// Whether text of CSV becomes this type without a detour.
bool IsCsvType(const arrow::DataType& type);

// Index() some rows, then Decode() them. Not thread-safe; keeps its buffers.
class CsvDecoder {
 public:
  // kUser for a date format that is none.
  static Result<std::unique_ptr<CsvDecoder>> Make(CsvReading reading,
                                                  std::vector<CsvColumn> columns,
                                                  arrow::MemoryPool* pool);
  ~CsvDecoder();

  // Finds the rows of `text`, which begins with a row on line `line` and stays until they are
  // decoded. `last`: the file ends with the text. The bytes of whole rows; what is behind them
  // belongs before the next text. kPermanent, naming the line, for broken rows.
  Result<size_t> Index(std::string_view text, bool last, int64_t line);
  int64_t rows() const;
  // Rows [first, first + count) of those indexed. Errors name line and column.
  Result<std::shared_ptr<arrow::RecordBatch>> Decode(int64_t first, int64_t count);
  int64_t LineOf(int64_t row) const;  // of those indexed
  // The first row indexed of more bytes, without what ends it; -1: none.
  int64_t FirstRowLongerThan(int64_t bytes) const;
  const std::shared_ptr<arrow::Schema>& schema() const;
  // "type_mismatch_null", "ragged_padded", "ragged_skipped", "invalid_utf8_…".
  std::map<std::string, int64_t> counters() const;

 private:
  class Impl;
  explicit CsvDecoder(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The fields of the first row of the text, unquoted; the bytes of the row, or 0 when it does not
// end in the text (and `last` is false). For headers and samples; a text row by row.
Result<size_t> FirstRow(std::string_view text, const CsvDialect& dialect, bool last,
                        std::vector<std::string>* fields, std::vector<bool>* quoted = nullptr);

}  // namespace bulkhaul::csv
