#include "source/sqlite/connection.h"

#include <fcntl.h>
#include <unistd.h>
#include <cerrno>
#include <filesystem>

#include <fmt/format.h>
#include <sqlite3.h>

namespace bulkhaul {
namespace {

constexpr int kStepsBetweenStopChecks = 20'000;

// The file name as SQLite's URI form wants it (https://www.sqlite.org/uri.html).
std::string FileUri(const std::string& path, std::string_view parameters) {
  std::string uri = "file:";
  for (const char c : path) {
    if (c == '%' || c == '?' || c == '#')
      uri += fmt::format("%{:02x}", static_cast<uint8_t>(c));
    else
      uri += c;
  }
  return uri + "?" + std::string(parameters);
}

bool IsBlankOrComment(std::string_view text) {
  while (true) {
    text.remove_prefix(std::min(text.size(), text.find_first_not_of(" \t\r\n\f;")));
    if (text.starts_with("--")) {
      text.remove_prefix(std::min(text.size(), text.find('\n')));
    } else if (text.starts_with("/*")) {
      const size_t end = text.find("*/", 2);
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 2);
    } else {
      return text.empty();
    }
  }
}

std::string Advice(int code) {
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "; another connection is writing: try again, or raise lock_timeout";
    case SQLITE_CORRUPT:
      return "; run 'PRAGMA integrity_check' and restore from a backup";
    case SQLITE_READONLY:
      return "; a write that was cut off must be rolled back first: open the database once with "
             "write access";
    default:
      return "";
  }
}

}  // namespace

ErrorKind KindOfSqliteCode(int code) {
  if (code == SQLITE_IOERR_SHORT_READ || code == SQLITE_IOERR_BLOCKED ||
      code == SQLITE_IOERR_LOCK || code == SQLITE_CORRUPT_SEQUENCE) {
    return code == SQLITE_CORRUPT_SEQUENCE ? ErrorKind::kPermanent : ErrorKind::kTransient;
  }
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
    case SQLITE_SCHEMA:
      return ErrorKind::kTransient;
    case SQLITE_INTERRUPT:
    case SQLITE_ABORT:
      return ErrorKind::kCancelled;
    case SQLITE_ERROR:
    case SQLITE_AUTH:
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_NOTADB:
    case SQLITE_TOOBIG:
    case SQLITE_RANGE:
      return ErrorKind::kUser;
    case SQLITE_MISUSE:
    case SQLITE_INTERNAL:
      return ErrorKind::kBug;
    default:  // CORRUPT, IOERR, FULL, NOMEM, FORMAT, …
      return ErrorKind::kPermanent;
  }
}

std::string SqliteCodeName(int code) {
  static constexpr const char* kNames[] = {
      "SQLITE_OK",       "SQLITE_ERROR",     "SQLITE_INTERNAL", "SQLITE_PERM",
      "SQLITE_ABORT",    "SQLITE_BUSY",      "SQLITE_LOCKED",   "SQLITE_NOMEM",
      "SQLITE_READONLY", "SQLITE_INTERRUPT", "SQLITE_IOERR",    "SQLITE_CORRUPT",
      "SQLITE_NOTFOUND", "SQLITE_FULL",      "SQLITE_CANTOPEN", "SQLITE_PROTOCOL",
      "SQLITE_EMPTY",    "SQLITE_SCHEMA",    "SQLITE_TOOBIG",   "SQLITE_CONSTRAINT",
      "SQLITE_MISMATCH", "SQLITE_MISUSE",    "SQLITE_NOLFS",    "SQLITE_AUTH",
      "SQLITE_FORMAT",   "SQLITE_RANGE",     "SQLITE_NOTADB"};
  const auto primary = static_cast<size_t>(code & 0xff);
  const std::string name =
      primary < std::size(kNames) ? kNames[primary] : fmt::format("SQLITE_{}", primary);
  return code > 0xff ? fmt::format("{} ({})", name, code) : name;
}

Status SqliteError(int code, std::string_view action, std::string_view message) {
  const ErrorKind kind = KindOfSqliteCode(code);
  if (kind == ErrorKind::kCancelled) return CancelledError();
  return MakeError(kind, fmt::format("{}: {}{}", action, message, Advice(code)),
                   SqliteCodeName(code));
}

