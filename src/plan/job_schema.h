// What is published about job files, made from the same tables that validate them.
#pragma once

#include <string>

namespace bulkhaul {

// JSON Schema (draft 2020-12) of a job file: docs/schemas/job.schema.json, `bulkhaul schema job`.
std::string JobFileSchema();
// docs/job-file.md.
std::string JobFileReference();

}  // namespace bulkhaul
