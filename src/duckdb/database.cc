#include "duckdb/database.h"

#include <cstdlib>
#include <filesystem>
#include <optional>

#include <arrow/c/bridge.h>
#include <fmt/format.h>

#include "base/secret.h"
#include "duckdb/library.h"

namespace bulkhaul::duckdb {
namespace {

constexpr char kHowToGetExtensions[] =
    "get it with: pip install --target ~/.local/lib/bulkhaul/duckdb-extensions "
    "duckdb-extension-{0}-scanner==1.5.5, or set BULKHAUL_DUCKDB_EXTENSIONS to a folder that has "
    "{0}_scanner.duckdb_extension somewhere in it";

// DuckDB begins its messages with the kind of the error.
Status Classified(std::string message) {
  message = Redact(message);
  if (message.starts_with("INTERRUPT")) return CancelledError();
  for (const char* transient : {"IO Error", "Connection Error", "HTTP Error"}) {
    if (message.starts_with(transient)) return TransientError(std::move(message));
  }
  if (message.starts_with("Out of Memory")) {
    return UserError(message + "; raise memory_limit, or give the query less to hold at once");
  }
  return UserError(std::move(message));
}

// Types whose Arrow form would drop something. Numbers: duckdb_type in duckdb.h.
const char* LossyType(int type) {
  switch (type) {
    case 27:  // as text it is exact, but a UUID is more than text
      return nullptr;
    case 29:
      return "BIT";
    case 30:
      return "TIME WITH TIME ZONE";
    case 28:
      return "UNION";
    case 32:
      return "UHUGEINT";
    case 35:
      return "BIGNUM";
    case 40:
      return "GEOMETRY";
    case 41:
      return "VARIANT";
    default:
      return nullptr;
  }
}

class LocalDatabase;

// The rows of a statement that runs.
class ResultReader final : public arrow::RecordBatchReader {
 public:
  ResultReader(std::shared_ptr<LocalDatabase> database, std::stop_token stop);
  ~ResultReader() override;
  Status Prepare(const std::string& sql);
  Status Execute();
  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override;

 private:
  struct Interrupt {
    const Library* library;
    Connection connection;
    void operator()() const { library->interrupt(connection); }
  };
  Status MakeSchema();
  Status Failed(const char* message) const;

  const std::shared_ptr<LocalDatabase> database_;
  const Library& library_;
  const std::stop_token stop_;
  Prepared prepared_ = nullptr;
  Pending pending_ = nullptr;
  QueryResult result_;
  ArrowOptions arrow_options_ = nullptr;
  std::shared_ptr<arrow::Schema> schema_;
  bool finished_ = false;
  std::optional<std::stop_callback<Interrupt>> interrupt_;
};

class LocalDatabase final : public Database, public std::enable_shared_from_this<LocalDatabase> {
 public:
  explicit LocalDatabase(const Library* library) : library_(library) {}
  ~LocalDatabase() override {
    if (connection_ != nullptr) library_->disconnect(&connection_);
    if (database_ != nullptr) library_->close(&database_);
  }

  Status Open(const DatabaseSettings& settings) {
    Config config = nullptr;
    if (library_->create_config(&config) != kSuccess) return BugError("DuckDB: no configuration");
    const auto set = [&](const char* name, const std::string& value) {
      return library_->set_config(config, name, value.c_str()) == kSuccess;
    };
    // No network, and no folder of the user's is written to.
    const bool known = set("autoinstall_known_extensions", "false") &&
                       set("autoload_known_extensions", "false") &&
                       set("allow_community_extensions", "false") &&
                       set("memory_limit", std::to_string(settings.memory_bytes_max) + "B") &&
                       set("threads", std::to_string(settings.threads)) &&
                       set("temp_directory", settings.spill_folder);
    char* error = nullptr;
    const bool opened =
        known && library_->open_ext(nullptr, &database_, config, &error) == kSuccess;
    library_->destroy_config(&config);
    if (!opened) {
      const std::string why = error != nullptr ? error : "a setting is unknown to it";
      if (error != nullptr) library_->free(error);
      return UserError(
          fmt::format("DuckDB {} does not start: {}", library_->library_version(), why));
    }
    if (library_->connect(database_, &connection_) != kSuccess) {
      return BugError("DuckDB: no connection to a database in memory");
    }
    return Status::OK();
  }

  Status Attach(const Attachment& attachment);
  void Note(std::string note) { notes_.push_back(std::move(note)); }

  Status Run(const std::string& sql) override {
    QueryResult result;
    const bool done = library_->query(connection_, sql.c_str(), &result) == kSuccess;
    Status status;
    if (!done) {
      const char* message = library_->result_error(&result);
      status = Classified(message != nullptr ? message : "the statement failed");
    }
    library_->destroy_result(&result);
    return status;
  }

