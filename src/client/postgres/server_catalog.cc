#include "client/postgres/server_catalog.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace bulkhaul::postgres {
namespace {

using nlohmann::json;

struct TypeRow {
  pg::TypeInfo info;
  uint32_t element = 0, base = 0, subtype = 0;
  int32_t typmod = -1, dimensions = 0;
  json fields;
};

// Builds each type after those it is made of. A composite may not contain itself but through an
// array of itself, which the server allows: such a type is cut short there.
class TypeBuilder {
 public:
  explicit TypeBuilder(std::map<uint32_t, TypeRow> rows) : rows_(std::move(rows)) {}

  pg::TypePtr Build(uint32_t oid) {
    if (oid == 0) return nullptr;
    if (auto builtin = pg::BuiltinType(oid)) return builtin;
    if (const auto found = built_.find(oid); found != built_.end()) return found->second;
    const auto row = rows_.find(oid);
    if (row == rows_.end() || !open_.insert(oid).second) return Opaque(oid);
    auto info = std::make_shared<pg::TypeInfo>(row->second.info);
    const TypeRow& parts = row->second;
    info->element = Build(parts.element);
    info->subtype = Build(parts.subtype);
    if (info->kind == 'd') FollowDomain(parts, info.get());
    for (const auto& field : parts.fields) {
      info->fields.push_back({.name = field.at(0),
                              .type = Build(field.at(1)),
                              .typmod = field.at(2),
                              .dimensions = field.at(3)});
    }
    open_.erase(oid);
    built_[oid] = info;
    return info;
  }

 private:
  void FollowDomain(const TypeRow& domain, pg::TypeInfo* info) {
    const TypeRow* at = &domain;
    while (true) {
      if (at->typmod != -1) info->base_typmod = at->typmod;
      info->base_dimensions = at->dimensions;
      const auto next = rows_.find(at->base);
      if (next == rows_.end() || next->second.info.kind != 'd') break;
      at = &next->second;
    }
    info->base = Build(at->base);
  }

  static pg::TypePtr Opaque(uint32_t oid) {
    auto info = std::make_shared<pg::TypeInfo>();
    info->oid = oid;
    info->name = info->typname = fmt::format("type {}", oid);
    info->has_send = false;  // read through its text form
    return info;
  }

  const std::map<uint32_t, TypeRow> rows_;
  std::map<uint32_t, pg::TypePtr> built_;
  std::set<uint32_t> open_;
};

}  // namespace

std::string OidArray(const std::vector<uint32_t>& oids) {
  return fmt::format("'{{{}}}'::pg_catalog.oid[]", fmt::join(oids, ","));
}

std::string TypesSql(const std::string& seed_sql, int server_version) {
  const bool multiranges = server_version >= 140000;
  return fmt::format(
      "WITH RECURSIVE reached(oid) AS ({}"
      " UNION SELECT e.oid FROM reached r JOIN pg_catalog.pg_type t ON t.oid = r.oid"
      " CROSS JOIN LATERAL ("
      "  SELECT t.typelem AS oid WHERE t.typelem <> 0"
      "  UNION ALL SELECT t.typbasetype WHERE t.typbasetype <> 0"
      "  UNION ALL SELECT g.rngsubtype FROM pg_catalog.pg_range g WHERE g.rngtypid = t.oid"
      "{}"
      "  UNION ALL SELECT f.atttypid FROM pg_catalog.pg_attribute f"
      "   WHERE t.typtype = 'c' AND f.attrelid = t.typrelid AND f.attnum > 0"
      "   AND NOT f.attisdropped) e)"
      " SELECT t.oid, n.nspname, t.typname, pg_catalog.format_type(t.oid, NULL), t.typtype,"
      " t.typcategory, t.typsend <> 0,"
      " (SELECT x.extname FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension x"
      "   ON x.oid = d.refobjid WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass"
      "   AND d.objid = t.oid AND d.deptype = 'e'"
      "   AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass LIMIT 1),"
      " CASE WHEN {} THEN t.typelem ELSE 0 END, t.typbasetype, t.typtypmod, t.typndims,"
      " coalesce((SELECT g.rngsubtype FROM pg_catalog.pg_range g WHERE g.rngtypid = t.oid){}, 0),"
      " (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(f.attname, "
      "f.atttypid::pg_catalog.int8,"
      "   f.atttypmod, f.attndims) ORDER BY f.attnum)::pg_catalog.text"
      "   FROM pg_catalog.pg_attribute f WHERE t.typtype = 'c' AND f.attrelid = t.typrelid"
      "   AND f.attnum > 0 AND NOT f.attisdropped),"
      " (SELECT pg_catalog.json_agg(e.enumlabel ORDER BY e.enumsortorder)::pg_catalog.text"
      "   FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid)"
      " FROM (SELECT DISTINCT oid FROM reached) r JOIN pg_catalog.pg_type t ON t.oid = r.oid"
      " JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace",
      seed_sql,
      multiranges ? "  UNION ALL SELECT g.rngtypid FROM pg_catalog.pg_range g"
                    " WHERE g.rngmultitypid = t.oid"
                  : "",
      multiranges ? "t.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc"
                  : "t.typlen = -1 AND t.typelem <> 0",
      multiranges ? ", (SELECT g.rngtypid FROM pg_catalog.pg_range g WHERE g.rngmultitypid = t.oid)"
                  : "");
}

