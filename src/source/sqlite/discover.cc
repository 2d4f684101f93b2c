#include "source/sqlite/discover.h"

#include <strings.h>
#include <algorithm>
#include <map>
#include <set>

#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include "base/hash.h"
#include "base/text.h"
#include "source/sqlite/btree.h"
#include "source/sqlite/table_state.h"
#include "source/sqlite/unit_reader.h"

namespace bulkhaul {
namespace {

// Rows looked at to give a type to columns whose declaration says nothing.
constexpr int64_t kRowsSampled = 10'000;
constexpr int64_t kRowBytesGuess = 64;
constexpr int64_t kProbeBatchBytes = 1 << 20;

struct FoundTable {
  std::string name;
  std::string type;  // "table", "view", "virtual", "shadow"
  bool without_rowid = false;
  int64_t root_page = 0;
  std::string sql;
};

struct FoundColumn {
  std::string name;
  std::string declared;
  bool not_null = false;
  int64_t key_place = 0;  // in the primary key, from 1; 0: not in it
};

bool SameName(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::string HashOf(const std::string& sql) { return HashText(Xxh3Of(sql)); }

Result<std::vector<FoundTable>> FindTables(Connection& connection) {
  std::map<std::string, std::pair<int64_t, std::string>> definitions;
  ARROW_ASSIGN_OR_RAISE(auto schema,
                        connection.Prepare("SELECT name, rootpage, sql FROM main.sqlite_schema "
                                           "WHERE type IN ('table', 'view')"));
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const bool row, schema.Step());
    if (!row) break;
    definitions[schema.Text(0)] = {schema.Int(1), schema.Text(2)};
  }
  ARROW_ASSIGN_OR_RAISE(auto list,
                        connection.Prepare("SELECT name, type, wr FROM pragma_table_list WHERE "
                                           "schema = 'main' ORDER BY name"));
  std::vector<FoundTable> tables;
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const bool row, list.Step());
    if (!row) break;
    const auto definition = definitions.find(list.Text(0));
    if (definition == definitions.end() || list.Text(0).starts_with("sqlite_")) continue;
    tables.push_back({list.Text(0), list.Text(1), list.Int(2) != 0, definition->second.first,
                      definition->second.second});
  }
  return tables;
}

// Rows by table as ANALYZE left them; empty without it.
std::map<std::string, int64_t> AnalyzedRows(Connection& connection) {
  std::map<std::string, int64_t> rows;
  auto statement = connection.Prepare("SELECT tbl, CAST(stat AS INTEGER) FROM main.sqlite_stat1");
  if (!statement.ok()) return rows;
  while (true) {
    const auto more = statement->Step();
    if (!more.ok() || !*more) return rows;
    auto& known = rows[statement->Text(0)];
    known = std::max(known, statement->Int(1));
  }
}

Result<std::vector<FoundColumn>> TableColumns(Statement& statement, const std::string& table) {
  statement.Reset();
  statement.Bind(1, table);
  std::vector<FoundColumn> columns;
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const bool row, statement.Step());
    if (!row) return columns;
    if (statement.Int(4) == 1) continue;  // a hidden column of a virtual table
    columns.push_back(
        {statement.Text(0), statement.Text(1), statement.Int(2) != 0, statement.Int(3)});
  }
}

// Of a view or a query: what SQLite says about the result of SELECT *.
Result<std::vector<FoundColumn>> ResultColumns(Connection& connection, const std::string& from) {
  ARROW_ASSIGN_OR_RAISE(auto statement, connection.Prepare("SELECT * FROM " + from + " AS b"));
  std::vector<FoundColumn> columns;
  for (int i = 0; i < sqlite3_column_count(statement.get()); ++i) {
    const char* declared = sqlite3_column_decltype(statement.get(), i);
    columns.push_back(
        {sqlite3_column_name(statement.get(), i), declared == nullptr ? "" : declared, false, 0});
  }
  return columns;
}

// The column that is the rowid under another name (lang_createtable.html#rowid), or null. INTEGER
// PRIMARY KEY DESC is not one and has an index instead.
Result<const FoundColumn*> RowidColumn(Connection& connection, const FoundTable& table,
                                       const std::vector<FoundColumn>& columns) {
  const FoundColumn* key = nullptr;
  for (const auto& column : columns) {
    if (column.key_place == 0) continue;
    if (key != nullptr) return nullptr;
    key = &column;
  }
  if (key == nullptr || table.without_rowid || !SameName(key->declared, "INTEGER")) return nullptr;
  ARROW_ASSIGN_OR_RAISE(
      auto statement,
      connection.Prepare("SELECT count(*) FROM pragma_index_list(?1) WHERE origin = 'pk'"));
  statement.Bind(1, table.name);
  ARROW_RETURN_NOT_OK(statement.Step());
  return statement.Int(0) == 0 ? key : nullptr;
}

