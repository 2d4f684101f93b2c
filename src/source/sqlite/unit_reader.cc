#include "source/sqlite/unit_reader.h"

#include <algorithm>

#include <fmt/format.h>
#include <sqlite3.h>

namespace bulkhaul {
namespace {

constexpr int64_t kRowsBetweenChecks = 256;

std::string RangeText(const UnitRange& range) {
  if (range.axis == kNullAxis) return "the NULL keys";
  return fmt::format("keys from {} to {}", range.begin.empty() ? "the first" : range.begin,
                     range.end.empty() ? "the last" : "before " + range.end);
}

class SqliteUnitReader : public UnitReader {
 public:
  SqliteUnitReader(RowReader rows, Statement* statement, WorkUnit unit, UnitContext& context,
                   std::shared_ptr<arrow::Schema> schema)
      : rows_(std::move(rows)),
        statement_(statement),
        unit_(std::move(unit)),
        context_(context),
        schema_(std::move(schema)) {}
  ~SqliteUnitReader() override { statement_->Reset(); }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    batch->reset();
    if (done_) return Status::OK();
    const int64_t bytes_before = rows_.bytes();
    auto next = rows_.Next(*statement_, context_.batch_rows_max, context_.batch_bytes_max,
                           context_.reservation, context_.stop);
    if (!next.ok()) {
      done_ = true;
      if (context_.stop.stop_requested()) return CancelledError();
      return WithContext(next.status(),
                         fmt::format("table {}, {}, after {} rows", unit_.dataset.ToString(),
                                     RangeText(unit_.range), rows_.rows()));
    }
    *batch = *std::move(next);
    done_ = *batch == nullptr;
    if (context_.bytes_read != nullptr) *context_.bytes_read += rows_.bytes() - bytes_before;
    return Status::OK();
  }

  UnitRange covered() const override { return unit_.range; }
  int64_t bytes_read() const override { return rows_.bytes(); }
  std::map<std::string, int64_t> counters() const override { return rows_.counters(); }

 private:
  RowReader rows_;
  Statement* const statement_;  // the session's
  const WorkUnit unit_;
  UnitContext& context_;
  const std::shared_ptr<arrow::Schema> schema_;
  bool done_ = false;
};

}  // namespace

RowReader::RowReader(std::shared_ptr<arrow::Schema> schema, std::vector<ColumnPlan> plans,
                     arrow::MemoryPool* pool)
    : schema_(std::move(schema)) {
  columns_.reserve(plans.size());
  for (auto& plan : plans) columns_.emplace_back(std::move(plan), pool);
  for (auto& column : columns_) {
    fixed_row_bytes_ += column.fixed_bytes();
    const auto id = column.plan().type.type->id();
    if (id == arrow::Type::STRING || id == arrow::Type::BINARY) {
      variable_columns_.push_back(&column);
    }
  }
}

Result<int64_t> RowReader::Fill(Statement& statement, int64_t rows_max, int64_t bytes_max,
                                Reservation* reservation, const std::stop_token& stop) {
  sqlite3_stmt* const raw = statement.get();
  const auto count = static_cast<int>(columns_.size());
  ColumnBuffer* const columns = columns_.data();
  int64_t row = 0;
  while (row < rows_max) {
    const int code = sqlite3_step(raw);
    if (code != SQLITE_ROW) {
      done_ = true;
      if (code == SQLITE_DONE) break;
      sqlite3* database = sqlite3_db_handle(raw);
      return SqliteError(sqlite3_extended_errcode(database), "read", sqlite3_errmsg(database));
    }
    for (int i = 0; i < count; ++i) {
      if (!columns[i].Append(sqlite3_column_value(raw, i), row)) return columns[i].Problem();
    }
    ++row;
    int64_t used = row * fixed_row_bytes_;
    for (const ColumnBuffer* column : variable_columns_) used += column->variable_bytes();
    if (used >= bytes_max) {
      if (reservation != nullptr && used > reservation->bytes()) reservation->Resize(used);
      break;
    }
    if (row % kRowsBetweenChecks == 0 && stop.stop_requested()) return CancelledError();
  }
  return row;
}

