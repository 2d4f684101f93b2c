// Job files of every format: any text is a job or an error with a place, and a job that was read
// survives being stored.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "plan/job_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > 64 << 10) return 0;
  using bulkhaul::DocumentFormat;
  // The first byte chooses the format, so that one corpus serves all three.
  const auto format = data[0] == 'j'   ? DocumentFormat::kJson
                      : data[0] == 't' ? DocumentFormat::kToml
                                       : DocumentFormat::kYaml;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto environment = [](const std::string&) { return std::optional<std::string>("value"); };
  const auto job = bulkhaul::ParseJobFile(text, format, {"f", "/nonexistent", environment});
  if (!job.ok()) {
    if (!job.status().message().starts_with("f:")) std::abort();
    return 0;
  }
  const auto again = bulkhaul::JobSpec::FromJson(job->ToJson(/*redacted=*/false));
  if (!again.ok() || again->ToJson(false) != job->ToJson(false)) std::abort();
  return 0;
}
