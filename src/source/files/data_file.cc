#include "source/files/data_file.h"

#include <sys/stat.h>
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>

#include <fmt/format.h>

#include "base/invalid_utf8.h"
#include "base/text.h"

namespace bulkhaul::files {
namespace {

namespace fs = std::filesystem;

constexpr size_t kFilesMax = 1'000'000;

struct Extension {
  const char* text;
  FileFormat format;
};
constexpr Extension kExtensions[] = {
    {".csv", FileFormat::kCsv},         {".tsv", FileFormat::kCsv},
    {".parquet", FileFormat::kParquet}, {".arrow", FileFormat::kArrow},
    {".feather", FileFormat::kArrow},   {".ipc", FileFormat::kArrow},
    {".arrows", FileFormat::kArrow},    {".jsonl", FileFormat::kJson},
    {".ndjson", FileFormat::kJson},
};
struct CodecExtension {
  const char* text;
  FileCodec codec;
};
constexpr CodecExtension kCodecs[] = {
    {".gz", FileCodec::kGzip}, {".zst", FileCodec::kZstd}, {".bz2", FileCodec::kBz2}};

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && AsciiLower(text.substr(text.size() - end.size())) == end;
}

FileCodec CodecOf(std::string_view path) {
  for (const auto& one : kCodecs) {
    if (EndsWith(path, one.text)) return one.codec;
  }
  return FileCodec::kNone;
}

// The path without ".gz" and the like.
std::string_view WithoutCodec(std::string_view path) {
  for (const auto& one : kCodecs) {
    if (EndsWith(path, one.text))
      return path.substr(0, path.size() - std::string_view(one.text).size());
  }
  return path;
}

std::optional<FileFormat> FormatOf(std::string_view path) {
  path = WithoutCodec(path);
  for (const auto& one : kExtensions) {
    if (EndsWith(path, one.text)) return one.format;
  }
  return std::nullopt;
}

bool Hidden(std::string_view name) { return name.starts_with('.') || name.starts_with('_'); }

std::string FingerprintText(const struct stat& info) {
  return fmt::format("{}:{}:{}.{:09}", info.st_ino, info.st_size, info.st_mtim.tv_sec,
                     info.st_mtim.tv_nsec);
}

// Walks the folders that a pattern's segments name.
class Finder {
 public:
  explicit Finder(std::string_view format) : any_format_(format != "auto") {}

  Status Find(const fs::path& at, std::vector<std::string> segments) {
    if (segments.empty()) return AddOrWalk(at, /*named=*/true);
    const std::string segment = segments.front();
    segments.erase(segments.begin());
    if (segment == "**") {
      ARROW_RETURN_NOT_OK(segments.empty() ? AddOrWalk(at, true) : Find(at, segments));
      if (segments.empty()) return Status::OK();
      segments.insert(segments.begin(), "**");
      return Each(at, [&](const fs::directory_entry& entry) -> Status {
        if (Hidden(entry.path().filename().string()) || !IsFolder(entry)) return Status::OK();
        return Find(entry.path(), segments);
      });
    }
    if (!HasGlob(segment)) {
      std::error_code error;
      const fs::path next = at / segment;
      return fs::exists(next, error) ? Find(next, segments) : Status::OK();
    }
    return Each(at, [&](const fs::directory_entry& entry) -> Status {
      const std::string name = entry.path().filename().string();
      if (Hidden(name) && segment.front() != name.front()) return Status::OK();
      if (!GlobMatch(segment, name)) return Status::OK();
      if (!segments.empty() && !IsFolder(entry)) return Status::OK();
      return Find(entry.path(), segments);
    });
  }

  std::vector<DataFile> Take() {
    std::sort(files_.begin(), files_.end(),
              [](const auto& a, const auto& b) { return a.path < b.path; });
    const auto same = [](const auto& a, const auto& b) { return a.path == b.path; };
    files_.erase(std::unique(files_.begin(), files_.end(), same), files_.end());
    return std::move(files_);
  }

 private:
  static bool IsFolder(const fs::directory_entry& entry) {
    std::error_code error;
    return entry.is_directory(error);
  }

  template <typename Visit>
  static Status Each(const fs::path& folder, const Visit& visit) {
    std::error_code error;
    fs::directory_iterator entries(folder, error);
    if (error) {
      if (error.value() == ENOTDIR) return Status::OK();
      return ErrnoError(error.value(), "list the folder", folder.string());
    }
    for (const auto& entry : entries) ARROW_RETURN_NOT_OK(visit(entry));
    return Status::OK();
  }

