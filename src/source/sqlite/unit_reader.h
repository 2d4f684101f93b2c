// Reads one unit on one connection.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "plan/context.h"
#include "source/source.h"
#include "source/sqlite/column_buffer.h"
#include "source/sqlite/connection.h"
#include "source/sqlite/table_state.h"

namespace bulkhaul {

// Rows of a prepared statement into batches. Not thread-safe.
class RowReader {
 public:
  RowReader(std::shared_ptr<arrow::Schema> schema, std::vector<ColumnPlan> plans,
            arrow::MemoryPool* pool);
  // The next batch, or null at the end. It ends near `bytes_max` of Arrow data.
  Result<std::shared_ptr<arrow::RecordBatch>> Next(Statement& statement, int64_t rows_max,
                                                   int64_t bytes_max, Reservation* reservation,
                                                   const std::stop_token& stop);
  std::map<std::string, int64_t> counters() const;
  // Whether a value broke the type of column `index` (null policy).
  bool broken(size_t index) const { return columns_[index].mismatches_as_null() > 0; }
  int64_t rows() const { return rows_; }
  int64_t bytes() const { return bytes_; }  // of values given out

 private:
  // Rows until a limit; sets done_.
  Result<int64_t> Fill(Statement& statement, int64_t rows_max, int64_t bytes_max,
                       Reservation* reservation, const std::stop_token& stop);

  const std::shared_ptr<arrow::Schema> schema_;
  std::vector<ColumnBuffer> columns_;
  std::vector<ColumnBuffer*> variable_columns_;
  int64_t fixed_row_bytes_ = 0;
  int64_t rows_ = 0, bytes_ = 0;
  bool done_ = false;
};

// Keeps statement and buffers of the dataset that was read last, for its next unit.
class SqliteSession : public Session {
 public:
  // `give_back` takes the connection when the session ends.
  SqliteSession(std::unique_ptr<Connection> connection, std::span<const Dataset> datasets,
                std::stop_token stop, std::function<void(std::unique_ptr<Connection>)> give_back);
  ~SqliteSession() override;
  Result<std::unique_ptr<UnitReader>> Read(const WorkUnit& unit, UnitContext& context) override;

 private:
  std::unique_ptr<Connection> connection_;
  const std::span<const Dataset> datasets_;
  const std::function<void(std::unique_ptr<Connection>)> give_back_;
  std::string prepared_sql_;
  Statement statement_;
};

}  // namespace bulkhaul
