#include "sink/postgres/postgres_sink.h"

#include <map>
#include <mutex>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/units.h"
#include "client/postgres/server_catalog.h"
#include "client/postgres/sql_text.h"
#include "sink/postgres/attach_partition.h"
#include "sink/postgres/commit_load.h"
#include "sink/postgres/copy_writer.h"
#include "sink/postgres/load_ledger.h"
#include "sink/postgres/load_plan.h"
#include "sink/postgres/open_loads.h"
#include "sink/postgres/replace_table.h"

namespace bulkhaul::postgres {
namespace {

using nlohmann::json;

constexpr int64_t kCatalogMs = 300'000;
constexpr int64_t kWriterBytes = 2 << 20;

class PostgresSink final : public Sink {
 public:
  PostgresSink(const JobSpec& spec, JobId job)
      : options_(spec.options),
        job_(std::move(job)),
        conninfo_(spec.destination_uri),
        source_uri_(spec.source_uri) {}

  SinkTraits Traits() const override;
  Result<std::shared_ptr<arrow::Schema>> ColumnsThere(const DatasetId& id,
                                                      const Options& options) override;
  Result<SinkPlan> Prepare(const DatasetPlan& plan, bool dry_run) override;
  Result<SinkPlace> PlaceOf(const DatasetPlan& plan) override;
  int UnitsAtOnceMax(const Dataset& dataset) const override {
    return dataset.options.GetBool("skip_wal") ? 1 : 0;
  }
  Result<std::unique_ptr<UnitWriter>> Begin(const DatasetPlan& plan, const WorkUnit& unit,
                                            const AttemptId& attempt,
                                            const std::shared_ptr<arrow::Schema>& schema,
                                            WriteStage stage, UnitContext& context) override;
  Result<std::unique_ptr<arrow::RecordBatchReader>> OpenStaged(const DatasetPlan&,
                                                               const StagedResult&,
                                                               UnitContext&) override {
    return BugError("rows in PostgreSQL are in their final form");
  }
  Result<std::vector<StagedResult>> Recover(const JobId& job,
                                            std::span<const StagedResult> staged) override;
  Result<CommitReceipt> Commit(const CommitRequest& request, CommitContext& context) override;
  std::optional<FaultyValue> TakeFault(const DatasetId& id) override {
    const std::lock_guard lock(mutex_);
    auto taken = faults_.extract(id);
    return taken.empty() ? std::nullopt : std::optional(std::move(taken.mapped()));
  }
  Result<bool> LeftNothing(const CommitRequest& request, const std::string& journal) override;
  Status CommitJob(const JobManifest&) override { return Status::OK(); }
  Status Discard(const JobId& job, std::span<const AttemptId> attempts) override;

 private:
  using PlanKey = std::pair<DatasetId, int64_t>;  // dataset and epoch

  Result<std::unique_ptr<Connection>> Acquire(std::stop_token stop);
  void Release(std::unique_ptr<Connection> connection);
  // Runs `use` on a connection that is kept when it is still fit for use.
  Status Use(const std::function<Status(Connection&)>& use);
  // Planned once an epoch: the table of a later moment may be another one.
  Result<std::shared_ptr<const LoadPlan>> PlanOf(Connection& connection, const DatasetPlan& plan);
  // kUser when the rows come from the table that would be emptied: a reader's lock never ends.
  Status CheckNotItsSource(Connection& connection, const DatasetId& source, const LoadPlan& load);
  // The ledger and the side table, once an epoch. May change the target's columns, and the plan
  // with them.
  Status MakeReady(Connection& connection, const DatasetPlan& plan,
                   std::shared_ptr<const LoadPlan>* load);
  Status Publish(Connection& connection, const CommitRequest& request, CommitContext& context,
                 const WaitLimit& limit, CommitReceipt* receipt);
  static WaitLimit CatalogLimit() { return {.deadline = DeadlineIn(kCatalogMs), .stop = {}}; }

