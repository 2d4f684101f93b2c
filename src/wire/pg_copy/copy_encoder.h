// Arrow record batches to PostgreSQL's binary COPY stream: the way back of CopyDecoder. No I/O.
// Source of the format: PostgreSQL documentation, COPY, "Binary Format", and the typreceive
// functions.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/record_batch.h>

#include "base/error.h"
#include "wire/pg_copy/byte_buffer.h"
#include "wire/pg_copy/types.h"

namespace bulkhaul::pg {

struct EncodePlan;

struct EncodeOptions {
  bool strip_nul = false;   // NUL bytes in text are left out; else they are an error
  int32_t money_scale = 2;  // digits after the point of lc_monetary
};

// How values of an Arrow type are written as the PostgreSQL type of `target`. Every Arrow type that
// MapColumn() makes has a way back into the type it came from; integers also go into wider ones,
// integers, floats and texts into numeric. A value that the type cannot hold exactly is an error
// then, never rounded. kUser "type_mismatch" when there is no way.
Result<std::shared_ptr<const EncodePlan>> PlanEncoding(const arrow::DataType& from,
                                                       const ColumnSpec& target,
                                                       const EncodeOptions& options);

// How JSON writes the NUL character, which jsonb cannot hold.
inline constexpr std::string_view kNulEscape = "\\u0000";
std::string WithoutNulEscapes(std::string_view json);

struct EncodeColumn {
  std::string name;  // for messages
  int index = 0;     // of the batch's column
  std::shared_ptr<const EncodePlan> plan;
};

// Not thread-safe. A block of rows is encoded column by column: first the size of each row is
// summed, then every column writes its fields at the rows' cursors.
class CopyEncoder {
 public:
  // `order_from` >= 0: one more field at the end of each row, an int8 that counts up from there.
  explicit CopyEncoder(std::vector<EncodeColumn> columns, int64_t order_from = -1);
  ~CopyEncoder();
  CopyEncoder(const CopyEncoder&) = delete;
  CopyEncoder& operator=(const CopyEncoder&) = delete;

  // What a stream begins and ends with.
  static std::string_view Header();
  static std::string_view Trailer();

  // Appends rows [begin, begin + rows) of the batch; best in blocks of kBlockRows. kUser names
  // column, row (from 1, of this encoder's stream) and what is wrong; `out` is undefined then.
  Status Encode(const arrow::RecordBatch& batch, int64_t begin, int64_t rows, ByteBuffer* out);
  static constexpr int64_t kBlockRows = 1024;

  int64_t rows() const { return rows_; }
  // The row that a failed Encode() names; -1: it named none.
  int64_t row_at_fault() const { return row_at_fault_; }

 private:
  struct Column;
  Status EncodeBlock(const arrow::RecordBatch& batch, int64_t begin, int64_t rows, ByteBuffer* out);
  Status Measure(Column& column, int64_t rows, int64_t* every_row);
  Status Write(Column& column, int64_t rows);
  Status ValueError(const Column& column, int64_t row, std::string_view why);

  std::vector<Column> columns_;
  int64_t order_next_;
  const bool ordered_;
  int64_t rows_ = 0, row_at_fault_ = -1;
  std::vector<int64_t> sizes_;
  std::vector<uint8_t*> cursors_;
};

}  // namespace bulkhaul::pg