// A name for the rowid that no column has taken.
std::string RowidName(const std::vector<FoundColumn>& columns, const FoundColumn* rowid_column) {
  for (const char* name : {"rowid", "_rowid_", "oid"}) {
    const bool taken = std::any_of(columns.begin(), columns.end(),
                                   [&](const auto& column) { return SameName(column.name, name); });
    if (!taken) return name;
  }
  return rowid_column == nullptr ? "" : QuoteIdentifier(rowid_column->name);
}

// The columns asked for, in that order; all when none are.
Result<std::vector<FoundColumn>> Chosen(const Dataset& dataset,
                                        const std::vector<FoundColumn>& columns) {
  const StringList& wanted = dataset.options.GetList("columns");
  if (wanted.empty()) return columns;
  std::vector<std::string> names;
  for (const auto& column : columns) names.push_back(column.name);
  std::vector<FoundColumn> chosen;
  for (const auto& name : wanted) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      const auto nearest = NearestName(name, names);
      return UserError(fmt::format("table {} has no column '{}'{}", dataset.id.ToString(), name,
                                   nearest ? "; did you mean '" + *nearest + "'?" : ""));
    }
    chosen.push_back(columns[static_cast<size_t>(found - names.begin())]);
  }
  return chosen;
}

std::string SelectList(const std::vector<FoundColumn>& columns) {
  std::string list;
  for (const auto& column : columns) {
    list += (list.empty() ? "b." : ", b.") + QuoteIdentifier(column.name);
  }
  return list;
}

std::string WhereClause(const Dataset& dataset) {
  const std::string& where = dataset.options.GetString("where");
  return where.empty() ? "" : " WHERE (" + where + "\n)";
}

// Gives a type to the undecided columns from the first rows.
Status DecideFromValues(Connection& connection, const TableState& state,
                        const std::vector<FoundColumn>& columns, std::vector<ColumnType>* types,
                        Dataset* dataset) {
  std::vector<size_t> open;
  std::vector<FoundColumn> open_columns;
  for (size_t i = 0; i < columns.size(); ++i) {
    if ((*types)[i].conversion != Conversion::kUndecided) continue;
    open.push_back(i);
    open_columns.push_back(columns[i]);
  }
  if (open.empty()) return Status::OK();
  std::vector<SeenValues> seen(open.size());
  ARROW_ASSIGN_OR_RAISE(
      auto rows,
      connection.Prepare(fmt::format("SELECT {} FROM {} AS b{} LIMIT {}", SelectList(open_columns),
                                     state.from, WhereClause(*dataset), kRowsSampled)));
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const bool row, rows.Step());
    if (!row) break;
    for (size_t i = 0; i < open.size(); ++i) {
      const int column = static_cast<int>(i);
      const int storage = sqlite3_column_type(rows.get(), column);
      seen[i].integers += storage == SQLITE_INTEGER;
      seen[i].reals += storage == SQLITE_FLOAT;
      seen[i].texts += storage == SQLITE_TEXT;
      seen[i].blobs += storage == SQLITE_BLOB;
      if (storage == SQLITE_INTEGER && std::abs(rows.Int(column)) > (int64_t{1} << 53)) {
        seen[i].integers_exact_as_double = false;
      }
    }
  }
  for (size_t i = 0; i < open.size(); ++i) {
    const Conversion conversion = ConversionOfValues(seen[i]);
    (*types)[open[i]] = {conversion, ArrowTypeOf(conversion)};
    const auto others = seen[i].integers + seen[i].reals + seen[i].blobs;
    if (conversion == Conversion::kText && others > 0) {
      dataset->warnings.push_back(
          fmt::format("column '{}' has no declared type and holds values of several: it is read "
                      "as text, and other values go the way of type_mismatch",
                      columns[open[i]].name));
    }
  }
  return Status::OK();
}

