#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>

#include <arrow/array/array_binary.h>
#include <arrow/io/file.h>
#include <arrow/io/stdio.h>
#include <arrow/ipc/writer.h>
#include <arrow/type_traits.h>
#include <arrow/util/checked_cast.h>
#include <fmt/format.h>

#include "app/cli/stop_signals.h"
#include "app/cli/terminal.h"
#include "app/cli/verbs.h"
#include "app/registry.h"
#include "base/memory_budget.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/units.h"
#include "duckdb/database.h"
#include "plan/parallelism.h"
#include "store/folders.h"
#include "wire/csv/csv_encoder.h"

namespace bulkhaul {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kFormats = {"table", "csv", "json", "parquet", "arrow"};

Result<std::string> FormatOf(const QueryRequest& request) {
  std::string format = request.format;
  if (format.empty() && !request.file.empty()) {
    const std::string extension = fs::path(request.file).extension();
    format = extension == ".jsonl" || extension == ".ndjson" ? "json"
             : extension.empty()                             ? ""
                                                             : extension.substr(1);
  }
  if (format.empty()) format = "table";
  if (std::find(kFormats.begin(), kFormats.end(), format) == kFormats.end()) {
    const auto nearest = NearestName(format, kFormats);
    return UsageError(fmt::format("'{}' is no format of a result{}; use --format {}", format,
                                  nearest ? fmt::format(", did you mean '{}'?", *nearest) : "",
                                  fmt::join(kFormats, "|")));
  }
  if (format == "table" && !request.file.empty()) {
    return UsageError("a table is for the terminal; give --format csv|json|parquet|arrow");
  }
  const bool to_terminal = request.file.empty() && isatty(STDOUT_FILENO) != 0;
  if ((format == "parquet" && request.file.empty()) || (format == "arrow" && to_terminal)) {
    return UsageError(fmt::format("{} needs a file: --file PATH", format));
  }
  return format;
}

using duckdb::Attachment;
using Kind = duckdb::Attachment::Kind;

Attachment Optional(Kind kind, std::string target) {
  Attachment attachment;
  attachment.kind = kind;
  attachment.name = duckdb::DefaultName(kind);
  attachment.target = std::move(target);
  attachment.optional = true;
  return attachment;
}

Result<std::vector<Attachment>> SourceOf(const JobSpec& job) {
  constexpr std::string_view kDuckdb = "duckdb:";
  const std::string& uri = job.source_uri;
  if (uri.starts_with(kDuckdb)) {
    ARROW_ASSIGN_OR_RAISE(auto several, duckdb::ParseAttachments(uri.substr(kDuckdb.size())));
    for (auto& attachment : several) attachment.optional = true;
    return several;
  }
  if (IsFilesSource(job)) {
    std::vector<std::string> notes;
    if (duckdb::ExportViews("", uri, &notes).ok()) {
      return std::vector{Optional(Kind::kExports, uri)};
    }
    Attachment files = Optional(Kind::kFiles, "");
    ARROW_ASSIGN_OR_RAISE(files.tables, FileTablesOf(job));
    return std::vector{std::move(files)};
  }
  ARROW_ASSIGN_OR_RAISE(const auto parsed, duckdb::ParseAttachment("source=" + uri));
  if (parsed.kind == Kind::kExports) return UserError("DuckDB does not read such a source");
  return std::vector{Optional(parsed.kind, uri)};
}

Result<std::vector<Attachment>> DestinationOf(const JobSpec& job) {
  std::string uri = job.destination_uri;
  if (IsPostgres(uri)) return std::vector{Optional(Kind::kPostgres, std::move(uri))};
  if (uri.starts_with("file://")) uri.erase(0, 7);
  if (job.options.GetString("layout") == "file") {
    JobSpec file;
    file.source_uri = std::move(uri);
    Attachment attachment = Optional(Kind::kFiles, "");
    ARROW_ASSIGN_OR_RAISE(attachment.tables, FileTablesOf(file));
    return std::vector{std::move(attachment)};
  }
  return std::vector{Optional(Kind::kExports, std::move(uri))};
}

// What DuckDB cannot read of them is left out with a note.
void AddJob(const JobSpec& job, std::vector<Attachment>* attachments,
            std::vector<std::string>* notes) {
  for (const char* role : {"source", "destination"}) {
    const bool is_source = role == std::string_view("source");
    const std::string& uri = is_source ? job.source_uri : job.destination_uri;
    if (uri.empty()) continue;
    auto found = is_source ? SourceOf(job) : DestinationOf(job);
    if (!found.ok()) {
      notes->push_back(fmt::format("the job's {} {} is not attached: {}", role, Redact(uri),
                                   MessageOf(found.status())));
      continue;
    }
    for (auto& one : *found) {
      const auto same = [&](const Attachment& other) { return other.name == one.name; };
      if (std::any_of(attachments->begin(), attachments->end(), same)) {
        // pg_main, pg_destination
        one.name = fmt::format("{}_{}", one.name.substr(0, one.name.find("_main")), role);
        notes->push_back(fmt::format("the job's {} {} is called {}", role, Redact(uri), one.name));
      }
      attachments->push_back(std::move(one));
    }
  }
}

Result<std::vector<Attachment>> AttachmentsOf(const QueryRequest& request,
                                              std::vector<std::string>* notes) {
  std::string all;
  for (const auto& attachment : request.attachments) all += attachment + ";";
  ARROW_ASSIGN_OR_RAISE(auto attachments, duckdb::ParseAttachments(all));
  if (!request.job_file.empty()) {
    JobArguments arguments;
    arguments.job_file = request.job_file;
    ARROW_ASSIGN_OR_RAISE(const auto job, AssembleJob(arguments, ProcessEnvironment()));
    AddJob(job, &attachments, notes);
  }
  return attachments;
}

Result<duckdb::DatabaseSettings> SettingsOf(const QueryRequest& request) {
  duckdb::DatabaseSettings settings;
  settings.memory_bytes_max = AvailableMemoryBytes() / 2;
  if (!request.memory_limit.empty()) {
    ARROW_ASSIGN_OR_RAISE(settings.memory_bytes_max, ParseBytes(request.memory_limit));
  }
  settings.threads = AvailableCores();
  std::error_code error;
  settings.spill_folder = fs::temp_directory_path(error).string();
  return settings;
}

// Without the semicolons at its end, so that it can stand in another statement.
std::string Statement(std::string sql) {
  while (!sql.empty() &&
         (sql.back() == ';' || std::isspace(static_cast<unsigned char>(sql.back())))) {
    sql.pop_back();
  }
  return sql;
}

// Values as a CSV file would have them, without its quotes.
class CellTexts {
 public:
  static Result<CellTexts> Make(const arrow::Schema& schema) {
    CellTexts texts;
    for (const auto& field : schema.fields()) {
      const CsvFormatOptions options{.null_text = "NULL", .header = false};
      ARROW_ASSIGN_OR_RAISE(auto encoder, CsvEncoder::Make(arrow::schema({field}), options));
      texts.encoders_.push_back(std::move(encoder));
    }
    return texts;
  }

