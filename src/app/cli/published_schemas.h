// The JSON Schemas of docs/schemas that people write by hand, so that the program can print them.
#pragma once

namespace bulkhaul {

extern const char* const kReportSchema;
extern const char* const kMetadataSchema;  // of _export_metadata.json

}  // namespace bulkhaul
