// _export_metadata.json: what a published folder says about itself. Its form is
// docs/schemas/export_metadata.schema.json.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <arrow/type.h>

#include "base/error.h"
#include "plan/values.h"

namespace bulkhaul {

inline constexpr char kMetadataFile[] = "_export_metadata.json";
inline constexpr int kMetadataFormatVersion = 1;

struct ExportedPart {
  std::string name;  // in the folder
  int64_t rows = 0;
  int64_t bytes = 0;
  uint64_t xxh3 = 0;
  std::string key_min, key_max;  // of the split key, "" when there is none
};

// What Verify and Commit read back.
struct ExportMetadata {
  std::string export_id;
  std::string job_id;
  std::string dataset;         // "schema.name"
  std::string format;          // "parquet"
  std::string format_options;  // JSON object of the format
  std::shared_ptr<arrow::Schema> schema;
  std::vector<ExportedPart> parts;
  int64_t rows = 0;
};

struct ExportDescription {
  std::string export_id;
  std::string format;
  std::string format_options;
  std::string compression;
  std::vector<ExportedPart> parts;
};

// The file's text. No secret in it: request.source_description comes without.
std::string ExportMetadataText(const CommitRequest& request, const ExportDescription& description);
// kPermanent when the text cannot be understood.
Result<ExportMetadata> ParseExportMetadata(const std::string& text);
// kUser when the folder has no metadata file, kPermanent when it cannot be understood.
Result<ExportMetadata> ReadExportMetadata(const std::string& folder);

}  // namespace bulkhaul
