// A dataset's folder, put together in the workspace.
#pragma once

#include <string>

#include "base/error.h"
#include "plan/values.h"
#include "sink/part_format.h"

namespace bulkhaul {

struct AssemblyPlace {
  std::string staged;    // folder of the staged parts
  std::string assembly;  // folder in which the new one is made
};

// Makes <assembly>/<output name>-<random>/ with the parts as part_0001.<extension>…, in the order
// of request.staged, and the metadata file, everything durable, and gives its path. With `validate`
// each part is read again first: size, checksum, rows. A dataset without parts gets one that holds
// only the schema. kPermanent when a staged part is missing or differs from what its unit reported;
// kBug when the rows do not add up to request.rows.
Result<std::string> AssembleExport(const CommitRequest& request, const PartFormat& format,
                                   const AssemblyPlace& place, bool validate);

// The same for a dataset that is one file: makes <assembly>/<output name>-<random>.part of its one
// part, durable, and gives its path. kUser when the dataset has several parts.
Result<std::string> AssembleFile(const CommitRequest& request, const PartFormat& format,
                                 const AssemblyPlace& place, bool validate);

// "part_0001.parquet"; at least four digits, as many as `parts` needs.
std::string PartName(int64_t ordinal, int64_t parts, const std::string& extension);

}  // namespace bulkhaul
