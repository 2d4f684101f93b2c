// A thin door to one SQLite database of ours: statements prepared once, errors as Status.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace bulkhaul {

// A value bound to or read from a statement.
struct DatabaseValue {
  enum class Kind { kNull, kInt, kText };
  Kind kind = Kind::kNull;
  int64_t number = 0;
  std::string text;

  DatabaseValue() = default;
  DatabaseValue(int64_t value) : kind(Kind::kInt), number(value) {}  // NOLINT: binds read better
  DatabaseValue(int value) : kind(Kind::kInt), number(value) {}      // NOLINT
  DatabaseValue(std::string value)                                   // NOLINT
      : kind(Kind::kText), text(std::move(value)) {}
  DatabaseValue(std::string_view value) : kind(Kind::kText), text(value) {}  // NOLINT
  DatabaseValue(const char* value) : kind(Kind::kText), text(value) {}       // NOLINT
};
using DatabaseRow = std::vector<DatabaseValue>;

// Not thread-safe.
class Database {
 public:
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  // `read_only`: beside a writer in another process. Waits up to ten seconds for locks.
  static Result<std::unique_ptr<Database>> Open(const std::string& path, bool read_only);

  // Several statements without values.
  Status Execute(const std::string& sql);
  // One statement; `sql` is the key under which it stays prepared. Gives the rows changed.
  Result<int64_t> Change(std::string_view sql, const std::vector<DatabaseValue>& values);
  Result<std::vector<DatabaseRow>> Query(std::string_view sql,
                                         const std::vector<DatabaseValue>& values);

 private:
  Database(sqlite3* handle, std::string path) : handle_(handle), path_(std::move(path)) {}
  Status Fail(const std::string& action) const;
  Result<sqlite3_stmt*> Prepare(std::string_view sql, const std::vector<DatabaseValue>& values);

  sqlite3* const handle_;
  const std::string path_;
  std::map<std::string, sqlite3_stmt*, std::less<>> statements_;
};

}  // namespace bulkhaul
