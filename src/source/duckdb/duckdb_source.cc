#include "source/duckdb/duckdb_source.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <mutex>

#include <arrow/array/data.h>
#include <arrow/table.h>
#include <fmt/format.h>

#include "base/memory_budget.h"
#include "base/secret.h"
#include "base/units.h"
#include "duckdb/database.h"
#include "plan/memory_plan.h"
#include "plan/parallelism.h"

namespace bulkhaul {
namespace duckdb {
namespace {

constexpr std::string_view kScheme = "duckdb:";
constexpr int64_t kMemoryShareLeast = int64_t{64} << 20;

class QueryReader final : public UnitReader {
 public:
  QueryReader(std::unique_ptr<arrow::RecordBatchReader> rows, WorkUnit unit, int64_t limit_rows,
              UnitContext& context)
      : rows_(std::move(rows)),
        unit_(std::move(unit)),
        limit_rows_(limit_rows),
        context_(context) {}

  std::shared_ptr<arrow::Schema> schema() const override { return rows_->schema(); }
  UnitRange covered() const override { return unit_.range; }
  int64_t bytes_read() const override { return bytes_read_; }

  // DuckDB gives 2,048 rows at a time: several together are one batch.
  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    batch->reset();
    arrow::RecordBatchVector pieces;
    int64_t rows = 0, bytes = 0;
    while (rows < context_.batch_rows_max && bytes < context_.batch_bytes_max && !done()) {
      std::shared_ptr<arrow::RecordBatch> piece;
      ARROW_RETURN_NOT_OK(rows_->ReadNext(&piece));
      if (piece == nullptr) break;
      if (limit_rows_ > 0) piece = piece->Slice(0, limit_rows_ - rows_given_);
      rows += piece->num_rows();
      rows_given_ += piece->num_rows();
      for (const auto& column : piece->column_data()) {
        for (const auto& buffer : column->buffers) bytes += buffer != nullptr ? buffer->size() : 0;
      }
      pieces.push_back(std::move(piece));
    }
    bytes_read_ += bytes;
    if (context_.rows_read != nullptr) *context_.rows_read += rows;
    if (context_.bytes_read != nullptr) *context_.bytes_read += bytes;
    if (pieces.empty()) return Status::OK();
    if (pieces.size() == 1) return *batch = std::move(pieces[0]), Status::OK();
    return arrow::ConcatenateRecordBatches(pieces, context_.pool).Value(batch);
  }

 private:
  bool done() const { return limit_rows_ > 0 && rows_given_ >= limit_rows_; }

  const std::unique_ptr<arrow::RecordBatchReader> rows_;
  const WorkUnit unit_;
  const int64_t limit_rows_;
  UnitContext& context_;
  int64_t rows_given_ = 0, bytes_read_ = 0;
};

class QuerySession final : public Session {
 public:
  QuerySession(std::shared_ptr<Database> database, std::span<const Dataset> datasets)
      : database_(std::move(database)), datasets_(datasets) {}

  Result<std::unique_ptr<UnitReader>> Read(const WorkUnit& unit, UnitContext& context) override {
    const auto dataset = std::find_if(datasets_.begin(), datasets_.end(),
                                      [&](const auto& each) { return each.id == unit.dataset; });
    if (dataset == datasets_.end())
      return BugError("the session does not know " + unit.dataset.name);
    ARROW_ASSIGN_OR_RAISE(auto rows, database_->Query(dataset->source_state, context.stop));
    if (!rows->schema()->Equals(*dataset->schema)) {
      return UserError("the query gives other columns than when the job was planned");
    }
    return std::make_unique<QueryReader>(std::move(rows), unit, dataset->options.GetInt("limit"),
                                         context);
  }

 private:
  const std::shared_ptr<Database> database_;
  const std::span<const Dataset> datasets_;
};

class DuckdbSource final : public Source {
 public:
  DuckdbSource(std::vector<Attachment> attachments, const Options& options)
      : attachments_(std::move(attachments)) {
    // One query at a time with every core; the other half of the budget is for batches and writers.
    settings_.memory_bytes_max =
        std::max(kMemoryShareLeast, ResolveMemoryBudget(options, AvailableMemoryBytes()) / 2);
    settings_.threads = AvailableCores();
    std::error_code error;
    settings_.spill_folder = std::filesystem::temp_directory_path(error).string();
  }

  SourceTraits Traits() const override {
    return {.name = "duckdb", .queries = true, .workers_default = 1};
  }
  void StopOn(std::stop_token stop) override { stop_ = std::move(stop); }

  Result<std::vector<Dataset>> Discover(const Selector& selector) override {
    if (!selector.tables.empty() || !selector.schemas.empty() || selector.all ||
        selector.queries.empty()) {
      return UserError(
          "a duckdb: source gives the results of queries: --query \"select …\", or "
          "queries in the job file");
    }
    ARROW_ASSIGN_OR_RAISE(const auto database, Database::Open(attachments_, settings_));
    std::vector<Dataset> datasets;
    for (const auto& query : selector.queries) {
      Dataset dataset;
      dataset.id = {"", query.name.empty() ? "query" : query.name};
      dataset.kind = "query";
      dataset.options = selector.options.With(query.options);
      for (const char* option : {"where", "columns"}) {
        if (!dataset.options.Has(option)) continue;
        return UserError(fmt::format("{}: write it into the query {}", option, dataset.id.name));
      }
      auto schema = database->Describe(query.sql, stop_);
      if (!schema.ok()) return WithContext(schema.status(), dataset.id.name);
      dataset.schema = *std::move(schema);
      dataset.source_state = query.sql;
      dataset.warnings = database->notes();
      datasets.push_back(std::move(dataset));
    }
    std::sort(datasets.begin(), datasets.end(),
              [](const Dataset& a, const Dataset& b) { return a.id < b.id; });
    return datasets;
  }

  Result<Snapshot> Pin(std::span<const Dataset>) override {
    Snapshot snapshot;
    snapshot.taken_at = FormatUtc(std::chrono::system_clock::now());
    snapshot.description = "none: each query sees what it attaches as it is when it begins";
    return snapshot;
  }
  Status CheckPin(const Snapshot&) override { return Status::OK(); }
  void Release(const Snapshot&) noexcept override {}

  Result<UnitPage> Split(const Snapshot&, const Dataset& dataset, const SplitHint&,
                         std::string_view) override {
    WorkUnit unit;
    unit.dataset = dataset.id;
    UnitPage page;
    page.units.push_back(std::move(unit));
    return page;
  }

  Result<std::unique_ptr<Session>> Open(const Snapshot&, std::span<const Dataset> datasets,
                                        WorkerContext&) override {
    ARROW_ASSIGN_OR_RAISE(auto database, Database::Open(attachments_, settings_));
    return std::make_unique<QuerySession>(std::move(database), datasets);
  }

 private:
  const std::vector<Attachment> attachments_;
  DatabaseSettings settings_;  // constant after construction
  std::stop_token stop_;       // constant after StopOn()
};

}  // namespace
}  // namespace duckdb

Result<std::unique_ptr<Source>> MakeDuckdbSource(const JobSpec& spec, const JobId&) {
  ARROW_ASSIGN_OR_RAISE(
      auto attachments,
      duckdb::ParseAttachments(std::string_view(spec.source_uri).substr(duckdb::kScheme.size())));
  return std::make_unique<duckdb::DuckdbSource>(std::move(attachments), spec.options);
}

}  // namespace bulkhaul