  const Options options_;
  const JobId job_;
  const Secret conninfo_;
  const Secret source_uri_;
  mutable std::mutex mutex_;
  // All guarded by mutex_.
  std::vector<std::unique_ptr<Connection>> idle_;
  std::map<PlanKey, std::shared_ptr<const LoadPlan>> plans_;
  std::set<PlanKey> ready_;
  std::map<TableName, DatasetId> taken_;
  std::map<DatasetId, FaultyValue> faults_;  // that are not taken yet
  int64_t connections_free_ = -1;
  bool reached_ = false;   // a connection was open once
  std::string wal_begin_;  // when the first table was prepared
  OpenLoads open_loads_;
};

SinkTraits PostgresSink::Traits() const {
  SinkTraits traits;
  traits.name = "postgres";
  traits.atomic_commit = true;
  traits.atomic_swap = true;
  traits.unit_commit = true;
  traits.second_stage = false;
  traits.units_visible = false;
  traits.writer_bytes = kWriterBytes;
  traits.options = {"Load", "session_settings", "statement_timeout", "lock_timeout"};
  std::lock_guard lock(mutex_);
  traits.reached = reached_;
  // One is left for publishing.
  if (connections_free_ >= 0) traits.connections_max = std::max<int64_t>(1, connections_free_ - 1);
  return traits;
}

Result<std::unique_ptr<Connection>> PostgresSink::Acquire(std::stop_token stop) {
  {
    std::lock_guard lock(mutex_);
    while (!idle_.empty()) {
      auto connection = std::move(idle_.back());
      idle_.pop_back();
      if (connection->ok()) return connection;
    }
  }
  const ConnectionSettings settings{.conninfo = conninfo_,
                                    .application_name = fmt::format("bulkhaul:{}:load", job_),
                                    .connect_timeout_ms = options_.GetDurationMs("connect_timeout"),
                                    .address = {}};
  ARROW_ASSIGN_OR_RAISE(auto connection, Connection::Open(settings, stop));
  {
    std::lock_guard lock(mutex_);
    reached_ = true;
  }
  std::string sql = fmt::format(
      "SET DateStyle = 'ISO, YMD'; SET TimeZone = 'UTC'; SET IntervalStyle = 'postgres'; SET "
      "lock_timeout = {}; "
      "SET statement_timeout = {}; SET idle_in_transaction_session_timeout = 0",
      options_.GetDurationMs("lock_timeout"), options_.GetDurationMs("statement_timeout"));
  if (connection->server_version() >= 140000) {
    sql += "; SET client_connection_check_interval = '2s'";
  }
  for (const auto& [name, value] : options_.GetPairs("session_settings")) {
    sql += fmt::format("; SET {} = {}", QuoteIdentifier(name), QuoteLiteral(value));
  }
  ARROW_RETURN_NOT_OK(connection->Execute(sql, CatalogLimit(), "set up the session"));
  return connection;
}

void PostgresSink::Release(std::unique_ptr<Connection> connection) {
  if (!connection || !connection->ok() || connection->in_transaction()) return;
  std::lock_guard lock(mutex_);
  idle_.push_back(std::move(connection));
}

Status PostgresSink::Use(const std::function<Status(Connection&)>& use) {
  ARROW_ASSIGN_OR_RAISE(auto connection, Acquire({}));
  Status status = use(*connection);
  Release(std::move(connection));
  return status;
}

Result<std::shared_ptr<const LoadPlan>> PostgresSink::PlanOf(Connection& connection,
                                                             const DatasetPlan& plan) {
  const PlanKey key{plan.dataset.id, plan.epoch};
  {
    std::lock_guard lock(mutex_);
    if (const auto found = plans_.find(key); found != plans_.end()) return found->second;
  }
  ARROW_ASSIGN_OR_RAISE(auto made, PlanLoad(connection, plan, CatalogLimit()));
  if (made.existing && made.options.if_exists == IfExists::kReplace) {
    ARROW_RETURN_NOT_OK(CheckReplaceable(connection, *made.existing, CatalogLimit()));
  }
  if (made.attaches()) {
    ARROW_RETURN_NOT_OK(CheckAttachable(connection, &made, CatalogLimit()));
  }
  ARROW_RETURN_NOT_OK(CheckLedger(connection, made.target.schema, CatalogLimit()));
  ARROW_RETURN_NOT_OK(CheckNotItsSource(connection, plan.dataset.id, made));
  auto load = std::make_shared<const LoadPlan>(std::move(made));
  std::lock_guard lock(mutex_);
  const auto [place, added] = taken_.emplace(load->target, plan.dataset.id);
  if (!added && place->second != plan.dataset.id) {
    return UserError(
        fmt::format("{} and {} would both go into {}; give them names with "
                    "target_table, which may hold {{schema}} and {{table}}",
                    place->second.ToString(), plan.dataset.id.ToString(), load->target.ToString()),
        "target_table");
  }
  plans_[key] = load;
  return load;
}

Status PostgresSink::CheckNotItsSource(Connection& connection, const DatasetId& source,
                                       const LoadPlan& load) {
  const IfExists mode = load.options.if_exists;
  const bool alone = mode == IfExists::kReplace || mode == IfExists::kTruncate;
  const bool same_name = load.target == TableName{source.schema, source.name};
  if (!load.existing || !alone || !same_name || source_uri_.empty() ||
      !CheckConninfo(source_uri_).ok()) {
    return Status::OK();
  }
  const ConnectionSettings settings{.conninfo = source_uri_,
                                    .application_name = fmt::format("bulkhaul:{}:load", job_),
                                    .connect_timeout_ms = options_.GetDurationMs("connect_timeout"),
                                    .address = {}};
  // A standby has the same identifier, and locks of its own.
  const auto place_of = [&](Connection& one) -> Result<std::string> {
    ARROW_ASSIGN_OR_RAISE(
        const auto found,
        one.QueryOne("SELECT (SELECT system_identifier FROM pg_catalog.pg_control_system())::text"
                     " || '/' || pg_catalog.pg_is_in_recovery() || '/' ||"
                     " pg_catalog.current_database()",
                     CatalogLimit(), "which server it is"));
    return std::string(found.text(0, 0));
  };
  // Where it cannot be told, lock_timeout ends such a load.
  auto reader = Connection::Open(settings, {});
  if (!reader.ok()) return Status::OK();
  const auto from = place_of(**reader), to = place_of(connection);
  if (!from.ok() || !to.ok() || *from != *to) return Status::OK();
  return UserError(
      fmt::format("{} is where the rows come from: {} would wait for its own readers; "
                  "name another table with target_table",
                  load.target.ToString(), mode == IfExists::kReplace ? "replace" : "truncate"),
      "same_table");
}

Status PostgresSink::MakeReady(Connection& connection, const DatasetPlan& plan,
                               std::shared_ptr<const LoadPlan>* load) {
  const PlanKey key{plan.dataset.id, plan.epoch};
  {
    std::lock_guard lock(mutex_);
    if (ready_.contains(key)) return Status::OK();
  }
  ARROW_RETURN_NOT_OK(PrepareLedger(connection, plan, **load, CatalogLimit()));
  if ((*load)->direct() && !(*load)->alterations.empty()) {
    {
      std::lock_guard lock(mutex_);
      plans_.erase(key);
    }
    ARROW_ASSIGN_OR_RAISE(*load, PlanOf(connection, plan));
  }
  std::lock_guard lock(mutex_);
  ready_.insert(key);
  return Status::OK();
}

Result<SinkPlan> PostgresSink::Prepare(const DatasetPlan& plan, bool dry_run) {
  SinkPlan out;
  ARROW_RETURN_NOT_OK(Use([&](Connection& connection) -> Status {
    ARROW_ASSIGN_OR_RAISE(auto load, PlanOf(connection, plan));
    out.location = load->target.ToString();
    out.notes = load->notes;
    if (load->existing && load->existing->has_children &&
        load->options.if_exists == IfExists::kTruncate) {
      out.notes.push_back(fmt::format(
          "{}: only its own rows go; those of tables that inherit from it stay", out.location));
    }
    if (dry_run) {
      std::lock_guard lock(mutex_);
      plans_.clear();  // what is planned is not what will be found
      taken_.clear();
    } else {
      ARROW_RETURN_NOT_OK(MakeReady(connection, plan, &load));
    }
    ARROW_ASSIGN_OR_RAISE(const auto facts,
                          connection.QueryOne(ServerFactsSql(connection.server_version()),
                                              CatalogLimit(), "look at the server"));
    ARROW_ASSIGN_OR_RAISE(const auto wal,
                          connection.QueryOne("SELECT pg_catalog.pg_current_wal_insert_lsn()",
                                              CatalogLimit(), "look at the server"));
    std::lock_guard lock(mutex_);
    connections_free_ = ReadServerFacts(facts).connections_free;
    if (wal_begin_.empty()) wal_begin_ = wal.text(0, 0);
    return Status::OK();
  }));
  return out;
}

Result<std::shared_ptr<arrow::Schema>> PostgresSink::ColumnsThere(const DatasetId& id,
                                                                  const Options& options) {
  std::shared_ptr<arrow::Schema> columns;
  const Status looked = Use([&](Connection& connection) {
    return postgres::ColumnsThere(connection, id, options, CatalogLimit()).Value(&columns);
  });
  if (looked.ok() || KindOf(looked) == ErrorKind::kUser) return columns;
  return looked;
}

Result<SinkPlace> PostgresSink::PlaceOf(const DatasetPlan& plan) {
  SinkPlace place;
  ARROW_RETURN_NOT_OK(Use([&](Connection& connection) {
    return PlaceOfLoad(connection, plan, CatalogLimit()).Value(&place);
  }));
  return place;
}

Result<std::unique_ptr<UnitWriter>> PostgresSink::Begin(
    const DatasetPlan& plan, const WorkUnit& unit, const AttemptId& attempt,
    const std::shared_ptr<arrow::Schema>& schema, WriteStage stage, UnitContext& context) {
  if (stage.intermediate) return BugError("rows in PostgreSQL have one form only");
  std::shared_ptr<const LoadPlan> load;
  ARROW_RETURN_NOT_OK(Use([&](Connection& connection) -> Status {
    ARROW_ASSIGN_OR_RAISE(load, PlanOf(connection, plan));
    return Status::OK();
  }));
  WriterHost host{
      [this](std::stop_token stop) { return Acquire(std::move(stop)); },
      [this](std::unique_ptr<Connection> connection, bool) { Release(std::move(connection)); },
      [this](const AttemptId& finished) {
        const AttemptId ids[] = {finished};
        Discard(job_, ids).ok();
      }};
  if (load->options.skip_wal) {
    const PlanKey key{plan.dataset.id, plan.epoch};
    host.acquire = [this, key, load](std::stop_token stop) {
      return open_loads_.Take(key, *load, [&] { return Acquire(stop); },
                              {.deadline = DeadlineIn(kCatalogMs), .stop = stop});
    };
    host.release = [this, key](std::unique_ptr<Connection> connection, bool holds_rows) {
      open_loads_.PutBack(key, std::move(connection), holds_rows);
    };
  }
  return MakeCopyWriter(std::move(load), plan, unit, attempt, schema, context, std::move(host));
}

Result<std::vector<StagedResult>> PostgresSink::Recover(const JobId&,
                                                        std::span<const StagedResult> staged) {
  std::vector<AttemptId> attempts;
  for (const auto& result : staged) {
    if (!result.parts.empty()) attempts.push_back(result.attempt_id);
  }
  std::set<AttemptId> held;
  if (!attempts.empty()) {
    ARROW_RETURN_NOT_OK(Use([&](Connection& connection) -> Status {
      ARROW_ASSIGN_OR_RAISE(const auto found, FindAttempts(connection, attempts, CatalogLimit()));
      held.insert(found.begin(), found.end());
      return Status::OK();
    }));
  }
  std::vector<StagedResult> whole;
  for (const auto& result : staged) {
    // A unit without rows left nothing that could be lost.
    if (result.parts.empty() || held.contains(result.attempt_id)) whole.push_back(result);
  }
  return whole;
}

// The rows that are in the table now, and those that are not.
void Count(const Committed& done, const CommitRequest& request, CommitReceipt* receipt) {
  receipt->already_committed = done.already;
  if (done.duplicates > 0) receipt->counters["duplicates_left_out"] = done.duplicates;
  if (done.left_out > 0) receipt->counters[kLeftOutByTriggers] = done.left_out;
  int64_t left_out = done.left_out;
  for (const auto& result : request.staged) {
    const auto found = result.counters.find(kLeftOutByTriggers);
    if (found != result.counters.end()) left_out += found->second;
  }
  receipt->rows_left_out = done.duplicates + left_out;
  receipt->rows -= receipt->rows_left_out;
  if (left_out == 0) return;
  receipt->warnings.push_back(fmt::format("{}: triggers left out {} of {} rows", receipt->location,
                                          FormatCount(left_out), FormatCount(request.rows)));
}

// What a commit leaves in the ledger: where the rows went, and how many did not.
struct CommitJournal {
  TableName target;
  Committed done;
};

std::string JournalText(const TableName& target, const Committed& done) {
  return json{{"schema", target.schema},
              {"table", target.name},
              {"duplicates", done.duplicates},
              {"left_out", done.left_out}}
      .dump();
}

Result<CommitJournal> ReadJournal(const std::string& text) {
  const json state = json::parse(text, nullptr, false);
  if (!state.is_object()) return BugError("the commit's journal is not ours");
  CommitJournal journal;
  journal.target = {state.value("schema", ""), state.value("table", "")};
  // Journals of earlier versions have neither.
  journal.done.duplicates = state.value("duplicates", int64_t{0});
  journal.done.left_out = state.value("left_out", int64_t{0});
  return journal;
}

Result<bool> PostgresSink::LeftNothing(const CommitRequest& request, const std::string& journal) {
  ARROW_ASSIGN_OR_RAISE(const auto found, ReadJournal(journal));
  bool committed = false;
  ARROW_RETURN_NOT_OK(Use([&](Connection& connection) {
    return IsCommitted(connection, found.target, request, {}).Value(&committed);
  }));
  return !committed;
}

Result<CommitReceipt> PostgresSink::Commit(const CommitRequest& request, CommitContext& context) {
  CommitReceipt receipt;
  receipt.dataset = request.plan.dataset.id;
  receipt.rows = request.rows;
  receipt.bytes = request.bytes;
  int64_t rows = 0;
  for (const auto& result : request.staged) rows += result.rows_written;
  if (rows != request.rows) {
    return BugError(fmt::format("'{}': the units hold {} rows and the job counted {}",
                                receipt.dataset.ToString(), rows, request.rows));
  }
  const WaitLimit limit{};  // building indexes may take hours
  if (context.recovered) {
    ARROW_ASSIGN_OR_RAISE(auto journal, ReadJournal(*context.recovered));
    receipt.location = journal.target.ToString();
    ARROW_ASSIGN_OR_RAISE(const bool nothing, LeftNothing(request, *context.recovered));
    if (!nothing) {
      journal.done.already = true;
      Count(journal.done, request, &receipt);
      return receipt;
    }
  }
  const PlanKey key{request.plan.dataset.id, request.plan.epoch};
  ARROW_ASSIGN_OR_RAISE(auto open, open_loads_.TakeLast(key));
  if (!open) {
    ARROW_RETURN_NOT_OK(Use([&](Connection& connection) {
      return Publish(connection, request, context, limit, &receipt);
    }));
    return receipt;
  }
  const Status published = Publish(*open, request, context, limit, &receipt);
  if (published.ok()) {
    Release(std::move(open));
    return receipt;
  }
  // The next try needs the rows.
  if (!open->ok() || !open->in_transaction()) open.reset();
  open_loads_.PutBack(key, std::move(open), true);
  return published;
}

Status PostgresSink::Publish(Connection& connection, const CommitRequest& request,
                             CommitContext& context, const WaitLimit& limit,
                             CommitReceipt* receipt) {
  ARROW_ASSIGN_OR_RAISE(auto load, PlanOf(connection, request.plan));
  ARROW_RETURN_NOT_OK(MakeReady(connection, request.plan, &load));
  receipt->location = load->target.ToString();
  const auto before_commit = [&](const Committed& done) {
    return context.record(JournalText(load->target, done));
  };
  std::optional<FaultyValue> fault;
  const auto committed = CommitLoad(connection, *load, request, before_commit, limit, &fault);
  if (fault) {
    const std::lock_guard lock(mutex_);
    faults_[request.plan.dataset.id] = *std::move(fault);
  }
  ARROW_ASSIGN_OR_RAISE(const auto done, committed);
  Count(done, request, receipt);
  std::string begin;
  {
    std::lock_guard lock(mutex_);
    begin = wal_begin_;
  }
  if (begin.empty()) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(
      const auto wal,
      connection.QueryOne(
          fmt::format("SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), "
                      "{})::int8",
                      QuoteLiteral(begin)),
          CatalogLimit(), "look at the server"));
  receipt->counters["server_wal_bytes"] = wal.integer(0, 0);
  return Status::OK();
}

Status PostgresSink::Discard(const JobId& job, std::span<const AttemptId> attempts) {
  if (attempts.empty()) open_loads_.Clear();
  return Use([&](Connection& connection) {
    return attempts.empty() ? ForgetJob(connection, job, CatalogLimit())
                            : ForgetAttempts(connection, attempts, CatalogLimit());
  });
}

}  // namespace
}  // namespace bulkhaul::postgres

namespace bulkhaul {

Result<std::unique_ptr<Sink>> MakePostgresSink(const JobSpec& spec, const JobId& job) {
  ARROW_RETURN_NOT_OK(postgres::CheckConninfo(Secret(spec.destination_uri)));
  ARROW_RETURN_NOT_OK(postgres::LoadOptions::From(spec.options).status());
  return std::make_unique<postgres::PostgresSink>(spec, job);
}

}  // namespace bulkhaul
