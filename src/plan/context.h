// What the runner hands to the code that runs in its worker threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <stop_token>
#include <string>

#include <arrow/memory_pool.h>

#include "base/memory_budget.h"
#include "plan/options.h"
#include "plan/values.h"

namespace bulkhaul {

// Where a row comes from, as far as its source knows.
struct RowPlace {
  std::string file;
  int64_t line = -1;  // from 1

  // "a.csv, line 3"; without a line "a.parquet, row 7 of the unit", which is `unit_row`, from 1.
  std::string ToString(int64_t unit_row) const {
    return (file.empty() ? "" : file + ", ") +
           (line >= 0 ? "line " + std::to_string(line)
                      : "row " + std::to_string(unit_row) + " of the unit");
  }
};

// A row that its source could not make a row of the table of, and set aside instead of failing
// (`reject: quarantine`).
struct RefusedRow {
  RowPlace place;
  std::string column;  // "": the row as a whole is wrong
  std::string rule;    // that it breaks: "type: int32", "fields: 5 instead of 4", "utf-8"
  std::string value;   // of the column, as it is written; in valid UTF-8, as the text
  std::string text;    // of the row
};

// What a session runs in. Constant; outlives the session.
struct WorkerContext {
  JobId job_id;
  int worker = 0;  // from 0
  std::stop_token stop;
  const Options* options = nullptr;
};

// What one attempt runs in. Constant but for `reservation`; outlives reader and writer.
struct UnitContext {
  std::stop_token stop;
  AttemptId attempt_id;
  arrow::MemoryPool* pool = nullptr;
  // This attempt's share of the memory budget; a reader or writer that must hold more for one huge
  // value grows it, so that others wait.
  Reservation* reservation = nullptr;
  int64_t batch_bytes_max = 4 << 20;  // a reader ends a batch near this many bytes of Arrow data
  int64_t batch_rows_max = 64 << 10;
  int64_t timeout_ms = 0;  // for the whole unit; 0: none
  // Progress, read by other threads.
  std::atomic<int64_t>* rows_read = nullptr;
  std::atomic<int64_t>* bytes_read = nullptr;
};

}  // namespace bulkhaul
