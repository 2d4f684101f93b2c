// Rows that a contract refused, on their way into a file for people to look at.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "base/error.h"
#include "plan/context.h"

namespace bulkhaul {

// Why one row was refused.
struct Reject {
  RowPlace place;
  int64_t unit_row = 0;  // from 1; 0: its source made no row of it
  std::string column, rule, value;
  std::string text;  // what the source found instead of a row
};

// Columns _file, _line, _row, _column, _rule, _value and _text, then the row's own; another
// underscore goes before a name that the row has itself. Of what was no row _row and the own
// columns are NULL, and where it was wrong as a whole _column and _value; of a row _text.
std::shared_ptr<arrow::Schema> RejectSchema(const arrow::Schema& rows);

// A unit's refused rows. They are few (max_rejects) and small (kRejectBytesMax), so that they
// travel in the unit's state: what the ledger has of the unit it has of them. Not thread-safe.
class RejectedRows {
 public:
  explicit RejectedRows(std::shared_ptr<arrow::Schema> rows);
  // Those that the source made no rows of.
  Status AddUnread(std::span<const Reject> rejects, arrow::MemoryPool* pool);
  // One reject for each row.
  Status Add(std::span<const Reject> rejects, const arrow::RecordBatch& rows,
             arrow::MemoryPool* pool);
  int64_t rows() const { return rows_; }
  int64_t bytes() const { return bytes_; }
  // As text; "" without rows.
  Result<std::string> Serialize(arrow::MemoryPool* pool) const;

 private:
  const std::shared_ptr<arrow::Schema> rows_schema_, schema_;
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches_;
  int64_t rows_ = 0, bytes_ = 0;
};

inline constexpr int64_t kRejectBytesMax = 16 << 20;  // of a unit

// Writes the serialized rows of all units as one Parquet file, under its name only when it is
// whole and durable; replaces one of the same name. The rows written.
Result<int64_t> WriteRejectedRows(std::span<const std::string> serialized, const std::string& path);

}  // namespace bulkhaul
