// Smallest and largest value of a column, as text for metadata.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include <arrow/array.h>
#include <arrow/util/decimal.h>

#include "base/error.h"

namespace bulkhaul {

// Integers, decimals, dates, times, timestamps, text, binary and UUIDs compare as the source orders
// them (text by bytes); other types are ignored. Not thread-safe.
class KeyRange {
 public:
  Status Observe(const arrow::Array& array);
  const std::string& min_text() const { return min_text_; }
  const std::string& max_text() const { return max_text_; }

 private:
  using Value =
      std::variant<int64_t, uint64_t, double, arrow::Decimal128, arrow::Decimal256, std::string>;
  template <typename Get>
  Status ObserveWith(const arrow::Array& array, Get get);

  std::optional<Value> min_, max_;
  std::string min_text_, max_text_;
};

}  // namespace bulkhaul
