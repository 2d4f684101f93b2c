#include "source/sqlite/table_state.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <sqlite3.h>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace bulkhaul {
namespace {

using Json = nlohmann::json;

std::string ToHex(std::string_view bytes) {
  std::string hex;
  for (const char byte : bytes) hex += fmt::format("{:02x}", static_cast<uint8_t>(byte));
  return hex;
}

std::string FromHex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    uint8_t byte = 0;
    std::from_chars(hex.data() + i, hex.data() + i + 2, byte, 16);
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

// First a letter for the storage class: i, r (bits as hex), t, x (text as hex), b (blob as hex).
std::string ValueToken(sqlite3_stmt* statement, int column) {
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
      return fmt::format("i{}", sqlite3_column_int64(statement, column));
    case SQLITE_FLOAT:
      return fmt::format("r{:016x}",
                         std::bit_cast<uint64_t>(sqlite3_column_double(statement, column)));
    case SQLITE_TEXT: {
      const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
      const std::string_view text(bytes,
                                  static_cast<size_t>(sqlite3_column_bytes(statement, column)));
      return IsValidUtf8(text) ? "t" + std::string(text) : "x" + ToHex(text);
    }
    default: {
      const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement, column));
      const auto count = static_cast<size_t>(sqlite3_column_bytes(statement, column));
      return "b" + ToHex(std::string_view(bytes, bytes == nullptr ? 0 : count));
    }
  }
}

Status BindValueToken(const std::string& token, sqlite3_stmt* statement, int parameter) {
  if (token.empty()) return BugError("an empty key bound");
  const std::string_view rest = std::string_view(token).substr(1);
  int code = SQLITE_OK;
  switch (token[0]) {
    case 'i': {
      int64_t value = 0;
      std::from_chars(rest.data(), rest.data() + rest.size(), value);
      code = sqlite3_bind_int64(statement, parameter, value);
      break;
    }
    case 'r': {
      uint64_t bits = 0;
      std::from_chars(rest.data(), rest.data() + rest.size(), bits, 16);
      code = sqlite3_bind_double(statement, parameter, std::bit_cast<double>(bits));
      break;
    }
    case 't':
    case 'x': {
      const std::string text = token[0] == 't' ? std::string(rest) : FromHex(rest);
      code = sqlite3_bind_text64(statement, parameter, text.data(), text.size(), SQLITE_TRANSIENT,
                                 SQLITE_UTF8);
      break;
    }
    case 'b': {
      const std::string blob = FromHex(rest);
      code = sqlite3_bind_blob64(statement, parameter, blob.data(), blob.size(), SQLITE_TRANSIENT);
      break;
    }
    default:
      return BugError("a key bound of an unknown kind: " + token);
  }
  if (code == SQLITE_OK) return Status::OK();
  return SqliteError(code, "bind", sqlite3_errstr(code));
}

std::string Column(std::string_view name) { return "b." + QuoteIdentifier(name); }

// "b.k" or "(b.k1, b.k2)"; the parameters likewise.
std::string KeyTuple(const std::vector<std::string>& columns) {
  if (columns.size() == 1) return Column(columns[0]);
  std::string tuple = "(";
  for (const auto& column : columns) tuple += (tuple.size() > 1 ? ", " : "") + Column(column);
  return tuple + ")";
}

std::string Parameters(size_t first, size_t count) {
  if (count == 1) return fmt::format("?{}", first);
  std::string tuple = "(";
  for (size_t i = 0; i < count; ++i) {
    tuple += fmt::format("{}?{}", i > 0 ? ", " : "", first + i);
  }
  return tuple + ")";
}

std::vector<std::string> RangeConditions(const TableState& state, const SplitAxis& axis,
                                         const UnitRange& range) {
  std::vector<std::string> conditions;
  if (range.axis == kNullAxis) return {Column(axis.columns[0]) + " IS NULL"};
  if (axis.axis == Axis::kNone || range.axis == kWholeAxis) return {};
  const bool rowid = axis.axis == Axis::kRowid;
  const std::string key = rowid ? "b." + state.rowid : KeyTuple(axis.columns);
  const size_t count = rowid ? 1 : axis.columns.size();
  size_t first = 1;
  if (!range.begin.empty()) {
    conditions.push_back(key + " >= " + Parameters(first, count));
    first += count;
  }
  if (!range.end.empty()) conditions.push_back(key + " < " + Parameters(first, count));
  if (conditions.empty() && axis.nullable) conditions.push_back(key + " IS NOT NULL");
  return conditions;
}

BadValuePolicy PolicyFrom(const std::string& option) {
  if (option == "null") return BadValuePolicy::kNull;
  return option == "replace" ? BadValuePolicy::kReplace : BadValuePolicy::kError;
}

}  // namespace

