// The files that a path, a folder or a glob names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace bulkhaul::files {

enum class FileFormat { kCsv, kParquet, kArrow, kJson };
enum class FileCodec { kNone, kGzip, kZstd, kBz2 };

// "csv", "parquet", "arrow", "json".
const char* FileFormatName(FileFormat format);
Result<FileFormat> FileFormatFromName(std::string_view name);

struct DataFile {
  std::string path;
  int64_t bytes = 0;
  std::string fingerprint;  // inode, size and time of the last change
  FileCodec codec = FileCodec::kNone;
  // Of folders named "key=value", outermost first.
  std::vector<std::pair<std::string, std::string>> partitions;
};

struct FileList {
  FileFormat format = FileFormat::kParquet;
  std::vector<DataFile> files;  // ordered by path, never none
};

// What `pattern` names: a file, a folder with all that is in it, or a glob whose "**" stands for
// any number of folders. Names that begin with '.' or '_' are taken only where the pattern spells
// them. `format`: "auto" takes it from the extensions, which must agree. kUser when nothing is
// there.
Result<FileList> ListFiles(const std::string& pattern, std::string_view format, bool partitions);

// Inode, size and time of the last change of the file. kUser when it is gone.
Result<std::string> FingerprintOf(const std::string& path);

// The same with the time at which the inode changed, which nobody can set back, for rows that
// outlive the job.
struct FileLook {
  std::string fingerprint;
  int64_t changed_ms = 0;  // the later of both times, since 1970
};
Result<FileLook> LookAt(const std::string& path);

Result<int64_t> FileBytes(const std::string& path);

// "orders" for /data/orders.csv.gz, /data/orders, /data/orders/*.csv and /data/orders_*.csv.
std::string DatasetNameOf(const std::string& pattern);

// Whether the path ends like a data file: ".csv.gz".
bool HasDataExtension(std::string_view path);

}  // namespace bulkhaul::files
