// ${NAME}, ${NAME:-default} and file:path in job files: so that secrets need not be written there.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "plan/job_spec.h"

namespace bulkhaul {

// The value of an environment variable, or nullopt. Injected, so that tests need no real one.
using EnvironmentLookup = std::function<std::optional<std::string>(const std::string& name)>;
EnvironmentLookup ProcessEnvironment();

// `text` with each ${NAME} and ${NAME:-default} replaced; "$${" stands for "${". The default is
// used when the variable is not set or empty. kUser when a variable without a default is not set,
// or the syntax is broken; the message never holds a value.
Result<std::string> ExpandEnvironment(std::string_view text, const EnvironmentLookup& environment);
bool HasReference(std::string_view text);  // holds "${"

// "file:path" but not "file://…".
bool IsFileReference(std::string_view text);
// The file's text without its last newline; a relative path is meant from `folder`. kUser when it
// cannot be read, is empty, or has more than 64 KiB.
Result<std::string> ReadFileReference(std::string_view reference, const std::string& folder);
// The reference with an absolute path.
std::string AbsoluteFileReference(std::string_view reference, const std::string& folder);

// For a job that was stored without its secrets: sets source_uri and destination_uri from their
// references, where there are any.
Status ResolveJobReferences(JobSpec* job, const EnvironmentLookup& environment);

}  // namespace bulkhaul
