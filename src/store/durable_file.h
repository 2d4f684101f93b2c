// A file that is on the disk, or known not to be, when its writer says so.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <arrow/io/interfaces.h>

#include "base/error.h"
#include "base/hash.h"

namespace bulkhaul {

// Instants at which a test may kill the process while a unit's part is made (base/crash_point.h).
inline constexpr const char* kPartCrashPoints[] = {
    "part.created",        // the empty file exists
    "part.written",        // every byte was handed to the kernel
    "part.synced",         // the file is durable, its name may not be
    "part.folder_synced",  // both are
};

// An output stream over a descriptor of our own, because Arrow's file stream never calls fsync.
//
// Create() refuses an existing file (O_EXCL). Close() makes the content durable in the order that
// survives a crash: write, fsync, checked close, fsync of the folder. A failed fsync is never tried
// again (Linux marks the pages clean after it, so that a second one succeeds without having written
// anything): the stream is then broken and only Abandon() is legal. Destroying a stream that was
// not closed leaves the file behind, not durable.
//
// Errors: ENOSPC, EDQUOT and EFBIG are kPermanent; EROFS, EACCES and EEXIST kUser. Not thread-safe.
class DurableFile : public arrow::io::OutputStream {
 public:
  static Result<std::shared_ptr<DurableFile>> Create(const std::string& path);
  ~DurableFile() override;

  Status Write(const void* data, int64_t bytes) override;
  using arrow::io::OutputStream::Write;
  Status Flush() override;
  Status Close() override;
  // Closes without making anything durable and removes the file.
  Status Abort() override;
  bool closed() const override { return descriptor_ < 0; }
  Result<int64_t> Tell() const override { return bytes_; }

  // Of everything written so far.
  uint64_t xxh3() const { return hash_.Digest(); }
  int64_t bytes() const { return bytes_; }
  const std::string& path() const { return path_; }

 private:
  DurableFile(std::string path, int descriptor);
  Status WriteOut(const char* data, size_t bytes);
  Status Broken(Status status);

  const std::string path_;
  int descriptor_;
  Xxh3 hash_;
  int64_t bytes_ = 0;          // accepted
  int64_t bytes_out_ = 0;      // given to the kernel
  int64_t bytes_started_ = 0;  // writeback was asked for up to here
  std::string buffer_;
  bool broken_ = false;
};

// Writes a whole small file durably, under its final name only when it is complete: a temporary
// name in `temporary_folder` (same file system), then rename, then fsync of the folder. Replaces a
// file.
Status WriteFileDurably(const std::string& path, const std::string& temporary_folder,
                        std::string_view content);

// The whole file; refuses one above `bytes_max`.
Result<std::string> ReadSmallFile(const std::string& path, int64_t bytes_max = 64 << 20);

}  // namespace bulkhaul
