// Strings to dictionary indices, with one dictionary that grows from batch to batch.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include <arrow/array/array_binary.h>
#include <arrow/memory_pool.h>
#include <arrow/type.h>

#include "base/error.h"

namespace bulkhaul {

// Each batch's dictionary begins with the one before, so that formats which keep one dictionary a
// file can append to it, and is the same object when nothing was new. Not thread-safe.
class DictionaryBuilder {
 public:
  // A utf8 array as `type`, a dictionary of utf8 with int8, int16 or int32 indices. kBug when there
  // are more values than these can count.
  Result<std::shared_ptr<arrow::Array>> Encode(const arrow::Array& array,
                                               const std::shared_ptr<arrow::DataType>& type,
                                               arrow::MemoryPool* pool);

 private:
  template <typename Builder>
  Result<std::shared_ptr<arrow::Array>> Indices(const arrow::StringArray& strings,
                                                arrow::MemoryPool* pool);

  std::deque<std::string> values_;  // addresses stay: the keys of indices_ point into it
  std::unordered_map<std::string_view, int32_t> indices_;
  std::shared_ptr<arrow::Array> dictionary_;  // of values_, as of the batch before
};

}  // namespace bulkhaul
