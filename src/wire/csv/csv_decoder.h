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
  // From 0: rows that would be errors are set aside, with the first so many (and one more) of a
  // text or a batch told of; whoever allows no more knows then. -1: errors.
  int64_t refused_max = -1;
  // Options of which larger values show types more rows, for messages; "": they had all.
  std::string larger_sample = {};
  int fields = 0;  // in a row
  // Rows before a broken one are given out, and it is an error when it is the first: whoever wants
  // no more rows than those before it never meets it.
  bool rows_before_errors = false;
};

struct CsvColumn {
  std::string name;
  std::string cast_name = {};  // by which `cast` calls the column; "": its name
  CsvType type = {};
  int field = 0;  // of the row
};

// A row that was set aside: it has another number of fields, or a field (of which the first counts)
// that is no value of its column, no UTF-8, or goes on behind the quote that closes it.
struct CsvRefused {
  enum class Reason { kFields, kMisfit, kUtf8, kQuotes };
  Reason reason = Reason::kMisfit;
  int64_t line = 1;
  std::string column;         // "" for kFields
  int64_t fields = 0;         // that the row has
  std::string value, text{};  // as they are written but for bytes that are no UTF-8
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
  // Rows [first, first + count) of those indexed, without those set aside. Errors name line and
  // column.
  Result<std::shared_ptr<arrow::RecordBatch>> Decode(int64_t first, int64_t count);
  int64_t LineOf(int64_t row) const;         // of those indexed
  int64_t LineOfDecoded(int64_t row) const;  // of the batch that Decode() gave last
  bool has_refused() const;
  // The line of a row set aside that is longer; -1: none.
  int64_t LineRefusedLongerThan(int64_t bytes) const;
  // Rows set aside since the last call, by line.
  std::vector<CsvRefused> TakeRefused();
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
// end in the text (and `last` is false). For headers and samples; a text row by row. Text behind a
// quote that closes is an error, or said in `broken`.
Result<size_t> FirstRow(std::string_view text, const CsvDialect& dialect, bool last,
                        std::vector<std::string>* fields, std::vector<bool>* quoted = nullptr,
                        bool* broken = nullptr);

}  // namespace bulkhaul::csv
