#include "client/postgres/classify.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "base/secret.h"

namespace bulkhaul::postgres {
namespace {

constexpr std::string_view kQueryCanceled = "57014";

bool IsClass(std::string_view sqlstate, std::string_view code_class) {
  return sqlstate.substr(0, 2) == code_class;
}

// The connection or the server is going away, or is not ready yet.
bool IsConnectionLoss(std::string_view sqlstate) {
  return IsClass(sqlstate, "08") || sqlstate == "57P01" || sqlstate == "57P02" ||
         sqlstate == "57P03" || sqlstate == "57P05" || sqlstate == "25P03" || sqlstate == "25P04";
}

ErrorKind ClassifyByCode(std::string_view sqlstate) {
  // Too many connections; deadlock and serialisation; lock timeout; out of memory; I/O of others.
  if (sqlstate == "53300" || sqlstate == "40P01" || sqlstate == "40001" || sqlstate == "55P03" ||
      sqlstate == "53200" || sqlstate == "58030") {
    return ErrorKind::kTransient;
  }
  // A full disk (temporary files) may be empty again; a missing database or role will not appear.
  if (sqlstate == "53100" || sqlstate == "53400") return ErrorKind::kPermanent;
  if (IsClass(sqlstate, "XX")) return ErrorKind::kPermanent;  // corrupt data, internal errors
  if (sqlstate == "58P01" || sqlstate == "58P02") return ErrorKind::kPermanent;
  if (sqlstate == "55000") return ErrorKind::kPermanent;
  if (IsClass(sqlstate, "53")) return ErrorKind::kTransient;
  // Bad values, wrong names, missing grants, wrong password, unsupported features.
  return ErrorKind::kUser;
}

// What COPY says of where it was, "line 3, column a": behind the name of the table that is loaded
// beside, in a line that comes after those of the functions it was in.
std::string_view PlaceInCopy(std::string_view context) {
  constexpr std::string_view kCopy = "COPY ", kLine = ", line ";
  while (!context.empty()) {
    const std::string_view line = context.substr(0, context.find('\n'));
    const size_t at = line.find(kLine);
    if (line.starts_with(kCopy) && at != std::string_view::npos) return line.substr(at + 2);
    context.remove_prefix(std::min(context.size(), line.size() + 1));
  }
  return {};
}

}  // namespace

int64_t LineInCopy(std::string_view context, std::string_view table) {
  const std::string begin = fmt::format("COPY {}, ", table);
  while (!context.empty()) {
    const std::string_view line = context.substr(0, context.find('\n'));
    context.remove_prefix(std::min(context.size(), line.size() + 1));
    if (!line.starts_with(begin)) continue;
    // "line" is in the server's language.
    size_t at = begin.size();
    while (at < line.size() && (line[at] < '0' || line[at] > '9') && line[at] != ',') ++at;
    int64_t number = -1;
    const auto read = std::from_chars(line.data() + at, line.data() + line.size(), number);
    return read.ec == std::errc() ? number : -1;
  }
  return -1;
}

ErrorKind ClassifySqlState(std::string_view sqlstate, const ErrorSituation& situation) {
  if (sqlstate == kQueryCanceled) {
    // The same code for a statement timeout, an administrator's pg_cancel_backend and our own
    // request: only we know what we sent.
    if (situation.cancel_sent) return ErrorKind::kCancelled;
    return situation.holding_snapshot ? ErrorKind::kSnapshotLost : ErrorKind::kTransient;
  }
  if (situation.importing_snapshot &&
      (sqlstate == "22023" || sqlstate == "0A000" || sqlstate == "55000" || sqlstate == "42704")) {
    // 22023 invalid snapshot identifier; 55000 the source transaction is not running any more;
    // 42704 as PostgreSQL 17 calls a snapshot that does not exist.
    return sqlstate == "0A000" ? ErrorKind::kUser : ErrorKind::kSnapshotLost;
  }
  if (situation.holding_snapshot && (sqlstate == "40001" || IsConnectionLoss(sqlstate))) {
    return ErrorKind::kSnapshotLost;
  }
  // A reader of an imported snapshot gets 40001 on a standby: its statement dies, the view lives.
  if (IsConnectionLoss(sqlstate)) return ErrorKind::kTransient;
  return ClassifyByCode(sqlstate);
}

std::string AdviceFor(const ServerError& error, const ErrorSituation& situation) {
  const std::string& sqlstate = error.sqlstate;
  // A deadlock with the replay has the same code as one of two transactions.
  const bool of_replay = error.message.find("recovery") != std::string::npos;
  if (sqlstate == "40001" || (sqlstate == "40P01" && of_replay)) {
    return "on a standby, replay conflicts with long reads: set hot_standby_feedback = on there, "
           "or raise max_standby_streaming_delay";
  }
  if (sqlstate == "40P01") {
    return "the server ended one of several transactions that waited for each other; its log says "
           "which they were";
  }
  if (sqlstate == "53300") return "use fewer workers, or raise max_connections or the role's limit";
  if (sqlstate == "53200") return "if locks ran out, raise max_locks_per_transaction on the server";
  if (sqlstate == "55P03") return "another session holds a conflicting lock; raise lock_timeout";
  if (sqlstate == "22021") {
    return "the database holds bytes that are not valid in its encoding; see invalid_utf8";
  }
  if (sqlstate == "22P05") {
    // Escapes are the same in any language of the server.
    const bool of_nul = (error.message + error.detail).find("\\u0000") != std::string::npos;
    if (!of_nul) {
      return "the database's encoding has no such character; load into a database of encoding UTF8";
    }
    return "jsonb cannot hold the escape of a NUL byte: set nul_bytes: strip to leave it out, or "
           "load into a column of type json or text";
  }
  if (sqlstate == "28P01" || sqlstate == "28000") {
    return "check user, password, PGPASSWORD and ~/.pgpass";
  }
  if (sqlstate == kQueryCanceled && !situation.cancel_sent) {
    return "statement_timeout or an administrator ended the statement";
  }
  if (sqlstate == "22023" && situation.importing_snapshot) {
    return "the transaction that exported the snapshot is gone";
  }
  return "";
}

Status ServerErrorStatus(const ServerError& error, const ErrorSituation& situation,
                         std::string_view what) {
  std::string text = fmt::format("{}: {}", what, error.message);
  if (!error.detail.empty()) text += fmt::format(" ({})", error.detail);
  if (const auto place = PlaceInCopy(error.context); !place.empty()) {
    text += fmt::format("; COPY was at {}", place);
  }
  if (!error.hint.empty()) text += fmt::format("; hint: {}", error.hint);
  // pgbouncer refuses transactions there under the code of a protocol violation.
  if (error.message.find("statement pooling") != std::string::npos) {
    return UserError(Redact(text) + "; use session or transaction pooling", error.sqlstate);
  }
  const std::string advice = AdviceFor(error, situation);
  if (!advice.empty()) text += fmt::format("; {}", advice);
  return MakeError(ClassifySqlState(error.sqlstate, situation), Redact(text), error.sqlstate);
}

}  // namespace bulkhaul::postgres
