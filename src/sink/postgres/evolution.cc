#include "sink/postgres/evolution.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <utility>

#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>

#include "client/postgres/sql_text.h"
#include "plan/values.h"
#include "sink/postgres/text_cast.h"

namespace bulkhaul::postgres {
namespace {

std::string CommentOf(const arrow::Field& field) {
  if (!field.metadata() || !field.metadata()->Contains(kCommentKey)) return {};
  return field.metadata()->Get(kCommentKey).ValueOr("");
}

// "character varying(10)" is a name and a length, "timestamp(3) without time zone" a name and a
// precision; without a number: as long or as precise as there is.
struct SizedType {
  std::string name;
  std::optional<int64_t> size;
};

std::optional<SizedType> ReadSizedType(std::string_view type) {
  constexpr std::string_view kNames[] = {"character varying",
                                         "character",
                                         "bit varying",
                                         "timestamp without time zone",
                                         "timestamp with time zone",
                                         "time without time zone",
                                         "time with time zone"};
  SizedType read;
  const size_t open = type.find('('), close = type.find(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) {
    read.name = type;
  } else {
    read.name = std::string(type.substr(0, open)) + std::string(type.substr(close + 1));
    int64_t size = 0;
    const auto end = type.data() + close;
    const auto parsed = std::from_chars(type.data() + open + 1, end, size);
    if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
    read.size = size;
  }
  if (read.name == "text") return SizedType{"character varying", std::nullopt};
  for (const auto name : kNames) {
    if (read.name == name) return read;
  }
  return std::nullopt;
}

bool IsInteger(std::string_view type) {
  return type == "smallint" || type == "integer" || type == "bigint";
}

// As plan/type_name.h writes it; "" for types that `Widens` does not know.
std::string PlanType(std::string_view type) {
  if (type == "smallint") return "int16";
  if (type == "integer") return "int32";
  if (type == "bigint") return "int64";
  if (type == "real") return "float";
  if (type == "double precision") return "double";
  if (type == "date") return "date";
  if (type == "timestamp without time zone") return "timestamp";
  return type.starts_with("numeric(") ? "decimal256" + std::string(type.substr(7)) : std::string();
}

// {0}: the table's oid, {1}: the column's name as a literal, {2}: whether triggers count. What
// makes ALTER COLUMN TYPE fail, of the table and of everything below it.
constexpr char kUsesSql[] = R"sql(
  WITH RECURSIVE tree(oid) AS (
    SELECT {0}::pg_catalog.oid
    UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree ON i.inhparent = tree.oid),
  used AS (
    SELECT a.attrelid, a.attnum FROM tree
    JOIN pg_catalog.pg_attribute a ON a.attrelid = tree.oid AND a.attname = {1}
      AND NOT a.attisdropped),
  row_types(oid) AS (
    SELECT pg_catalog.unnest(ARRAY[t.oid, t.typarray]) FROM tree
    JOIN pg_catalog.pg_type t ON t.typrelid = tree.oid
    UNION SELECT pg_catalog.unnest(ARRAY[t.oid, t.typarray]) FROM row_types
    JOIN pg_catalog.pg_attribute a ON a.atttypid = row_types.oid AND NOT a.attisdropped
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind = 'c'
    JOIN pg_catalog.pg_type t ON t.typrelid = c.oid),
  users AS (
    SELECT d.classid, d.objid, d.objsubid, d.refobjid, d.refobjsubid
    FROM used JOIN pg_catalog.pg_depend d ON d.refobjid = used.attrelid
      AND d.refobjsubid = used.attnum AND d.refclassid = 'pg_catalog.pg_class'::regclass)
  SELECT pg_catalog.string_agg(DISTINCT what, ', ') FROM (
    SELECT CASE r.rulename
        WHEN '_RETURN' THEN pg_describe_object('pg_catalog.pg_class'::regclass, r.ev_class, 0)
        ELSE pg_describe_object(u.classid, u.objid, 0) END AS what
    FROM users u JOIN pg_catalog.pg_rewrite r ON r.oid = u.objid
    WHERE u.classid = 'pg_catalog.pg_rewrite'::regclass
    UNION ALL SELECT pg_describe_object(classid, objid, objsubid) FROM users
    WHERE classid IN ('pg_catalog.pg_policy'::regclass, 'pg_catalog.pg_proc'::regclass,
                      'pg_catalog.pg_publication_rel'::regclass)
    UNION ALL SELECT pg_describe_object(u.classid, u.objid, 0)
    FROM users u JOIN pg_catalog.pg_trigger t ON t.oid = u.objid AND NOT t.tgisinternal
    WHERE {2} AND u.classid = 'pg_catalog.pg_trigger'::regclass
    UNION ALL SELECT 'generated ' || pg_describe_object('pg_catalog.pg_class'::regclass, f.adrelid,
                                                        f.adnum)
    FROM users u JOIN pg_catalog.pg_attrdef f ON f.oid = u.objid AND f.adnum <> u.refobjsubid
    WHERE u.classid = 'pg_catalog.pg_attrdef'::regclass
    -- Before PostgreSQL 15.
    UNION ALL SELECT 'generated ' || pg_describe_object(classid, objid, objsubid) FROM users
    WHERE classid = 'pg_catalog.pg_class'::regclass AND objid = refobjid AND objsubid > 0
      AND objsubid <> refobjsubid
    UNION ALL SELECT 'the partition key of ' || p.partrelid::regclass
    FROM used JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = used.attrelid
    WHERE used.attnum = ANY (p.partattrs::pg_catalog.int2[])
      OR EXISTS (SELECT FROM pg_catalog.pg_depend d
                 WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = used.attrelid
                   AND d.objsubid = used.attnum AND d.refclassid = d.classid
                   AND d.refobjid = used.attrelid AND d.refobjsubid = 0 AND d.deptype = 'i')
    UNION ALL SELECT pg_describe_object('pg_catalog.pg_class'::regclass, i.inhparent, 0)
    FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_attribute a ON a.attrelid = i.inhrelid
    WHERE i.inhrelid = {0} AND a.attname = {1} AND a.attinhcount > 0
    UNION ALL SELECT 'type ' || c.reloftype::regtype FROM tree
    JOIN pg_catalog.pg_class c ON c.oid = tree.oid WHERE c.reloftype <> 0
    UNION ALL SELECT pg_describe_object('pg_catalog.pg_class'::regclass, c.oid, a.attnum)
    FROM row_types JOIN pg_catalog.pg_attribute a ON a.atttypid = row_types.oid
      AND NOT a.attisdropped
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'm')) AS x)sql";

}  // namespace