std::string QuoteIdentifier(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

Statement::~Statement() { sqlite3_finalize(statement_); }

Result<bool> Statement::Step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  sqlite3* database = sqlite3_db_handle(statement_);
  return SqliteError(sqlite3_extended_errcode(database), "SQLite", sqlite3_errmsg(database));
}

void Statement::Reset() { sqlite3_reset(statement_); }
void Statement::Bind(int parameter, int64_t value) {
  sqlite3_bind_int64(statement_, parameter, value);
}
void Statement::Bind(int parameter, std::string_view text) {
  sqlite3_bind_text64(statement_, parameter, text.data(), text.size(), SQLITE_TRANSIENT,
                      SQLITE_UTF8);
}
int64_t Statement::Int(int column) const { return sqlite3_column_int64(statement_, column); }
bool Statement::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}
std::string Statement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  if (text == nullptr) return "";
  return {text, static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

Result<std::unique_ptr<Connection>> Connection::Open(const std::string& path, OpenMode mode,
                                                     int64_t busy_timeout_ms) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (error && error.value() != ENOENT) return ErrnoError(error.value(), "open", path);
  if (!std::filesystem::exists(status)) return ErrnoError(ENOENT, "open", path);
  if (std::filesystem::is_directory(status)) return ErrnoError(EISDIR, "open", path);
  if (faccessat(AT_FDCWD, path.c_str(), R_OK, AT_EACCESS) != 0)
    return ErrnoError(errno, "open", path);
  std::unique_ptr<Connection> connection(new Connection(path));
  const int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI | SQLITE_OPEN_EXRESCODE |
                    (mode == OpenMode::kReadWrite ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY);
  const std::string absolute = std::filesystem::absolute(path, error).string();
  const std::string name = FileUri(absolute, mode == OpenMode::kImmutable ? "immutable=1" : "");
  const int code = sqlite3_open_v2(name.c_str(), &connection->database_, flags, nullptr);
  if (code != SQLITE_OK) return connection->LastError("open");
  sqlite3_busy_timeout(connection->database_, static_cast<int>(busy_timeout_ms));
  return connection;
}

Connection::~Connection() { sqlite3_close_v2(database_); }

Status Connection::Run(const std::string& sql) {
  if (sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) {
    return Status::OK();
  }
  return LastError(sql);
}

Result<Statement> Connection::Prepare(std::string_view sql) {
  sqlite3_stmt* raw = nullptr;
  const char* tail = nullptr;
  const int code = sqlite3_prepare_v3(database_, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &raw, &tail);
  Statement statement(raw);
  if (code != SQLITE_OK) return LastError("cannot prepare a statement");
  if (raw == nullptr) return UserError("the SQL text is empty");
  if (!IsBlankOrComment(sql.substr(static_cast<size_t>(tail - sql.data())))) {
    return UserError("the SQL text holds more than one statement");
  }
  return statement;
}

Result<int64_t> Connection::QueryInt(const std::string& sql) {
  ARROW_ASSIGN_OR_RAISE(auto statement, Prepare(sql));
  ARROW_ASSIGN_OR_RAISE(const bool row, statement.Step());
  return row ? statement.Int(0) : 0;
}

Result<std::string> Connection::QueryText(const std::string& sql) {
  ARROW_ASSIGN_OR_RAISE(auto statement, Prepare(sql));
  ARROW_ASSIGN_OR_RAISE(const bool row, statement.Step());
  return row ? statement.Text(0) : std::string();
}

void Connection::SetStop(std::stop_token stop) {
  stop_ = std::move(stop);
  if (!stop_.stop_possible()) {
    sqlite3_progress_handler(database_, 0, nullptr, nullptr);
    return;
  }
  const auto check = [](void* self) {
    return static_cast<Connection*>(self)->stop_.stop_requested() ? 1 : 0;
  };
  sqlite3_progress_handler(database_, kStepsBetweenStopChecks, check, this);
}

Status Connection::LastError(std::string_view action) const {
  return SqliteError(sqlite3_extended_errcode(database_), fmt::format("{}: {}", path_, action),
                     sqlite3_errmsg(database_));
}

bool Connection::ReadFile(int64_t offset, int64_t count, void* out) const {
  sqlite3_file* file = nullptr;
  if (sqlite3_file_control(database_, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK ||
      file == nullptr || file->pMethods == nullptr) {
    return false;
  }
  return file->pMethods->xRead(file, out, static_cast<int>(count), offset) == SQLITE_OK;
}

}  // namespace bulkhaul
