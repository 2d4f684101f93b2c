#include "sink/postgres/target_table.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "client/postgres/server_catalog.h"
#include "client/postgres/sql_text.h"

namespace bulkhaul::postgres {
namespace {

using nlohmann::json;

std::vector<std::string> Texts(const ResultSet& result, int row, int column) {
  if (result.is_null(row, column)) return {};
  return json::parse(result.text(row, column)).get<std::vector<std::string>>();
}

// Of table c. A key of a partitioned table is listed once, and not for each partition at either
// end. A key whose triggers are disabled is not enforced.
constexpr char kForeignKeysSql[] = R"sql(
  SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', k.conname,
      'columns', (SELECT pg_catalog.json_agg(a.attname) FROM pg_catalog.pg_attribute a
                  WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)),
      'places', (SELECT pg_catalog.json_agg(pn.nspname || '.' || p.relname ORDER BY p.oid)
                 FROM pg_catalog.pg_class p
                 JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
                 WHERE p.oid = k.confrelid
                    OR p.oid IN (SELECT relid FROM pg_catalog.pg_partition_ancestors(k.confrelid))
                    OR p.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree(k.confrelid)))
    ) ORDER BY k.conname)::text
  FROM pg_catalog.pg_constraint k
  WHERE k.contype = 'f'
    AND (k.conrelid = c.oid
         OR (k.conparentid = 0
             AND k.conrelid IN (SELECT relid FROM pg_catalog.pg_partition_tree(c.oid))))
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint whole
                    WHERE whole.oid = k.conparentid AND whole.conrelid = k.conrelid)
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t
                    WHERE t.tgconstraint = k.oid AND t.tgrelid = k.conrelid
                      AND t.tgenabled IN ('D', 'R')))sql";

std::vector<ForeignKey> ReadForeignKeys(std::string_view text) {
  std::vector<ForeignKey> keys;
  for (const auto& one : json::parse(text)) {
    keys.push_back({one.at("name").get<std::string>(),
                    one.at("columns").get<std::vector<std::string>>(),
                    one.at("places").get<std::vector<std::string>>()});
  }
  return keys;
}

const char* KindName(char kind) {
  switch (kind) {
    case 'v':
      return "a view";
    case 'm':
      return "a materialized view";
    case 'f':
      return "a foreign table";
    case 'S':
      return "a sequence";
    case 'i':
    case 'I':
      return "an index";
    case 'c':
      return "a composite type";
    default:
      return "no table";
  }
}

}  // namespace

std::string TableName::quoted() const { return QuoteQualified(schema, name); }
std::string TableName::ToString() const { return schema + "." + name; }

const TargetColumn* TargetTable::Find(std::string_view column) const {
  const auto found = std::find_if(columns.begin(), columns.end(), [&](const auto& candidate) {
    return candidate.spec.name == column;
  });
  return found == columns.end() ? nullptr : &*found;
}

std::string TargetTable::Fingerprint() const {
  json parts = json::array({oid});
  for (const auto& column : columns) {
    parts.push_back({column.spec.name, column.spec.source_type, column.spec.nullable,
                     column.generated, std::string(1, column.identity ? column.identity : '-')});
  }
  return parts.dump();
}

Result<std::vector<TargetColumn>> ReadColumns(Connection& connection, const std::string& oid_sql,
                                              const WaitLimit& limit) {
  const std::string seed = fmt::format(
      "SELECT DISTINCT a.atttypid AS oid FROM pg_catalog.pg_attribute a WHERE a.attrelid = {} AND "
      "a.attnum > 0 AND NOT a.attisdropped",
      oid_sql);
  ARROW_ASSIGN_OR_RAISE(
      const auto type_rows,
      connection.QueryOne(TypesSql(seed, connection.server_version()), limit, "types"));
  ARROW_ASSIGN_OR_RAISE(const auto types, BuildTypes(type_rows));
  ARROW_ASSIGN_OR_RAISE(
      const auto rows,
      connection.QueryOne(
          fmt::format("SELECT a.attname, a.atttypid, a.atttypmod, a.attndims, a.attnotnull,"
                      " a.atthasdef, a.attidentity, a.attgenerated,"
                      " pg_catalog.format_type(a.atttypid, a.atttypmod)"
                      " FROM pg_catalog.pg_attribute a WHERE a.attrelid = {} AND a.attnum > 0"
                      " AND NOT a.attisdropped ORDER BY a.attnum",
                      oid_sql),
          limit, "columns"));
  std::vector<TargetColumn> columns;
  for (int row = 0; row < rows.rows(); ++row) {
    TargetColumn column;
    column.spec.name = rows.text(row, 0);
    const auto type = types.find(static_cast<uint32_t>(rows.integer(row, 1)));
    if (type == types.end()) return BugError("a column's type is not in pg_type");
    column.spec.type = type->second;
    column.spec.typmod = static_cast<int32_t>(rows.integer(row, 2));
    column.spec.dimensions = static_cast<int32_t>(rows.integer(row, 3));
    column.spec.nullable = !rows.boolean(row, 4);
    column.has_default = rows.boolean(row, 5);
    column.identity = rows.text(row, 6).empty() ? 0 : rows.text(row, 6)[0];
    column.generated = !rows.text(row, 7).empty();
    column.spec.source_type = rows.text(row, 8);
    columns.push_back(std::move(column));
  }
  return columns;
}

