// For tests: a job's way through the source without the runner.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <arrow/table.h>

#include "plan/job_spec.h"
#include "source/postgres/postgres_source.h"
#include "source/source.h"

namespace bulkhaul::postgres {

struct Export {
  std::shared_ptr<arrow::Table> table;
  std::vector<WorkUnit> units;
  std::vector<int64_t> unit_rows;
};

// One source with the steps of a job.
class TestJob {
 public:
  explicit TestJob(const std::string& uri) { spec.source_uri = uri; }

  TestJob& Table(const std::string& pattern) {
    spec.tables.push_back({pattern, {}});
    return *this;
  }
  TestJob& Query(const std::string& sql) {
    spec.queries.push_back({"query", sql, {}});
    return *this;
  }
  TestJob& Option(const std::string& name, const std::string& value) {
    options.emplace_back(name, value);
    return *this;
  }

  Status Make();
  Status Discover();
  Status Pin();
  Result<std::unique_ptr<Session>> Open();
  // All units of one dataset in one session, or one session a unit.
  Result<Export> Read(const Dataset& dataset, Session* session = nullptr);
  Result<std::vector<WorkUnit>> Split(const Dataset& dataset);
  Result<std::shared_ptr<arrow::Table>> ReadUnit(Session& session, const WorkUnit& unit);
  const Dataset* Find(const std::string& name) const;

  // Make, Discover, Pin and Read of the only dataset.
  Result<Export> Run();

  JobSpec spec;
  std::vector<std::pair<std::string, std::string>> options;
  SplitHint hint;
  std::unique_ptr<Source> source;
  std::vector<Dataset> datasets;
  Snapshot snapshot;
  WorkerContext worker;
  int64_t timeout_ms = 0;
  std::stop_source stop;
  int64_t rows_in_unit = 0;  // of the last one: a table without columns does not know
};

// The values of one column as texts, NULL as "∅".
std::vector<std::string> Column(const arrow::Table& table, const std::string& name);
// All rows as "a|b|c", sorted.
std::vector<std::string> SortedRows(const arrow::Table& table);

}  // namespace bulkhaul::postgres