Result<std::shared_ptr<arrow::RecordBatch>> RowReader::Next(Statement& statement, int64_t rows_max,
                                                            int64_t bytes_max,
                                                            Reservation* reservation,
                                                            const std::stop_token& stop) {
  if (stop.stop_requested()) return CancelledError();
  if (done_) return nullptr;
  const int64_t fitting = bytes_max / std::max<int64_t>(1, fixed_row_bytes_) + 1;
  rows_max = std::clamp<int64_t>(fitting, 1, std::max<int64_t>(1, rows_max));
  for (auto& column : columns_) ARROW_RETURN_NOT_OK(column.Start(rows_max));
  ARROW_ASSIGN_OR_RAISE(const int64_t rows,
                        Fill(statement, rows_max, bytes_max, reservation, stop));
  if (rows == 0) return nullptr;
  std::vector<std::shared_ptr<arrow::ArrayData>> arrays;
  arrays.reserve(columns_.size());
  for (auto& column : columns_) {
    ARROW_ASSIGN_OR_RAISE(auto array, column.Finish(rows));
    bytes_ += column.variable_bytes();
    arrays.push_back(std::move(array));
  }
  rows_ += rows;
  bytes_ += rows * fixed_row_bytes_;
  return arrow::RecordBatch::Make(schema_, rows, std::move(arrays));
}

std::map<std::string, int64_t> RowReader::counters() const {
  std::map<std::string, int64_t> counters;
  for (const auto& column : columns_) {
    if (column.mismatches_as_null() > 0) {
      counters["type_mismatch_null"] += column.mismatches_as_null();
    }
    if (column.texts_as_null() > 0) counters["invalid_utf8_null"] += column.texts_as_null();
    if (column.texts_replaced() > 0) counters["invalid_utf8_replaced"] += column.texts_replaced();
  }
  return counters;
}

SqliteSession::SqliteSession(std::unique_ptr<Connection> connection,
                             std::span<const Dataset> datasets, std::stop_token stop,
                             std::function<void(std::unique_ptr<Connection>)> give_back)
    : connection_(std::move(connection)), datasets_(datasets), give_back_(std::move(give_back)) {
  connection_->SetStop(std::move(stop));
}

SqliteSession::~SqliteSession() {
  statement_ = Statement();
  connection_->SetStop({});
  give_back_(std::move(connection_));
}

Result<std::unique_ptr<UnitReader>> SqliteSession::Read(const WorkUnit& unit,
                                                        UnitContext& context) {
  const auto dataset = std::find_if(datasets_.begin(), datasets_.end(),
                                    [&](const Dataset& one) { return one.id == unit.dataset; });
  if (dataset == datasets_.end()) {
    return BugError("the session was not opened for " + unit.dataset.ToString());
  }
  ARROW_ASSIGN_OR_RAISE(const auto state, TableState::FromJson(dataset->source_state));
  ARROW_ASSIGN_OR_RAISE(auto plans, ColumnPlans(*dataset, state));
  ARROW_ASSIGN_OR_RAISE(const auto sql, UnitSql(*dataset, state, unit.range));
  // A unit's own stop wins over the session's.
  connection_->SetStop(context.stop);
  if (sql != prepared_sql_) {
    prepared_sql_.clear();
    statement_ = Statement();
    auto prepared = connection_->Prepare(sql);
    if (!prepared.ok()) {
      return WithContext(prepared.status(), "table " + unit.dataset.ToString());
    }
    statement_ = *std::move(prepared);
    prepared_sql_ = sql;
  }
  statement_.Reset();
  ARROW_RETURN_NOT_OK(BindRange(*dataset, state, unit.range, &statement_));
  return std::make_unique<SqliteUnitReader>(
      RowReader(dataset->schema, std::move(plans), context.pool), &statement_, unit, context,
      dataset->schema);
}

}  // namespace bulkhaul
