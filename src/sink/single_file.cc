#include "sink/single_file.h"

#include <cerrno>
#include <filesystem>

#include <fmt/format.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/text.h"
#include "sink/export_metadata.h"
#include "store/folders.h"

namespace bulkhaul {
namespace {

const StagedPart* OnlyPart(const CommitRequest& request) {
  for (const auto& staged : request.staged) {
    if (!staged.parts.empty()) return &staged.parts[0];
  }
  return nullptr;
}

}  // namespace

Result<ConflictRule> FileConflictRule(const Options& options) {
  const std::string& rule = options.GetString("if_exists");
  if (rule == "fail") return ConflictRule::kFail;
  if (rule == "replace") return ConflictRule::kOverwrite;
  return UserError(fmt::format(
      "if_exists: {} is for tables of a database, and a file is written whole; use fail or replace",
      rule));
}

Status CheckReplaceableFile(const std::string& path) {
  struct stat status = {};
  if (lstat(path.c_str(), &status) != 0) {
    return errno == ENOENT ? Status::OK() : ErrnoError(errno, "look at", path);
  }
  if (S_ISREG(status.st_mode)) return Status::OK();
  return UserError(
      fmt::format("'{}' is {} and no file, and is not replaced; {}", path,
                  S_ISDIR(status.st_mode)   ? "a folder"
                  : S_ISLNK(status.st_mode) ? "a symbolic link"
                                            : "a device or pipe",
                  S_ISLNK(status.st_mode) ? "name the file that it leads to" : "name another one"));
}

Status TakeOverPermissions(const std::string& existing, const std::string& file) {
  struct stat status = {};
  if (lstat(existing.c_str(), &status) != 0) {
    return errno == ENOENT ? Status::OK() : ErrnoError(errno, "look at", existing);
  }
  if (chmod(file.c_str(), status.st_mode & 0777) != 0) {
    return ErrnoError(errno, "set the permissions of", file);
  }
  return SyncFile(file);
}

Result<bool> IsFileOf(const CommitRequest& request, const PartFormat& format,
                      const std::string& path) {
  const StagedPart* part = OnlyPart(request);
  if (part == nullptr) {
    const auto content = format.Inspect(path, format.DescribeOptions(request.plan.dataset.options));
    return content.ok() && content->rows == 0;
  }
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  if (error || static_cast<int64_t>(bytes) != part->bytes) return false;
  ARROW_ASSIGN_OR_RAISE(const uint64_t hash, Xxh3OfFile(path));
  return hash == part->xxh3;
}

Result<std::string> FileMetadataText(const CommitRequest& request, const PartFormat& format,
                                     const std::string& path) {
  const Options& options = request.plan.dataset.options;
  ExportedPart exported;
  exported.name = std::filesystem::path(path).filename().string();
  if (const StagedPart* part = OnlyPart(request)) {
    exported.rows = part->rows;
    exported.bytes = part->bytes;
    exported.xxh3 = part->xxh3;
    exported.key_min = part->key_min;
    exported.key_max = part->key_max;
  } else {
    ARROW_ASSIGN_OR_RAISE(exported.xxh3, Xxh3OfFile(path));
    std::error_code error;
    exported.bytes = static_cast<int64_t>(std::filesystem::file_size(path, error));
    if (error) return ErrnoError(error.value(), "look at", path);
  }
  ExportDescription description;
  description.export_id = NewId();
  description.format = format.name();
  description.format_options = format.DescribeOptions(options);
  description.compression = options.GetString("compression");
  description.parts = {std::move(exported)};
  return ExportMetadataText(request, description);
}

}  // namespace bulkhaul
