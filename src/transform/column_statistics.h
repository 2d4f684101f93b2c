// What shrink must know about a column to find its narrowest type; adds up over batches and units.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <arrow/array/array_base.h>
#include <arrow/type.h>
#include <arrow/util/decimal.h>

#include "base/error.h"
#include "transform/hyper_log_log.h"

namespace bulkhaul {

// Not thread-safe. Merging in any order, over any division of the rows, gives the same.
class ColumnStatistics {
 public:
  enum class Kind { kNone, kSigned, kUnsigned, kFloat, kDecimal, kString };

  // `float_tolerance`: largest relative error that float32 may make; 0: none.
  ColumnStatistics(std::shared_ptr<arrow::DataType> type, double float_tolerance);
  void Observe(const arrow::Array& array);
  void Merge(const ColumnStatistics& other);
  // The narrowest type that holds everything seen; the type itself when nothing was seen or no
  // narrower one does.
  std::shared_ptr<arrow::DataType> Narrowest() const;
  // Bytes of Arrow data of all rows as they were, and as Narrowest() would have them.
  int64_t bytes_before() const { return bytes_before_; }
  int64_t bytes_after() const;

  std::string ToJson() const;
  Status MergeJson(const std::string& json);

 private:
  void ObserveStrings(const arrow::Array& array);
  void ObserveDecimals(const arrow::Array& array);
  std::shared_ptr<arrow::DataType> NarrowestDecimal() const;

  std::shared_ptr<arrow::DataType> type_;
  Kind kind_ = Kind::kNone;
  double float_tolerance_ = 0;
  int64_t rows_ = 0, values_ = 0;  // with and without NULLs
  int64_t bytes_before_ = 0;
  int64_t signed_min_ = INT64_MAX, signed_max_ = INT64_MIN;
  uint64_t unsigned_max_ = 0;
  bool fits_float_ = true;
  arrow::Decimal128 decimal_min_, decimal_max_;  // valid with values_ > 0
  bool whole_ = true;                            // all decimals are integers
  HyperLogLog distinct_;
  int64_t string_bytes_ = 0;
};

}  // namespace bulkhaul
