#include "store/durable_file.h"

#include <cerrno>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crash_point.h"
#include "base/text.h"
#include "store/folders.h"

namespace bulkhaul {
namespace {

// Small writes (page headers, CSV tails) are joined up to this size.
constexpr size_t kBufferBytes = 64 << 10;
// The kernel is asked to start writing back after each such stretch, so that the fsync at the end
// finds little left to do and dirty pages do not pile up.
constexpr int64_t kWritebackBytes = 8 << 20;

Status WriteError(int error_number, const std::string& path) {
  Status status = ErrnoError(error_number, "write", path);
  if (error_number == ENOSPC || error_number == EDQUOT) {
    return WithContext(status, "the disk is full");
  }
  if (error_number == EFBIG) {
    return WithContext(status,
                       "the file size limit of the file system or of this process is reached");
  }
  return status;
}

}  // namespace

Result<std::shared_ptr<DurableFile>> DurableFile::Create(const std::string& path) {
  const int descriptor =
      open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (descriptor < 0) return ErrnoError(errno, "create", path);
  auto file = std::shared_ptr<DurableFile>(new DurableFile(path, descriptor));
  CrashPoint("part.created");
  return file;
}

DurableFile::DurableFile(std::string path, int descriptor)
    : path_(std::move(path)), descriptor_(descriptor) {}

DurableFile::~DurableFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

Status DurableFile::Broken(Status status) {
  broken_ = true;
  return status;
}

Status DurableFile::WriteOut(const char* data, size_t bytes) {
  while (bytes > 0) {
    const ssize_t written = write(descriptor_, data, bytes);
    if (written < 0) {
      if (errno == EINTR) continue;
      return Broken(WriteError(errno, path_));
    }
    data += written;
    bytes -= static_cast<size_t>(written);
    bytes_out_ += written;
  }
  if (bytes_out_ - bytes_started_ >= kWritebackBytes) {
    // A hint: what it reports, fsync reports too.
    sync_file_range(descriptor_, bytes_started_, bytes_out_ - bytes_started_,
                    SYNC_FILE_RANGE_WRITE);
    bytes_started_ = bytes_out_;
  }
  return Status::OK();
}

Status DurableFile::Write(const void* data, int64_t bytes) {
  if (broken_ || closed()) return BugError("write to a broken or closed file " + path_);
  hash_.Update(data, static_cast<size_t>(bytes));
  bytes_ += bytes;
  const char* text = static_cast<const char*>(data);
  if (buffer_.size() + static_cast<size_t>(bytes) < kBufferBytes) {
    buffer_.append(text, static_cast<size_t>(bytes));
    return Status::OK();
  }
  ARROW_RETURN_NOT_OK(Flush());
  return WriteOut(text, static_cast<size_t>(bytes));
}

Status DurableFile::Flush() {
  if (broken_ || closed()) return BugError("flush of a broken or closed file " + path_);
  if (buffer_.empty()) return Status::OK();
  ARROW_RETURN_NOT_OK(WriteOut(buffer_.data(), buffer_.size()));
  buffer_.clear();
  return Status::OK();
}

Status DurableFile::Close() {
  if (broken_) return BugError("close of a broken file " + path_);
  if (closed()) return Status::OK();
  ARROW_RETURN_NOT_OK(Flush());
  CrashPoint("part.written");
  if (fsync(descriptor_) != 0) return Broken(WriteError(errno, path_));
  const int descriptor = std::exchange(descriptor_, -1);
  // NFS and quota errors may only show here; the descriptor is gone even when close() fails.
  if (close(descriptor) != 0) return Broken(WriteError(errno, path_));
  CrashPoint("part.synced");
  Status synced = SyncFolder(std::filesystem::path(path_).parent_path().string());
  if (!synced.ok()) return Broken(std::move(synced));
  CrashPoint("part.folder_synced");
  return Status::OK();
}

Status DurableFile::Abort() {
  broken_ = true;
  if (descriptor_ >= 0) close(std::exchange(descriptor_, -1));
  if (unlink(path_.c_str()) != 0 && errno != ENOENT) return ErrnoError(errno, "remove", path_);
  return Status::OK();
}

Status WriteFileDurably(const std::string& path, const std::string& temporary_folder,
                        std::string_view content) {
  const std::string temporary = temporary_folder + "/" + NewId() + ".tmp";
  ARROW_ASSIGN_OR_RAISE(auto file, DurableFile::Create(temporary));
  Status status = file->Write(content.data(), static_cast<int64_t>(content.size()));
  if (status.ok()) status = file->Close();
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) {
    status = ErrnoError(errno, "rename '" + temporary + "' to", path);
  }
  if (!status.ok()) {
    (void)file->Abort();
    return status;
  }
  return SyncFolder(std::filesystem::path(path).parent_path().string());
}

Result<std::string> ReadSmallFile(const std::string& path, int64_t bytes_max) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return ErrnoError(errno, "open", path);
  std::string content;
  std::string block(64 << 10, '\0');
  Status status;
  while (true) {
    const ssize_t got = read(descriptor, block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) status = ErrnoError(errno, "read", path);
    if (got <= 0) break;
    content.append(block, 0, static_cast<size_t>(got));
    if (static_cast<int64_t>(content.size()) > bytes_max) {
      status = UserError("'" + path + "' is larger than expected");
      break;
    }
  }
  close(descriptor);
  if (!status.ok()) return status;
  return content;
}

}  // namespace bulkhaul
