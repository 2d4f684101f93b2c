#include "source/postgres/pin.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "client/postgres/sql_text.h"
#include "source/postgres/catalog.h"
#include "source/postgres/discover.h"

namespace bulkhaul::postgres {
namespace {

using nlohmann::json;

// Above the server's own lock_timeout: for what the server does not limit.
constexpr int64_t kPinMarginMs = 120'000;
constexpr int64_t kCheckMs = 20'000;
// A statement that locks thousands of tables is legal; shorter ones make better error messages.
constexpr size_t kTablesPerLock = 500;

void AddLocks(const TableState& state, std::vector<std::string>* by_lock, HoldPlan* plan) {
  const auto by_select = [&](const Relation& relation, const std::string& columns) {
    plan->row_locks.push_back(fmt::format("SELECT {} FROM {} LIMIT 0", columns,
                                          QuoteQualified(relation.schema, relation.name)));
    plan->select_locked.push_back(relation.oid);
  };
  const Relation& top = state.relations[0];
  if (state.column_grants) {
    // LOCK needs a grant on the whole table.
    by_select(top, state.columns.empty() ? "" : QuoteIdentifier(state.columns[0].name));
    return;
  }
  if (top.kind == 'm' || top.kind == 'f') {
    by_select(top, "");  // LOCK gives 42809
    return;
  }
  // Without ONLY, LOCK goes down to every leaf and child by the grant on the top table alone; a
  // view takes what it is made of along.
  by_lock->push_back(QuoteQualified(top.schema, top.name));
}

// Whether what was planned is what the snapshot shows, and whether the relations locked by SELECT
// still are the ones that the snapshot saw: their locks came after it.
Status CheckPlanned(Connection& connection, const HoldPlan& plan, const WaitLimit& limit,
                    std::string_view what) {
  std::vector<uint32_t> oids;
  for (const auto& [oid, fingerprint] : plan.fingerprints) oids.push_back(oid);
  ARROW_ASSIGN_OR_RAISE(
      auto rows,
      connection.QueryOne(
          fmt::format(
              "WITH RECURSIVE tree(root, oid) AS (SELECT o, o FROM pg_catalog.unnest({}) AS o"
              " UNION SELECT t.root, i.inhrelid FROM tree t"
              " JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid)"
              " SELECT t.root, pg_catalog.string_agg(pg_catalog.concat(c.oid, ':', {}, ';'), ''"
              " ORDER BY t.oid <> t.root, n.nspname COLLATE \"C\", c.relname COLLATE \"C\")"
              " FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.oid"
              " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace GROUP BY t.root",
              OidArray(oids), FingerprintExpression()),
          limit, what));
  std::map<uint32_t, std::string> now;
  for (int i = 0; i < rows.rows(); ++i) {
    now[static_cast<uint32_t>(rows.integer(i, 0))] = rows.text(i, 1);
  }
  for (const auto& [oid, fingerprint] : plan.fingerprints) {
    if (now[oid] != fingerprint) {
      return UserError(
          fmt::format("{}: table with oid {} was altered, or got or lost a partition, between "
                      "planning and taking the snapshot; run the command again",
                      what, oid));
    }
  }
  if (plan.select_locked.empty()) return Status::OK();
  // pg_relation_filenode() sees the present, pg_class the snapshot.
  ARROW_ASSIGN_OR_RAISE(
      auto moved,
      connection.QueryOne(
          fmt::format("SELECT c.relname FROM pg_catalog.unnest({}) AS o LEFT JOIN "
                      "pg_catalog.pg_class c ON c.oid = o WHERE c.relkind IN ('r', 'm') AND "
                      "c.relfilenode IS DISTINCT FROM pg_catalog.pg_relation_filenode(o)",
                      OidArray(plan.select_locked)),
          limit, what));
  if (moved.rows() > 0) {
    return TransientError(
        fmt::format("{}: {} was rewritten while its lock was taken", what, moved.text(0, 0)));
  }
  return Status::OK();
}

}  // namespace

std::string HoldPlan::ToJson() const {
  return json{{"lock_timeout_ms", lock_timeout_ms},
              {"locks", locks},
              {"row_locks", row_locks},
              {"fingerprints", fingerprints},
              {"select_locked", select_locked}}
      .dump();
}

Result<HoldPlan> HoldPlan::FromJson(std::string_view text) {
  try {
    const json node = json::parse(text);
    HoldPlan plan;
    plan.lock_timeout_ms = node.at("lock_timeout_ms");
    node.at("locks").get_to(plan.locks);
    node.at("row_locks").get_to(plan.row_locks);
    node.at("fingerprints").get_to(plan.fingerprints);
    node.at("select_locked").get_to(plan.select_locked);
    return plan;
  } catch (const std::exception& error) {
    return PermanentError(fmt::format("damaged hold plan: {}", error.what()));
  }
}

Result<HoldPlan> MakeHoldPlan(std::span<const Dataset> datasets, int64_t lock_timeout_ms) {
  HoldPlan plan;
  plan.lock_timeout_ms = lock_timeout_ms;
  std::vector<std::string> tables;
  for (const auto& dataset : datasets) {
    ARROW_ASSIGN_OR_RAISE(const auto state, TableState::FromJson(dataset.source_state));
    // A table that may not be read fails when it is read; the others of the job need not.
    if (state.kind == 'q' || state.denied || state.relations.empty()) continue;
    AddLocks(state, &tables, &plan);
    plan.fingerprints.emplace_back(state.oid, state.fingerprint);
  }
  for (size_t begin = 0; begin < tables.size(); begin += kTablesPerLock) {
    const auto first = tables.begin() + static_cast<ptrdiff_t>(begin);
    const auto last =
        tables.begin() + static_cast<ptrdiff_t>(std::min(tables.size(), begin + kTablesPerLock));
    plan.locks.push_back(
        fmt::format("LOCK TABLE {} IN ACCESS SHARE MODE", fmt::join(first, last, ", ")));
  }
  return plan;
}

std::string JoinSnapshotSql(const std::string& snapshot_id) {
  if (snapshot_id.empty()) return "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY";
  return "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT " +
         QuoteLiteral(snapshot_id);
}

Result<std::unique_ptr<SnapshotHolder>> SnapshotHolder::Take(const ConnectionSettings& settings,
                                                             const HoldPlan& plan,
                                                             std::stop_token stop) {
  constexpr std::string_view kWhat = "cannot take the snapshot";
  ARROW_ASSIGN_OR_RAISE(auto connection, Connection::Open(settings, stop));
  const int64_t statements = static_cast<int64_t>(plan.locks.size() + plan.row_locks.size()) + 1;
  const WaitLimit limit{.deadline = DeadlineIn(plan.lock_timeout_ms * statements + kPinMarginMs),
                        .stop = stop};
  RETURN_NOT_OK(connection->Execute(
      fmt::format("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {}; "
                  "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = {}",
                  TransactionSettings(connection->server_version(), IsRawEncoding(*connection)),
                  plan.lock_timeout_ms),
      limit, kWhat));
  // LOCK does not fix the snapshot, the first SELECT does: all locks come before it.
  for (const auto& lock : plan.locks) RETURN_NOT_OK(connection->Execute(lock, limit, kWhat));
  for (const auto& lock : plan.row_locks) RETURN_NOT_OK(connection->Execute(lock, limit, kWhat));
  RETURN_NOT_OK(CheckPlanned(*connection, plan, limit, kWhat));
  ARROW_ASSIGN_OR_RAISE(
      auto rows,
      connection->QueryOne(
          "SELECT pg_catalog.pg_export_snapshot(), CASE WHEN pg_catalog.pg_is_in_recovery() THEN "
          "pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END",
          limit, kWhat));
  HeldSnapshot snapshot{
      .id = std::string(rows.text(0, 0)),
      .description = fmt::format("pg_export_snapshot {}, WAL {}", rows.text(0, 0), rows.text(0, 1)),
      .address = connection->address()};
  connection->situation.holding_snapshot = true;
  return std::unique_ptr<SnapshotHolder>(
      new SnapshotHolder(std::move(connection), std::move(snapshot)));
}

Status SnapshotHolder::Check() {
  std::lock_guard lock(mutex_);
  const Status status = connection_->Execute("SELECT 1", {.deadline = DeadlineIn(kCheckMs)},
                                             "the snapshot's transaction");
  if (status.ok()) return status;
  return SnapshotLostError(MessageOf(status), CodeOf(status));
}

}  // namespace bulkhaul::postgres