// type_mismatch: string. Reads the whole table once; a column in which any value breaks the type
// becomes text.
Status WidenToText(Connection& connection, const TableState& state,
                   const std::vector<FoundColumn>& columns, std::vector<ColumnType>* types,
                   const Dataset& dataset) {
  std::vector<ColumnPlan> plans;
  arrow::FieldVector fields;
  for (size_t i = 0; i < columns.size(); ++i) {
    plans.push_back({columns[i].name, columns[i].declared, (*types)[i], BadValuePolicy::kNull,
                     BadValuePolicy::kReplace});
    fields.push_back(arrow::field(columns[i].name, (*types)[i].type));
  }
  RowReader reader(arrow::schema(fields), std::move(plans), arrow::default_memory_pool());
  ARROW_ASSIGN_OR_RAISE(auto rows, connection.Prepare("SELECT " + SelectList(columns) + " FROM " +
                                                      state.from + " AS b" + WhereClause(dataset)));
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const auto batch,
                          reader.Next(rows, kRowsSampled, kProbeBatchBytes, nullptr, {}));
    if (batch == nullptr) break;
  }
  for (size_t i = 0; i < columns.size(); ++i) {
    if (reader.broken(i)) (*types)[i] = {Conversion::kAnyText, arrow::utf8()};
  }
  return Status::OK();
}

// Fills schema and state of a dataset whose id, kind and options are set.
Status DescribeColumns(Connection& connection, std::vector<FoundColumn> columns, TableState* state,
                       Dataset* dataset) {
  ARROW_ASSIGN_OR_RAISE(columns, Chosen(*dataset, columns));
  std::vector<ColumnType> types;
  for (const auto& column : columns) {
    ARROW_ASSIGN_OR_RAISE(auto type, TypeOfDeclaration(column.declared, dataset->options));
    types.push_back(std::move(type));
  }
  ARROW_RETURN_NOT_OK(DecideFromValues(connection, *state, columns, &types, dataset));
  const std::string& mismatch = dataset->options.GetString("type_mismatch");
  if (mismatch == "string") {
    ARROW_RETURN_NOT_OK(WidenToText(connection, *state, columns, &types, *dataset));
  }
  const bool nulls_made =
      mismatch == "null" || dataset->options.GetString("invalid_utf8") == "null";
  arrow::FieldVector fields;
  for (size_t i = 0; i < columns.size(); ++i) {
    fields.push_back(
        arrow::field(columns[i].name, types[i].type, nulls_made || !columns[i].not_null,
                     arrow::key_value_metadata({kSourceTypeKey}, {columns[i].declared})));
    state->conversions.push_back(ConversionName(types[i].conversion));
    state->declared.push_back(columns[i].declared);
  }
  dataset->schema = arrow::schema(std::move(fields));
  dataset->source_state = state->ToJson();
  return Status::OK();
}

void EstimateSize(Connection& connection, const FoundTable& table, const TableState& state,
                  const std::map<std::string, int64_t>& analyzed, Dataset* dataset) {
  if (table.type != "table") return;
  if (const auto estimate = EstimateBtree(connection, table.root_page)) {
    dataset->estimated_rows = estimate->rows;
    dataset->estimated_bytes = estimate->bytes;
    if (estimate->rows > 0) return;
  }
  if (const auto found = analyzed.find(table.name); found != analyzed.end()) {
    dataset->estimated_rows = found->second;
  } else if (!state.rowid.empty()) {
    // Still in the WAL. The span of the rowids is the most that there can be.
    const auto span =
        connection.QueryInt(fmt::format("SELECT max(b.{0}) - min(b.{0}) + 1 FROM {1} "
                                        "AS b",
                                        state.rowid, state.from));
    if (span.ok()) dataset->estimated_rows = *span;
  }
  if (dataset->estimated_rows >= 0) {
    dataset->estimated_bytes =
        std::max(dataset->estimated_bytes, dataset->estimated_rows * kRowBytesGuess);
  }
}

Result<Dataset> DescribeTable(Connection& connection, const FoundTable& table, Options options,
                              Statement& column_list,
                              const std::map<std::string, int64_t>& analyzed) {
  Dataset dataset;
  dataset.id = {"", table.name};
  dataset.options = std::move(options);
  TableState state;
  state.from = "main." + QuoteIdentifier(table.name);
  state.definition_hash = HashOf(table.sql);
  std::vector<FoundColumn> columns;
  if (table.type == "view") {
    dataset.kind = "view";
    ARROW_ASSIGN_OR_RAISE(columns, ResultColumns(connection, state.from));
  } else {
    dataset.kind = table.type == "table" ? "table" : table.type + " table";
    ARROW_ASSIGN_OR_RAISE(columns, TableColumns(column_list, table.name));
    ARROW_ASSIGN_OR_RAISE(const FoundColumn* alias, RowidColumn(connection, table, columns));
    if (table.type == "table" && !table.without_rowid) state.rowid = RowidName(columns, alias);
    state.root_page = table.root_page;
    std::map<int64_t, std::string> keys;
    for (auto& column : columns) {
      if (column.key_place > 0) keys[column.key_place] = column.name;
      if (&column == alias || (table.without_rowid && column.key_place > 0)) {
        column.not_null = true;
      }
    }
    for (const auto& [place, name] : keys) dataset.primary_key.push_back(name);
    if (table.without_rowid) state.keys = dataset.primary_key;
    EstimateSize(connection, table, state, analyzed, &dataset);
  }
  ARROW_RETURN_NOT_OK(DescribeColumns(connection, std::move(columns), &state, &dataset));
  ARROW_RETURN_NOT_OK(SplitAxisOf(dataset, state));
  return dataset;
}

