#include "app/cli/terminal.h"

#include <algorithm>
#include <array>
#include <cctype>

#include <fmt/format.h>

#include "base/log.h"
#include "base/secret.h"
#include "base/units.h"
#include "run/report.h"

namespace bulkhaul {
namespace {

constexpr std::string_view kUsageCode = "usage";

struct Hint {
  std::string_view code;  // SQLSTATE or errno name; a class when it is two characters long
  std::string_view text;
};

// SQLSTATE: PostgreSQL documentation, appendix A.
constexpr Hint kHints[] = {
    {"28P01", "give the password in PGPASSWORD, in ~/.pgpass, or as ${NAME} in a job file"},
    {"28000", "check user, database and the server's pg_hba.conf"},
    {"3D000", "check the database's name at the end of the URI"},
    {"42501",
     "grant SELECT on the table (and USAGE on its schema), or leave it out with --exclude"},
    {"42P01", "bulkhaul discover URI lists what the source has"},
    {"55P03", "another session holds a lock on the table; raise --lock-timeout or wait for it"},
    {"57014", "a timeout of the server stopped the statement; raise --statement-timeout"},
    {"53300", "the server has no free connection; lower --workers or raise max_connections"},
    {"53", "the server lacks resources; lower --workers"},
    {"08", "check that host and port are right and the server runs"},
    {"ECONNREFUSED", "check that host and port are right and the server runs"},
    {"ENOSPC", "free space at the destination, then go on with bulkhaul resume"},
    {"EDQUOT", "free space at the destination, then go on with bulkhaul resume"},
    {"EROFS", "choose a destination that can be written"},
    {"EACCES", "check the permissions of the path"},
    {"EPERM", "check the permissions of the path"},
    {"no_such_table", "bulkhaul discover URI lists what the source has"},
    {"no_free_connection", "end other sessions, or raise the server's max_connections"},
};

size_t DisplayWidth(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string Printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

}  // namespace

std::string AlignedTable(const std::vector<TextColumn>& columns,
                         const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& column : columns) widths.push_back(DisplayWidth(column.title));
  for (const auto& row : rows) {
    for (size_t i = 0; i < columns.size(); ++i) {
      widths[i] = std::max(widths[i], DisplayWidth(row[i]));
    }
  }
  std::string text;
  const auto add_line = [&](const auto& cell) {
    std::string line;
    for (size_t i = 0; i < columns.size(); ++i) {
      const std::string shown = Printable(cell(i));
      const std::string padding(widths[i] - std::min(widths[i], DisplayWidth(shown)), ' ');
      line += (i == 0 ? "" : "  ") + (columns[i].right ? padding + shown : shown + padding);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  add_line([&](size_t i) { return columns[i].title; });
  for (const auto& row : rows) add_line([&](size_t i) { return row[i]; });
  return text;
}

Status StartLog(const Options& options, bool to_stderr) {
  ARROW_ASSIGN_OR_RAISE(const auto level, LogLevelFromName(options.GetString("log_level")));
  return InitLog(level, options.GetString("log_file"), to_stderr);
}

std::string CountOrUnknown(int64_t count) { return count < 0 ? "?" : FormatCount(count); }

std::string BytesOrUnknown(int64_t bytes) { return bytes < 0 ? "?" : FormatBytes(bytes); }

std::string HintFor(const Status& error) {
  const std::string code = CodeOf(error);
  // It says itself which right is to be granted.
  if (code == "42501" && MessageOf(error).find(" GRANT ") != std::string::npos) return {};
  for (const auto& hint : kHints) {
    if (code == hint.code) return std::string(hint.text);
  }
  for (const auto& hint : kHints) {
    if (hint.code.size() == 2 && code.size() == 5 && code.starts_with(hint.code)) {
      return std::string(hint.text);
    }
  }
  if (KindOf(error) == ErrorKind::kBug) {
    return "this is a bug of bulkhaul: please report it with the command and this message";
  }
  return {};
}

std::string WayOn(const Status& error, const std::string& job) {
  switch (RemedyFor(CodeOf(error))) {
    case Remedy::kNewJob:
      return {};
    case Remedy::kOptions:
      return "change the job's options and start a new job: a resume keeps them";
    case Remedy::kResume:
      break;
  }
  return "when the cause is mended, go on with: bulkhaul resume " + job;
}

std::string ErrorText(const Status& error, std::string_view hint) {
  std::string text = fmt::format("error: {}", Redact(MessageOf(error)));
  const auto code = CodeOf(error);
  const bool foreign = !code.empty() && std::isupper(static_cast<unsigned char>(code[0])) +
                                            std::isdigit(static_cast<unsigned char>(code[0]));
  if (foreign && text.find(code) == std::string::npos) text += fmt::format(" ({})", code);
  text += "\n";
  if (!hint.empty()) text += fmt::format("hint: {}\n", hint);
  return text;
}

Status UsageError(std::string message) {
  return UserError(std::move(message), std::string(kUsageCode));
}

int ExitCodeOfError(const Status& error) {
  switch (KindOf(error)) {
    case ErrorKind::kCancelled:
      return kExitCancelled;
    case ErrorKind::kUser:
      break;
    default:
      return kExitFailed;
  }
  const auto code = CodeOf(error);
  if (code == "schema_drift") return kExitDrift;
  if (code == "contract_rows") return kExitFailed;
  if (code == "locked" || code == "no_free_connection") return kExitFailed;
  const bool foreign = !code.empty() && !std::islower(static_cast<unsigned char>(code[0]));
  return foreign ? kExitFailed : kExitUsage;
}

}  // namespace bulkhaul