Result<LoadColumn> NewColumn(TypeChooser& chooser, const arrow::Field& field, int index,
                             LoadPlan* plan) {
  ARROW_ASSIGN_OR_RAISE(auto chosen, chooser.Choose(field));
  LoadColumn column;
  column.name = field.name();
  column.source = index;
  column.as_json = chosen.as_json;
  column.target_type = chosen.spec.source_type;
  column.side = chosen.text_cast ? TextSpec(field.name(), *field.type()) : chosen.spec;
  column.side_type = column.side.source_type;
  column.not_null = !field.nullable();
  column.comment = CommentOf(field);
  if (chosen.text_cast) {
    column.cast = CastTextSql(column.name, chosen.spec, TextOf::kServer);
    plan->notes.push_back(fmt::format("column \"{}\" comes as text; the server casts it to {}",
                                      column.name, column.target_type));
  }
  return column;
}

bool WidensType(std::string_view from, std::string_view to) {
  if (from.ends_with("[]") != to.ends_with("[]")) return false;
  while (from.ends_with("[]")) from.remove_suffix(2);
  while (to.ends_with("[]")) to.remove_suffix(2);
  if (from == to) return false;
  if (to == "numeric") return IsInteger(from) || from.starts_with("numeric(");
  const auto sized = ReadSizedType(from), wider = ReadSizedType(to);
  if (sized && wider) {
    const bool unfilled = sized->name == "character" && wider->name == "character varying";
    if (sized->name != wider->name && !unfilled) return false;
    if (!sized->size) return false;
    return !wider->size || *wider->size > *sized->size ||
           (unfilled && *wider->size == *sized->size);
  }
  const std::string before = PlanType(from), after = PlanType(to);
  return !before.empty() && !after.empty() && Widens(before, after);
}

Evolution::Evolution(Connection& connection, const WaitLimit& limit, const DriftPolicy& policy,
                     LoadPlan* plan)
    : connection_(connection),
      limit_(limit),
      chooser_(connection, limit),
      policy_(policy),
      plan_(plan) {}

bool Evolution::Allows(DriftKind kind) const {
  const DriftChange change{.kind = kind, .column = "", .before = "", .after = "", .widens = true};
  return policy_.For(change) == DriftAction::kEvolve && plan_->existing->is_owner;
}

Result<LoadColumn> Evolution::Add(const arrow::Field& field, int index) {
  ARROW_ASSIGN_OR_RAISE(auto column, NewColumn(chooser_, field, index, plan_));
  plan_->alterations.push_back(fmt::format("ADD COLUMN IF NOT EXISTS {} {}",
                                           QuoteIdentifier(column.name), column.target_type));
  plan_->notes.push_back(fmt::format("column \"{}\" {} is added to {}", column.name,
                                     column.target_type, plan_->existing->name.ToString()));
  return column;
}

