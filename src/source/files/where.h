// The condition of `where` for files: comparisons (= == != <> < <= > >=) of a column with a value,
// `and`, `or`, `not`, brackets, `in (…)`, `not in`, `between … and …`, `is null`, `is not null`,
// `like '…%'`, `not like`, and a boolean column by itself. Names with other characters than
// letters, digits and '_' stand in double quotes, texts, dates and times in single ones.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/record_batch.h>

#include "base/error.h"

namespace bulkhaul::files {

// What is known of a column's values in a part of a file.
struct ColumnBounds {
  std::string column;
  std::shared_ptr<arrow::Scalar> min, max;
  bool nulls = true;
};

// Immutable after Parse().
class Where {
 public:
  // kUser, with the place, for text that is no condition, unknown columns and values that do not
  // fit their column's type.
  static Result<Where> Parse(std::string_view text, const std::shared_ptr<arrow::Schema>& schema);
  // The rows for which the condition is true: not false, not NULL. `mask` becomes which they were;
  // null: all or none.
  Result<std::shared_ptr<arrow::RecordBatch>> Filter(
      const std::shared_ptr<arrow::RecordBatch>& batch, arrow::MemoryPool* pool,
      std::shared_ptr<arrow::Array>* mask = nullptr) const;
  // False when no row within these bounds can meet the condition.
  Result<bool> MayMatch(const std::vector<ColumnBounds>& bounds) const;
  const std::vector<std::string>& columns() const { return columns_; }

 private:
  struct Bound;
  std::shared_ptr<const Bound> bound_;
  std::vector<std::string> columns_;
};

}  // namespace bulkhaul::files
