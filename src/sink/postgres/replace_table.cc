#include "sink/postgres/replace_table.h"

#include <fmt/format.h>

#include "client/postgres/sql_text.h"

namespace bulkhaul::postgres {
namespace {

// The first column of each row.
Result<std::vector<std::string>> Column(Connection& connection, const std::string& sql,
                                        const WaitLimit& limit, std::string_view what) {
  ARROW_ASSIGN_OR_RAISE(const auto rows, connection.QueryOne(sql, limit, what));
  std::vector<std::string> texts;
  for (int row = 0; row < rows.rows(); ++row) texts.emplace_back(rows.text(row, 0));
  return texts;
}

// Statements that give the new table, once it has the old one's name, what the old one has. {0}:
// its oid, {2}: its quoted name as a literal, {3}: the new one's oid.
constexpr const char* kAfterDrop[] = {
    // Keys and exclusions; checks came with the columns.
    "SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', {2}, conname, pg_get_constraintdef(oid))"
    " FROM pg_constraint WHERE conrelid = {0} AND contype IN ('p', 'u', 'x', 'f')"
    " ORDER BY contype = 'f', conname",
    "SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i WHERE i.indrelid = {0}"
    " AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid"
    " AND c.contype IN ('p', 'u', 'x'))",
    "SELECT format('COMMENT ON INDEX %I.%I IS %L', n.nspname, x.relname,"
    " obj_description(x.oid, 'pg_class')) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid"
    " JOIN pg_namespace n ON n.oid = x.relnamespace WHERE i.indrelid = {0}"
    " AND obj_description(x.oid, 'pg_class') IS NOT NULL",
    "SELECT format('ALTER TABLE %s CLUSTER ON %I', {2}, x.relname) FROM pg_index i"
    " JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = {0} AND i.indisclustered",
    "SELECT format('COMMENT ON CONSTRAINT %I ON %s IS %L', conname, {2},"
    " obj_description(oid, 'pg_constraint')) FROM pg_constraint WHERE conrelid = {0}"
    " AND contype <> 'c' AND obj_description(oid, 'pg_constraint') IS NOT NULL",
    "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = {0} AND NOT tgisinternal",
    "SELECT format('ALTER TABLE %s %s TRIGGER %I', {2}, CASE tgenabled WHEN 'D' THEN 'DISABLE'"
    " WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, tgname) FROM pg_trigger"
    " WHERE tgrelid = {0} AND NOT tgisinternal AND tgenabled <> 'O'",
    "SELECT format('COMMENT ON TRIGGER %I ON %s IS %L', tgname, {2},"
    " obj_description(oid, 'pg_trigger')) FROM pg_trigger WHERE tgrelid = {0}"
    " AND NOT tgisinternal AND obj_description(oid, 'pg_trigger') IS NOT NULL",
    "SELECT format('COMMENT ON TABLE %s IS %L', {2}, obj_description({0}, 'pg_class'))"
    " WHERE obj_description({0}, 'pg_class') IS NOT NULL",
    "SELECT pg_get_statisticsobjdef(oid) FROM pg_statistic_ext WHERE stxrelid = {0}",
    "SELECT format('ALTER STATISTICS %s.%I SET STATISTICS %s', stxnamespace::regnamespace,"
    " stxname, stxstattarget) FROM pg_statistic_ext WHERE stxrelid = {0} AND stxstattarget >= 0",
    "SELECT format('COMMENT ON STATISTICS %s.%I IS %L', stxnamespace::regnamespace, stxname,"
    " obj_description(oid, 'pg_statistic_ext')) FROM pg_statistic_ext WHERE stxrelid = {0}"
    " AND obj_description(oid, 'pg_statistic_ext') IS NOT NULL",
    "SELECT format('ALTER TABLE %s SET (%s)', {2}, array_to_string(reloptions, ', '))"
    " FROM pg_class WHERE oid = {0} AND reloptions IS NOT NULL",
    "SELECT format('ALTER TABLE %s REPLICA IDENTITY %s', {2}, CASE relreplident WHEN 'f' THEN"
    " 'FULL' ELSE 'NOTHING' END) FROM pg_class WHERE oid = {0} AND relreplident IN ('f', 'n')",
    "SELECT format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', {2}, attname, attstattarget)"
    " FROM pg_attribute WHERE attrelid = {0} AND attnum > 0 AND NOT attisdropped"
    " AND attstattarget >= 0",
    "SELECT format('ALTER TABLE %s ALTER COLUMN %I SET (%s)', {2}, attname,"
    " array_to_string(attoptions, ', ')) FROM pg_attribute WHERE attrelid = {0} AND attnum > 0"
    " AND NOT attisdropped AND attoptions IS NOT NULL",
    // Grants last, the owner behind them: who is no owner any more may not grant.
    // The new table also has what ALTER DEFAULT PRIVILEGES gave it.
    "SELECT DISTINCT format('REVOKE ALL ON TABLE %s FROM %s', {2},"
    " CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)"
    " FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a"
    " WHERE c.oid = {3}",
    "SELECT format('GRANT %s ON TABLE %s TO %s%s', a.privilege_type, {2},"
    " CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,"
    " CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)"
    " FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a"
    " WHERE c.oid = {0}",
    "SELECT format('GRANT %s (%I) ON TABLE %s TO %s%s', a.privilege_type, t.attname, {2},"
    " CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,"
    " CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)"
    " FROM pg_attribute t, aclexplode(t.attacl) a WHERE t.attrelid = {0}",
    // The sequences of identity columns, which have their old names by now.
    "SELECT DISTINCT format('REVOKE ALL ON SEQUENCE %s FROM %s',"
    " pg_get_serial_sequence({2}, t.attname),"
    " CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)"
    " FROM pg_attribute t, pg_depend d, pg_class s,"
    " aclexplode(coalesce(s.relacl, acldefault('s', s.relowner))) a"
    " WHERE t.attrelid = {3} AND t.attidentity <> '' AND d.refobjid = t.attrelid"
    " AND d.refobjsubid = t.attnum AND d.deptype = 'i' AND s.oid = d.objid AND s.relkind = 'S'",
    "SELECT format('GRANT %s ON SEQUENCE %s TO %s%s', a.privilege_type, s.oid::regclass,"
    " CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,"
    " CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)"
    " FROM pg_depend d, pg_class s,"
    " aclexplode(coalesce(s.relacl, acldefault('s', s.relowner))) a"
    " WHERE d.refobjid = {0} AND d.deptype = 'i' AND s.oid = d.objid AND s.relkind = 'S'",
    "SELECT format('ALTER TABLE %s OWNER TO %s', {2}, relowner::regrole) FROM pg_class"
    " WHERE oid = {0} AND pg_get_userbyid(relowner) <> current_user",
    // Behind the owner: a sequence is owned by a table of the same owner.
    "SELECT format('ALTER SEQUENCE %s OWNED BY %s.%I', s.oid::regclass, {2}, a.attname)"
    " FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'"
    " JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid"
    " WHERE d.classid = 'pg_class'::regclass AND d.refobjid = {0} AND d.deptype = 'a'",
};

// Statements that let others go over to the new table before the old one is dropped.
constexpr const char* kBeforeDrop[] = {
    "SELECT DISTINCT format('CREATE OR REPLACE VIEW %s%s AS %s', v.oid::regclass,"
    " coalesce(' WITH (' || array_to_string(v.reloptions, ', ') || ')', ''),"
    " pg_get_viewdef(v.oid)) FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid"
    " JOIN pg_class v ON v.oid = r.ev_class WHERE d.classid = 'pg_rewrite'::regclass"
    " AND d.refclassid = 'pg_class'::regclass AND d.refobjid = {0} AND v.relkind = 'v'",
    "SELECT format('ALTER SEQUENCE %s OWNED BY NONE', s.oid::regclass)"
    " FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'"
    " WHERE d.classid = 'pg_class'::regclass AND d.refobjid = {0} AND d.deptype = 'a'",
};

Result<std::vector<std::string>> Statements(Connection& connection,
                                            std::span<const char* const> questions,
                                            const LoadPlan& plan, const WaitLimit& limit) {
  const TargetTable& table = *plan.existing;
  std::vector<std::string> all;
  for (const char* question : questions) {
    std::string sql = question;
    const std::string name = QuoteLiteral(table.name.quoted());
    for (const auto& [mark, text] :
         {std::pair<std::string, std::string>{"{0}", std::to_string(table.oid) + "::oid"},
          {"{2}", name},
          {"{3}", QuoteLiteral(plan.side.quoted()) + "::regclass"}}) {
      for (size_t at = 0; (at = sql.find(mark, at)) != std::string::npos; at += text.size()) {
        sql.replace(at, mark.size(), text);
      }
    }
    ARROW_ASSIGN_OR_RAISE(auto some, Column(connection, sql, limit, "what hangs off the table"));
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

// Sequences of identity columns, by column: the old one's name and its value.
struct IdentitySequence {
  std::string column, name;
  int64_t last = 0;
  bool called = false;
};
Result<std::vector<IdentitySequence>> IdentitySequences(Connection& connection,
                                                        const TargetTable& table,
                                                        const WaitLimit& limit) {
  ARROW_ASSIGN_OR_RAISE(
      const auto rows,
      connection.QueryOne(
          fmt::format("SELECT a.attname, s.relname, s.oid::regclass FROM pg_depend d"
                      " JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'"
                      " JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid"
                      " WHERE d.classid = 'pg_class'::regclass AND d.refobjid = {} AND d.deptype = "
                      "'i'",
                      table.oid),
          limit, "identity columns"));
  std::vector<IdentitySequence> sequences;
  for (int row = 0; row < rows.rows(); ++row) {
    IdentitySequence sequence;
    sequence.column = rows.text(row, 0);
    sequence.name = rows.text(row, 1);
    ARROW_ASSIGN_OR_RAISE(
        const auto value,
        connection.QueryOne(fmt::format("SELECT last_value, is_called FROM {}", rows.text(row, 2)),
                            limit, "identity columns"));
    sequence.last = value.integer(0, 0);
    sequence.called = value.boolean(0, 1);
    sequences.push_back(std::move(sequence));
  }
  return sequences;
}

// The new sequence goes on behind the rows that it numbered, and behind the old one.
Status AdvanceTo(Connection& connection, const std::string& made, const IdentitySequence& old,
                 const WaitLimit& limit) {
  return connection.Execute(
      fmt::format("SELECT setval({0}, {1}, {2} OR (n.is_called AND n.last_value = {1}))"
                  " FROM {3} AS n, pg_sequence s WHERE s.seqrelid = {0}::regclass"
                  " AND (n.last_value = {1} OR (n.last_value < {1}) = (s.seqincrement > 0))",
                  QuoteLiteral(made), old.last, old.called, made),
      limit, "identity columns");
}

}  // namespace

Status CheckReplaceable(Connection& connection, const TargetTable& table, const WaitLimit& limit) {
  const std::string name = table.name.ToString();
  if (!table.is_owner) {
    return UserError(fmt::format("only the owner of {} can replace it; use truncate", name),
                     "42501");
  }
  ARROW_ASSIGN_OR_RAISE(
      const auto reasons,
      Column(
          connection,
          fmt::format(
              "SELECT 'its partitions' FROM pg_class WHERE oid = {0} AND relkind = 'p'"
              " UNION ALL SELECT 'its place as a partition of ' || inhparent::regclass FROM "
              "pg_inherits WHERE inhrelid = {0}"
              " UNION ALL SELECT 'its child ' || inhrelid::regclass FROM pg_inherits WHERE "
              "inhparent = {0}"
              " UNION ALL SELECT 'its row security' FROM pg_class WHERE oid = {0} AND "
              "relrowsecurity"
              " UNION ALL SELECT 'its policy ' || polname FROM pg_policy WHERE polrelid = {0}"
              " UNION ALL SELECT 'the foreign key ' || conname || ' of ' || conrelid::regclass"
              " FROM pg_constraint WHERE confrelid = {0} AND contype = 'f' AND conrelid <> {0}"
              " UNION ALL SELECT 'its rule ' || rulename FROM pg_rewrite WHERE ev_class = {0}"
              " UNION ALL SELECT 'the publication ' || pubname FROM pg_publication_rel r JOIN"
              " pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = {0}"
              " UNION ALL SELECT 'its replica identity' FROM pg_class WHERE oid = {0} AND "
              "relreplident = 'i'"
              " UNION ALL SELECT DISTINCT 'the materialized view ' || v.oid::regclass FROM"
              " pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid ="
              " r.ev_class WHERE d.refobjid = {0} AND d.classid = 'pg_rewrite'::regclass AND"
              " v.relkind = 'm'"
              " UNION ALL SELECT DISTINCT 'the function ' || d.objid::regprocedure FROM pg_depend"
              " d WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = {0}"
              " AND d.classid = 'pg_proc'::regclass"
              // What other relations do with it.
              " UNION ALL SELECT DISTINCT pg_describe_object(d.classid, d.objid, 0) FROM pg_depend "
              "d"
              " LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid"
              " LEFT JOIN pg_policy p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid"
              " WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = {0} AND (p.polrelid <> "
              "{0}"
              " OR (r.ev_class <> {0} AND r.rulename <> '_RETURN'))"
              // Its row type and the array of it, which the table's name in SQL also means.
              " UNION ALL SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid)"
              " FROM pg_type t JOIN pg_depend d ON d.refobjid IN (t.oid, t.typarray)"
              " WHERE t.typrelid = {0} AND d.refclassid = 'pg_type'::regclass AND d.deptype <> 'i'"
              " AND d.classid <> 'pg_rewrite'::regclass",
              fmt::format("{}::oid", table.oid)),
          limit, "what hangs off " + name));
  if (reasons.empty()) return Status::OK();
  return UserError(fmt::format("replacing {} would lose {}; use truncate, which keeps the table",
                               name, fmt::join(reasons, ", ")),
                   "2BP01");
}

Status SwapIn(Connection& connection, const LoadPlan& plan, const WaitLimit& limit) {
  const TargetTable& table = *plan.existing;
  const std::string what = "replace " + table.name.ToString();
  ARROW_RETURN_NOT_OK(CheckReplaceable(connection, table, limit));
  ARROW_ASSIGN_OR_RAISE(const auto before, Statements(connection, kBeforeDrop, plan, limit));
  ARROW_ASSIGN_OR_RAISE(const auto after, Statements(connection, kAfterDrop, plan, limit));
  ARROW_ASSIGN_OR_RAISE(const auto sequences, IdentitySequences(connection, table, limit));
  const std::string old_name = plan.side.name + "_old";
  ARROW_RETURN_NOT_OK(connection.Execute(
      fmt::format("ALTER TABLE {} RENAME TO {}; ALTER TABLE {} RENAME TO {}", table.name.quoted(),
                  QuoteIdentifier(old_name), plan.side.quoted(), QuoteIdentifier(table.name.name)),
      limit, what));
  for (const auto& sql : before) ARROW_RETURN_NOT_OK(connection.Execute(sql, limit, what));
  ARROW_RETURN_NOT_OK(
      connection.Execute("DROP TABLE " + QuoteQualified(table.name.schema, old_name), limit, what));
  for (const auto& sequence : sequences) {
    ARROW_ASSIGN_OR_RAISE(const auto made,
                          connection.QueryOne(fmt::format("SELECT pg_get_serial_sequence({}, {})",
                                                          QuoteLiteral(table.name.quoted()),
                                                          QuoteLiteral(sequence.column)),
                                              limit, what));
    ARROW_RETURN_NOT_OK(AdvanceTo(connection, std::string(made.text(0, 0)), sequence, limit));
    ARROW_RETURN_NOT_OK(
        connection.Execute(fmt::format("ALTER SEQUENCE {} RENAME TO {}", made.text(0, 0),
                                       QuoteIdentifier(sequence.name)),
                           limit, what));
  }
  for (const auto& sql : after) ARROW_RETURN_NOT_OK(connection.Execute(sql, limit, what));
  return Status::OK();
}

}  // namespace bulkhaul::postgres
