#include "source/postgres/session.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include <fmt/format.h>

#include "base/log.h"
#include "base/units.h"
#include "client/postgres/sql_text.h"
#include "source/postgres/catalog.h"
#include "source/postgres/copy_stream.h"
#include "source/postgres/discover.h"
#include "source/postgres/pin.h"
#include "source/postgres/unit_sql.h"
#include "wire/pg_copy/copy_decoder.h"

namespace bulkhaul::postgres {
namespace {

constexpr int64_t kSessionStartMs = 60'000;
// Relations that a session locks when it opens. More could fill the server's lock table, which by
// default has room for 6,400 locks of all sessions together.
constexpr size_t kLockedAtStartMax = 256;

class PostgresSession;

class CopyReader final : public UnitReader {
 public:
  CopyReader(PostgresSession* session, WorkUnit unit, UnitContext& context,
             pg::CopyDecoder* decoder);
  ~CopyReader() override;

  Status Begin(const std::string& sql);
  std::shared_ptr<arrow::Schema> schema() const override { return decoder_->schema(); }
  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override;
  UnitRange covered() const override { return unit_.range; }
  int64_t bytes_read() const override;
  std::map<std::string, int64_t> counters() const override { return decoder_->counters(); }

 private:
  Status Read(std::shared_ptr<arrow::RecordBatch>* batch);
  Status Complete();
  Status Explain(Status status);
  void Account(int64_t bytes_before);

  PostgresSession* const session_;
  const WorkUnit unit_;
  UnitContext& context_;
  pg::CopyDecoder* const decoder_;
  const WaitLimit limit_;
  std::span<const uint8_t> bytes_;  // received and not decoded yet
  bool at_end_ = false, done_ = false;
  int64_t rows_given_ = 0;
  Status failure_;
};

class PostgresSession final : public Session {
 public:
  PostgresSession(std::unique_ptr<Connection> connection, std::span<const Dataset> datasets,
                  WorkerContext& context)
      : connection_(std::move(connection)),
        stream_(connection_.get()),
        datasets_(datasets),
        job_id_(context.job_id) {}

  Result<std::unique_ptr<UnitReader>> Read(const WorkUnit& unit, UnitContext& context) override;
  bool ok() const override { return connection_->ok(); }

 private:
  friend class CopyReader;
  // What one dataset needs for reading, kept while units of the same dataset follow each other.
  struct Prepared {
    const Dataset* dataset = nullptr;
    TableState state;
    std::vector<pg::ColumnMapping> mappings;
    std::unique_ptr<pg::CopyDecoder> decoder;
    arrow::MemoryPool* pool = nullptr;
    int64_t batch_bytes_max = 0, batch_rows_max = 0;
  };

  Status Prepare(const DatasetId& id, const UnitContext& context);
  std::string UnitPrefix(const WorkUnit& unit) const;

