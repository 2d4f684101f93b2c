// Reads published exports again and compares them with what their metadata says.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"

namespace bulkhaul {

struct VerifiedExport {
  std::string folder;
  std::string file;     // in the folder, when only that is the export
  std::string dataset;  // "schema.name"
  std::string format;
  int64_t parts = 0;
  int64_t rows = 0;                   // as read
  int64_t bytes = 0;                  // as found
  std::vector<std::string> problems;  // none: the export is what its metadata says
};

// Folders with an export at or below `folder`, sorted; hidden folders are left out. kUser when
// there is no such folder.
Result<std::vector<std::string>> FindExports(const std::string& folder);

// Every part: there, size, checksum, row count, schema; no other file of the format beside them.
// `threads` parts are read at the same time. An error only when the metadata cannot be used.
Result<VerifiedExport> VerifyExport(const std::string& folder, int threads);

// The same for a file that was published without a folder: against the record of the job that wrote
// it, which is in this user's state folder. kUser when there is none.
Result<VerifiedExport> VerifyFile(const std::string& path);

}  // namespace bulkhaul
