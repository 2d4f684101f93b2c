#include "sink_fixture.h"

#include <algorithm>
#include <cstdlib>

#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/csv/api.h>
#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <parquet/arrow/reader.h>

#include "base/text.h"
#include "sink/arrow/arrow_sink.h"
#include "sink/csv/csv_sink.h"
#include "sink/memory/memory_sink.h"
#include "sink/parquet/parquet_sink.h"
#include "sink/postgres/postgres_sink.h"
#include "tests/support/postgres_server.h"

namespace bulkhaul::contract {
namespace {

namespace fs = std::filesystem;

void Collect(const arrow::Table& table, Rows* rows) {
  auto combined = table.CombineChunks().ValueOrDie();
  if (combined->num_rows() == 0) return;
  ASSERT_EQ(combined->column(0)->type()->id(), arrow::Type::INT64);
  ASSERT_EQ(combined->column(1)->type()->id(), arrow::Type::STRING);
  const auto& ids = static_cast<const arrow::Int64Array&>(*combined->column(0)->chunk(0));
  const auto& texts = static_cast<const arrow::StringArray&>(*combined->column(1)->chunk(0));
  for (int64_t i = 0; i < combined->num_rows(); ++i) {
    const std::string text = texts.IsNull(i) ? "<null>" : texts.GetString(i);
    EXPECT_TRUE(rows->emplace(ids.Value(i), text).second) << "id " << ids.Value(i) << " twice";
  }
}

std::shared_ptr<arrow::Table> ReadCsv(const std::string& path) {
  auto read = arrow::csv::ReadOptions::Defaults();
  read.use_threads = false;
  auto convert = arrow::csv::ConvertOptions::Defaults();
  convert.column_types = {{"id", arrow::int64()}, {"text", arrow::utf8()}};
  convert.strings_can_be_null = true;
  convert.quoted_strings_can_be_null = false;
  convert.null_values = {""};
  auto file = arrow::io::ReadableFile::Open(path).ValueOrDie();
  auto reader = arrow::csv::TableReader::Make(arrow::io::default_io_context(), file, read,
                                              arrow::csv::ParseOptions::Defaults(), convert)
                    .ValueOrDie();
  return reader->Read().ValueOrDie();
}

std::shared_ptr<arrow::Table> ReadPart(const std::string& path) {
  if (path.ends_with(".csv")) return ReadCsv(path);
  auto file = arrow::io::ReadableFile::Open(path).ValueOrDie();
  if (path.ends_with(".parquet")) {
    auto reader = parquet::arrow::OpenFile(file, arrow::default_memory_pool()).ValueOrDie();
    return reader->ReadTable().ValueOrDie();
  }
  auto reader = arrow::ipc::RecordBatchFileReader::Open(file).ValueOrDie();
  return reader->ToTable().ValueOrDie();
}

class FolderPlace final : public Place {
 public:
  std::string destination() const override { return folder_.path() + "/exports"; }
  std::vector<std::string> Published() override { return Visible(destination()); }
  std::vector<std::string> Everything() override { return AllFiles(folder_.path()); }
  Rows Read(const std::string& location) override { return ReadRows(location); }

 private:
  TemporaryFolder folder_;
};

class DatabasePlace final : public Place {
 public:
  DatabasePlace()
      : uri_(test::PostgresServer::Shared().Uri(test::PostgresServer::Shared().NewDatabase())),
        client_(uri_) {}

  std::string destination() const override { return uri_; }
  std::vector<std::string> Published() override { return Tables("AND relname NOT LIKE '\\_%'"); }
  std::vector<std::string> Everything() override { return Tables(""); }
  Rows Read(const std::string& location) override {
    Rows rows;
    for (const auto& row : client_.Query("SELECT id, coalesce(text, '<null>') FROM " + location)) {
      EXPECT_TRUE(rows.emplace(std::stoll(row.at(0)), row.at(1)).second) << row.at(0) << " twice";
    }
    return rows;
  }