  Result<std::string> Text(const arrow::RecordBatch& batch, int column, int64_t row) {
    const auto one = arrow::RecordBatch::Make(arrow::schema({batch.schema()->field(column)}),
                                              batch.num_rows(), {batch.column(column)});
    buffer_.Clear();
    ARROW_RETURN_NOT_OK(encoders_[static_cast<size_t>(column)]->AppendRows(*one, row, 1, &buffer_));
    std::string_view text = buffer_.view().substr(0, buffer_.size() - 1);
    if (text.size() < 2 || text.front() != '"') return std::string(text);
    std::string plain;
    text = text.substr(1, text.size() - 2);
    for (size_t i = 0; i < text.size(); ++i) {
      plain += text[i];
      if (text[i] == '"') ++i;  // of two
    }
    return plain;
  }

 private:
  std::vector<std::unique_ptr<CsvEncoder>> encoders_;
  CsvBuffer buffer_;
};

bool IsNumber(const arrow::DataType& type) {
  return arrow::is_integer(type.id()) || arrow::is_floating(type.id()) ||
         arrow::is_decimal(type.id());
}

Status PrintTable(arrow::RecordBatchReader* rows, int64_t rows_shown_max) {
  std::vector<TextColumn> columns;
  for (const auto& field : rows->schema()->fields()) {
    columns.push_back({field->name(), IsNumber(*field->type())});
  }
  ARROW_ASSIGN_OR_RAISE(auto texts, CellTexts::Make(*rows->schema()));
  std::vector<std::vector<std::string>> cells;
  int64_t count = 0;
  for (;;) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(rows->ReadNext(&batch));
    if (batch == nullptr) break;
    for (int64_t row = 0; row < batch->num_rows() && count + row < rows_shown_max; ++row) {
      std::vector<std::string> line;
      for (int column = 0; column < batch->num_columns(); ++column) {
        ARROW_ASSIGN_OR_RAISE(auto text, texts.Text(*batch, column, row));
        line.push_back(std::move(text));
      }
      cells.push_back(std::move(line));
    }
    count += batch->num_rows();
  }
  fmt::print("{}", AlignedTable(columns, cells));
  const auto shown = static_cast<int64_t>(cells.size());
  fmt::print(stderr, "{} rows{}\n", FormatCount(count),
             shown < count ? fmt::format(", the first {} shown; --rows-shown or --format csv gives "
                                         "more",
                                         FormatCount(shown))
                           : "");
  return Status::OK();
}