  const std::unique_ptr<Connection> connection_;
  CopyStream stream_;  // after connection_: it ends first
  const std::span<const Dataset> datasets_;
  const JobId job_id_;
  std::optional<Prepared> prepared_;
  bool reading_ = false;
};

CopyReader::CopyReader(PostgresSession* session, WorkUnit unit, UnitContext& context,
                       pg::CopyDecoder* decoder)
    : session_(session),
      unit_(std::move(unit)),
      context_(context),
      decoder_(decoder),
      limit_{.deadline = DeadlineIn(context.timeout_ms), .stop = context.stop} {}

CopyReader::~CopyReader() {
  if (session_->stream_.active()) session_->stream_.Abandon();
  session_->reading_ = false;
}

int64_t CopyReader::bytes_read() const { return session_->stream_.bytes_received(); }

Status CopyReader::Begin(const std::string& sql) {
  return Explain(
      session_->stream_.Begin(sql, limit_, fmt::format("reading {}", unit_.dataset.ToString())));
}

Status CopyReader::Explain(Status status) {
  if (status.ok() || KindOf(status) == ErrorKind::kCancelled) return status;
  return WithContext(status, fmt::format("unit {}", unit_.id));
}

void CopyReader::Account(int64_t bytes_before) {
  if (context_.bytes_read != nullptr) *context_.bytes_read += bytes_read() - bytes_before;
  if (context_.reservation == nullptr) return;
  // One huge value may be larger than the share that was reserved for this unit.
  const int64_t held = decoder_->buffered_bytes();
  if (held > context_.reservation->bytes()) context_.reservation->Resize(held);
}

Status CopyReader::ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) {
  batch->reset();
  if (!failure_.ok()) return failure_;
  if (done_) return Status::OK();
  // Also when the rows are here already.
  failure_ = context_.stop.stop_requested() ? CancelledError() : Explain(Read(batch));
  if (failure_.ok() && *batch != nullptr) {
    rows_given_ += (*batch)->num_rows();
    if (context_.rows_read != nullptr) *context_.rows_read += (*batch)->num_rows();
  }
  return failure_;
}

Status CopyReader::Read(std::shared_ptr<arrow::RecordBatch>* batch) {
  while (!at_end_) {
    if (bytes_.empty()) {
      const int64_t before = bytes_read();
      ARROW_ASSIGN_OR_RAISE(bytes_, session_->stream_.Next(limit_));
      Account(before);
      if (bytes_.empty()) {
        at_end_ = true;
        break;
      }
    }
    auto taken = decoder_->Feed(bytes_);
    if (!taken.ok()) return WithContext(taken.status(), unit_.dataset.ToString());
    bytes_ = bytes_.subspan(*taken);
    if (decoder_->batch_ready()) {
      ARROW_ASSIGN_OR_RAISE(*batch, decoder_->TakeBatch());
      return Status::OK();
    }
  }
  ARROW_ASSIGN_OR_RAISE(*batch, decoder_->TakeBatch());
  if (*batch == nullptr) return Complete();
  return Status::OK();
}

Status CopyReader::Complete() {
  RETURN_NOT_OK(decoder_->Finish());
  const int64_t announced = session_->stream_.rows_announced();
  if (announced >= 0 && announced != rows_given_) {
    return BugError(fmt::format("{}: the server sent {} rows, {} were decoded",
                                unit_.dataset.ToString(), announced, rows_given_));
  }
  done_ = true;
  return Status::OK();
}

Status PostgresSession::Prepare(const DatasetId& id, const UnitContext& context) {
  if (prepared_ && prepared_->dataset->id == id && prepared_->pool == context.pool &&
      prepared_->batch_bytes_max == context.batch_bytes_max &&
      prepared_->batch_rows_max == context.batch_rows_max) {
    prepared_->decoder->Reset();
    return Status::OK();
  }
  prepared_.reset();
  const auto dataset = std::find_if(datasets_.begin(), datasets_.end(),
                                    [&](const Dataset& one) { return one.id == id; });
  if (dataset == datasets_.end()) {
    return BugError(fmt::format("{} is not a dataset of this session", id.ToString()));
  }
  Prepared prepared;
  prepared.dataset = &*dataset;
  ARROW_ASSIGN_OR_RAISE(prepared.state, TableState::FromJson(dataset->source_state));
  ARROW_ASSIGN_OR_RAISE(prepared.mappings, MapColumns(prepared.state, dataset->options));
  prepared.pool = context.pool != nullptr ? context.pool : arrow::default_memory_pool();
  prepared.batch_bytes_max = context.batch_bytes_max;
  prepared.batch_rows_max = context.batch_rows_max;
  ARROW_ASSIGN_OR_RAISE(prepared.decoder,
                        pg::CopyDecoder::Make(prepared.mappings,
                                              {.batch_bytes_max = context.batch_bytes_max,
                                               .batch_rows_max = context.batch_rows_max},
                                              prepared.pool));
  prepared_ = std::move(prepared);
  return Status::OK();
}

// All in one message with the COPY: a unit costs one round trip.
std::string PostgresSession::UnitPrefix(const WorkUnit& unit) const {
  const std::string name = fmt::format("bulkhaul:{}:{}", job_id_, unit.id).substr(0, 63);
  // Going back to the savepoint, after a success too, gives back the locks that the unit before
  // took on indexes and TOAST tables: kept for thousands of tables they would fill the lock table.
  std::string sql = fmt::format(
      "ROLLBACK TO SAVEPOINT bulkhaul_unit; SET LOCAL application_name = {}; ", QuoteLiteral(name));
  // A page range must not become a scan of the whole table because of stale statistics; a table's
  // unit is one stream on one backend.
  if (prepared_->state.kind != 'q' && prepared_->state.kind != 'v') {
    sql += "SET LOCAL max_parallel_workers_per_gather = 0; ";
    if (!unit.range.begin.empty() || !unit.range.end.empty())
      sql += "SET LOCAL enable_seqscan = off; ";
  }
  return sql;
}

Result<std::unique_ptr<UnitReader>> PostgresSession::Read(const WorkUnit& unit,
                                                          UnitContext& context) {
  if (reading_) return BugError("a session reads one unit at a time");
  if (!connection_->ok()) return TransientError("the session's connection is gone");
  RETURN_NOT_OK(Prepare(unit.dataset, context));
  if (prepared_->state.denied) {
    return UserError(fmt::format("permission denied for {}: grant SELECT on it, or exclude it",
                                 unit.dataset.ToString()),
                     "42501");
  }
  ARROW_ASSIGN_OR_RAISE(const auto select, UnitSelect(prepared_->state, prepared_->dataset->options,
                                                      prepared_->mappings, unit));
  const std::string sql =
      fmt::format("{}COPY ({}) TO STDOUT (FORMAT binary)", UnitPrefix(unit), select);
  if (LogEnabled(LogLevel::kFull)) Log(LogLevel::kFull, fmt::format("unit {}: {}", unit.id, sql));
  reading_ = true;
  auto reader = std::make_unique<CopyReader>(this, unit, context, prepared_->decoder.get());
  RETURN_NOT_OK(reader->Begin(sql));
  return reader;
}

bool IsSettingName(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' ||
           byte == '.' || (byte >= '0' && byte <= '9');
  });
}

