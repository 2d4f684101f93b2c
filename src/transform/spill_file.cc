#include "transform/spill_file.h"

#include <cerrno>

#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/dictionary.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/util/compression.h>
#include <fcntl.h>
#include <unistd.h>

namespace bulkhaul {
namespace {

Result<int> OpenNameless(const std::string& folder) {
  const int descriptor = open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor >= 0) return descriptor;
  // File systems without O_TMPFILE say so in one of these ways.
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL && errno != ENOENT) {
    return ErrnoError(errno, "spill groups into", folder);
  }
  std::string path = folder + "/spill-XXXXXX";
  const int named = mkostemp(path.data(), O_CLOEXEC);
  if (named < 0) return ErrnoError(errno, "spill groups into", folder);
  unlink(path.c_str());
  return named;
}

}  // namespace

Result<std::unique_ptr<SpillFile>> SpillFile::Create(const std::string& folder) {
  ARROW_ASSIGN_OR_RAISE(const int descriptor, OpenNameless(folder));
  return std::unique_ptr<SpillFile>(new SpillFile(folder, descriptor));
}

SpillFile::~SpillFile() { close(descriptor_); }

Result<SpillFile::Extent> SpillFile::Write(const arrow::RecordBatch& batch,
                                           arrow::MemoryPool* pool) {
  auto options = arrow::ipc::IpcWriteOptions::Defaults();
  options.memory_pool = pool;
  options.use_threads = false;
  ARROW_ASSIGN_OR_RAISE(options.codec, arrow::util::Codec::Create(arrow::Compression::LZ4_FRAME));
  ARROW_ASSIGN_OR_RAISE(const auto buffer, arrow::ipc::SerializeRecordBatch(batch, options));
  Extent extent{bytes_, buffer->size()};
  for (int64_t done = 0; done < extent.bytes;) {
    const ssize_t count = pwrite(descriptor_, buffer->data() + done,
                                 static_cast<size_t>(extent.bytes - done), bytes_ + done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoError(errno, "spill groups into", folder_);
    done += count;
  }
  bytes_ += extent.bytes;
  return extent;
}

Result<std::shared_ptr<arrow::RecordBatch>> SpillFile::Read(
    const Extent& extent, const std::shared_ptr<arrow::Schema>& schema,
    arrow::MemoryPool* pool) const {
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> buffer,
                        arrow::AllocateBuffer(extent.bytes, pool));
  for (int64_t done = 0; done < extent.bytes;) {
    const ssize_t count = pread(descriptor_, buffer->mutable_data() + done,
                                static_cast<size_t>(extent.bytes - done), extent.offset + done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoError(errno, "read spilled groups in", folder_);
    if (count == 0) return PermanentError("spilled groups in '" + folder_ + "' are cut off");
    done += count;
  }
  auto options = arrow::ipc::IpcReadOptions::Defaults();
  options.memory_pool = pool;
  options.use_threads = false;
  arrow::io::BufferReader stream(buffer);
  arrow::ipc::DictionaryMemo no_dictionaries;
  return arrow::ipc::ReadRecordBatch(schema, &no_dictionaries, options, &stream);
}

void SpillFile::Forget(const Extent& extent) noexcept {
  (void)fallocate(descriptor_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, extent.offset,
                  extent.bytes);
}

}  // namespace bulkhaul