 private:
  std::vector<std::string> Tables(const std::string& condition) {
    std::vector<std::string> names;
    for (const auto& row : client_.Query("SELECT relname FROM pg_class WHERE relkind IN ('r', 'p')"
                                         " AND relnamespace = 'public'::regnamespace " +
                                         condition)) {
      names.push_back(row.at(0));
    }
    return names;
  }

  const std::string uri_;
  test::PostgresClient client_;
};

}  // namespace

std::unique_ptr<Place> Place::For(const SinkCase& sink_case) {
  if (sink_case.keeps_versions) return std::make_unique<FolderPlace>();
  return std::make_unique<DatabasePlace>();
}

const std::vector<SinkCase>& FileSinks() {
  static const auto* const cases = new std::vector<SinkCase>{
      {"parquet", MakeParquetSink, "parquet"},
      {"csv", MakeCsvSink, "csv"},
      {"arrow", MakeArrowSink, "arrow"},
  };
  return *cases;
}

const std::vector<SinkCase>& VersionSinks() {
  static const auto* const cases = [] {
    auto* all = new std::vector<SinkCase>(FileSinks());
    all->push_back({"memory", MakeMemorySink, ""});
    return all;
  }();
  return *cases;
}

const std::vector<SinkCase>& AllSinks() {
  static const auto* const cases = [] {
    auto* all = new std::vector<SinkCase>(VersionSinks());
    all->push_back({"postgres", MakePostgresSink, "", false});
    return all;
  }();
  return *cases;
}

TemporaryFolder::TemporaryFolder() {
  const char* root = std::getenv("TMPDIR");
  path_ = fmt::format("{}/bulkhaul-sink-{}", root ? root : "/tmp", NewId());
  fs::create_directories(path_);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

Job::Job(const SinkCase& sink_case, const std::string& destination, const JobId& id,
         const Texts& options)
    : sink_case_(sink_case), id_(id) {
  const bool memory = sink_case.extension[0] == '\0' && sink_case.keeps_versions;
  spec_.destination_uri = memory ? "memory:" + destination : destination;
  for (const auto& [name, text] : options) {
    const Status set = spec_.options.SetFromText(name, text);
    EXPECT_TRUE(set.ok()) << set;
  }
  Reopen();
}

void Job::Reopen() {
  auto made = sink_case_.make(spec_, id_);
  ASSERT_TRUE(made.ok()) << made.status();
  sink_ = made.MoveValueUnsafe();
}

DatasetPlan Job::Plan(const std::string& table, const std::string& schema) const {
  DatasetPlan plan;
  plan.job_id = id_;
  plan.dataset.id = {schema, table};
  plan.dataset.kind = "table";
  plan.dataset.schema = TestSchema();
  plan.dataset.options = spec_.options;
  plan.schema = TestSchema();
  plan.output_name = spec_.options.GetString("layout") == "by-schema"
                         ? SafeFileName(table)
                         : SafeFileName(schema + "_" + table);
  plan.epoch = 1;
  plan.units = 1;
  plan.split_key = "id";
  return plan;
}

DatasetPlan Job::Prepared(const std::string& table) {
  DatasetPlan plan = Plan(table);
  const auto prepared = sink_->Prepare(plan, false);
  EXPECT_TRUE(prepared.ok()) << prepared.status();
  return plan;
}

Result<std::unique_ptr<UnitWriter>> Job::OpenUnit(const DatasetPlan& plan) {
  UnitContext context;
  WorkUnit unit;
  unit.id = "0.0";
  unit.dataset = plan.dataset.id;
  return sink_->Begin(plan, unit, "0.0-a", plan.schema, {}, context);
}

Result<StagedResult> Job::Stage(const DatasetPlan& plan, int64_t ordinal, int64_t begin,
                                int64_t end, WriteStage stage) {
  WorkUnit unit;
  unit.id = fmt::format("0.{}", ordinal);
  unit.dataset = plan.dataset.id;
  unit.ordinal = ordinal;
  UnitContext context;
  const AttemptId attempt = fmt::format("{}-{}-{}", unit.id, id_, ++attempts_);
  ARROW_ASSIGN_OR_RAISE(auto writer,
                        sink_->Begin(plan, unit, attempt, plan.schema, stage, context));
  const int64_t middle = begin + (end - begin) / 2;
  for (const auto& [from, to] : {std::pair{begin, middle}, std::pair{middle, end}}) {
    const Status written = writer->Write(*TestBatch(from, to));
    if (!written.ok()) {
      writer->Abort();
      return written;
    }
  }
  auto staged = writer->Finish();
  if (!staged.ok()) {
    writer->Abort();
    return staged.status();
  }
  staged->rows_read = staged->rows_written;
  return staged;
}

CommitRequest Job::Request(const DatasetPlan& plan, std::vector<StagedResult> staged) const {
  CommitRequest request;
  request.job_id = id_;
  request.idempotency_key = id_ + "/" + plan.dataset.id.ToString();
  request.plan = plan;
  request.schema = plan.schema;
  request.snapshot.id = "1";
  request.source_description = "test:";
  request.started_at = "2026-11-21T10:00:00Z";
  request.finished_at = "2026-11-21T10:15:00Z";
  for (const auto& result : staged) {
    request.rows += result.rows_written;
    request.bytes += result.stored_bytes;
  }
  request.staged = std::move(staged);
  return request;
}

Result<CommitReceipt> Job::Commit(const CommitRequest& request) {
  CommitContext context;
  std::string& journal = journals_[request.idempotency_key];
  if (!journal.empty()) context.recovered = journal;
  context.record = [&](const std::string& state) {
    journal = state;
    return Status::OK();
  };
  return sink_->Commit(request, context);
}

Result<CommitReceipt> Job::Export(const std::string& table, int64_t begin, int64_t end) {
  const DatasetPlan plan = Plan(table);
  ARROW_RETURN_NOT_OK(sink_->Prepare(plan, false).status());
  ARROW_ASSIGN_OR_RAISE(auto staged, Stage(plan, 0, begin, end));
  return Commit(Request(plan, {std::move(staged)}));
}

std::shared_ptr<arrow::Schema> TestSchema() {
  return arrow::schema(
      {arrow::field("id", arrow::int64(), false), arrow::field("text", arrow::utf8())});
}

std::shared_ptr<arrow::RecordBatch> TestBatch(int64_t begin, int64_t end) {
  arrow::Int64Builder ids;
  arrow::StringBuilder texts;
  for (const auto& [id, text] : ExpectedRows(begin, end)) {
    EXPECT_TRUE(ids.Append(id).ok());
    EXPECT_TRUE((text == "<null>" ? texts.AppendNull() : texts.Append(text)).ok());
  }
  return arrow::RecordBatch::Make(TestSchema(), end - begin,
                                  {ids.Finish().ValueOrDie(), texts.Finish().ValueOrDie()});
}

Rows ExpectedRows(int64_t begin, int64_t end) {
  Rows rows;
  for (int64_t i = begin; i < end; ++i) {
    rows[i] = i % 7 == 0 ? "<null>" : i % 11 == 0 ? "" : fmt::format("row, \"{}\"", i);
  }
  return rows;
}

Rows ReadRows(const std::string& location) {
  Rows rows;
  if (location.starts_with("memory:")) {
    const auto slash = location.rfind('/');
    const auto table = MemoryStore::At(location.substr(0, slash))->Find(location.substr(slash + 1));
    EXPECT_NE(table, nullptr) << location;
    if (table != nullptr) Collect(*table, &rows);
    return rows;
  }
  for (const auto& name : Visible(location)) {
    if (!name.ends_with(".json")) Collect(*ReadPart(location + "/" + name), &rows);
  }
  return rows;
}

std::vector<std::string> Visible(const std::string& folder) {
  std::vector<std::string> names;
  if (!fs::exists(folder)) return names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with('.')) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> AllFiles(const std::string& folder) {
  std::vector<std::string> names;
  if (!fs::exists(folder)) return names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_directory()) names.push_back(fs::relative(entry.path(), folder).string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace bulkhaul::contract
