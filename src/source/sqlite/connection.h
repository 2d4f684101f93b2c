// One SQLite connection and its statements, and what SQLite's result codes mean to the runner.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace bulkhaul {

// The kind of an (extended) result code. BUSY, LOCKED, PROTOCOL and short reads transient; a
// damaged file, a full disk and I/O errors permanent; a file that is missing, unreadable or not a
// database, and SQL that does not compile, the user's. Pure.
// Source: https://www.sqlite.org/rescode.html
ErrorKind KindOfSqliteCode(int code);
// "SQLITE_BUSY"; "SQLITE_17" for codes without a name here.
std::string SqliteCodeName(int code);
// "<action>: <message>", with a word on what to do where it is known.
Status SqliteError(int code, std::string_view action, std::string_view message);

// "a""b": a name as an identifier.
std::string QuoteIdentifier(std::string_view name);

// Not thread-safe. Finalised when destroyed; must not outlive its connection.
class Statement {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}
  Statement(Statement&& other) noexcept : statement_(other.statement_) {
    other.statement_ = nullptr;
  }
  Statement& operator=(Statement&& other) noexcept {
    std::swap(statement_, other.statement_);
    return *this;
  }
  ~Statement();
  sqlite3_stmt* get() const { return statement_; }
  // True with a row, false at the end.
  Result<bool> Step();
  void Reset();
  void Bind(int parameter, int64_t value);
  void Bind(int parameter, std::string_view text);
  int64_t Int(int column) const;
  bool IsNull(int column) const;
  std::string Text(int column) const;

 private:
  sqlite3_stmt* statement_ = nullptr;
};

enum class OpenMode {
  kReadOnly,
  kReadWrite,
  // The file is taken as it is, without locks and without its WAL: for files that nobody writes.
  kImmutable,
};

// Not thread-safe: one thread at a time. Movable through unique_ptr only.
class Connection {
 public:
  // kUser when the file is missing, unreadable or not a database. Waits for locks up to
  // `busy_timeout_ms`.
  static Result<std::unique_ptr<Connection>> Open(const std::string& path, OpenMode mode,
                                                  int64_t busy_timeout_ms);
  ~Connection();
  sqlite3* get() const { return database_; }
  Status Run(const std::string& sql);
  // One statement; what stands behind it must be blank or a comment.
  Result<Statement> Prepare(std::string_view sql);
  // The first column of the first row, 0 and "" without one.
  Result<int64_t> QueryInt(const std::string& sql);
  Result<std::string> QueryText(const std::string& sql);
  // While set, long statements look here every few thousand steps and end with kCancelled.
  void SetStop(std::stop_token stop);
  // What SQLite says about the last call, classified.
  Status LastError(std::string_view action) const;
  // Bytes of the database file itself, past SQLite's caches and without the WAL. False at the end.
  bool ReadFile(int64_t offset, int64_t count, void* out) const;

 private:
  explicit Connection(std::string path) : path_(std::move(path)) {}
  const std::string path_;
  sqlite3* database_ = nullptr;
  std::stop_token stop_;
};

}  // namespace bulkhaul