Status WriteCsv(arrow::RecordBatchReader* rows, arrow::io::OutputStream* out) {
  ARROW_ASSIGN_OR_RAISE(auto encoder, CsvEncoder::Make(rows->schema(), {}));
  CsvBuffer buffer;
  encoder->AppendHeader(&buffer);
  for (;;) {
    ARROW_RETURN_NOT_OK(out->Write(buffer.view()));
    buffer.Clear();
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(rows->ReadNext(&batch));
    if (batch == nullptr) return Status::OK();
    ARROW_RETURN_NOT_OK(encoder->AppendRows(*batch, 0, batch->num_rows(), &buffer));
  }
}

Status WriteArrow(arrow::RecordBatchReader* rows, arrow::io::OutputStream* out, bool is_file) {
  std::shared_ptr<arrow::ipc::RecordBatchWriter> writer;
  // A file can be read from any place; a stream needs no end.
  ARROW_ASSIGN_OR_RAISE(writer, is_file ? arrow::ipc::MakeFileWriter(out, rows->schema())
                                        : arrow::ipc::MakeStreamWriter(out, rows->schema()));
  for (;;) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(rows->ReadNext(&batch));
    if (batch == nullptr) return writer->Close();
    ARROW_RETURN_NOT_OK(writer->WriteRecordBatch(*batch));
  }
}

// DuckDB writes NaN, Infinity and -Infinity as they are; JSON has them only as text.
void AppendValidJson(std::string_view line, std::string* out) {
  bool in_text = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (in_text) {
      in_text = c != '"';
      *out += c;
      if (c == '\\' && i + 1 < line.size()) *out += line[++i];
      continue;
    }
    std::string_view word;
    for (const std::string_view one : {"NaN", "Infinity", "-Infinity"}) {
      if (line.substr(i).starts_with(one)) word = one;
    }
    if (word.empty()) {
      in_text = c == '"';
      *out += c;
    } else {
      out->append("\"").append(word) += '"';
      i += word.size() - 1;
    }
  }
  *out += '\n';
}

// An object a line, made by DuckDB.
Status WriteJson(duckdb::Database* database, const std::string& sql, arrow::io::OutputStream* out,
                 std::stop_token stop) {
  ARROW_ASSIGN_OR_RAISE(
      auto rows,
      database->Query(fmt::format("SELECT to_json(each_row)::VARCHAR FROM ({}\n) AS each_row", sql),
                      std::move(stop)));
  for (;;) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(rows->ReadNext(&batch));
    if (batch == nullptr) return Status::OK();
    const auto& lines = arrow::internal::checked_cast<const arrow::StringArray&>(*batch->column(0));
    std::string text;
    for (int64_t row = 0; row < lines.length(); ++row) AppendValidJson(lines.GetView(row), &text);
    ARROW_RETURN_NOT_OK(out->Write(text));
  }
}

Status WriteParquet(duckdb::Database* database, const std::string& sql, const std::string& path,
                    std::stop_token stop) {
  ARROW_ASSIGN_OR_RAISE(
      auto done, database->Query(fmt::format("COPY ({}\n) TO {} (FORMAT parquet, COMPRESSION zstd)",
                                             sql, duckdb::QuotedText(path)),
                                 std::move(stop)));
  std::shared_ptr<arrow::RecordBatch> batch;
  do {
    ARROW_RETURN_NOT_OK(done->ReadNext(&batch));
  } while (batch != nullptr);
  return Status::OK();
}

