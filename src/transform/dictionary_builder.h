// Strings to dictionary indices, with one dictionary that grows from batch to batch.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include <arrow/array/array_base.h>
#include <arrow/memory_pool.h>

#include "base/error.h"

namespace bulkhaul {

// Each batch's dictionary begins with the one before, so that formats which keep one dictionary a
// file can append to it, and is the same object when nothing was new. Not thread-safe.
class DictionaryBuilder {
 public:
  // A utf8 array as dictionary(int32, utf8).
  Result<std::shared_ptr<arrow::Array>> Encode(const arrow::Array& array, arrow::MemoryPool* pool);

 private:
  std::deque<std::string> values_;  // addresses stay: the keys of indices_ point into it
  std::unordered_map<std::string_view, int32_t> indices_;
  std::shared_ptr<arrow::Array> dictionary_;  // of values_, as of the batch before
};

}  // namespace bulkhaul
