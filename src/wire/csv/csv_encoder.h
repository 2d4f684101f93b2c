// Arrow to CSV text. No I/O.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <arrow/record_batch.h>

#include "base/error.h"
#include "wire/csv/csv_buffer.h"

namespace bulkhaul {

struct CsvFormatOptions {
  enum class Quote {
    kNeeded,   // fields that hold the delimiter, a quote, a line end, or that read as NULL
    kAll,      // every field but NULL
    kStrings,  // every text, binary and nested field, and others where needed
  };
  char delimiter = ',';
  Quote quote = Quote::kNeeded;
  std::string null_text = {};  // written unquoted; a value of the same text is quoted
  bool header = true;
};

// Every value exactly: integers and decimals in full, floats as the shortest text that reads back
// to the same bits (nan, inf, -inf), booleans true and false, dates and times as ISO 8601 with the
// fraction in groups of three digits, none when it is zero; timestamps with a zone are UTC and end
// in Z; years outside 0 to 9999 have as many digits as they need, and a minus before year 0; time
// 24:00 is 24:00:00; binary as \x and hexadecimal digits; UUIDs in their usual form; intervals as
// ISO 8601 durations; lists, structs and maps as JSON. A NULL is null_text without
// quotes; empty text is "" when it would read as NULL. Lines end in \n. RFC 4180 otherwise.
//
// Not thread-safe: holds scratch space.
class CsvEncoder {
 public:
  // kUser when a type has no text form.
  static Result<std::unique_ptr<CsvEncoder>> Make(const std::shared_ptr<arrow::Schema>& schema,
                                                  const CsvFormatOptions& options);
  virtual ~CsvEncoder() = default;
  // Nothing when the options say no header.
  virtual void AppendHeader(CsvBuffer* out) const = 0;
  virtual Status AppendRows(const arrow::RecordBatch& batch, int64_t offset, int64_t rows,
                            CsvBuffer* out) = 0;
};

}  // namespace bulkhaul
