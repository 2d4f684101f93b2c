// The log: four levels, to stderr and optionally a file, secrets redacted.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace bulkhaul {

// basic: summary; detailed: per table; extra: per unit; full: per statement and batch.
enum class LogLevel { kBasic = 0, kDetailed = 1, kExtra = 2, kFull = 3 };

Result<LogLevel> LogLevelFromName(std::string_view name);

// Once, before threads start. `file` empty: stderr only. `to_stderr` false while a live view owns
// the terminal.
Status InitLog(LogLevel level, const std::string& file, bool to_stderr);
// Thread-safe. True when a message of this level would be written: check before formatting on a hot
// path.
bool LogEnabled(LogLevel level);
// Thread-safe; the message goes through Redact().
void Log(LogLevel level, std::string_view message);
// Always written, at every level.
void LogWarning(std::string_view message);

}  // namespace bulkhaul
