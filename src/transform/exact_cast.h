// Casts that lose nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <arrow/array/array_base.h>
#include <arrow/memory_pool.h>
#include <arrow/type.h>

#include "base/error.h"

namespace bulkhaul {

// Whether there are values of `from` that CastExactly() gives as `to`, and knows it.
bool CanCastExactly(const arrow::DataType& from, const arrow::DataType& to);

// `array` as `type`: every value the same one, or kUser with the first that does not fit, whose
// place goes to `row` if it is not null. A float is the same number as a decimal or text when it
// has all digits that are written there; true and false are 1 and 0. Needs CanCastExactly().
Result<std::shared_ptr<arrow::Array>> CastExactly(const std::shared_ptr<arrow::Array>& array,
                                                  const std::shared_ptr<arrow::DataType>& type,
                                                  const std::string& column,
                                                  arrow::MemoryPool* pool, int64_t* row = nullptr);

// The same, with NULL for what does not fit; the rows of such values, ascending, go to `misfits`.
Result<std::shared_ptr<arrow::Array>> CastOrNull(const std::shared_ptr<arrow::Array>& array,
                                                 const std::shared_ptr<arrow::DataType>& type,
                                                 arrow::MemoryPool* pool,
                                                 std::vector<int64_t>* misfits);

// A value for messages, shortened.
std::string ValueShown(const arrow::Array& array, int64_t row);

}  // namespace bulkhaul
