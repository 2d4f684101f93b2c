#include <algorithm>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "source/postgres/test_export.h"

namespace bulkhaul::postgres {

Status TestJob::Make() {
  for (const auto& [name, value] : options) RETURN_NOT_OK(spec.options.SetFromText(name, value));
  ARROW_ASSIGN_OR_RAISE(source, MakePostgresSource(spec, "testjob"));
  return Status::OK();
}

Status TestJob::Discover() {
  if (!source) RETURN_NOT_OK(Make());
  ARROW_ASSIGN_OR_RAISE(datasets, source->Discover(Selector::FromJob(spec)));
  return Status::OK();
}

Status TestJob::Pin() {
  if (datasets.empty()) RETURN_NOT_OK(Discover());
  ARROW_ASSIGN_OR_RAISE(snapshot, source->Pin(datasets));
  return Status::OK();
}

Result<std::unique_ptr<Session>> TestJob::Open() {
  worker.job_id = "testjob";
  worker.options = &spec.options;
  worker.stop = stop.get_token();
  return source->Open(snapshot, datasets, worker);
}

Result<std::vector<WorkUnit>> TestJob::Split(const Dataset& dataset) {
  std::vector<WorkUnit> units;
  std::string cursor;
  do {
    ARROW_ASSIGN_OR_RAISE(auto page, source->Split(snapshot, dataset, hint, cursor));
    units.insert(units.end(), page.units.begin(), page.units.end());
    cursor = page.next_cursor;
  } while (!cursor.empty());
  return units;
}

Result<std::shared_ptr<arrow::Table>> TestJob::ReadUnit(Session& session, const WorkUnit& unit) {
  UnitContext context;
  rows_in_unit = 0;
  context.stop = stop.get_token();
  context.pool = arrow::default_memory_pool();
  context.timeout_ms = timeout_ms;
  ARROW_ASSIGN_OR_RAISE(auto reader, session.Read(unit, context));
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  while (true) {
    std::shared_ptr<arrow::RecordBatch> batch;
    RETURN_NOT_OK(reader->ReadNext(&batch));
    if (!batch) break;
    rows_in_unit += batch->num_rows();
    batches.push_back(std::move(batch));
  }
  return arrow::Table::FromRecordBatches(reader->schema(), batches);
}

Result<Export> TestJob::Read(const Dataset& dataset, Session* session) {
  Export result;
  ARROW_ASSIGN_OR_RAISE(result.units, Split(dataset));
  std::unique_ptr<Session> own;
  if (session == nullptr) {
    ARROW_ASSIGN_OR_RAISE(own, Open());
    session = own.get();
  }
  std::vector<std::shared_ptr<arrow::Table>> tables;
  for (const auto& unit : result.units) {
    ARROW_ASSIGN_OR_RAISE(auto table, ReadUnit(*session, unit));
    result.unit_rows.push_back(rows_in_unit);
    tables.push_back(std::move(table));
  }
  ARROW_ASSIGN_OR_RAISE(result.table, arrow::ConcatenateTables(tables));
  return result;
}

Result<Export> TestJob::Run() {
  RETURN_NOT_OK(Pin());
  return Read(datasets.at(0));
}

const Dataset* TestJob::Find(const std::string& name) const {
  const auto found = std::find_if(datasets.begin(), datasets.end(),
                                  [&](const Dataset& dataset) { return dataset.id.name == name; });
  return found == datasets.end() ? nullptr : &*found;
}

std::vector<std::string> Column(const arrow::Table& table, const std::string& name) {
  std::vector<std::string> values;
  const auto column = table.GetColumnByName(name);
  if (!column) return {"no column " + name};
  for (int64_t i = 0; i < column->length(); ++i) {
    const auto scalar = column->GetScalar(i).ValueOrDie();
    values.push_back(scalar->is_valid ? scalar->ToString() : "∅");
  }
  return values;
}

std::vector<std::string> SortedRows(const arrow::Table& table) {
  std::vector<std::string> rows(static_cast<size_t>(table.num_rows()));
  for (int c = 0; c < table.num_columns(); ++c) {
    for (int64_t i = 0; i < table.num_rows(); ++i) {
      const auto scalar = table.column(c)->GetScalar(i).ValueOrDie();
      rows[static_cast<size_t>(i)] +=
          (c > 0 ? "|" : "") + (scalar->is_valid ? scalar->ToString() : "∅");
    }
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

}  // namespace bulkhaul::postgres
