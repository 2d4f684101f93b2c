// A contract's rules for single values, over whole columns.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <arrow/array.h>
#include <arrow/array/array_dict.h>
#include <arrow/memory_pool.h>
#include <arrow/scalar.h>
#include <arrow/type.h>

#include "base/error.h"
#include "plan/contract.h"
#include "transform/text_rules.h"

namespace bulkhaul {

// Which rows of a batch break a rule; of several the first that was checked counts.
class RowMarks {
 public:
  // Forgets everything.
  void Reset(int64_t rows);
  void Mark(int64_t row, int rule);
  int64_t count() const { return count_; }
  // The rule that the row breaks, -1: none.
  int RuleOf(int64_t row) const {
    return count_ == 0 ? -1 : int{marks_[static_cast<size_t>(row)]} - 1;
  }

 private:
  std::vector<uint16_t> marks_;  // rule + 1; filled when the first row is marked
  int64_t rows_ = 0, count_ = 0;
};

struct RuleName {
  int column = 0;    // index in the schema
  std::string name;  // "nullable", "min", "max", "min_length", "max_length", "pattern", "allowed"
  std::string text;  // "max 100", for messages
};

// The rules of one column, bound to its type. A batch without a breach costs one pass over the
// column's values a rule at most; of a dictionary's values, each is judged once. Not thread-safe.
class ColumnRules {
 public:
  // Its rules' names go to the end of `names`; their places there are what is marked. kUser when a
  // rule does not fit the type.
  static Result<ColumnRules> Make(const ContractColumn& column, int index,
                                  const std::shared_ptr<arrow::DataType>& type,
                                  std::vector<RuleName>* names);
  bool empty() const;
  int index() const { return index_; }
  // Row i of the array is row first_row + i of the marks.
  Status Check(const std::shared_ptr<arrow::Array>& array, int64_t first_row,
               arrow::MemoryPool* pool, RowMarks* marks);

 private:
  bool JudgesValues() const;
  // All rules but that of NULLs.
  Status CheckValues(const std::shared_ptr<arrow::Array>& array, int64_t first_row,
                     arrow::MemoryPool* pool, RowMarks* marks);
  Status CheckDictionary(const arrow::DictionaryArray& array, int64_t first_row,
                         arrow::MemoryPool* pool, RowMarks* marks);
  void CheckLengths(const arrow::Array& array, int64_t first_row, RowMarks* marks) const;
  Status CheckPattern(const arrow::Array& array, int64_t first_row, arrow::MemoryPool* pool,
                      RowMarks* marks);
  Status CheckAllowed(const arrow::Array& array, int64_t first_row, arrow::MemoryPool* pool,
                      RowMarks* marks);

  int index_ = 0;
  int null_rule_ = -1, min_rule_ = -1, max_rule_ = -1, min_length_rule_ = -1, max_length_rule_ = -1,
      pattern_rule_ = -1, allowed_rule_ = -1;  // -1: there is none
  std::shared_ptr<arrow::Scalar> min_, max_;   // null: none
  int64_t min_length_ = 0, max_length_ = INT64_MAX;
  std::unique_ptr<TextPattern> pattern_;
  std::unique_ptr<TextSet> allowed_texts_;
  std::shared_ptr<arrow::Array> allowed_;  // values that are no texts
  std::vector<int64_t> rows_;              // room for what breaks a rule
};

}  // namespace bulkhaul