Result<std::optional<LoadColumn>> Evolution::Widen(const arrow::Field& field, int index,
                                                   const TargetColumn& target) {
  if (!Allows(DriftKind::kRetyped)) return std::nullopt;
  const std::string& before = target.spec.source_type;
  ARROW_ASSIGN_OR_RAISE(const auto chosen, chooser_.Choose(field));
  const std::string& after = chosen.spec.source_type;
  // Nothing is left to cast what goes straight into the table.
  if (!WidensType(before, after) || (chosen.text_cast && plan_->direct())) return std::nullopt;
  const std::string table = plan_->existing->name.ToString();
  ARROW_ASSIGN_OR_RAISE(const auto uses, UsesOf(target, after));
  const bool any_text = after == "text" || after.starts_with("text[");
  if (!uses.empty() && any_text) {
    plan_->notes.push_back(
        fmt::format("column \"{}\" of {} stays {}, so that longer texts are "
                    "refused: {} uses it, and PostgreSQL then changes no type",
                    field.name(), table, before, uses));
    return std::nullopt;
  }
  if (!uses.empty()) {
    return UserError(
        fmt::format("column \"{}\" of {} would become {}, but {} uses it, and PostgreSQL then "
                    "changes no type; drop that and make it again after the load, or cast the "
                    "rows to {}",
                    field.name(), table, after, uses, before),
        "type_mismatch");
  }
  const std::string alteration =
      fmt::format("ALTER COLUMN {} TYPE {}", QuoteIdentifier(field.name()), after);
  ARROW_RETURN_NOT_OK(Try(target, alteration));
  ARROW_ASSIGN_OR_RAISE(auto column, NewColumn(chooser_, field, index, plan_));
  plan_->alterations.push_back(alteration);
  plan_->notes.push_back(fmt::format("column \"{}\" of {} becomes {}: it was {}", column.name,
                                     table, column.target_type, before));
  return column;
}

// What keeps the server from giving the column this type: "view totals, policy own on table t".
Result<std::string> Evolution::UsesOf(const TargetColumn& target, const std::string& type) {
  const TargetTable& table = *plan_->existing;
  // A table that takes the other's place gets its triggers anew.
  const bool triggers = plan_->options.if_exists != IfExists::kReplace;
  ARROW_ASSIGN_OR_RAISE(
      const auto found,
      connection_.QueryOne(fmt::format(kUsesSql, table.oid, QuoteLiteral(target.spec.name),
                                       triggers ? "true" : "false"),
                           limit_, "look for what uses a column"));
  std::string uses = found.is_null(0, 0) ? std::string() : std::string(found.text(0, 0));
  const auto also = [&](const std::string& what) { uses += (uses.empty() ? "" : ", ") + what; };
  if (IsInteger(target.spec.source_type) && !IsInteger(type)) {
    if (target.identity != 0) also("its identity");
    for (const auto& key : table.foreign_keys) {
      const auto& columns = key.columns;
      if (std::find(columns.begin(), columns.end(), target.spec.name) != columns.end()) {
        also("foreign key " + key.name);
      }
    }
  }
  return uses;
}

// Whether indexes, checks and defaults that are expressions go with the new type only the server
// can tell: it is asked with an empty table like this one, which is taken back.
Status Evolution::Try(const TargetColumn& target, const std::string& alteration) {
  const TableName tried{plan_->side.schema, plan_->side.name + "_t"};
  const std::string what = "try a type";
  ARROW_RETURN_NOT_OK(connection_.Execute("BEGIN", limit_, what));
  const Status status = connection_.Execute(
      fmt::format("CREATE UNLOGGED TABLE {0} (LIKE {1} INCLUDING DEFAULTS INCLUDING CONSTRAINTS"
                  " INCLUDING GENERATED INCLUDING IDENTITY INCLUDING INDEXES);"
                  " ALTER TABLE {0} {2}",
                  tried.quoted(), plan_->existing->name.quoted(), alteration),
      limit_, what);
  if (connection_.ok()) ARROW_RETURN_NOT_OK(connection_.Execute("ROLLBACK", limit_, what));
  if (status.ok() || KindOf(status) != ErrorKind::kUser) return status;
  return UserError(
      fmt::format("{} of {} is not possible: an index, a check or a default of it does not go with "
                  "the new type: {}; drop that and make it again after the load, or cast the rows "
                  "to {}",
                  alteration, plan_->existing->name.ToString(), MessageOf(status),
                  target.spec.source_type),
      "type_mismatch");
}

}  // namespace bulkhaul::postgres
