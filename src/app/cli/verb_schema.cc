// schema, version.
#include <arrow/config.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/cli/published_schemas.h"
#include "app/cli/terminal.h"
#include "app/cli/verbs.h"
#include "app/registry.h"
#include "plan/job_schema.h"

namespace bulkhaul {

Result<int> RunSchema(const std::string& what) {
  if (what == "job") {
    fmt::print("{}", JobFileSchema());
    return kExitDone;
  }
  if (what == "job-reference") {
    fmt::print("{}", JobFileReference());
    return kExitDone;
  }
  if (what == "report") {
    fmt::print("{}", kReportSchema);
    return kExitDone;
  }
  if (what == "metadata") {
    fmt::print("{}", kMetadataSchema);
    return kExitDone;
  }
  return UsageError(
      fmt::format("there is no schema '{}': job, job-reference, report or metadata", what));
}

Result<int> RunVersion(OutputForm form) {
  const auto& arrow = arrow::GetBuildInfo();
  if (form == OutputForm::kJson) {
    const nlohmann::ordered_json version = {{"version", BULKHAUL_VERSION},
                                            {"arrow", arrow.version_string},
                                            {"sources", SourceNames()},
                                            {"sinks", SinkNames()}};
    fmt::print("{}\n", version.dump());
    return kExitDone;
  }
  fmt::print("bulkhaul {}\nArrow {}\nsources: {}\nsinks: {}\n", BULKHAUL_VERSION,
             arrow.version_string, fmt::join(SourceNames(), ", "), fmt::join(SinkNames(), ", "));
  return kExitDone;
}

}  // namespace bulkhaul
