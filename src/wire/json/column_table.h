// The columns of one level, of documents or of the elements of a nested field. Internal to
// wire/json.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <arrow/array/data.h>
#include <arrow/type.h>

#include "base/error.h"
#include "wire/json/column_buffer.h"
#include "wire/json/page_layout.h"

namespace bulkhaul::search {

class NestedColumn;

class ColumnTable {
 public:
  // kUser when a date format is not supported. `specs` outlive it.
  static Result<std::unique_ptr<ColumnTable>> Make(const std::vector<ColumnSpec>& specs,
                                                   ObjectForm objects, arrow::MemoryPool* pool);
  ~ColumnTable();

  ColumnBuffer& column(int index) { return *columns_[index]; }  // not a nested one
  NestedColumn& nested(int index) { return *nested_[index]; }
  int64_t rows() const { return rows_; }
  // Columns that nothing was written to are null in it.
  void EndRow() { ++rows_; }

  int64_t bytes() const;
  int64_t buffered_bytes() const;
  // Makes room for as much as the last batch had (ValueBuffer::BeginBatch).
  Status BeginBatch();
  // The fields' arrays, and no rows any more. Structs of objects: struct are null where nothing in
  // them has a value: what the server keeps of an object are its values, so that one without any is
  // one that is not there, whether documents or doc values are read.
  Result<std::vector<std::shared_ptr<arrow::ArrayData>>> Finish(const arrow::FieldVector& fields);
  void Clear();

 private:
  explicit ColumnTable(arrow::MemoryPool* pool) : pool_(pool) {}

  arrow::MemoryPool* const pool_;
  StructGroup groups_;
  std::vector<std::unique_ptr<ColumnBuffer>> columns_;  // nullptr for a nested one
  std::vector<std::unique_ptr<NestedColumn>> nested_;   // nullptr for all others
  int64_t rows_ = 0;
};

// A list of structs for each row that has one.
class NestedColumn {
 public:
  NestedColumn(std::unique_ptr<ColumnTable> elements, arrow::MemoryPool* pool)
      : elements_(std::move(elements)), list_(pool), validity_(pool) {}

  // From here on elements() takes those of this row, behind those that it has.
  Status Open(int64_t row);
  ColumnTable& elements() { return *elements_; }
  Status EndElement();
  Status AppendNullElement();

  int64_t bytes() const { return elements_->bytes() + list_.rows() * 4; }
  int64_t buffered_bytes() const {
    return elements_->buffered_bytes() + list_.buffered_bytes() + validity_.capacity() / 8;
  }
  // `rows` in all.
  Result<std::shared_ptr<arrow::ArrayData>> Finish(int64_t rows,
                                                   std::shared_ptr<arrow::DataType> type);
  void Clear();

 private:
  std::unique_ptr<ColumnTable> elements_;
  ListRows list_;
  int64_t null_elements_ = 0;
  arrow::TypedBufferBuilder<bool> validity_;  // of elements; empty until the first null
};

}  // namespace bulkhaul::search