  // `named`: the user's pattern names it; else it was found in a folder.
  Status AddOrWalk(const fs::path& path, bool named) {
    struct stat info {};
    if (stat(path.c_str(), &info) != 0) {
      return ErrnoError(errno, "look at", path.string());
    }
    if (S_ISDIR(info.st_mode)) {
      return Each(path, [&](const fs::directory_entry& entry) -> Status {
        if (Hidden(entry.path().filename().string())) return Status::OK();
        return AddOrWalk(entry.path(), false);
      });
    }
    if (!S_ISREG(info.st_mode)) {
      if (!named) return Status::OK();
      return UserError(
          fmt::format("'{}' is no file: pipes and devices cannot be read", path.string()));
    }
    if (!named && !any_format_ && !FormatOf(path.string())) return Status::OK();
    if (files_.size() >= kFilesMax) {
      return UserError(fmt::format("more than {} files: name fewer", kFilesMax));
    }
    DataFile file;
    file.path = path.string();
    // Ledgers, reports and metadata name files, as text.
    if (!IsValidUtf8(file.path)) {
      return UserError(fmt::format("'{}': a name that is not UTF-8 cannot be noted; rename it",
                                   ReplaceInvalidUtf8(file.path)));
    }
    file.bytes = info.st_size;
    file.fingerprint = FingerprintText(info);
    file.codec = CodecOf(file.path);
    files_.push_back(std::move(file));
    return Status::OK();
  }

  const bool any_format_;
  std::vector<DataFile> files_;
};

// "key=value" folders between the fixed part of the pattern and the file.
Status AddPartitions(size_t fixed_bytes, DataFile* file) {
  const std::string_view path = std::string_view(file->path).substr(fixed_bytes);
  size_t begin = 0;
  for (size_t slash; (slash = path.find('/', begin)) != std::string_view::npos; begin = slash + 1) {
    const std::string_view segment = path.substr(begin, slash - begin);
    const auto equals = segment.find('=');
    if (equals == std::string_view::npos || equals == 0) continue;
    std::string value = PercentDecode(segment.substr(equals + 1));
    if (!IsValidUtf8(value)) {
      return UserError(
          fmt::format("the folder '{}' of '{}' stands for text that is not UTF-8; "
                      "rename it, or set hive_partitions: false",
                      segment, file->path));
    }
    file->partitions.emplace_back(segment.substr(0, equals), std::move(value));
  }
  return Status::OK();
}

// The folder before the first segment with a glob or with "key=value".
size_t FixedBytes(const std::string& pattern) {
  size_t fixed = 0;
  for (size_t begin = 0;;) {
    const auto slash = pattern.find('/', begin);
    const auto segment = pattern.substr(begin, slash - begin);
    const bool partition = segment.find('=') != std::string::npos;
    if (HasGlob(segment) || partition || slash == std::string::npos) return fixed;
    begin = fixed = slash + 1;
  }
}

// A sentence about what is beside a path that is not there; "" where there is nothing like it.
std::string NearestBeside(const fs::path& path) {
  std::error_code error;
  const auto folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (!fs::is_directory(folder, error)) {
    return fmt::format(": there is no folder '{}'", folder.string());
  }
  std::vector<std::string> names;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  const auto nearest = NearestName(path.filename().string(), names);
  return nearest ? fmt::format("; did you mean '{}'?", (folder / *nearest).string()) : "";
}

Status NothingFound(const std::string& pattern) {
  std::error_code error;
  if (HasGlob(pattern)) {
    const std::string folder = pattern.substr(0, FixedBytes(pattern));
    return UserError(fmt::format("no file matches '{}'{}", pattern,
                                 folder.empty() || fs::is_directory(folder, error)
                                     ? ""
                                     : fmt::format(": there is no folder '{}'", folder)),
                     "no_such_file");
  }
  if (fs::exists(pattern, error)) {
    return UserError(fmt::format("'{}' holds no data file: .csv, .tsv, .parquet, .arrow, .feather, "
                                 ".ipc, .jsonl, .ndjson (also .gz, .zst, .bz2), or set "
                                 "source_format",
                                 pattern),
                     "no_such_file");
  }
  return UserError(fmt::format("there is no '{}'{}", pattern, NearestBeside(pattern)),
                   "no_such_file");
}

}  // namespace

