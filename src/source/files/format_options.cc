#include "source/files/format_options.h"

#include <fmt/format.h>

#include "plan/option_table.h"

namespace bulkhaul::files {
namespace {

// What CSV alone leaves open.
constexpr const char* kOfCsv[] = {
    "source_delimiter", "source_quote", "source_escape", "source_header", "source_null",
    "ragged",           "trim",         "date_format",   "date_formats",  "decimal_precision"};
// What JSON leaves open too.
constexpr const char* kOfText[] = {"source_encoding", "sample_rows", "row_bytes_max"};

}  // namespace

Status CheckFormatOptions(std::span<const FormatAndOptions> tables) {
  const auto check = [&](const char* name, bool of_json) -> Status {
    const FormatAndOptions* idle = nullptr;
    for (const auto& table : tables) {
      if (!IsChanged(table.options, name)) continue;
      if (table.format == FileFormat::kCsv || (of_json && table.format == FileFormat::kJson)) {
        return Status::OK();
      }
      idle = &table;
    }
    if (idle == nullptr) return Status::OK();
    return UserError(
        fmt::format("{} is about files of {}, and these are {}; leave out {}, or say "
                    "with source_format what the files hold",
                    name, of_json ? "CSV and JSON" : "CSV", FileFormatName(idle->format), name),
        "unsupported");
  };
  for (const char* name : kOfCsv) ARROW_RETURN_NOT_OK(check(name, false));
  for (const char* name : kOfText) ARROW_RETURN_NOT_OK(check(name, true));
  return Status::OK();
}

}  // namespace bulkhaul::files
