#include "source/postgres/unit_sql.h"

#include <algorithm>
#include <charconv>
#include <set>

#include <fmt/format.h>

#include "client/postgres/sql_text.h"

namespace bulkhaul::postgres {
namespace {

Result<std::string> PageBound(const std::string& page) {
  uint32_t block = 0;
  const auto [end, error] = std::from_chars(page.data(), page.data() + page.size(), block);
  if (error != std::errc() || end != page.data() + page.size()) {
    return BugError(fmt::format("'{}' is no page number", page));
  }
  return fmt::format("'({},0)'::pg_catalog.tid", block);
}

// What columns are qualified with: the table's own name also where a leaf is read, so that the
// user's condition may name the table.
std::string Qualifier(const TableState& state) {
  return QuoteIdentifier(state.kind == 'q' ? "q" : state.relations.at(0).name);
}

Result<std::string> RangeCondition(const TableState& state, const UnitState& unit,
                                   const UnitRange& range) {
  const std::string table = Qualifier(state) + ".";
  switch (unit.mode) {
    case UnitMode::kWhole:
    case UnitMode::kScan:
      return std::string();
    case UnitMode::kPages: {
      std::string condition;
      if (!range.begin.empty()) {
        ARROW_ASSIGN_OR_RAISE(const auto bound, PageBound(range.begin));
        condition = table + "ctid >= " + bound;
      }
      if (!range.end.empty()) {
        ARROW_ASSIGN_OR_RAISE(const auto bound, PageBound(range.end));
        condition += (condition.empty() ? "" : " AND ") + table + "ctid < " + bound;
      }
      return condition;
    }
    case UnitMode::kKey: {
      const std::string key = table + QuoteIdentifier(unit.key);
      const auto compare = [&](const char* sign, const std::string& bound) {
        return fmt::format("{} {} {}::{}", key, sign, QuoteLiteral(bound), unit.key_type);
      };
      // NULL keys are another unit's: a unit without bounds must still leave them out.
      if (range.begin.empty() && range.end.empty()) return key + " IS NOT NULL";
      if (range.begin.empty()) return compare("<", range.end);
      if (range.end.empty()) return compare(">=", range.begin);
      return compare(">=", range.begin) + " AND " + compare("<", range.end);
    }
    case UnitMode::kNulls:
      return table + QuoteIdentifier(unit.key) + " IS NULL";
    case UnitMode::kHash: {
      // A whole row's text never is NULL; where rows have addresses those are cheaper.
      const bool addresses = unit.relation >= 0 && state.relations.at(unit.relation).heap;
      const std::string what = !unit.key.empty() ? fmt::format("coalesce({}::pg_catalog.text, '')",
                                                               table + QuoteIdentifier(unit.key))
                               : addresses       ? table + "ctid::pg_catalog.text"
                                                 : fmt::format("({}*)::pg_catalog.text", table);
      return fmt::format("(pg_catalog.hashtextextended({}, 0) & 2147483647) % {} = {}", what,
                         unit.modulus, unit.residue);
    }
  }
  return BugError("unknown unit mode");
}

}  // namespace

std::vector<std::string> QueryColumnNames(const TableState& state) {
  std::set<std::string> names;
  std::vector<std::string> result;
  bool unique = true;
  for (const auto& column : state.columns) {
    unique = unique && names.insert(column.name).second;
    result.push_back(column.name);
  }
  if (unique) return result;
  for (size_t i = 0; i < result.size(); ++i) result[i] = fmt::format("c{}", i + 1);
  return result;
}

std::string FromItem(const TableState& state, const UnitState& unit, const Options& options) {
  if (state.kind == 'q') {
    std::string aliases;
    for (const auto& name : QueryColumnNames(state)) {
      aliases += (aliases.empty() ? "" : ", ") + QuoteIdentifier(name);
    }
    // The newline ends a comment at the query's end.
    return fmt::format("(\n{}\n) AS q{}", state.query,
                       aliases.empty() ? "" : fmt::format("({})", aliases));
  }
  const int index = std::max(unit.relation, 0);
  const Relation& relation = state.relations.at(static_cast<size_t>(index));
  const bool with_children =
      unit.relation < 0 &&
      (state.kind == 'p' || (state.children && options.GetBool("include_children")));
  // ONLY also says no to views' and foreign tables' children, which they do not have.
  const bool only = !with_children && (relation.kind == 'r' || relation.kind == 'f');
  return fmt::format("{}{}{}", only ? "ONLY " : "", QuoteQualified(relation.schema, relation.name),
                     index == 0 ? "" : " AS " + Qualifier(state));
}

Result<std::string> UnitSelect(const TableState& state, const Options& options,
                               std::span<const pg::ColumnMapping> mappings, const WorkUnit& unit) {
  ARROW_ASSIGN_OR_RAISE(const auto unit_state, UnitState::FromJson(unit.source_state));
  if (unit_state.relation >= static_cast<int>(state.relations.size()) ||
      mappings.size() != state.columns.size()) {
    return BugError(fmt::format("unit {} does not fit its dataset", unit.id));
  }
  const auto names = state.kind == 'q' ? QueryColumnNames(state) : std::vector<std::string>();
  std::string list;
  for (size_t i = 0; i < mappings.size(); ++i) {
    const std::string& name = names.empty() ? state.columns[i].name : names[i];
    if (i > 0) list += ", ";
    list += Qualifier(state) + "." + QuoteIdentifier(name);
    if (!mappings[i].cast.empty()) list += "::" + mappings[i].cast;
  }
  std::string sql = fmt::format("SELECT {} FROM {}", list, FromItem(state, unit_state, options));
  ARROW_ASSIGN_OR_RAISE(std::string condition, RangeCondition(state, unit_state, unit.range));
  const std::string& where = options.GetString("where");
  if (!where.empty()) {
    condition += fmt::format("{}({}\n)", condition.empty() ? "" : " AND ", where);
  }
  if (!condition.empty()) sql += " WHERE " + condition;
  if (const int64_t rows = options.GetInt("limit"); rows > 0) sql += fmt::format(" LIMIT {}", rows);
  return sql;
}

}  // namespace bulkhaul::postgres
