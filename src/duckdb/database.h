// One DuckDB in memory with what a job attaches to it.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include <arrow/record_batch.h>

#include "base/error.h"
#include "duckdb/attachments.h"

namespace bulkhaul::duckdb {

struct DatabaseSettings {
  int64_t memory_bytes_max = int64_t{1} << 30;  // DuckDB's own limit; beyond it spills
  std::string spill_folder;                     // "" : none, a query that needs it fails
  int threads = 1;
};

// A connection. Not thread-safe, but for the stop: one thread at a time.
class Database {
 public:
  // Databases are attached read-only, and nothing is fetched from anywhere: extensions are taken
  // from $BULKHAUL_DUCKDB_EXTENSIONS (a folder), the library's folder or DuckDB's own. kUser when
  // the library, an extension or a target is not there.
  static Result<std::shared_ptr<Database>> Open(const std::vector<Attachment>& attachments,
                                                const DatabaseSettings& settings);
  virtual ~Database() = default;

  // A statement without a result that matters.
  virtual Status Run(const std::string& sql) = 0;
  // The columns that a statement would give; it is not run.
  virtual Result<std::shared_ptr<arrow::Schema>> Describe(const std::string& sql,
                                                          std::stop_token stop) = 0;
  // The rows of one statement, made while they are read. The reader keeps the database. A stop
  // interrupts the statement, also while it is prepared: kCancelled. kUser names the column whose
  // type has no exact Arrow form here.
  virtual Result<std::unique_ptr<arrow::RecordBatchReader>> Query(const std::string& sql,
                                                                  std::stop_token stop) = 0;
  // What could not be attached, for people.
  virtual const std::vector<std::string>& notes() const = 0;
};

}  // namespace bulkhaul::duckdb
