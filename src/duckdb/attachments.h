// What a query may name: databases and folders of exports, as "NAME=TARGET;NAME=TARGET", and files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bulkhaul::duckdb {

// Files that are one table.
struct FileTable {
  std::string name;
  std::string format;  // "csv", "parquet", "arrow", "json"
  std::vector<std::string> files;
  bool hive_partitions = true;  // folders named key=value are columns
};

struct Attachment {
  enum class Kind { kPostgres, kSqlite, kDuckdb, kExports, kFiles };
  Kind kind = Kind::kExports;
  std::string name;               // as queries call it
  std::string target;             // URI, file or folder; may hold a password; "" for kFiles
  std::vector<FileTable> tables;  // of kFiles
  bool optional = false;          // a note says so when it cannot be attached
};

// Without a name of its own: pg_main, sqlite_main, duckdb_main, exports, files.
const char* DefaultName(Attachment::Kind kind);

// Of one "NAME=TARGET": postgres://… and libpq connection strings, SQLite files (.db, .sqlite,
// .sqlite3, sqlite:…), DuckDB files (.duckdb), else a folder of exports. Without a name: its kind's
// default. kUser on a name that is no plain identifier. Pure.
Result<Attachment> ParseAttachment(std::string_view text);
// Of a whole source URI's part behind "duckdb:". kUser when two have one name. Pure.
Result<std::vector<Attachment>> ParseAttachments(std::string_view text);

// The statements that make the views of one folder's exports: in the schema `name`, a view for each
// folder with metadata, named by its path below `folder` ("public/orders": public_orders; the
// folder itself by its last part). `notes`: exports that DuckDB cannot read. kUser when there is no
// export at all.
Result<std::vector<std::string>> ExportViews(const std::string& name, const std::string& folder,
                                             std::vector<std::string>* notes);

// The statement that makes the view of files, in the schema `name`; "" where DuckDB does not read
// the format. Pure.
std::string FileView(const std::string& name, const FileTable& table);

// As SQL: "a ""b""" and 'it''s'. Pure.
std::string QuotedName(std::string_view name);
std::string QuotedText(std::string_view text);

}  // namespace bulkhaul::duckdb
