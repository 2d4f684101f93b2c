// Rows of a column by their places, also of types for which Arrow 26's Take() has no kernel.
#pragma once

#include <memory>

#include <arrow/array.h>
#include <arrow/array/array_dict.h>
#include <arrow/array/array_primitive.h>
#include <arrow/memory_pool.h>

#include "base/error.h"

namespace bulkhaul {

// A place that is NULL gives NULL; the others must be the array's. The result keeps the type and
// nothing of the array's memory but, perhaps, its dictionary.
Result<std::shared_ptr<arrow::Array>> TakeRows(const std::shared_ptr<arrow::Array>& array,
                                               const std::shared_ptr<arrow::Int64Array>& places,
                                               arrow::MemoryPool* pool);
// The values that a dictionary's indices mean.
Result<std::shared_ptr<arrow::Array>> Decoded(const arrow::DictionaryArray& array,
                                              arrow::MemoryPool* pool);

}  // namespace bulkhaul