Result<std::unique_ptr<TargetTable>> FindTarget(Connection& connection, const TableName& name,
                                                const WaitLimit& limit) {
  // Not disabled. INSERT is 4, UPDATE 16, TRUNCATE 32.
  const auto triggers = [](int events) {
    return fmt::format(
        "(SELECT pg_catalog.json_agg(DISTINCT tgname)::text FROM pg_catalog.pg_trigger"
        " WHERE (tgrelid = c.oid OR tgrelid IN (SELECT relid FROM"
        "  pg_catalog.pg_partition_tree(c.oid)))"
        " AND NOT tgisinternal AND tgenabled NOT IN ('D', 'R') AND (tgtype & {}) <> 0)",
        events);
  };
  // ON INSERT is 3.
  const auto rules = [](const char* instead) {
    return fmt::format(
        "(SELECT pg_catalog.json_agg(rulename)::text FROM pg_catalog.pg_rewrite WHERE ev_class ="
        " c.oid AND ev_type = '3' AND ev_enabled NOT IN ('D', 'R') AND {} is_instead)",
        instead);
  };
  ARROW_ASSIGN_OR_RAISE(
      const auto rows,
      connection.QueryOne(
          fmt::format(
              "SELECT c.oid, c.relkind, pg_catalog.row_security_active(c.oid),"
              " ({}),"
              " (SELECT pg_catalog.json_agg(conrelid::pg_catalog.regclass::text || '.' || "
              "conname)::text"
              "   FROM pg_catalog.pg_constraint WHERE confrelid = c.oid AND contype = 'f'"
              "   AND conrelid <> c.oid),"
              " {},"
              " pg_catalog.has_table_privilege(c.oid, 'INSERT')"
              "  OR pg_catalog.has_any_column_privilege(c.oid, 'INSERT'),"
              " pg_catalog.has_table_privilege(c.oid, 'TRUNCATE'),"
              " pg_catalog.pg_has_role(c.relowner, 'USAGE'), c.relpersistence = 'u', {}, {}, {},"
              " c.relkind = 'r' AND EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhparent ="
              " c.oid)"
              " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = "
              "c.relnamespace"
              " WHERE n.nspname = {} AND c.relname = {}",
              kForeignKeysSql, triggers(36), triggers(16), rules("NOT"), rules(""),
              QuoteLiteral(name.schema), QuoteLiteral(name.name)),
          limit, "look up " + name.ToString()));
  if (rows.rows() == 0) return nullptr;
  auto target = std::make_unique<TargetTable>();
  target->name = name;
  target->oid = static_cast<uint32_t>(rows.integer(0, 0));
  target->kind = rows.text(0, 1)[0];
  if (target->kind != 'r' && target->kind != 'p') {
    return UserError(fmt::format("{} is {}: rows are loaded into tables only; name another one "
                                 "with target_table",
                                 name.ToString(), KindName(target->kind)),
                     "42809");
  }
  target->row_security = rows.boolean(0, 2);
  if (!rows.is_null(0, 3)) target->foreign_keys = ReadForeignKeys(rows.text(0, 3));
  target->referenced_by = Texts(rows, 0, 4);
  target->triggers = Texts(rows, 0, 5);
  target->may_insert = rows.boolean(0, 6);
  target->may_truncate = rows.boolean(0, 7);
  target->is_owner = rows.boolean(0, 8);
  target->unlogged = rows.boolean(0, 9);
  target->update_triggers = Texts(rows, 0, 10);
  target->rules = Texts(rows, 0, 11);
  target->instead_rules = Texts(rows, 0, 12);
  target->has_children = rows.boolean(0, 13);
  const std::string oid = std::to_string(target->oid);
  ARROW_ASSIGN_OR_RAISE(target->columns, ReadColumns(connection, oid, limit));
  ARROW_ASSIGN_OR_RAISE(
      const auto keys,
      connection.QueryOne(
          fmt::format(
              "SELECT i.indisprimary, (SELECT pg_catalog.json_agg(a.attname ORDER BY "
              "k.place)::text"
              "  FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS k(number, "
              "place) JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = "
              "k.number WHERE k.place <= i.indnkeyatts),"
              // From PostgreSQL 15 on.
              " coalesce((to_jsonb(i)->>'indnullsnotdistinct')::boolean, false)"
              " FROM pg_catalog.pg_index i WHERE i.indrelid = {} AND i.indisunique AND i.indisvalid"
              " AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL"
              " ORDER BY NOT i.indisprimary, i.indexrelid",
              oid),
          limit, "keys of " + name.ToString()));
  for (int row = 0; row < keys.rows(); ++row) {
    target->unique_keys.push_back({Texts(keys, row, 1), keys.boolean(row, 2)});
    if (keys.boolean(row, 0)) target->primary_key = target->unique_keys.back().columns;
  }
  return target;
}

}  // namespace bulkhaul::postgres
