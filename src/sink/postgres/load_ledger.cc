#include "sink/postgres/load_ledger.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "base/crash_point.h"
#include "client/postgres/sql_text.h"

namespace bulkhaul::postgres {
namespace {

constexpr char kLedger[] = "_bulkhaul_ledger";
// Jobs that begin or end at the same time make and drop the ledger one after the other.
constexpr char kLockSql[] = "SELECT pg_catalog.pg_advisory_xact_lock(7166489233408041)";
// A transaction as the system column xmin shows it.
constexpr char kThisTransaction[] = "((pg_catalog.txid_current() % 4294967296)::pg_catalog.text)";
constexpr char kRollback[] = "ROLLBACK";

// Behind a savepoint the rows' xmin is the subtransaction's, and so is that of the entry itself.
Status EnterSubtransaction(Connection& connection, const LoadPlan& plan, const std::string& key,
                           const WaitLimit& limit) {
  if (!plan.options.skip_wal) return Status::OK();
  return connection.Execute(fmt::format("UPDATE {} SET xid = xmin::pg_catalog.text WHERE key = {}",
                                        LedgerName(plan.target.schema), key),
                            limit, "enter the unit");
}

std::string Literals(std::span<const std::string> texts) {
  std::vector<std::string> quoted;
  for (const auto& text : texts) quoted.push_back(QuoteLiteral(text));
  return fmt::format("ARRAY[{}]::pg_catalog.text[]", fmt::join(quoted, ","));
}

std::string SentinelOf(const TableName& side) {
  return QuoteQualified(side.schema, side.name + "_s");
}

std::string CreateSideSql(const LoadPlan& plan) {
  std::string sql;
  if (plan.keeps_side()) {
    sql = plan.CreateLikeTargetSql(plan.side, plan.options.unlogged);
  } else {
    const bool made = !plan.existing && plan.options.if_exists != IfExists::kUpsert;
    std::vector<std::string> columns;
    for (const auto& column : plan.columns) {
      columns.push_back(fmt::format("{} {}{}", QuoteIdentifier(column.name), column.side_type,
                                    made && column.not_null ? " NOT NULL" : ""));
    }
    if (plan.ordered()) columns.push_back(fmt::format("{} bigint", kOrderColumn));
    sql = fmt::format("CREATE {}TABLE IF NOT EXISTS {} ({})",
                      plan.options.unlogged ? "UNLOGGED " : "", plan.side.quoted(),
                      fmt::join(columns, ", "));
  }
  // A crash of the server empties unlogged tables, and this one with them.
  if (plan.options.unlogged) {
    sql += fmt::format(
        "; CREATE UNLOGGED TABLE IF NOT EXISTS {0} (here int PRIMARY KEY);"
        " INSERT INTO {0} VALUES (1) ON CONFLICT DO NOTHING",
        SentinelOf(plan.side));
  }
  return sql;
}

Status DeleteRowsOf(Connection& connection, const std::string& place, const std::string& xid,
                    const WaitLimit& limit) {
  return connection.Execute(
      fmt::format("DELETE FROM {} WHERE xmin = {}::pg_catalog.xid", place, QuoteLiteral(xid)),
      limit, "delete the rows of a unit that is loaded again");
}

// Runs `work` in a transaction of its own.
template <typename Work>
Status InTransaction(Connection& connection, const WaitLimit& limit, const char* what, Work work) {
  ARROW_RETURN_NOT_OK(connection.Execute("BEGIN", limit, what));
  Status status = work();
  if (status.ok()) return connection.Execute("COMMIT", limit, what);
  if (connection.ok()) connection.Execute(kRollback, limit, what).ok();
  return status;
}

}  // namespace

std::string LedgerName(const std::string& schema) { return QuoteQualified(schema, kLedger); }

Status CheckLedger(Connection& connection, const std::string& schema, const WaitLimit& limit) {
  ARROW_ASSIGN_OR_RAISE(
      const auto denied,
      connection.QueryOne(
          fmt::format(
              "SELECT current_user, pg_catalog.pg_get_userbyid(c.relowner)"
              " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
              " ON n.oid = c.relnamespace WHERE c.relname = '{}' AND n.nspname = {}"
              " AND NOT (SELECT bool_and(pg_catalog.has_table_privilege(c.oid, p))"
              " FROM pg_catalog.unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p)",
              kLedger, QuoteLiteral(schema)),
          limit, "look at the load's ledger"));
  if (denied.rows() == 0) return Status::OK();
  const std::string ledger = LedgerName(schema);
  return UserError(
      fmt::format("jobs of role {0} are loading into schema {1}, and this role may not write their "
                  "list of units; wait until they are done or removed by 'bulkhaul clean', or let "
                  "{0} run GRANT SELECT, INSERT, UPDATE, DELETE ON {2} TO {3}",
                  denied.text(0, 1), schema, ledger,
                  QuoteIdentifier(std::string(denied.text(0, 0)))),
      "42501");
}

Status PrepareLedger(Connection& connection, const DatasetPlan& dataset, const LoadPlan& plan,
                     const WaitLimit& limit) {
  const std::string ledger = LedgerName(plan.target.schema);
  const std::string prefix = plan.side.name.substr(0, plan.side.name.rfind('_') + 1);
  return InTransaction(connection, limit, "prepare the load", [&]() -> Status {
    ARROW_RETURN_NOT_OK(connection.Execute(
        fmt::format("{}; CREATE TABLE IF NOT EXISTS {} (key text PRIMARY KEY, job text NOT NULL,"
                    " place text NOT NULL, attempt text, rows bigint, xid text)",
                    kLockSql, ledger),
        limit, "make the load's ledger"));
    ARROW_ASSIGN_OR_RAISE(
        const auto earlier,
        connection.QueryOne(
            fmt::format("SELECT key, place, xid FROM {} WHERE pg_catalog.left(key, {}) = {}"
                        " AND pg_catalog.left(key, {}) <> {}",
                        ledger, prefix.size(), QuoteLiteral(prefix), plan.side.name.size() + 1,
                        QuoteLiteral(plan.side.name + "/")),
            limit, "look for earlier epochs"));
    for (int row = 0; row < earlier.rows(); ++row) {
      const std::string key(earlier.text(row, 0)), place(earlier.text(row, 1));
      if (key.ends_with("/table")) {
        const std::string name = key.substr(0, key.size() - std::string("/table").size());
        ARROW_RETURN_NOT_OK(connection.Execute(
            fmt::format("DROP TABLE IF EXISTS {}, {}", QuoteQualified(plan.side.schema, name),
                        QuoteQualified(plan.side.schema, name + "_s")),
            limit, "drop the table of an earlier epoch"));
      } else if (place == plan.target.quoted()) {
        ARROW_RETURN_NOT_OK(
            DeleteRowsOf(connection, place, std::string(earlier.text(row, 2)), limit));
      }
      ARROW_RETURN_NOT_OK(connection.Execute(
          fmt::format("DELETE FROM {} WHERE key = {}", ledger, QuoteLiteral(key)), limit,
          "forget an earlier epoch"));
    }
    if (plan.direct() && !plan.alterations.empty()) {
      ARROW_RETURN_NOT_OK(connection.Execute(plan.AlterSql(plan.target), limit,
                                             "change the columns of " + plan.target.ToString()));
    }
    // The entry also keeps another job that ends from dropping the ledger.
    return connection.Execute(
        fmt::format("{}INSERT INTO {} (key, job, place) VALUES ({}, {}, {}) ON CONFLICT (key) DO "
                    "NOTHING",
                    plan.direct() ? std::string() : CreateSideSql(plan) + "; ", ledger,
                    QuoteLiteral(plan.side.name + "/table"), QuoteLiteral(dataset.job_id),
                    QuoteLiteral(plan.side.quoted())),
        limit, "make the table that is loaded beside " + plan.target.ToString());
  });
}

Status EnterUnit(Connection& connection, const LoadPlan& plan, const JobId& job, int64_t ordinal,
                 const AttemptId& attempt, int64_t rows, const WaitLimit& limit) {
  const std::string ledger = LedgerName(plan.target.schema);
  const std::string key = QuoteLiteral(fmt::format("{}/{}", plan.side.name, ordinal));
  // Waits for an attempt that has not ended yet, however it will.
  ARROW_ASSIGN_OR_RAISE(
      const auto entered,
      connection.QueryOne(
          fmt::format("INSERT INTO {} VALUES ({}, {}, {}, {}, {}, {}) ON CONFLICT (key) DO NOTHING",
                      ledger, key, QuoteLiteral(job), QuoteLiteral(plan.copied_into().quoted()),
                      QuoteLiteral(attempt), rows, kThisTransaction),
          limit, "enter the unit"));
  if (entered.affected() == 1) return EnterSubtransaction(connection, plan, key, limit);
  ARROW_ASSIGN_OR_RAISE(
      const auto before,
      connection.QueryOne(
          fmt::format("SELECT place, xid FROM {} WHERE key = {} FOR UPDATE", ledger, key), limit,
          "enter the unit again"));
  if (before.rows() == 1) {
    ARROW_RETURN_NOT_OK(DeleteRowsOf(connection, std::string(before.text(0, 0)),
                                     std::string(before.text(0, 1)), limit));
  }
  ARROW_RETURN_NOT_OK(connection.Execute(
      fmt::format("UPDATE {} SET place = {}, attempt = {}, rows = {}, xid = {} WHERE key = {}",
                  ledger, QuoteLiteral(plan.copied_into().quoted()), QuoteLiteral(attempt), rows,
                  kThisTransaction, key),
      limit, "enter the unit again"));
  return EnterSubtransaction(connection, plan, key, limit);
}

Status CheckUnits(Connection& connection, const LoadPlan& plan,
                  std::span<const StagedResult> staged, const WaitLimit& limit) {
  const std::string name = plan.target.ToString();
  if (plan.options.unlogged && !plan.direct()) {
    ARROW_ASSIGN_OR_RAISE(
        const auto sentinel,
        connection.QueryOne(fmt::format("SELECT count(*) FROM {}", SentinelOf(plan.side)), limit,
                            "look for the sentinel of " + name));
    if (sentinel.integer(0, 0) != 1) {
      return PermanentError(
          fmt::format("{}: the server crashed and emptied the unlogged table that "
                      "was loaded; 'bulkhaul resume' loads it again",
                      name),
          "unlogged");
    }
  }
  ARROW_ASSIGN_OR_RAISE(
      const auto entries,
      connection.QueryOne(
          fmt::format(
              "SELECT key, place, attempt, rows, xid FROM {} WHERE pg_catalog.left(key, {}) "
              "= {} AND attempt IS NOT NULL",
              LedgerName(plan.target.schema), plan.side.name.size() + 1,
              QuoteLiteral(plan.side.name + "/")),
          limit, "check the units of " + name));
  std::map<AttemptId, int64_t> expected;
  for (const auto& result : staged) {
    if (!result.parts.empty()) expected[result.attempt_id] = result.rows_written;
  }
  for (int row = 0; row < entries.rows(); ++row) {
    const auto wanted = expected.find(std::string(entries.text(row, 2)));
    if (wanted != expected.end() && wanted->second == entries.integer(row, 3)) {
      expected.erase(wanted);
      continue;
    }
    ARROW_RETURN_NOT_OK(DeleteRowsOf(connection, std::string(entries.text(row, 1)),
                                     std::string(entries.text(row, 4)), limit));
  }
  if (expected.empty()) return Status::OK();
  return PermanentError(fmt::format("{}: the rows of {} units are gone from {}; 'bulkhaul resume' "
                                    "loads them again",
                                    name, expected.size(), plan.copied_into().ToString()),
                        "staged_rows_gone");
}

Result<std::vector<std::string>> LedgerSchemas(Connection& connection, const WaitLimit& limit) {
  ARROW_ASSIGN_OR_RAISE(
      const auto rows,
      connection.QueryOne(
          fmt::format("SELECT n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
                      " ON n.oid = c.relnamespace WHERE c.relname = '{}' AND c.relkind = 'r'"
                      " AND pg_catalog.has_table_privilege(c.oid, 'SELECT, DELETE')"
                      " AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') ORDER BY 1",
                      kLedger),
          limit, "look for ledgers"));
  std::vector<std::string> schemas;
  for (int row = 0; row < rows.rows(); ++row) schemas.emplace_back(rows.text(row, 0));
  return schemas;
}

Result<std::vector<AttemptId>> FindAttempts(Connection& connection,
                                            std::span<const AttemptId> attempts,
                                            const WaitLimit& limit) {
  std::vector<AttemptId> found;
  ARROW_ASSIGN_OR_RAISE(const auto schemas, LedgerSchemas(connection, limit));
  for (const auto& schema : schemas) {
    ARROW_ASSIGN_OR_RAISE(
        const auto rows,
        connection.QueryOne(fmt::format("SELECT attempt, pg_catalog.split_part(key, '/', 1),"
                                        " pg_catalog.to_regclass(place) IS NOT NULL"
                                        " FROM {} WHERE attempt = ANY ({})",
                                        LedgerName(schema), Literals(attempts)),
                            limit, "look for staged units"));
    std::map<std::string, bool> alive;  // by side table: not emptied by a crash of the server
    for (int row = 0; row < rows.rows(); ++row) {
      if (!rows.boolean(row, 2)) continue;
      const std::string side(rows.text(row, 1));
      if (!alive.contains(side)) {
        const std::string sentinel = QuoteQualified(schema, side + "_s");
        ARROW_ASSIGN_OR_RAISE(
            const auto there,
            connection.QueryOne(fmt::format("SELECT pg_catalog.to_regclass({}) IS NOT NULL",
                                            QuoteLiteral(sentinel)),
                                limit, "look for a sentinel"));
        alive[side] = true;
        if (there.boolean(0, 0)) {
          ARROW_ASSIGN_OR_RAISE(const auto count,
                                connection.QueryOne("SELECT count(*) FROM " + sentinel, limit,
                                                    "look for a sentinel"));
          alive[side] = count.integer(0, 0) == 1;
        }
      }
      if (alive[side]) found.emplace_back(rows.text(row, 0));
    }
  }
  return found;
}

Status ForgetAttempts(Connection& connection, std::span<const AttemptId> attempts,
                      const WaitLimit& limit) {
  ARROW_ASSIGN_OR_RAISE(const auto schemas, LedgerSchemas(connection, limit));
  for (const auto& schema : schemas) {
    const std::string ledger = LedgerName(schema);
    ARROW_RETURN_NOT_OK(InTransaction(connection, limit, "forget units", [&]() -> Status {
      ARROW_ASSIGN_OR_RAISE(
          const auto rows,
          connection.QueryOne(
              fmt::format("DELETE FROM {} WHERE attempt = ANY ({}) RETURNING place, xid,"
                          " pg_catalog.to_regclass(place) IS NOT NULL",
                          ledger, Literals(attempts)),
              limit, "forget units"));
      for (int row = 0; row < rows.rows(); ++row) {
        if (!rows.boolean(row, 2)) continue;
        ARROW_RETURN_NOT_OK(DeleteRowsOf(connection, std::string(rows.text(row, 0)),
                                         std::string(rows.text(row, 1)), limit));
      }
      return Status::OK();
    }));
  }
  return Status::OK();
}

Status ForgetJob(Connection& connection, const JobId& job, const WaitLimit& limit) {
  ARROW_ASSIGN_OR_RAISE(const auto schemas, LedgerSchemas(connection, limit));
  for (const auto& schema : schemas) {
    const std::string ledger = LedgerName(schema);
    ARROW_RETURN_NOT_OK(InTransaction(connection, limit, "forget the job", [&]() -> Status {
      ARROW_ASSIGN_OR_RAISE(
          const auto rows,
          connection.QueryOne(fmt::format("{}; DELETE FROM {} WHERE job = {} RETURNING key",
                                          kLockSql, ledger, QuoteLiteral(job)),
                              limit, "forget the job"));
      for (int row = 0; row < rows.rows(); ++row) {
        const std::string key(rows.text(row, 0));
        if (!key.ends_with("/table")) continue;
        const std::string name = key.substr(0, key.size() - std::string("/table").size());
        ARROW_RETURN_NOT_OK(connection.Execute(
            fmt::format("DROP TABLE IF EXISTS {}, {}", QuoteQualified(schema, name),
                        QuoteQualified(schema, name + "_s")),
            limit, "drop what was loaded beside"));
      }
      ARROW_ASSIGN_OR_RAISE(
          const auto left,
          connection.QueryOne(fmt::format("SELECT EXISTS (SELECT FROM {0}),"
                                          " pg_catalog.pg_has_role(c.relowner, 'USAGE')"
                                          " FROM pg_catalog.pg_class c"
                                          " WHERE c.oid = pg_catalog.to_regclass({1})",
                                          ledger, QuoteLiteral(ledger)),
                              limit, "forget the job"));
      if (left.rows() == 0 || left.boolean(0, 0) || !left.boolean(0, 1)) return Status::OK();
      return connection.Execute("DROP TABLE " + ledger, limit, "drop the empty ledger");
    }));
  }
  return Status::OK();
}

}  // namespace bulkhaul::postgres
