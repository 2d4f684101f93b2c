// Files as a source: CSV, Parquet, Arrow IPC and JSON lines; a file, a folder or a glob is a table.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "plan/job_spec.h"
#include "source/source.h"

namespace bulkhaul {

// spec.source_uri: a path, a folder, a glob, or a file: URI of one.
Result<std::unique_ptr<Source>> MakeFilesSource(const JobSpec& spec, const JobId& job);

// Whether the path means files by its extension, its glob, or because there is such a folder.
bool IsFilesPath(std::string_view path);

// One table of a job whose source is files.
struct FilesTable {
  std::string name;
  std::string format;  // "csv", "parquet", "arrow", "json"
  std::vector<std::string> files;
  bool hive_partitions = true;
};
// Looks for the files, not into them. kUser as Discover().
Result<std::vector<FilesTable>> TablesOfFiles(const JobSpec& spec);

}  // namespace bulkhaul