// "" as path: stdout.
Status WriteRows(duckdb::Database* database, const std::string& sql, const std::string& format,
                 const std::string& path, std::stop_token stop) {
  if (format == "parquet") return WriteParquet(database, sql, path, std::move(stop));
  std::shared_ptr<arrow::io::OutputStream> out = std::make_shared<arrow::io::StdoutStream>();
  if (!path.empty()) {
    ARROW_ASSIGN_OR_RAISE(out, arrow::io::FileOutputStream::Open(path));
  }
  if (format == "json") {
    ARROW_RETURN_NOT_OK(WriteJson(database, sql, out.get(), std::move(stop)));
  } else {
    ARROW_ASSIGN_OR_RAISE(auto rows, database->Query(sql, std::move(stop)));
    ARROW_RETURN_NOT_OK(format == "csv" ? WriteCsv(rows.get(), out.get())
                                        : WriteArrow(rows.get(), out.get(), !path.empty()));
  }
  return path.empty() ? out->Flush() : out->Close();
}

// The file appears when it is whole.
Status WriteFile(duckdb::Database* database, const std::string& sql, const std::string& format,
                 const QueryRequest& request, std::stop_token stop) {
  if (fs::exists(request.file) && !request.overwrite) {
    return UsageError(fmt::format("'{}' exists; --overwrite replaces it", request.file));
  }
  const std::string partial = fmt::format("{}.{}.partial", request.file, NewId());
  Status status = WriteRows(database, sql, format, partial, std::move(stop));
  if (status.ok()) status = SyncFile(partial);
  std::error_code error;
  if (status.ok()) {
    fs::rename(partial, request.file, error);
    if (error) status = UserError(fmt::format("'{}': {}", request.file, error.message()));
  }
  if (!status.ok()) fs::remove(partial, error);
  return status;
}

Status PrintPlan(duckdb::Database* database, const std::string& sql, std::stop_token stop) {
  ARROW_ASSIGN_OR_RAISE(auto rows, database->Query("EXPLAIN " + sql, std::move(stop)));
  ARROW_ASSIGN_OR_RAISE(auto texts, CellTexts::Make(*rows->schema()));
  for (;;) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(rows->ReadNext(&batch));
    if (batch == nullptr) return Status::OK();
    for (int64_t row = 0; row < batch->num_rows(); ++row) {
      ARROW_ASSIGN_OR_RAISE(const auto text, texts.Text(*batch, batch->num_columns() - 1, row));
      fmt::print("{}", text);
    }
  }
}

}  // namespace

Result<int> RunQuery(const QueryRequest& request) {
  ARROW_ASSIGN_OR_RAISE(const std::string format, FormatOf(request));
  std::vector<std::string> notes;
  ARROW_ASSIGN_OR_RAISE(const auto attachments, AttachmentsOf(request, &notes));
  ARROW_ASSIGN_OR_RAISE(const auto settings, SettingsOf(request));
  const StopSignals signals([] {});  // before DuckDB starts its threads
  const std::stop_token stop = signals.token();
  ARROW_ASSIGN_OR_RAISE(auto database, duckdb::Database::Open(attachments, settings));
  notes.insert(notes.end(), database->notes().begin(), database->notes().end());
  for (const auto& note : notes) fmt::print(stderr, "note: {}\n", note);
  const std::string sql = Statement(request.sql);
  if (request.explain) {
    ARROW_RETURN_NOT_OK(PrintPlan(database.get(), sql, stop));
  } else if (format == "table") {
    ARROW_ASSIGN_OR_RAISE(auto rows, database->Query(sql, stop));
    ARROW_RETURN_NOT_OK(PrintTable(rows.get(), request.rows_shown_max));
  } else if (request.file.empty()) {
    ARROW_RETURN_NOT_OK(WriteRows(database.get(), sql, format, "", stop));
  } else {
    ARROW_RETURN_NOT_OK(WriteFile(database.get(), sql, format, request, stop));
  }
  return kExitDone;
}

}  // namespace bulkhaul