  Result<std::unique_ptr<arrow::RecordBatchReader>> Query(const std::string& sql,
                                                          std::stop_token stop) override {
    auto reader = std::make_unique<ResultReader>(shared_from_this(), std::move(stop));
    ARROW_RETURN_NOT_OK(reader->Prepare(sql));
    ARROW_RETURN_NOT_OK(reader->Execute());
    return reader;
  }

  Result<std::shared_ptr<arrow::Schema>> Describe(const std::string& sql,
                                                  std::stop_token stop) override {
    ResultReader reader(shared_from_this(), std::move(stop));
    ARROW_RETURN_NOT_OK(reader.Prepare(sql));
    return reader.schema();
  }

  const std::vector<std::string>& notes() const override { return notes_; }
  const Library& library() const { return *library_; }
  Connection connection() const { return connection_; }

 private:
  Status LoadExtension(const std::string& name);
  Status AttachFiles(const Attachment& attachment);

  const Library* const library_;
  DatabaseFile database_ = nullptr;
  Connection connection_ = nullptr;
  std::vector<std::string> notes_;
};

// "" when no folder that is looked at has the file.
std::string FindExtension(const std::string& file, const std::string& library_folder) {
  namespace fs = std::filesystem;
  std::vector<fs::path> folders;
  if (const char* named = std::getenv("BULKHAUL_DUCKDB_EXTENSIONS")) folders.emplace_back(named);
  if (!library_folder.empty()) folders.emplace_back(library_folder);
  if (const char* home = std::getenv("HOME")) {
    folders.push_back(fs::path(home) / ".local/lib/bulkhaul/duckdb-extensions");
  }
  for (const auto& folder : folders) {
    std::error_code error;
    fs::recursive_directory_iterator each(folder, fs::directory_options::skip_permission_denied,
                                          error);
    for (; !error && each != fs::recursive_directory_iterator(); each.increment(error)) {
      if (each->path().filename() == file) return each->path().string();
    }
  }
  return {};
}

Status LocalDatabase::LoadExtension(const std::string& name) {
  const std::string path = FindExtension(name + "_scanner.duckdb_extension", library_->folder);
  // Without a path: where DuckDB itself keeps the extensions that were installed.
  const Status loaded = Run("LOAD " + (path.empty() ? name + "_scanner" : QuotedText(path)));
  if (loaded.ok()) return loaded;
  return UserError(fmt::format("DuckDB's {} extension does not load: {}; {}", name,
                               MessageOf(loaded), fmt::format(kHowToGetExtensions, name)),
                   "duckdb_extension_missing");
}

Status LocalDatabase::AttachFiles(const Attachment& attachment) {
  ARROW_RETURN_NOT_OK(Run("CREATE SCHEMA " + QuotedName(attachment.name)));
  for (const auto& table : attachment.tables) {
    const std::string view = FileView(attachment.name, table);
    const Status made =
        view.empty() ? UserError("DuckDB does not read the format " + table.format) : Run(view);
    if (!made.ok()) {
      Note(fmt::format("there is no {}.{}: {}", attachment.name, table.name, MessageOf(made)));
    }
  }
  return Status::OK();
}

Status LocalDatabase::Attach(const Attachment& attachment) {
  switch (attachment.kind) {
    case Attachment::Kind::kExports: {
      ARROW_ASSIGN_OR_RAISE(const auto statements,
                            ExportViews(attachment.name, attachment.target, &notes_));
      for (const auto& sql : statements) ARROW_RETURN_NOT_OK(Run(sql));
      return Status::OK();
    }
    case Attachment::Kind::kPostgres:
      ARROW_RETURN_NOT_OK(LoadExtension("postgres"));
      return Run(fmt::format("ATTACH {} AS {} (TYPE postgres, READ_ONLY)",
                             QuotedText(attachment.target), QuotedName(attachment.name)));
    case Attachment::Kind::kSqlite: {
      std::string path = attachment.target;
      for (const std::string_view scheme : {"sqlite:", "sqlite3:"}) {
        if (!path.starts_with(scheme)) continue;
        path.erase(0, scheme.size());
        if (path.starts_with("//")) path.erase(0, 2);
      }
      ARROW_RETURN_NOT_OK(LoadExtension("sqlite"));
      return Run(fmt::format("ATTACH {} AS {} (TYPE sqlite, READ_ONLY)", QuotedText(path),
                             QuotedName(attachment.name)));
    }
    case Attachment::Kind::kFiles:
      return AttachFiles(attachment);
    case Attachment::Kind::kDuckdb:
      return Run(fmt::format("ATTACH {} AS {} (READ_ONLY)", QuotedText(attachment.target),
                             QuotedName(attachment.name)));
  }
  return Status::OK();
}

ResultReader::ResultReader(std::shared_ptr<LocalDatabase> database, std::stop_token stop)
    : database_(std::move(database)), library_(database_->library()), stop_(std::move(stop)) {}

ResultReader::~ResultReader() {
  interrupt_.reset();
  if (arrow_options_ != nullptr) library_.destroy_arrow_options(&arrow_options_);
  library_.destroy_result(&result_);
  if (pending_ != nullptr) library_.destroy_pending(&pending_);
  if (prepared_ != nullptr) library_.destroy_prepare(&prepared_);
}

Status ResultReader::Failed(const char* message) const {
  if (stop_.stop_requested()) return CancelledError();
  return Classified(message != nullptr ? message : "the query failed");
}

Status ResultReader::Prepare(const std::string& sql) {
  interrupt_.emplace(stop_, Interrupt{&library_, database_->connection()});
  if (stop_.stop_requested()) return CancelledError();
  if (library_.prepare(database_->connection(), sql.c_str(), &prepared_) != kSuccess) {
    return Failed(library_.prepare_error(prepared_));
  }
  return MakeSchema();
}

Status ResultReader::Execute() {
  if (library_.pending_prepared_streaming(prepared_, &pending_) != kSuccess) {
    return Failed(library_.pending_error(pending_));
  }
  // DuckDB forgets what interrupted a connection before its query began, which was just now.
  if (stop_.stop_requested()) library_.interrupt(database_->connection());
  if (library_.execute_pending(pending_, &result_) == kSuccess) return Status::OK();
  return Failed(library_.result_error(&result_));
}

Status ResultReader::MakeSchema() {
  const uint64_t columns = library_.prepared_statement_column_count(prepared_);
  std::vector<LogicalType> types(columns);
  std::vector<const char*> names(columns);
  Status status;
  for (uint64_t column = 0; column < columns; ++column) {
    types[column] = library_.prepared_statement_column_logical_type(prepared_, column);
    names[column] = library_.prepared_statement_column_name(prepared_, column);
    const char* lossy = LossyType(library_.get_type_id(types[column]));
    if (lossy != nullptr && status.ok()) {
      status =
          UserError(fmt::format("column '{}' is of type {}, which has no exact form here; cast "
                                "it: {}::VARCHAR",
                                names[column], lossy, QuotedName(names[column])));
    }
  }
  library_.connection_get_arrow_options(database_->connection(), &arrow_options_);
  ArrowSchema exported{};
  if (status.ok()) {
    ErrorData error =
        library_.to_arrow_schema(arrow_options_, types.data(), names.data(), columns, &exported);
    if (error != nullptr && library_.error_data_has_error(error)) {
      status = Classified(library_.error_data_message(error));
    }
    if (error != nullptr) library_.destroy_error_data(&error);
  }
  for (auto& type : types) library_.destroy_logical_type(&type);
  for (const char* name : names) library_.free(const_cast<char*>(name));
  ARROW_RETURN_NOT_OK(status);
  return arrow::ImportSchema(&exported).Value(&schema_);
}

Status ResultReader::ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) {
  batch->reset();
  if (stop_.stop_requested()) return CancelledError();
  if (finished_) return Status::OK();  // DuckDB calls it an error to ask again
  Chunk chunk = library_.fetch_chunk(result_);
  if (chunk == nullptr) {
    finished_ = true;
    const char* message = library_.result_error(&result_);
    return message != nullptr && *message != '\0' ? Failed(message) : Status::OK();
  }
  ArrowArray exported{};
  ErrorData error = library_.data_chunk_to_arrow(arrow_options_, chunk, &exported);
  Status status;
  if (error != nullptr && library_.error_data_has_error(error)) {
    status = Classified(library_.error_data_message(error));
  }
  if (error != nullptr) library_.destroy_error_data(&error);
  library_.destroy_data_chunk(&chunk);
  ARROW_RETURN_NOT_OK(status);
  return arrow::ImportRecordBatch(&exported, schema_).Value(batch);
}

}  // namespace

Result<std::shared_ptr<Database>> Database::Open(const std::vector<Attachment>& attachments,
                                                 const DatabaseSettings& settings) {
  ARROW_ASSIGN_OR_RAISE(const Library* library, LoadLibrary());
  auto database = std::make_shared<LocalDatabase>(library);
  ARROW_RETURN_NOT_OK(database->Open(settings));
  for (const auto& attachment : attachments) {
    const Status attached = database->Attach(attachment);
    if (attached.ok()) continue;
    if (!attachment.optional) return WithContext(attached, "attaching " + attachment.name);
    database->Note(fmt::format("{} is not attached: {}", attachment.name, MessageOf(attached)));
  }
  return database;
}

}  // namespace bulkhaul::duckdb
