#include "commit/database.h"

#include <fmt/format.h>
#include <sqlite3.h>

namespace bulkhaul {

Result<std::unique_ptr<Database>> Database::Open(const std::string& path, bool read_only) {
  sqlite3* handle = nullptr;
  const int flags =
      (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) |
      SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  std::unique_ptr<Database> database(new Database(handle, path));
  if (code != SQLITE_OK) return database->Fail("open");
  sqlite3_busy_timeout(handle, 10'000);
  return database;
}

Database::~Database() {
  for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(handle_);
}

Status Database::Fail(const std::string& action) const {
  const int code = handle_ ? sqlite3_extended_errcode(handle_) : SQLITE_NOMEM;
  const int primary = code & 0xff;
  ErrorKind kind = ErrorKind::kPermanent;
  if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED) kind = ErrorKind::kTransient;
  if (primary == SQLITE_CANTOPEN || primary == SQLITE_READONLY || primary == SQLITE_PERM) {
    kind = ErrorKind::kUser;
  }
  return MakeError(kind,
                   fmt::format("cannot {} the job's ledger '{}': {}", action, path_,
                               handle_ ? sqlite3_errmsg(handle_) : "out of memory"),
                   fmt::format("SQLITE {}", code));
}

Status Database::Execute(const std::string& sql) {
  if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    return Fail("write");
  }
  return Status::OK();
}

Result<sqlite3_stmt*> Database::Prepare(std::string_view sql,
                                        const std::vector<DatabaseValue>& values) {
  auto found = statements_.find(sql);
  if (found == statements_.end()) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                           SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK) {
      return Fail("prepare a statement on");
    }
    found = statements_.emplace(sql, statement).first;
  }
  sqlite3_stmt* statement = found->second;
  for (size_t i = 0; i < values.size(); ++i) {
    const auto& value = values[i];
    const int position = static_cast<int>(i) + 1;
    int code = SQLITE_OK;
    switch (value.kind) {
      case DatabaseValue::Kind::kNull:
        code = sqlite3_bind_null(statement, position);
        break;
      case DatabaseValue::Kind::kInt:
        code = sqlite3_bind_int64(statement, position, value.number);
        break;
      case DatabaseValue::Kind::kText:
        // The values outlive the step, so SQLite need not copy them.
        code = sqlite3_bind_text64(statement, position, value.text.data(), value.text.size(),
                                   SQLITE_STATIC, SQLITE_UTF8);
        break;
    }
    if (code != SQLITE_OK) return Fail("bind a value on");
  }
  return statement;
}

Result<int64_t> Database::Change(std::string_view sql, const std::vector<DatabaseValue>& values) {
  ARROW_ASSIGN_OR_RAISE(sqlite3_stmt * statement, Prepare(sql, values));
  const int code = sqlite3_step(statement);
  Status status = code == SQLITE_DONE || code == SQLITE_ROW ? Status::OK() : Fail("write");
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  ARROW_RETURN_NOT_OK(status);
  return sqlite3_changes64(handle_);
}

Result<std::vector<DatabaseRow>> Database::Query(std::string_view sql,
                                                 const std::vector<DatabaseValue>& values) {
  ARROW_ASSIGN_OR_RAISE(sqlite3_stmt * statement, Prepare(sql, values));
  std::vector<DatabaseRow> rows;
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
    DatabaseRow row(sqlite3_column_count(statement));
    for (size_t i = 0; i < row.size(); ++i) {
      const int column = static_cast<int>(i);
      switch (sqlite3_column_type(statement, column)) {
        case SQLITE_NULL:
          break;
        case SQLITE_INTEGER:
          row[i] = DatabaseValue(static_cast<int64_t>(sqlite3_column_int64(statement, column)));
          break;
        default:
          row[i] = DatabaseValue(
              std::string(reinterpret_cast<const char*>(sqlite3_column_text(statement, column)),
                          sqlite3_column_bytes(statement, column)));
      }
    }
    rows.push_back(std::move(row));
  }
  Status status = code == SQLITE_DONE ? Status::OK() : Fail("read");
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  ARROW_RETURN_NOT_OK(status);
  return rows;
}

}  // namespace bulkhaul
