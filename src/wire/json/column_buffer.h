// The growing buffers of one column. Internal to wire/json.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>

#include <arrow/array/data.h>
#include <arrow/buffer_builder.h>
#include <arrow/memory_pool.h>

#include "base/copy_text.h"
#include "base/error.h"
#include "wire/json/date_format.h"
#include "wire/json/page_layout.h"

namespace bulkhaul::search {

// Values of one type one behind the other. Which of the Append functions is right follows from the
// kind.
class ValueBuffer {
 public:
  ValueBuffer(ColumnKind kind, std::shared_ptr<arrow::DataType> type, arrow::MemoryPool* pool);

  template <typename T>
  Status AppendFixed(T value) {
    ARROW_RETURN_NOT_OK(values_.Append(&value, sizeof(T)));
    return MarkValid();
  }
  Status AppendBool(bool value);
  Status AppendBytes(std::string_view bytes);

  // The same where there is room already: false, and nothing appended, where there is none. What a
  // decoder calls for nearly all values; the functions above then make room.
  template <typename T>
  bool TryAppendFixed(T value) {
    if (values_.capacity() - values_.length() < static_cast<int64_t>(sizeof(T))) return false;
    if (!MarkedValid()) return false;
    values_.UnsafeAppend(&value, sizeof(T));
    return true;
  }
  bool TryAppendBool(bool value) {
    if (bits_.capacity() <= bits_.length() || !MarkedValid()) return false;
    bits_.UnsafeAppend(value);
    return true;
  }
  bool TryAppendBytes(std::string_view bytes) {
    const auto size = static_cast<int64_t>(bytes.size());
    const int64_t begin = values_.length();
    if (values_.capacity() - begin < size || offsets_.capacity() <= offsets_.length() ||
        begin > std::numeric_limits<int32_t>::max() || !MarkedValid()) {
      return false;
    }
    offsets_.UnsafeAppend(static_cast<int32_t>(begin));
    CopyText(bytes, values_.mutable_data() + begin);
    values_.UnsafeAdvance(size);
    return true;
  }
  Status AppendPoint(double latitude, double longitude);
  Status AppendNulls(int64_t count);

  // Text written in place: room for `bytes` behind the last value, and then how many were used.
  Result<uint8_t*> Room(int64_t bytes);
  Status AppendWritten(int64_t bytes);

  // The last value, which is text; and the same with other bytes in place of those behind its first
  // `kept`.
  std::string_view LastText() const;
  Status RewriteLastText(int64_t kept, std::string_view text);

  int64_t length() const { return length_; }
  int64_t bytes() const;           // of the values
  int64_t buffered_bytes() const;  // of the buffers
  // Makes room for as much as the last batch had: one allocation instead of a dozen that double.
  // Not part of Finish(), because the last batch is still in memory then.
  Status BeginBatch();
  // The values, and this buffer empty again.
  Result<std::shared_ptr<arrow::ArrayData>> Finish();
  void Clear();

 private:
  Status MarkValid() {
    ++length_;
    return null_count_ == 0 ? Status::OK() : validity_.Append(true);
  }
  bool MarkedValid() {
    if (null_count_ > 0) {
      if (validity_.capacity() <= validity_.length()) return false;
      validity_.UnsafeAppend(true);
    }
    ++length_;
    return true;
  }
  Status AppendOffset();

  ColumnKind kind_;
  std::shared_ptr<arrow::DataType> type_;
  bool type_has_offsets_;
  int32_t width_;  // of a fixed value, bytes
  int64_t length_ = 0;
  int64_t null_count_ = 0;
  int64_t last_bytes_ = 0;       // of the values that were finished last
  arrow::BufferBuilder values_;  // fixed values, text, or latitudes
  arrow::BufferBuilder longitudes_;
  arrow::TypedBufferBuilder<int32_t> offsets_;  // of text: where each value begins
  arrow::TypedBufferBuilder<bool> bits_;        // of booleans
  arrow::TypedBufferBuilder<bool> validity_;    // empty until the first null
};

// Where the elements of each row's list begin, and which rows have one.
class ListRows {
 public:
  explicit ListRows(arrow::MemoryPool* pool) : offsets_(pool), validity_(pool) {}

  // `length`: of the elements so far.
  Status Open(int64_t length);
  Status AppendNulls(int64_t count, int64_t length);
  int64_t rows() const { return rows_; }
  int64_t buffered_bytes() const {
    return offsets_.capacity() * static_cast<int64_t>(sizeof(int32_t)) + validity_.capacity() / 8;
  }
  // The rows with these elements, and none any more.
  Result<std::shared_ptr<arrow::ArrayData>> Finish(std::shared_ptr<arrow::DataType> type,
                                                   std::shared_ptr<arrow::ArrayData> elements);
  void Clear();

 private:
  int64_t rows_ = 0, null_rows_ = 0;
  arrow::TypedBufferBuilder<int32_t> offsets_;
  arrow::TypedBufferBuilder<bool> validity_;  // empty until the first null
};

// A column, row by row. Rows that nothing is written to are null.
class ColumnBuffer {
 public:
  // kUser when a date format is not supported. `spec` outlives it.
  static Result<std::unique_ptr<ColumnBuffer>> Make(const ColumnSpec& spec,
                                                    arrow::MemoryPool* pool);

  const ColumnSpec& spec() const { return *spec_; }
  ColumnKind kind() const { return kind_; }
  const DateFormat& date_format() const { return *date_format_; }  // kTimestamp only
  bool is_list() const { return is_list_; }
  // Whether row `row` has a value.
  bool occupied(int64_t row) const { return rows_ > row; }
  // Whether values() takes the value of `row` next, without BeginRow().
  bool is_at(int64_t row) const { return rows_ == row && !is_list_; }
  // Before the value of `row` is appended to values(); not where it is occupied.
  Status BeginRow(int64_t row) {
    if (rows_ < row) ARROW_RETURN_NOT_OK(AppendNullRows(row - rows_));
    return Status::OK();
  }
  void EndRow() { ++rows_; }
  // Lists: from here on values() takes elements of this row.
  Status OpenList(int64_t row);
  ValueBuffer& values() { return values_; }
  const ValueBuffer& values() const { return values_; }

  // JSON text that several objects of one document have a part in is one array.
  Status AppendJson(int64_t row, std::string_view json);

  int64_t bytes() const { return values_.bytes() + (is_list_ ? rows_ * 4 : 0); }
  int64_t buffered_bytes() const;
  // `rows` in all.
  Result<std::shared_ptr<arrow::ArrayData>> Finish(int64_t rows);
  void Clear();

 private:
  ColumnBuffer(const ColumnSpec& spec, arrow::MemoryPool* pool);
  Status AppendNullRows(int64_t count);
  void ForgetRows();

  const ColumnSpec* spec_;
  ColumnKind kind_;
  std::optional<DateFormat> date_format_;
  std::shared_ptr<arrow::DataType> type_;
  bool is_list_;
  ValueBuffer values_;
  int64_t rows_ = 0;
  ListRows list_;
  int64_t gathered_row_ = -1;  // whose JSON text is an array of several values
};

}  // namespace bulkhaul::search
