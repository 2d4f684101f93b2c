#include "sink/postgres/commit_load.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/crash_point.h"
#include "client/postgres/sql_text.h"
#include "sink/postgres/attach_partition.h"
#include "sink/postgres/faulty_value.h"
#include "sink/postgres/load_ledger.h"
#include "sink/postgres/replace_table.h"

namespace bulkhaul::postgres {
namespace {

constexpr char kUniqueViolation[] = "23505";
constexpr char kCardinalityViolation[] = "21000";
constexpr char kInvalidTime[] = "22007";
constexpr char kTimeOutOfRange[] = "22008";
constexpr char kDataException[] = "22";  // the class of all errors in values
constexpr char kUndefinedTable[] = "42P01";
constexpr char kLockNotAvailable[] = "55P03";
constexpr size_t kValueShownMax = 200;        // bytes; the server shows longer ones as it likes
constexpr int32_t kUpsertLocks = 0x62756C6B;  // "bulk": the first key of the advisory locks

std::string EnterKeySql(const TableName& target, const CommitRequest& request) {
  return fmt::format("INSERT INTO {} (key, job, place, rows) VALUES ({}, {}, {}, {})",
                     LedgerName(target.schema), QuoteLiteral(request.idempotency_key),
                     QuoteLiteral(request.job_id), QuoteLiteral(target.quoted()), request.rows);
}

class Commit {
 public:
  Commit(Connection& connection, const LoadPlan& plan, const CommitRequest& request,
         const WaitLimit& limit)
      : connection_(connection), plan_(plan), request_(request), limit_(limit) {}

  Result<Committed> Run(const std::function<Status(const Committed&)>& before_commit,
                        std::optional<FaultyValue>* fault);

 private:
  Status Execute(const std::string& sql) { return connection_.Execute(sql, limit_, what_); }
  Result<int64_t> Affected(const std::string& sql) {
    ARROW_ASSIGN_OR_RAISE(const auto result, connection_.QueryOne(sql, limit_, what_));
    return result.affected();
  }
  Status Publish(Committed* done);
  Status TakeTurn();
  Status LockTarget();
  Status CastColumns();
  Status CastSide();
  Result<int64_t> InsertInto(const TableName& table);
  Status PublishNew();
  Status InsertAll(Committed* done);
  Status CheckDuplicates();
  Result<int64_t> InsertOnConflict(const std::string& sql);
  Status Upsert(Committed* done);
  Status AdvanceSequences();
  Status WithAdvice(const Status& status) const;
  Status WithFault(const Status& status, std::optional<FaultyValue>* fault);
  std::string SelectList() const;
  std::string KeyList() const;
  std::string KeyIsOfNoOther() const;
  Status DropSide() {
    return Execute(fmt::format("DROP TABLE IF EXISTS {}, {}", plan_.side.quoted(),
                               QuoteQualified(plan_.side.schema, plan_.side.name + "_s")));
  }