std::string TableState::ToJson() const {
  return Json{{"from", from},
              {"rowid", rowid},
              {"root_page", root_page},
              {"keys", keys},
              {"conversions", conversions},
              {"declared", declared},
              {"definition_hash", definition_hash}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<TableState> TableState::FromJson(std::string_view text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return BugError("the SQLite source does not know its own state");
  TableState state;
  state.from = json.value("from", "");
  state.rowid = json.value("rowid", "");
  state.root_page = json.value("root_page", int64_t{0});
  state.keys = json.value("keys", std::vector<std::string>());
  state.conversions = json.value("conversions", std::vector<std::string>());
  state.declared = json.value("declared", std::vector<std::string>());
  state.definition_hash = json.value("definition_hash", "");
  return state;
}

Result<SplitAxis> SplitAxisOf(const Dataset& dataset, const TableState& state) {
  const std::string& split = dataset.options.GetString("split");
  const std::string& split_by = dataset.options.GetString("split_by");
  if (split == "hash") {
    return UserError("SQLite tables are cut by rowid or key ranges, not by hash");
  }
  if (split == "none" || dataset.options.GetInt("limit") > 0) return SplitAxis{};
  if (!split_by.empty()) {
    const auto field = dataset.schema->GetFieldByName(split_by);
    return SplitAxis{Axis::kKey, {split_by}, field == nullptr || field->nullable()};
  }
  if (split != "key" && !state.rowid.empty()) return SplitAxis{Axis::kRowid, {}, false};
  if (!state.keys.empty()) return SplitAxis{Axis::kKey, state.keys, false};
  if (split == "key" && dataset.primary_key.size() == 1) {
    return SplitAxis{Axis::kKey, dataset.primary_key, true};
  }
  if (split == "auto") return SplitAxis{};
  return UserError(fmt::format("{} cannot be cut by '{}': it has no such key; give split_by",
                               dataset.id.ToString(), split));
}

std::string KeyToken(Statement& row, int columns) {
  if (columns == 1) return ValueToken(row.get(), 0);
  Json tokens = Json::array();
  for (int i = 0; i < columns; ++i) tokens.push_back(ValueToken(row.get(), i));
  return tokens.dump();
}

Result<int> BindKeyToken(std::string_view token, Statement* statement, int first) {
  if (token.starts_with('[')) {
    const Json tokens = Json::parse(token, nullptr, false);
    if (!tokens.is_array()) return BugError("a damaged key bound");
    int parameter = first;
    for (const auto& value : tokens) {
      ARROW_RETURN_NOT_OK(BindValueToken(value.get<std::string>(), statement->get(), parameter++));
    }
    return parameter - first;
  }
  ARROW_RETURN_NOT_OK(BindValueToken(std::string(token), statement->get(), first));
  return 1;
}

Result<std::string> UnitSql(const Dataset& dataset, const TableState& state,
                            const UnitRange& range) {
  std::string select;
  for (const auto& field : dataset.schema->fields()) {
    // Qualified, so that a column that is gone is an error and never a string literal.
    select += (select.empty() ? "" : ", ") + Column(field->name());
  }
  ARROW_ASSIGN_OR_RAISE(const auto axis, SplitAxisOf(dataset, state));
  auto conditions = RangeConditions(state, axis, range);
  const std::string& where = dataset.options.GetString("where");
  // A unit of many must be read by its range, whatever indexes `where` could use.
  const bool by_range = axis.axis == Axis::kRowid && !conditions.empty();
  if (!where.empty()) conditions.push_back("(" + where + "\n)");
  std::string sql = "SELECT " + select + " FROM " + state.from + " AS b";
  if (by_range) sql += " NOT INDEXED";
  for (size_t i = 0; i < conditions.size(); ++i) {
    sql += (i == 0 ? " WHERE " : " AND ") + conditions[i];
  }
  const int64_t limit = dataset.options.GetInt("limit");
  if (limit > 0) sql += fmt::format(" LIMIT {}", limit);
  return sql;
}

Status BindRange(const Dataset& dataset, const TableState& state, const UnitRange& range,
                 Statement* statement) {
  ARROW_ASSIGN_OR_RAISE(const auto axis, SplitAxisOf(dataset, state));
  if (axis.axis == Axis::kNone || !range.axis.empty()) return Status::OK();
  int parameter = 1;
  for (const std::string* bound : {&range.begin, &range.end}) {
    if (bound->empty()) continue;
    if (axis.axis == Axis::kRowid) {
      int64_t rowid = 0;
      std::from_chars(bound->data(), bound->data() + bound->size(), rowid);
      statement->Bind(parameter++, rowid);
    } else {
      ARROW_ASSIGN_OR_RAISE(const int bound_parameters, BindKeyToken(*bound, statement, parameter));
      parameter += bound_parameters;
    }
  }
  return Status::OK();
}

Result<std::vector<ColumnPlan>> ColumnPlans(const Dataset& dataset, const TableState& state) {
  const auto fields = dataset.schema->fields();
  if (fields.size() != state.conversions.size()) {
    return BugError("schema and state of " + dataset.id.ToString() + " differ");
  }
  std::vector<ColumnPlan> plans;
  for (size_t i = 0; i < fields.size(); ++i) {
    ColumnPlan plan;
    plan.name = fields[i]->name();
    plan.declared = state.declared[i];
    ARROW_ASSIGN_OR_RAISE(plan.type.conversion, ConversionFromName(state.conversions[i]));
    plan.type.type = fields[i]->type();
    plan.mismatch = PolicyFrom(dataset.options.GetString("type_mismatch"));
    plan.invalid_utf8 = PolicyFrom(dataset.options.GetString("invalid_utf8"));
    plans.push_back(std::move(plan));
  }
  return plans;
}

}  // namespace bulkhaul