Result<Dataset> DescribeQuery(Connection& connection, const QuerySpec& query,
                              const Options& job_options) {
  Dataset dataset;
  dataset.id = {"", query.name.empty() ? "query" : query.name};
  dataset.kind = "query";
  dataset.options = job_options.With(query.options);
  ARROW_ASSIGN_OR_RAISE(auto statement, connection.Prepare(query.sql));
  if (sqlite3_stmt_readonly(statement.get()) == 0 || sqlite3_column_count(statement.get()) == 0) {
    return UserError("a query must be a SELECT that changes nothing");
  }
  std::string sql = query.sql;
  // As part of a larger statement it must not end in a semicolon.
  const size_t consumed = std::string_view(sqlite3_sql(statement.get())).size();
  sql.resize(std::min(consumed, sql.size()));
  while (!sql.empty() &&
         (sql.back() == ';' || std::isspace(static_cast<unsigned char>(sql.back())))) {
    sql.pop_back();
  }
  TableState state;
  state.from = "(" + sql + "\n)";
  ARROW_ASSIGN_OR_RAISE(auto columns, ResultColumns(connection, state.from));
  ARROW_RETURN_NOT_OK(DescribeColumns(connection, std::move(columns), &state, &dataset));
  ARROW_RETURN_NOT_OK(SplitAxisOf(dataset, state));
  return dataset;
}

}  // namespace

Result<std::vector<Dataset>> DiscoverDatasets(Connection& connection, const Selector& selector) {
  ARROW_ASSIGN_OR_RAISE(const auto tables, FindTables(connection));
  std::vector<DatasetId> available;
  for (const auto& table : tables) available.push_back({"", table.name});
  ARROW_RETURN_NOT_OK(selector.CheckNamed(available));
  std::set<std::string> named;
  for (const auto& id : available) {
    for (const auto& name : selector.ExactNames()) {
      if (PatternMatches(name, id)) named.insert(id.name);
    }
  }
  const auto analyzed = AnalyzedRows(connection);
  ARROW_ASSIGN_OR_RAISE(auto column_list,
                        connection.Prepare("SELECT name, type, \"notnull\", pk, hidden FROM "
                                           "pragma_table_xinfo(?1)"));
  std::vector<Dataset> datasets;
  for (const auto& table : tables) {
    const DatasetId id{"", table.name};
    if (!selector.Selects(id)) continue;
    // A shadow table is the inside of a virtual one.
    if (table.type == "shadow" && !named.contains(table.name)) continue;
    auto dataset = DescribeTable(connection, table, selector.OptionsFor(id), column_list, analyzed);
    if (!dataset.ok()) return WithContext(dataset.status(), table.type + " " + id.ToString());
    datasets.push_back(*std::move(dataset));
  }
  for (const auto& query : selector.queries) {
    auto dataset = DescribeQuery(connection, query, selector.options);
    if (!dataset.ok()) return WithContext(dataset.status(), "query " + query.name);
    datasets.push_back(*std::move(dataset));
  }
  std::sort(datasets.begin(), datasets.end(),
            [](const Dataset& a, const Dataset& b) { return a.id < b.id; });
  return datasets;
}

Status CheckDefinition(Connection& connection, const Dataset& dataset) {
  ARROW_ASSIGN_OR_RAISE(const auto state, TableState::FromJson(dataset.source_state));
  if (state.definition_hash.empty()) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(auto statement,
                        connection.Prepare("SELECT sql FROM main.sqlite_schema WHERE name = ?1 AND "
                                           "type IN ('table', 'view')"));
  statement.Bind(1, dataset.id.name);
  ARROW_ASSIGN_OR_RAISE(const bool row, statement.Step());
  if (row && HashOf(statement.Text(0)) == state.definition_hash) return Status::OK();
  return UserError(fmt::format("table {} was {} after the job was planned; run the job again",
                               dataset.id.ToString(), row ? "changed" : "dropped"),
                   "definition_changed");
}

}  // namespace bulkhaul