  Connection& connection_;
  const LoadPlan& plan_;
  const CommitRequest& request_;
  const WaitLimit& limit_;
  const std::string what_ = "publish " + plan_.target.ToString();
};

std::string Commit::SelectList() const {
  std::vector<std::string> parts;
  for (const auto& column : plan_.columns) {
    parts.push_back(column.cast.empty() ? QuoteIdentifier(column.name) : column.cast);
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string Commit::KeyList() const {
  std::vector<std::string> parts;
  for (const auto& column : plan_.key) parts.push_back(QuoteIdentifier(column));
  return fmt::format("{}", fmt::join(parts, ", "));
}

// Rows with NULL in the key are no duplicates of each other, unless the index says so.
std::string Commit::KeyIsOfNoOther() const {
  if (plan_.nulls_equal) return "false";
  std::vector<std::string> parts;
  for (const auto& column : plan_.key) parts.push_back(QuoteIdentifier(column) + " IS NULL");
  return fmt::format("{}", fmt::join(parts, " OR "));
}

// Two upserts that update the same rows in different orders would wait for each other. The advisory
// lock, of the partitioned table where there is one, makes ours take turns and stops no other
// writer.
Status Commit::TakeTurn() {
  const Status taken = Execute(
      fmt::format("SELECT pg_catalog.pg_advisory_xact_lock({}, coalesce(pg_catalog."
                  "pg_partition_root({}), {}::pg_catalog.regclass)::bigint::bit(32)::integer)",
                  kUpsertLocks, plan_.existing->oid, plan_.existing->oid));
  if (CodeOf(taken) != kLockNotAvailable) return taken;
  return TransientError(
      fmt::format("other upserts into {} are being published, longer than lock_timeout: {}",
                  plan_.target.ToString(), MessageOf(taken)),
      kLockNotAvailable);
}

// The strongest lock that will be needed, so that nothing is waited for half way; then the table
// must be what it was when the load was planned.
Status Commit::LockTarget() {
  const IfExists mode = plan_.options.if_exists;
  const bool alone =
      mode == IfExists::kReplace || mode == IfExists::kTruncate || !plan_.alterations.empty();
  const std::string name = plan_.target.ToString();
  const char* lock = alone              ? "ACCESS EXCLUSIVE"
                     : plan_.attaches() ? "SHARE UPDATE EXCLUSIVE"
                                        : "ROW EXCLUSIVE";
  // A change of columns is one of the children's too.
  const bool only = plan_.alterations.empty() && !plan_.existing->partitioned();
  const Status locked = Execute(
      fmt::format("LOCK TABLE {}{} IN {} MODE", only ? "ONLY " : "", plan_.target.quoted(), lock));
  const auto changed = [&](const char* how) {
    return UserError(fmt::format("{} was {} while rows were loaded for it; nothing was published. "
                                 "Start a new job",
                                 name, how),
                     "target_changed");
  };
  if (!locked.ok()) {
    if (CodeOf(locked) == kUndefinedTable) return changed("dropped");
    if (CodeOf(locked) != kLockNotAvailable) return locked;
    return TransientError(fmt::format("{} is locked by another session, longer than lock_timeout; "
                                      "see pg_locks for who holds it: {}",
                                      name, MessageOf(locked)),
                          kLockNotAvailable);
  }
  ARROW_ASSIGN_OR_RAISE(const auto now, FindTarget(connection_, plan_.target, limit_));
  if (!now) return changed("dropped");
  return now->Fingerprint() == plan_.existing->Fingerprint() ? Status::OK() : changed("altered");
}

// A rewrite of the table that is loaded beside, for the few types that only the server can read.
Status Commit::CastColumns() {
  std::vector<std::string> parts;
  for (const auto& column : plan_.columns) {
    if (column.cast.empty()) continue;
    parts.push_back(fmt::format("ALTER COLUMN {} TYPE {} USING {}", QuoteIdentifier(column.name),
                                column.target_type, column.cast));
  }
  if (parts.empty()) return Status::OK();
  return Execute(fmt::format("ALTER TABLE {} {}", plan_.side.quoted(), fmt::join(parts, ", ")));
}

// What takes the target's place, from rows that only the server can bring into its types.
Status Commit::CastSide() {
  const TableName made{plan_.side.schema, plan_.side.name + "_c"};
  ARROW_RETURN_NOT_OK(Execute(plan_.CreateLikeTargetSql(made, plan_.existing->unlogged)));
  ARROW_RETURN_NOT_OK(InsertInto(made).status());
  return Execute(fmt::format("DROP TABLE {}; ALTER TABLE {} RENAME TO {}", plan_.side.quoted(),
                             made.quoted(), QuoteIdentifier(plan_.side.name)));
}

Status Commit::PublishNew() {
  ARROW_RETURN_NOT_OK(CastColumns());
  if (plan_.options.unlogged) {
    ARROW_RETURN_NOT_OK(Execute(fmt::format("ALTER TABLE {} SET LOGGED", plan_.side.quoted())));
  }
  ARROW_RETURN_NOT_OK(Execute(fmt::format("ALTER TABLE {} RENAME TO {}", plan_.side.quoted(),
                                          QuoteIdentifier(plan_.target.name))));
  const std::string target = plan_.target.quoted();
  if (!plan_.primary_key.empty()) {
    std::vector<std::string> key;
    for (const auto& column : plan_.primary_key) key.push_back(QuoteIdentifier(column));
    ARROW_RETURN_NOT_OK(
        Execute(fmt::format("ALTER TABLE {} ADD PRIMARY KEY ({})", target, fmt::join(key, ", "))));
  }
  std::string comments;
  if (!plan_.comment.empty()) {
    comments = fmt::format("COMMENT ON TABLE {} IS {};", target, QuoteLiteral(plan_.comment));
  }
  for (const auto& column : plan_.columns) {
    if (column.comment.empty()) continue;
    comments += fmt::format("COMMENT ON COLUMN {}.{} IS {};", target, QuoteIdentifier(column.name),
                            QuoteLiteral(column.comment));
  }
  return comments.empty() ? Status::OK() : Execute(comments);
}

Result<int64_t> Commit::InsertInto(const TableName& table) {
  return Affected(fmt::format("INSERT INTO {} ({}) {} SELECT {} FROM {}", table.quoted(),
                              plan_.ColumnList(), plan_.overriding ? "OVERRIDING SYSTEM VALUE" : "",
                              SelectList(), plan_.side.quoted()));
}

Status Commit::InsertAll(Committed* done) {
  if (plan_.options.if_exists == IfExists::kTruncate) {
    // Rows go into the table itself; those of tables that inherit from it stay.
    ARROW_RETURN_NOT_OK(Execute(fmt::format(
        "TRUNCATE {}{}", plan_.existing->partitioned() ? "" : "ONLY ", plan_.target.quoted())));
  }
  if (plan_.columns.empty()) return UserError("there is no column to load", "no_columns");
  ARROW_ASSIGN_OR_RAISE(const int64_t rows, InsertInto(plan_.target));
  done->left_out = request_.rows - rows;
  if (rows != request_.rows && plan_.existing->triggers.empty()) {
    return BugError(fmt::format("{}: {} rows were inserted and the job counted {}", what_, rows,
                                request_.rows));
  }
  return Status::OK();
}

Status Commit::CheckDuplicates() {
  ARROW_ASSIGN_OR_RAISE(
      const auto twice,
      connection_.QueryOne(fmt::format("SELECT ({1})::text, count(*) FROM {0} WHERE NOT ({2}) GROUP"
                                       " BY {1} HAVING count(*) > 1 LIMIT 1",
                                       plan_.side.quoted(),
                                       plan_.key.size() > 1 ? "ROW(" + KeyList() + ")" : KeyList(),
                                       KeyIsOfNoOther()),
                           limit_, what_));
  if (twice.rows() == 0) return Status::OK();
  return UserError(
      fmt::format("{}: {} rows have the key ({}) = {}; set duplicates to first or last "
                  "to take one of them",
                  what_, twice.text(0, 1), fmt::join(plan_.key, ", "), twice.text(0, 0)),
      kUniqueViolation);
}

// The server itself refuses two rows of one key; which they are is looked for only then.
Result<int64_t> Commit::InsertOnConflict(const std::string& sql) {
  ARROW_RETURN_NOT_OK(Execute("SAVEPOINT before_insert"));
  const auto affected = Affected(sql);
  if (affected.ok() || CodeOf(affected.status()) != kCardinalityViolation) return affected;
  ARROW_RETURN_NOT_OK(Execute("ROLLBACK TO SAVEPOINT before_insert"));
  ARROW_RETURN_NOT_OK(CheckDuplicates());
  return affected;
}

Status Commit::Upsert(Committed* done) {
  if (!plan_.existing) {
    std::vector<std::string> columns;
    for (const auto& column : plan_.columns) {
      columns.push_back(fmt::format("{} {}{}", QuoteIdentifier(column.name), column.target_type,
                                    column.not_null ? " NOT NULL" : ""));
    }
    ARROW_RETURN_NOT_OK(
        Execute(fmt::format("CREATE TABLE {} ({}, PRIMARY KEY ({}))", plan_.target.quoted(),
                            fmt::join(columns, ", "), KeyList())));
  }
  std::vector<std::string> updates;
  for (const auto& column : plan_.columns) {
    if (std::find(plan_.key.begin(), plan_.key.end(), column.name) != plan_.key.end()) continue;
    const auto* target = plan_.existing ? plan_.existing->Find(column.name) : nullptr;
    if (target != nullptr && target->identity == 'a') continue;  // may only be updated to DEFAULT
    updates.push_back(fmt::format("{0} = EXCLUDED.{0}", QuoteIdentifier(column.name)));
  }
  std::string rows = plan_.side.quoted();
  if (plan_.ordered()) {
    const char* order = plan_.options.duplicates == Duplicates::kLast ? " DESC" : "";
    const std::string once =
        fmt::format("{}, CASE WHEN {} THEN {} END", KeyList(), KeyIsOfNoOther(), kOrderColumn);
    rows = fmt::format("(SELECT DISTINCT ON ({0}) * FROM {1} ORDER BY {0}, {2}{3}) AS once", once,
                       plan_.side.quoted(), kOrderColumn, order);
  } else if (updates.empty()) {
    ARROW_RETURN_NOT_OK(CheckDuplicates());  // nothing else would tell
  }
  ARROW_ASSIGN_OR_RAISE(
      const int64_t affected,
      InsertOnConflict(fmt::format(
          "INSERT INTO {} ({}) {} SELECT {} FROM {} ON CONFLICT ({}) DO {}", plan_.target.quoted(),
          plan_.ColumnList(), plan_.overriding ? "OVERRIDING SYSTEM VALUE" : "", SelectList(), rows,
          KeyList(),
          updates.empty() ? std::string("NOTHING")
                          : fmt::format("UPDATE SET {}", fmt::join(updates, ", ")))));
  if (updates.empty()) return Status::OK();  // rows with a known key stay as they are
  int64_t wanted = plan_.ordered() ? affected : request_.rows;
  const TargetTable* target = plan_.existing.get();
  if (target && affected != request_.rows &&
      !(target->triggers.empty() && target->update_triggers.empty())) {
    ARROW_ASSIGN_OR_RAISE(
        const auto count,
        connection_.QueryOne(fmt::format("SELECT count(*) FROM {}", rows), limit_, what_));
    wanted = count.integer(0, 0);
  }
  done->duplicates = request_.rows - wanted;
  done->left_out = wanted - affected;
  return Status::OK();
}

// Values were given to columns that count by themselves: the next one must be a new one.
Status Commit::AdvanceSequences() {
  for (const auto& column : plan_.columns) {
    const auto* target = plan_.existing->Find(column.name);
    if (target == nullptr || (target->identity == 0 && !target->has_default)) continue;
    const std::string table = QuoteLiteral(plan_.target.quoted());
    ARROW_ASSIGN_OR_RAISE(
        const auto sequence,
        connection_.QueryOne(fmt::format("SELECT s, has_sequence_privilege(s, 'UPDATE') FROM"
                                         " (SELECT pg_get_serial_sequence({}, {})) AS x(s)"
                                         " WHERE s IS NOT NULL",
                                         table, QuoteLiteral(column.name)),
                             limit_, what_));
    if (sequence.rows() == 0 || !sequence.boolean(0, 1)) continue;
    ARROW_RETURN_NOT_OK(Execute(fmt::format(
        "SELECT setval({0}, m) FROM (SELECT max({1})::bigint FROM {2}) AS x(m), {3} AS q"
        " WHERE m > q.last_value OR (m = q.last_value AND NOT q.is_called)",
        QuoteLiteral(sequence.text(0, 0)), QuoteIdentifier(column.name), plan_.target.quoted(),
        sequence.text(0, 0))));
  }
  return Status::OK();
}

Status Commit::Publish(Committed* done) {
  if (plan_.existing) {
    if (plan_.options.if_exists == IfExists::kUpsert) ARROW_RETURN_NOT_OK(TakeTurn());
    ARROW_RETURN_NOT_OK(LockTarget());
  }
  ARROW_RETURN_NOT_OK(CheckUnits(connection_, plan_, request_.staged, limit_));
  CrashPoint("postgres.checked");
  const IfExists mode = plan_.options.if_exists;
  if (!plan_.alterations.empty() && mode != IfExists::kReplace) {
    ARROW_RETURN_NOT_OK(Execute(plan_.AlterSql(plan_.target)));
  }
  if (mode == IfExists::kUpsert) {
    ARROW_RETURN_NOT_OK(Upsert(done));
    ARROW_RETURN_NOT_OK(DropSide());
  } else if (!plan_.existing) {
    ARROW_RETURN_NOT_OK(PublishNew());
    ARROW_RETURN_NOT_OK(DropSide());  // the sentinel
  } else if (mode == IfExists::kReplace || plan_.attaches()) {
    if (!plan_.keeps_side()) {
      ARROW_RETURN_NOT_OK(CastSide());
    } else if (plan_.options.unlogged && !plan_.existing->unlogged) {
      ARROW_RETURN_NOT_OK(Execute(fmt::format("ALTER TABLE {} SET LOGGED", plan_.side.quoted())));
    }
    ARROW_RETURN_NOT_OK(plan_.attaches() ? AttachPartition(connection_, plan_, limit_)
                                         : SwapIn(connection_, plan_, limit_));
    ARROW_RETURN_NOT_OK(DropSide());
  } else if (!plan_.direct()) {
    ARROW_RETURN_NOT_OK(InsertAll(done));
    ARROW_RETURN_NOT_OK(DropSide());
  }
  if (plan_.existing) ARROW_RETURN_NOT_OK(AdvanceSequences());
  ARROW_RETURN_NOT_OK(Execute(fmt::format(
      "DELETE FROM {} WHERE pg_catalog.left(key, {}) = {}", LedgerName(plan_.target.schema),
      plan_.side.name.size() + 1, QuoteLiteral(plan_.side.name + "/"))));
  if (plan_.options.analyze) {
    const TableName written = plan_.attaches() ? plan_.partition() : plan_.target;
    ARROW_RETURN_NOT_OK(Execute(fmt::format("ANALYZE {}", written.quoted())));
  }
  return Status::OK();
}

// What to do about text that the server does not read.
Status Commit::WithAdvice(const Status& status) const {
  const std::string code = CodeOf(status);
  const bool of_a_time = code == kInvalidTime || code == kTimeOutOfRange;
  if (!of_a_time || !plan_.casts()) return status;
  return MakeError(KindOf(status),
                   MessageOf(status) +
                       "; say how days and times are written with date_format or "
                       "date_formats, or load the column as text",
                   code);
}

// Which value the server could not cast: its own message need not name the column.
Status Commit::WithFault(const Status& status, std::optional<FaultyValue>* fault) {
  if (!CodeOf(status).starts_with(kDataException) || !plan_.casts() || !connection_.ok()) {
    return status;
  }
  auto found = FindFaultyValue(connection_, plan_, limit_);
  if (!found.ok() || !*found) return status;
  *fault = *std::move(found);
  const auto& [ordinal, column, field, value] = **fault;
  const bool told =
      value.size() > kValueShownMax || MessageOf(status).find(value) != std::string::npos;
  return WithContext(status, fmt::format("column {}{}", QuoteIdentifier(column),
                                         told ? "" : fmt::format(", value '{}'", value)));
}

Result<Committed> Commit::Run(const std::function<Status(const Committed&)>& before_commit,
                              std::optional<FaultyValue>* fault) {
  const bool holds_rows = connection_.in_transaction();
  ARROW_RETURN_NOT_OK(Execute(holds_rows ? "SAVEPOINT publish" : "BEGIN"));
  const auto rollback = [&] {
    if (!connection_.ok()) return;
    connection_.Execute(holds_rows ? "ROLLBACK TO SAVEPOINT publish" : "ROLLBACK", limit_, what_)
        .ok();
  };
  Status status = Execute(EnterKeySql(plan_.target, request_));
  if (CodeOf(status) == kUniqueViolation) {
    rollback();
    return Committed{.already = true};
  }
  CrashPoint("postgres.key_entered");
  Committed done;
  if (status.ok()) status = Publish(&done);
  if (status.ok()) status = before_commit(done);
  if (!status.ok()) {
    rollback();
    return WithAdvice(WithFault(status, fault));
  }
  CrashPoint("postgres.before_commit");
  ARROW_RETURN_NOT_OK(Execute("COMMIT"));
  CrashPoint("postgres.committed");
  return done;
}

}  // namespace

Result<Committed> CommitLoad(Connection& connection, const LoadPlan& plan,
                             const CommitRequest& request,
                             const std::function<Status(const Committed&)>& before_commit,
                             const WaitLimit& limit, std::optional<FaultyValue>* fault) {
  return Commit(connection, plan, request, limit).Run(before_commit, fault);
}

Result<bool> IsCommitted(Connection& connection, const TableName& target,
                         const CommitRequest& request, const WaitLimit& limit) {
  const std::string what = "look for an earlier commit";
  ARROW_RETURN_NOT_OK(connection.Execute("BEGIN", limit, what));
  const Status entered = connection.Execute(EnterKeySql(target, request), limit, what);
  if (connection.ok()) ARROW_RETURN_NOT_OK(connection.Execute("ROLLBACK", limit, what));
  if (CodeOf(entered) == kUniqueViolation) return true;
  ARROW_RETURN_NOT_OK(entered);
  return false;
}

}  // namespace bulkhaul::postgres
