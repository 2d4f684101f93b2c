#include "source/postgres/catalog.h"

#include <algorithm>
#include <functional>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace bulkhaul::postgres {

std::string TransactionSettings(int server_version, bool raw_encoding) {
  // Only the output half of DateStyle is set: the meaning of dates in the user's conditions is the
  // role's own choice.
  std::string sql =
      "SET LOCAL DateStyle = 'ISO'; SET LOCAL IntervalStyle = 'postgres'; "
      "SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1; "
      "SET LOCAL row_security = off; SET LOCAL idle_in_transaction_session_timeout = 0; "
      "SET LOCAL jit = off";
  if (server_version >= 140000) sql += "; SET LOCAL client_connection_check_interval = '2s'";
  if (server_version >= 170000) sql += "; SET LOCAL transaction_timeout = 0";
  if (raw_encoding) sql += "; SET LOCAL client_encoding = 'SQL_ASCII'";
  return sql;
}

std::string ListRelationsSql() {
  return "SELECT c.oid, n.nspname, c.relname, c.relkind,"
         " n.nspname ~ '^pg_' OR n.nspname = 'information_schema',"
         " CASE WHEN c.relispartition THEN pg_catalog.pg_partition_root(c.oid)::pg_catalog.oid "
         "ELSE 0 END,"
         " EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid)"
         " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
         " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ "
         "'^pg_(toast|temp_|toast_temp_)'"
         " ORDER BY n.nspname COLLATE \"C\", c.relname COLLATE \"C\"";
}

std::string FingerprintExpression() {
  return "(SELECT pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws(':', a.attnum,"
         " a.attname, a.atttypid, a.atttypmod), ',' ORDER BY a.attnum))"
         " FROM pg_catalog.pg_attribute a"
         " WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)";
}

std::string RelationsSql(const std::string& oids) {
  return fmt::format(
      "WITH RECURSIVE tree(root, oid) AS ("
      " SELECT o, o FROM pg_catalog.unnest({}) AS o"
      " UNION SELECT t.root, i.inhrelid FROM tree t"
      " JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid)"
      " SELECT t.root, c.oid, n.nspname, c.relname, c.relkind, c.reltuples::pg_catalog.int8,"
      " c.relpages,"
      " CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_relation_size(c.oid) END,"
      " CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_table_size(c.oid) END,"
      " pg_catalog.has_table_privilege(c.oid, 'SELECT'), pg_catalog.row_security_active(c.oid),"
      " m.amname, pg_catalog.obj_description(c.oid, 'pg_class'), {}"
      " FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.oid"
      " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
      " LEFT JOIN pg_catalog.pg_am m ON m.oid = c.relam"
      " ORDER BY t.root, c.oid <> t.root, n.nspname COLLATE \"C\", c.relname COLLATE \"C\"",
      oids, FingerprintExpression());
}

std::string ColumnsSql(const std::string& oids) {
  return fmt::format(
      "SELECT a.attrelid, a.attname, a.atttypid, a.atttypmod, a.attndims, a.attnotnull,"
      " pg_catalog.col_description(a.attrelid, a.attnum),"
      " pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT')"
      " FROM pg_catalog.pg_attribute a"
      " WHERE a.attrelid = ANY ({}) AND a.attnum > 0 AND NOT a.attisdropped"
      " ORDER BY a.attrelid, a.attnum",
      oids);
}

std::string IndexesSql(const std::string& oids) {
  return fmt::format(
      "SELECT i.indrelid, i.indisprimary,"
      " (SELECT pg_catalog.json_agg(a.attname ORDER BY k.place)::pg_catalog.text"
      "  FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS k(number, place)"
      "  JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number"
      "  WHERE k.place <= i.indnkeyatts)"
      " FROM pg_catalog.pg_index i"
      " JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid"
      " JOIN pg_catalog.pg_am m ON m.oid = x.relam"
      " WHERE i.indrelid = ANY ({}) AND i.indisvalid AND i.indpred IS NULL"
      " AND i.indexprs IS NULL AND m.amname = 'btree'"
      " ORDER BY i.indrelid, NOT i.indisprimary, NOT i.indisunique, i.indexrelid",
      oids);
}

}  // namespace bulkhaul::postgres
