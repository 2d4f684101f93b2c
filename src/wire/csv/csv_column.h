// One Arrow column as text, value by value.
#pragma once

#include <memory>
#include <string_view>

#include <arrow/array.h>

#include "base/error.h"
#include "wire/csv/csv_buffer.h"

namespace bulkhaul::csv {

// Bound to one array at a time, which must outlive its use. Not thread-safe.
class Column {
 public:
  enum class Kind {
    kPlain,   // digits, signs, letters: Text() never holds a quote or line end
    kText,    // Text() is View()
    kNested,  // Text() is JSON
  };
  explicit Column(Kind kind) : kind_(kind) {}
  virtual ~Column() = default;

  Kind kind() const { return kind_; }
  void Bind(const arrow::Array& array) {
    array_ = &array;
    BindValues(array);
  }
  bool IsNull(int64_t row) const { return array_->IsNull(row); }
  // The value as text; it is not NULL.
  virtual void Text(int64_t row, CsvBuffer* out) const = 0;
  // The same as a JSON value; quoted text unless the type is a number, a truth value or nested.
  virtual void Json(int64_t row, CsvBuffer* out) const;
  // kText only.
  virtual std::string_view View(int64_t row) const { return {}; }

 protected:
  virtual void BindValues(const arrow::Array& array) = 0;

 private:
  const Kind kind_;
  const arrow::Array* array_ = nullptr;
};

// kUser when the type has no text form.
Result<std::unique_ptr<Column>> MakeColumn(const arrow::DataType& type);

}  // namespace bulkhaul::csv
