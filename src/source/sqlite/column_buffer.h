// One column of the batch being read: SQLite values straight into Arrow's buffers, which are used
// again from batch to batch.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <arrow/array/data.h>
#include <arrow/buffer.h>
#include <arrow/memory_pool.h>

#include "base/error.h"
#include "source/sqlite/column_type.h"

struct sqlite3_value;

namespace bulkhaul {

enum class BadValuePolicy { kError, kNull, kReplace };

struct ColumnPlan {
  std::string name;
  std::string declared;
  ColumnType type;
  BadValuePolicy mismatch = BadValuePolicy::kError;  // never kReplace
  BadValuePolicy invalid_utf8 = BadValuePolicy::kError;
};

// Not thread-safe.
class ColumnBuffer {
 public:
  ColumnBuffer(ColumnPlan plan, arrow::MemoryPool* pool);

  // Makes room for `rows_max` values. Buffers that someone still holds from the batch before are
  // left to them, others are written over.
  Status Start(int64_t rows_max);
  // The value of row `row`, counted from 0, called once for each. False when the value breaks the
  // type (error policy) or memory is short: Problem() says which.
  bool Append(sqlite3_value* value, int64_t row);
  // The first `rows` values. kUser on text that is not UTF-8.
  Result<std::shared_ptr<arrow::ArrayData>> Finish(int64_t rows);

  Status Problem() const { return problem_; }
  // Bytes in use by the rows so far that grow with the values.
  int64_t variable_bytes() const { return bytes_used_; }
  // Bytes of a row that do not depend on the value.
  int64_t fixed_bytes() const { return width_ > 0 ? width_ : kind_ == Kind::kBits ? 1 : 4; }
  int64_t mismatches_as_null() const { return mismatches_as_null_; }
  int64_t texts_replaced() const { return texts_replaced_; }
  int64_t texts_as_null() const { return texts_as_null_; }
  const ColumnPlan& plan() const { return plan_; }

 private:
  enum class Kind { kFixed, kBits, kVariable };

  bool AppendNumber(sqlite3_value* value, int64_t row, int storage);
  bool AppendBytes(const void* bytes, int64_t count, int64_t row);
  bool AppendAsText(sqlite3_value* value, int64_t row, int storage);
  bool AppendTemporal(sqlite3_value* value, int64_t row, int storage);
  bool AppendDecimal(sqlite3_value* value, int64_t row, int storage);
  bool SetBool(std::optional<bool> value, int64_t row);
  bool AppendNull(int64_t row);
  bool Mismatch(sqlite3_value* value, int64_t row, int storage);
  bool GrowBytes(int64_t needed);
  Status CheckText(int64_t rows);
  Status RewriteText(int64_t rows);

  const ColumnPlan plan_;
  arrow::MemoryPool* const pool_;
  const Conversion conversion_;
  Kind kind_ = Kind::kFixed;
  int64_t width_ = 0;  // of a fixed value; 0 for bits and variable ones
  int32_t precision_ = 0, scale_ = 0;

  std::shared_ptr<arrow::ResizableBuffer> values_;    // fixed values, bits, or offsets
  std::shared_ptr<arrow::ResizableBuffer> bytes_;     // of variable values
  std::shared_ptr<arrow::ResizableBuffer> validity_;  // made with the first NULL of a batch
  uint8_t* value_data_ = nullptr;
  uint8_t* byte_data_ = nullptr;
  uint8_t* validity_data_ = nullptr;
  int64_t bytes_used_ = 0, bytes_capacity_ = 0, rows_max_ = 0, nulls_ = 0;
  int64_t mismatches_as_null_ = 0, texts_replaced_ = 0, texts_as_null_ = 0;
  Status problem_;
};

}  // namespace bulkhaul
