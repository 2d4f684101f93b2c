// Rows that do not fit the memory, for a while.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>

#include "base/error.h"

namespace bulkhaul {

// A file without a name: the kernel takes it away with the process, however that ends. Its rows are
// never needed after a crash, so nothing is synced. Not thread-safe.
class SpillFile {
 public:
  // Where a batch lies.
  struct Extent {
    int64_t offset = 0, bytes = 0;
  };
  static Result<std::unique_ptr<SpillFile>> Create(const std::string& folder);
  ~SpillFile();
  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;

  Result<Extent> Write(const arrow::RecordBatch& batch, arrow::MemoryPool* pool);
  Result<std::shared_ptr<arrow::RecordBatch>> Read(const Extent& extent,
                                                   const std::shared_ptr<arrow::Schema>& schema,
                                                   arrow::MemoryPool* pool) const;
  // Gives the space of a batch that is not read again back, where the file system can.
  void Forget(const Extent& extent) noexcept;
  int64_t bytes() const { return bytes_; }  // written so far

 private:
  SpillFile(std::string folder, int descriptor)
      : folder_(std::move(folder)), descriptor_(descriptor) {}

  const std::string folder_;
  const int descriptor_;
  int64_t bytes_ = 0;
};

}  // namespace bulkhaul