// A statement that waits for an exclusive lock makes every later reader wait behind it, while it
// waits for the holder of the snapshot: a worker that has its locks from the start is not caught in
// that.
Status LockAtStart(Connection& connection, std::span<const Dataset> datasets,
                   const Options& options, std::stop_token stop) {
  size_t relations = 0;
  for (const auto& dataset : datasets) {
    ARROW_ASSIGN_OR_RAISE(const auto state, TableState::FromJson(dataset.source_state));
    relations += state.relations.size();
    if (relations > kLockedAtStartMax) return Status::OK();
  }
  const int64_t lock_timeout_ms = options.GetDurationMs("lock_timeout");
  ARROW_ASSIGN_OR_RAISE(const auto plan, MakeHoldPlan(datasets, lock_timeout_ms));
  for (const auto* locks : {&plan.locks, &plan.row_locks}) {
    for (const auto& lock : *locks) {
      const WaitLimit limit{.deadline = lock_timeout_ms > 0
                                            ? DeadlineIn(lock_timeout_ms + kSessionStartMs)
                                            : SteadyTime::max(),
                            .stop = stop};
      const Status status = connection.Execute(lock, limit, "locking the tables to be read");
      if (CodeOf(status) != "55P03") {
        RETURN_NOT_OK(status);
        continue;
      }
      return WithContext(status,
                         "another session waits for an exclusive lock (ALTER, TRUNCATE, VACUUM "
                         "FULL) and holds up new readers until it is cancelled");
    }
  }
  return Status::OK();
}

// A pooler lets clients log in and keeps their first statement until it has a server connection.
// With every one of them in our own transactions that is never: as good as a server that says it
// has no connection for more.
Status JoinSnapshot(Connection& connection, const std::string& sql, int64_t connect_timeout_ms,
                    std::stop_token stop) {
  const WaitLimit limit{.deadline = DeadlineIn(connect_timeout_ms), .stop = stop};
  Status joined = connection.Execute(sql, limit, "joining the snapshot");
  if (joined.ok() || KindOf(joined) != ErrorKind::kTransient || !CodeOf(joined).empty() ||
      std::chrono::steady_clock::now() < limit.deadline) {
    return joined;
  }
  return TransientError(
      fmt::format("{} within connect_timeout ({}); has a pooler no server connection left?",
                  MessageOf(joined), FormatDurationMs(connect_timeout_ms)),
      "53300");
}

}  // namespace

Result<std::string> SessionStartSql(const std::string& snapshot_id, const Options& options,
                                    int server_version, bool raw_encoding) {
  std::string sql = JoinSnapshotSql(snapshot_id);
  for (const auto& [name, value] : options.GetPairs("session_settings")) {
    if (!IsSettingName(name)) {
      return UserError(fmt::format("session_settings: '{}' is not the name of a setting", name));
    }
    sql += fmt::format("; SET LOCAL {} = {}", name, QuoteLiteral(value));
  }
  sql += "; " + TransactionSettings(server_version, raw_encoding);
  sql += fmt::format("; SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = {}",
                     options.GetDurationMs("statement_timeout"),
                     options.GetDurationMs("lock_timeout"));
  return sql;
}

Result<std::unique_ptr<Session>> OpenSession(const ConnectionSettings& settings,
                                             const Snapshot& snapshot,
                                             std::span<const Dataset> datasets,
                                             WorkerContext& context) {
  ARROW_ASSIGN_OR_RAISE(auto connection, Connection::Open(settings, context.stop));
  static const Options kDefaults;
  const Options& options = context.options != nullptr ? *context.options : kDefaults;
  ARROW_ASSIGN_OR_RAISE(const auto sql,
                        SessionStartSql(snapshot.consistent ? snapshot.id : "", options,
                                        connection->server_version(), IsRawEncoding(*connection)));
  connection->situation.importing_snapshot = snapshot.consistent;
  RETURN_NOT_OK(JoinSnapshot(*connection, sql, settings.connect_timeout_ms, context.stop));
  connection->situation.importing_snapshot = false;
  connection->situation.in_snapshot = snapshot.consistent;
  if (snapshot.consistent) RETURN_NOT_OK(LockAtStart(*connection, datasets, options, context.stop));
  RETURN_NOT_OK(connection->Execute("SAVEPOINT bulkhaul_unit",
                                    {.deadline = DeadlineIn(kSessionStartMs), .stop = context.stop},
                                    "joining the snapshot"));
  return std::make_unique<PostgresSession>(std::move(connection), datasets, context);
}

}  // namespace bulkhaul::postgres
