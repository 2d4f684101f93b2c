#include "store/folders.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

namespace bulkhaul {

namespace {

// What renameat2 says when the file system, the kernel or a seccomp filter lacks the flag.
bool FlagsUnsupported(int error_number) {
  return error_number == EINVAL || error_number == ENOSYS || error_number == EOPNOTSUPP;
}

Result<RenameOutcome> LinkNoReplace(const std::string& from, const std::string& to) {
  if (link(from.c_str(), to.c_str()) != 0) {
    if (errno == EEXIST) return RenameOutcome::kDestinationExists;
    return ErrnoError(errno, "link '" + from + "' to", to);
  }
  // Left behind by a kill, it goes with the workspace.
  if (unlink(from.c_str()) != 0) return ErrnoError(errno, "remove", from);
  return RenameOutcome::kDone;
}

}  // namespace

std::string ParentOf(const std::string& path) {
  return std::filesystem::path(path).parent_path().string();
}

Result<std::optional<FileId>> FindFileId(const std::string& path) {
  struct stat status = {};
  if (stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    return ErrnoError(errno, "look at", path);
  }
  return FileId{status.st_dev, status.st_ino};
}

Status SyncFolder(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return ErrnoError(errno, "open folder", path);
  Status status;
  // Some network file systems cannot sync a folder and say EINVAL: there names are durable at once.
  if (fsync(descriptor) != 0 && errno != EINVAL) status = ErrnoError(errno, "sync folder", path);
  close(descriptor);
  return status;
}

Status SyncFile(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return ErrnoError(errno, "open file", path);
  Status status;
  if (fsync(descriptor) != 0) status = ErrnoError(errno, "sync file", path);
  close(descriptor);
  return status;
}

Status MakeFolders(const std::string& path) {
  if (mkdir(path.c_str(), 0777) == 0) return SyncFolder(ParentOf(path));
  if (errno == EEXIST) {
    struct stat status = {};
    if (stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return Status::OK();
    return ErrnoError(ENOTDIR, "make folder", path);
  }
  if (errno != ENOENT) return ErrnoError(errno, "make folder", path);
  const std::string parent = ParentOf(path);
  if (parent.empty() || parent == path) return ErrnoError(ENOENT, "make folder", path);
  ARROW_RETURN_NOT_OK(MakeFolders(parent));
  if (mkdir(path.c_str(), 0777) != 0 && errno != EEXIST) {
    return ErrnoError(errno, "make folder", path);
  }
  return SyncFolder(parent);
}

Status RemoveTree(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  // Another process may empty the same folder.
  if (error && error != std::errc::no_such_file_or_directory) {
    return ErrnoError(error.value(), "remove", path);
  }
  return Status::OK();
}

Result<std::vector<std::string>> ListFolder(const std::string& path) {
  std::error_code error;
  std::vector<std::string> names;
  std::filesystem::directory_iterator entries(path, error);
  for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error)) {
    names.push_back(entries->path().filename().string());
  }
  if (error) return ErrnoError(error.value(), "list folder", path);
  std::sort(names.begin(), names.end());
  return names;
}

Result<bool> IsEmptyFolder(const std::string& path) {
  std::error_code error;
  const bool folder = std::filesystem::is_directory(path, error);
  if (error || !folder) return false;
  const bool empty = std::filesystem::is_empty(path, error);
  if (error) return ErrnoError(error.value(), "list folder", path);
  return empty;
}

Status LinkOrMove(const std::string& from, const std::string& to) {
  if (link(from.c_str(), to.c_str()) == 0) return Status::OK();
  const int link_error = errno;
  if (link_error != EPERM && link_error != EOPNOTSUPP && link_error != ENOSYS &&
      link_error != EMLINK) {
    return ErrnoError(link_error, "link '" + from + "' to", to);
  }
  if (rename(from.c_str(), to.c_str()) != 0) {
    return ErrnoError(errno, "move '" + from + "' to", to);
  }
  return Status::OK();
}

Result<RenameOutcome> RenameNoReplace(const std::string& from, const std::string& to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) {
    return RenameOutcome::kDone;
  }
  if (errno == EEXIST) return RenameOutcome::kDestinationExists;
  if (!FlagsUnsupported(errno)) return ErrnoError(errno, "rename '" + from + "' to", to);
  struct stat status = {};
  if (lstat(from.c_str(), &status) == 0 && !S_ISDIR(status.st_mode)) {
    return LinkNoReplace(from, to);
  }
  if (mkdir(to.c_str(), 0777) != 0) {
    if (errno == EEXIST) return RenameOutcome::kDestinationExists;
    return ErrnoError(errno, "make folder", to);
  }
  return RenameOverEmpty(from, to);
}

Result<RenameOutcome> RenameExchange(const std::string& from, const std::string& to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) {
    return RenameOutcome::kDone;
  }
  const int error_number = errno;
  if (error_number == ENOENT) {
    ARROW_ASSIGN_OR_RAISE(const auto source, FindFileId(from));
    if (source) return RenameOutcome::kDestinationMissing;
  }
  if (FlagsUnsupported(error_number)) {
    return UserError(
        "conflict: overwrite needs a file system that can swap two folders in one "
        "step, and the one of '" +
            to + "' cannot; use conflict: version",
        "RENAME_EXCHANGE");
  }
  return ErrnoError(error_number, "swap '" + from + "' with", to);
}

Result<RenameOutcome> RenameOverEmpty(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) == 0) return RenameOutcome::kDone;
  if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR) {
    return RenameOutcome::kDestinationExists;
  }
  return ErrnoError(errno, "rename '" + from + "' to", to);
}

Result<RenameOutcome> RenameOverFile(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) == 0) return RenameOutcome::kDone;
  return ErrnoError(errno, "rename '" + from + "' to", to);
}

Result<bool> CanExchange(const std::string& folder) {
  const std::string first = folder + "/.exchange-" + NewId();
  const std::string second = folder + "/.exchange-" + NewId();
  if (mkdir(first.c_str(), 0700) != 0) return ErrnoError(errno, "make folder", first);
  if (mkdir(second.c_str(), 0700) != 0) {
    const int error_number = errno;
    rmdir(first.c_str());
    return ErrnoError(error_number, "make folder", second);
  }
  const Result<RenameOutcome> outcome = RenameExchange(first, second);
  rmdir(first.c_str());
  rmdir(second.c_str());
  if (outcome.ok()) return true;
  if (CodeOf(outcome.status()) == "RENAME_EXCHANGE") return false;
  return outcome.status();
}

}  // namespace bulkhaul
