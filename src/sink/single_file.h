// A dataset that is published as one file without a folder of its own.
#pragma once

#include <string>

#include "base/error.h"
#include "plan/options.h"
#include "plan/values.h"
#include "sink/part_format.h"
#include "store/publish.h"

namespace bulkhaul {

// What `if_exists` says of a file that is there. kUser for what only a table can do.
Result<ConflictRule> FileConflictRule(const Options& options);
// kUser unless a regular file is at `path`: a rename would put one in the place of anything.
Status CheckReplaceableFile(const std::string& path);
// Gives `file` the permissions of `existing`, if that is there, before it takes its place; durable.
Status TakeOverPermissions(const std::string& existing, const std::string& file);
// Whether the file holds what the request's one part held.
Result<bool> IsFileOf(const CommitRequest& request, const PartFormat& format,
                      const std::string& path);
// What the metadata file of a folder would say of the published file.
Result<std::string> FileMetadataText(const CommitRequest& request, const PartFormat& format,
                                     const std::string& path);

}  // namespace bulkhaul