Result<std::map<uint32_t, pg::TypePtr>> BuildTypes(const ResultSet& result) {
  std::map<uint32_t, TypeRow> rows;
  for (int i = 0; i < result.rows(); ++i) {
    TypeRow row;
    const auto text = [&](int column) { return std::string(result.text(i, column)); };
    const auto letter = [&](int column) { return result.text(i, column).substr(0, 1); };
    row.info.oid = static_cast<uint32_t>(result.integer(i, 0));
    row.info.schema = text(1);
    row.info.typname = text(2);
    row.info.name = text(3);
    row.info.kind = letter(4).empty() ? 'b' : letter(4)[0];
    row.info.category = letter(5).empty() ? 'U' : letter(5)[0];
    row.info.has_send = result.boolean(i, 6);
    row.info.extension = text(7);
    row.element = static_cast<uint32_t>(result.integer(i, 8));
    row.base = static_cast<uint32_t>(result.integer(i, 9));
    row.typmod = static_cast<int32_t>(result.integer(i, 10));
    row.dimensions = static_cast<int32_t>(result.integer(i, 11));
    row.subtype = static_cast<uint32_t>(result.integer(i, 12));
    row.fields = json::array();
    if (!result.is_null(i, 13)) row.fields = json::parse(result.text(i, 13));
    if (!result.is_null(i, 14)) {
      row.info.labels = json::parse(result.text(i, 14)).get<std::vector<std::string>>();
    }
    rows.emplace(row.info.oid, std::move(row));
  }
  std::vector<uint32_t> oids;
  for (const auto& [oid, row] : rows) oids.push_back(oid);
  TypeBuilder builder(std::move(rows));
  std::map<uint32_t, pg::TypePtr> types;
  for (const uint32_t oid : oids) types[oid] = builder.Build(oid);
  return types;
}

std::string ServerFactsSql(int server_version) {
  // Every client may see the number of backends; who they belong to only for its own role.
  // Reserved slots: superuser_reserved_connections, and from 16 on reserved_connections.
  return fmt::format(
      "SELECT pg_catalog.current_setting('block_size')::pg_catalog.int8,"
      " pg_catalog.length((pg_catalog.regexp_match(1::pg_catalog.money::pg_catalog.text,"
      "  '[.,]([0-9]+)[^0-9]*$'))[1]),"
      " LEAST("
      "  pg_catalog.current_setting('max_connections')::pg_catalog.int8"
      "   - CASE WHEN r.rolsuper THEN 0 ELSE"
      "     pg_catalog.current_setting('superuser_reserved_connections')::pg_catalog.int8 {} END"
      "   - (SELECT sum(numbackends) FROM pg_catalog.pg_stat_database),"
      "  CASE WHEN r.rolconnlimit >= 0 AND NOT r.rolsuper THEN r.rolconnlimit - (SELECT count(*)"
      "   FROM pg_catalog.pg_stat_activity s WHERE s.usename = current_user) END,"
      "  CASE WHEN d.datconnlimit >= 0 AND NOT r.rolsuper THEN d.datconnlimit - (SELECT numbackends"
      "   FROM pg_catalog.pg_stat_database s WHERE s.datid = d.oid) END),"
      " (SELECT count(*) FROM pg_catalog.pg_class WHERE relkind = 'S'),"
      " (SELECT count(*) FROM pg_catalog.pg_largeobject_metadata),"
      " pg_catalog.pg_is_in_recovery()"
      " FROM pg_catalog.pg_roles r, pg_catalog.pg_database d"
      " WHERE r.rolname = current_user AND d.datname = pg_catalog.current_database()",
      server_version >= 160000
          ? "+ pg_catalog.current_setting('reserved_connections')::pg_catalog.int8"
          : "");
}

ServerFacts ReadServerFacts(const ResultSet& result) {
  if (result.rows() == 0) return {};
  return {.block_bytes = std::max<int64_t>(1, result.integer(0, 0, 8192)),
          .money_scale = static_cast<int32_t>(result.integer(0, 1, 0)),
          .connections_free = std::max<int64_t>(0, result.integer(0, 2, -1)),
          .sequences = result.integer(0, 3),
          .large_objects = result.integer(0, 4),
          .in_recovery = result.boolean(0, 5)};
}

}  // namespace bulkhaul::postgres
