// PostgreSQL's binary COPY stream to Arrow record batches. No I/O.
// Source of the format: PostgreSQL documentation, COPY, "Binary Format", and the typsend functions.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>

#include "base/error.h"
#include "wire/pg_copy/types.h"

namespace bulkhaul::pg {

struct DecodeLimits {
  int64_t batch_bytes_max = 4 << 20;  // a batch ends at the row that reaches this much Arrow data
  int64_t batch_rows_max = 64 << 10;
};

// Takes the byte stream of one COPY … TO STDOUT (FORMAT binary) in chunks cut anywhere and gives
// record batches. Not thread-safe. The usual loop:
//
//   while (!bytes.empty()) {
//     ARROW_ASSIGN_OR_RAISE(size_t taken, decoder->Feed(bytes));
//     bytes = bytes.subspan(taken);
//     if (decoder->batch_ready()) { ARROW_ASSIGN_OR_RAISE(auto batch, decoder->TakeBatch()); … }
//   }
//   at the end of the COPY:  RETURN_NOT_OK(decoder->Finish());  then TakeBatch() for the rest
//
// Memory: the batch that grows, plus one incomplete value; a text or bytea value goes straight into
// its column, so that a value of 1 GB takes about 1 GB. Column buffers are used again for the next
// batch: a batch is best dropped before the next Feed(). A batch still held by then is safe, at the
// price of fresh buffers.
//
// Errors name column and row (counted from 1 since Make() or Reset()): bytes that break the format
// are kPermanent, values that need an option are kUser and name it. After an error every call gives
// the same error.
class CopyDecoder {
 public:
  // The columns in the order of the select list. Zero columns are legal: the rows are counted.
  static Result<std::unique_ptr<CopyDecoder>> Make(std::vector<ColumnMapping> columns,
                                                   DecodeLimits limits, arrow::MemoryPool* pool);
  ~CopyDecoder();
  CopyDecoder(const CopyDecoder&) = delete;
  CopyDecoder& operator=(const CopyDecoder&) = delete;

  const std::shared_ptr<arrow::Schema>& schema() const;

  // Takes bytes up to the end of `bytes`, or up to the row that makes a batch ready. Gives the
  // number of bytes taken: all of them unless batch_ready(). The bytes are not needed afterwards.
  // While a batch is ready nothing is taken. Bytes after the stream's trailer are an error.
  Result<size_t> Feed(std::span<const uint8_t> bytes);
  bool batch_ready() const;
  // The complete rows so far; nullptr when there are none. Only between two rows: while
  // batch_ready(), or once finished(); kBug in the middle of a row.
  Result<std::shared_ptr<arrow::RecordBatch>> TakeBatch();
  // OK when the stream is complete: the trailer was read. kPermanent "truncated" otherwise.
  Status Finish();
  bool finished() const;  // the trailer was read

  // Ready for another stream with the same columns; buffers are kept, counts begin at zero.
  void Reset();

  int64_t rows() const;       // complete rows since Make() or Reset(), taken or not
  int64_t bytes_fed() const;  // bytes taken since Make() or Reset()
  // Memory held now: column buffers and incomplete value. A batch given out counts until the next
  // Feed().
  int64_t buffered_bytes() const;
  // What options changed, by name, zero counts left out: infinity_clamped, infinity_nulled,
  // numeric_nan_nulled, invalid_utf8_replaced, invalid_utf8_nulled, array_lower_bounds_dropped.
  std::map<std::string, int64_t> counters() const;

 private:
  class Impl;
  explicit CopyDecoder(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace bulkhaul::pg