const char* FileFormatName(FileFormat format) {
  switch (format) {
    case FileFormat::kCsv:
      return "csv";
    case FileFormat::kParquet:
      return "parquet";
    case FileFormat::kArrow:
      return "arrow";
    case FileFormat::kJson:
      return "json";
  }
  return "";
}

Result<FileFormat> FileFormatFromName(std::string_view name) {
  for (const auto format :
       {FileFormat::kCsv, FileFormat::kParquet, FileFormat::kArrow, FileFormat::kJson}) {
    if (name == FileFormatName(format)) return format;
  }
  return UserError(fmt::format("'{}' is no format of files", name));
}

Result<FileList> ListFiles(const std::string& pattern, std::string_view format, bool partitions) {
  std::vector<std::string> segments;
  const bool absolute = pattern.starts_with('/');
  for (const auto& part : fs::path(pattern).relative_path()) {
    if (!part.empty()) segments.push_back(part.string());
  }
  Finder finder(format);
  // A name that exists is meant, whatever characters are in it.
  std::error_code error;
  if (fs::exists(pattern, error)) {
    ARROW_RETURN_NOT_OK(finder.Find(pattern, {}));
  } else {
    ARROW_RETURN_NOT_OK(finder.Find(absolute ? "/" : ".", std::move(segments)));
  }
  FileList list;
  list.files = finder.Take();
  if (list.files.empty()) return NothingFound(pattern);
  if (format != "auto") {
    ARROW_ASSIGN_OR_RAISE(list.format, FileFormatFromName(format));
  } else {
    const DataFile* first = nullptr;
    for (const auto& file : list.files) {
      const auto found = FormatOf(file.path);
      if (!found) {
        return UserError(
            fmt::format("'{}' does not say by its name what it holds: set "
                        "source_format: csv, parquet, arrow or json",
                        file.path));
      }
      if (first != nullptr && *found != list.format) {
        return UserError(
            fmt::format("'{}' names files of several formats ({} and {}); name one kind with a "
                        "glob such as '*.csv'",
                        pattern, first->path, file.path));
      }
      list.format = *found;
      first = &file;
    }
  }
  if (partitions) {
    const size_t fixed = FixedBytes(pattern);
    for (auto& file : list.files) {
      ARROW_RETURN_NOT_OK(AddPartitions(std::min(fixed, file.path.size()), &file));
    }
  }
  return list;
}

Result<std::string> FingerprintOf(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return ErrnoError(errno, "look at", path);
  return FingerprintText(info);
}

Result<FileLook> LookAt(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return ErrnoError(errno, "look at", path);
  FileLook look;
  look.fingerprint =
      fmt::format("{}:{}.{:09}", FingerprintText(info), info.st_ctim.tv_sec, info.st_ctim.tv_nsec);
  const auto milliseconds = [](const timespec& time) {
    return static_cast<int64_t>(time.tv_sec) * 1000 + time.tv_nsec / 1'000'000 + 1;
  };
  look.changed_ms = std::max(milliseconds(info.st_mtim), milliseconds(info.st_ctim));
  return look;
}

Result<int64_t> FileBytes(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return ErrnoError(errno, "look at", path);
  return static_cast<int64_t>(info.st_size);
}

std::string DatasetNameOf(const std::string& pattern) {
  fs::path path = fs::path(pattern).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  std::error_code error;
  const bool exists = fs::exists(path, error);
  for (; path.has_filename(); path = path.parent_path()) {
    std::string name = path.filename().string();
    if (FormatOf(name)) name = std::string(WithoutCodec(name));
    if (const auto dot = name.rfind('.'); FormatOf(name) && dot != std::string::npos) {
      name.resize(dot);
    } else if (exists && !fs::is_directory(path, error) && name.rfind('.') > 0) {
      name.resize(std::min(name.size(), name.rfind('.')));
    }
    if (exists) return name.empty() ? "files" : name;
    if (name.find('=') != std::string::npos) continue;
    name.resize(std::min(name.size(), name.find_first_of("*?[")));
    while (!name.empty() && std::string_view("-_.").find(name.back()) != std::string_view::npos) {
      name.pop_back();
    }
    if (!name.empty()) return name;
  }
  return "files";
}

bool HasDataExtension(std::string_view path) { return FormatOf(path).has_value(); }

}  // namespace bulkhaul::files
