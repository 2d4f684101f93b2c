// How the program speaks to people: tables, errors, hints.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "plan/options.h"

namespace bulkhaul {

// Exit codes beside those of a finished job (run/report.h).
inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitDrift = 4;
inline constexpr int kExitCancelled = 130;

struct TextColumn {
  std::string title;
  bool right = false;  // numbers
};
// Columns aligned by display width (a UTF-8 character counts one), two spaces apart, no spaces at
// the ends of lines; control characters are shown as '?'. Ends with a newline.
std::string AlignedTable(const std::vector<TextColumn>& columns,
                         const std::vector<std::vector<std::string>>& rows);

// As log_level and log_file say.
Status StartLog(const Options& options, bool to_stderr);

// -1 is "?".
std::string CountOrUnknown(int64_t count);
std::string BytesOrUnknown(int64_t bytes);

// What to do about an error, as one sentence or command; "" when its message says it all.
std::string HintFor(const Status& error);
// How to go on after a job failed; "" where the error says it. A resume keeps the job's options, so
// that it does not help where they are at fault.
std::string WayOn(const Status& error, const std::string& job);
// "error: …" and "hint: …" lines, without secrets.
std::string ErrorText(const Status& error, std::string_view hint);

// kUser about the command line or job: exit code 2 whatever the code would say.
Status UsageError(std::string message);
// 2 for usage and configuration, 4 for a schema that drifted, 130 for cancelled, 1 otherwise. An
// error that the other side named (an SQLSTATE, an errno) is a failure, not a usage error.
int ExitCodeOfError(const Status& error);

}  // namespace bulkhaul
