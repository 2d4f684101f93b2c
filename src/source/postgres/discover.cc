#include "source/postgres/discover.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "client/postgres/sql_text.h"

namespace bulkhaul::postgres {
namespace {

using nlohmann::json;

struct Listed {
  uint32_t oid = 0;
  DatasetId id;
  char kind = 'r';
  bool system = false;
  uint32_t partition_root = 0;
  bool is_child = false;
};

const char* KindName(char kind) {
  switch (kind) {
    case 'p':
      return "partitioned table";
    case 'v':
      return "view";
    case 'm':
      return "materialized view";
    case 'f':
      return "foreign table";
    default:
      return "table";
  }
}

// Asking for a table's size waits for whoever holds it exclusively.
std::string Begin(const Connection& connection, const Options& options) {
  return fmt::format(
      "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {}; SET LOCAL lock_timeout = {}; ",
      TransactionSettings(connection.server_version(), IsRawEncoding(connection)),
      options.GetDurationMs("lock_timeout"));
}

std::vector<Listed> ReadList(const ResultSet& rows) {
  std::vector<Listed> list;
  for (int i = 0; i < rows.rows(); ++i) {
    list.push_back({.oid = static_cast<uint32_t>(rows.integer(i, 0)),
                    .id = {std::string(rows.text(i, 1)), std::string(rows.text(i, 2))},
                    .kind = rows.text(i, 3)[0],
                    .system = rows.boolean(i, 4),
                    .partition_root = static_cast<uint32_t>(rows.integer(i, 5)),
                    .is_child = rows.boolean(i, 6)});
  }
  return list;
}

// A leaf is exported with its partitioned table, and by itself only where that is not selected.
Result<std::vector<Listed>> Choose(const std::vector<Listed>& list, const Selector& selector) {
  const auto exact = selector.ExactNames();
  const auto is_exact = [&](const DatasetId& id) {
    return std::any_of(exact.begin(), exact.end(),
                       [&](const auto& name) { return PatternMatches(name, id); });
  };
  for (const auto& name : exact) {
    if (std::any_of(list.begin(), list.end(),
                    [&](const Listed& one) { return PatternMatches(name, one.id); })) {
      continue;
    }
    std::vector<std::string> names;
    for (const auto& one : list) names.push_back(one.id.ToString());
    for (const auto& one : list) names.push_back(one.id.name);
    const auto near = NearestName(name, names);
    return UserError(fmt::format("there is no table or view '{}' in the database{}", name,
                                 near ? fmt::format("; did you mean '{}'?", *near) : ""),
                     "42P01");
  }
  std::set<uint32_t> roots;
  std::vector<Listed> chosen;
  for (const auto& one : list) {
    if (!selector.Selects(one.id) || (one.system && !is_exact(one.id))) continue;
    if (one.kind == 'p') roots.insert(one.oid);
    chosen.push_back(one);
  }
  std::erase_if(chosen, [&](const Listed& one) {
    return one.partition_root != 0 && one.partition_root != one.oid &&
           roots.contains(one.partition_root) && !is_exact(one.id);
  });
  return chosen;
}

// All answers of the one round trip, by table.
struct Answers {
  std::unordered_map<uint32_t, std::vector<int>> relations, columns, indexes;  // rows
  const ResultSet* relation_rows = nullptr;
  const ResultSet* column_rows = nullptr;
  const ResultSet* index_rows = nullptr;
  std::map<uint32_t, pg::TypePtr> types;
  ServerFacts facts;
  int32_t server_version = 0;
  bool raw_encoding = false;
};

std::unordered_map<uint32_t, std::vector<int>> GroupByFirst(const ResultSet& rows) {
  std::unordered_map<uint32_t, std::vector<int>> groups;
  for (int i = 0; i < rows.rows(); ++i) {
    groups[static_cast<uint32_t>(rows.integer(i, 0))].push_back(i);
  }
  return groups;
}

pg::TypePtr TypeOf(const std::map<uint32_t, pg::TypePtr>& types, uint32_t oid) {
  if (const auto found = types.find(oid); found != types.end()) return found->second;
  return pg::BuiltinType(oid);
}

// Rows scale with the pages since the last ANALYZE, as the server's own planner reckons.
int64_t EstimateRows(double tuples, int64_t pages_then, int64_t pages_now) {
  if (pages_now == 0) return 0;
  if (tuples < 0 || pages_then <= 0) return -1;
  return static_cast<int64_t>(tuples / static_cast<double>(pages_then) *
                              static_cast<double>(pages_now));
}

Relation ReadRelation(const ResultSet& rows, int i, int64_t block_bytes) {
  Relation relation{.oid = static_cast<uint32_t>(rows.integer(i, kOid)),
                    .schema = std::string(rows.text(i, kSchema)),
                    .name = std::string(rows.text(i, kName)),
                    .kind = rows.text(i, kKind)[0],
                    .heap = rows.text(i, kAccessMethod) == "heap",
                    .readable = rows.boolean(i, kReadable),
                    .pages = rows.integer(i, kRelationBytes) / block_bytes,
                    .bytes = rows.integer(i, kTableBytes)};
  const bool stored = relation.kind == 'r' || relation.kind == 'm';
  if (stored) {
    relation.rows = EstimateRows(static_cast<double>(rows.integer(i, kTuples)),
                                 rows.integer(i, kPagesThen), relation.pages);
  } else if (relation.kind != 'p') {
    relation.rows = rows.integer(i, kTuples) > 0 ? rows.integer(i, kTuples) : -1;
  }
  return relation;
}

void ReadRelations(const Answers& answers, uint32_t oid, Dataset* dataset, TableState* state) {
  const auto found = answers.relations.find(oid);
  if (found == answers.relations.end()) return;
  std::string fingerprints;
  for (const int i : found->second) {
    const ResultSet& rows = *answers.relation_rows;
    state->relations.push_back(ReadRelation(rows, i, answers.facts.block_bytes));
    fingerprints += fmt::format("{}:{};", rows.text(i, kOid), rows.text(i, kFingerprint));
    if (rows.boolean(i, kRowSecurity) && i == found->second[0]) state->row_security = true;
  }
  state->fingerprint = std::move(fingerprints);
  state->children = state->kind == 'r' && state->relations.size() > 1;
  dataset->comment = std::string(answers.relation_rows->text(found->second[0], kComment));
  if (state->kind == 'v') return;
  const bool all = state->kind == 'p' || dataset->options.GetBool("include_children");
  int64_t rows = 0, bytes = 0;
  for (size_t i = 0; i < (all ? state->relations.size() : 1); ++i) {
    const Relation& relation = state->relations[i];
    if (relation.kind == 'p') continue;
    bytes += relation.bytes;
    rows = relation.rows < 0 || rows < 0 ? -1 : rows + relation.rows;
  }
  dataset->estimated_bytes = state->kind == 'f' ? -1 : bytes;
  dataset->estimated_rows = rows;
}

Status ReadColumns(const Answers& answers, uint32_t oid, Dataset* dataset, TableState* state,
                   std::map<std::string, std::string>* comments) {
  const ResultSet& rows = *answers.column_rows;
  const auto found = answers.columns.find(oid);
  int granted = 0;
  std::vector<std::string_view> denied;
  // A child may lack its parent's NOT NULL before PostgreSQL 18, and a foreign server promises
  // nothing.
  bool proven = state->kind == 'r' || state->kind == 'p';
  for (const auto& relation : state->relations) {
    if (relation.kind == 'f' || state->children) proven = false;
  }
  for (const int i : found == answers.columns.end() ? std::vector<int>() : found->second) {
    if (!rows.boolean(i, kColumnReadable)) {
      denied.push_back(rows.text(i, kColumnName));
      continue;
    }
    ++granted;
    const auto type_oid = static_cast<uint32_t>(rows.integer(i, kColumnType));
    pg::ColumnSpec column{.name = std::string(rows.text(i, kColumnName)),
                          .source_type = {},
                          .type = TypeOf(answers.types, type_oid),
                          .typmod = static_cast<int32_t>(rows.integer(i, kColumnTypmod)),
                          .dimensions = static_cast<int32_t>(rows.integer(i, kColumnDimensions)),
                          .nullable = !(proven && rows.boolean(i, kColumnNotNull))};
    if (!column.type) {
      return BugError(fmt::format("type {} of column {}.{} was not found", type_oid,
                                  dataset->id.ToString(), column.name));
    }
    column.source_type = pg::FormatType(*column.type, column.typmod);
    if (!rows.is_null(i, kColumnComment)) {
      (*comments)[column.name] = std::string(rows.text(i, kColumnComment));
    }
    state->columns.push_back(std::move(column));
  }
  const bool table_granted = !state->relations.empty() && state->relations[0].readable;
  state->denied = !table_granted && granted == 0;
  state->column_grants = !table_granted && granted > 0;
  if (state->column_grants && !denied.empty()) {
    dataset->warnings.push_back(
        fmt::format("only {} of {} columns are granted to this role; left out: {}", granted,
                    granted + static_cast<int>(denied.size()), fmt::join(denied, ", ")));
  }
  return Status::OK();
}

// Keeps the columns that the option `columns` names, in its order.
Status SelectColumns(const Dataset& dataset, TableState* state) {
  const auto& wanted = dataset.options.GetList("columns");
  if (wanted.empty() || state->denied) return Status::OK();
  std::vector<pg::ColumnSpec> selected;
  std::vector<std::string> names;
  for (const auto& column : state->columns) names.push_back(column.name);
  for (const auto& name : wanted) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      const auto near = NearestName(name, names);
      return UserError(
          fmt::format("{} has no column '{}' that this role may read{}", dataset.id.ToString(),
                      name, near ? fmt::format("; did you mean '{}'?", *near) : ""),
          "42703");
    }
    if (std::count(wanted.begin(), wanted.end(), name) > 1) {
      return UserError(fmt::format("columns names '{}' twice", name));
    }
    selected.push_back(state->columns[static_cast<size_t>(found - names.begin())]);
  }
  state->columns = std::move(selected);
  return Status::OK();
}

void ReadIndexes(const Answers& answers, uint32_t oid, Dataset* dataset, TableState* state) {
  const auto found = answers.indexes.find(oid);
  if (found == answers.indexes.end()) return;
  for (const int i : found->second) {
    const ResultSet& rows = *answers.index_rows;
    if (rows.is_null(i, kIndexColumns)) continue;
    const auto columns = json::parse(rows.text(i, kIndexColumns)).get<std::vector<std::string>>();
    if (columns.empty()) continue;
    if (rows.boolean(i, kIndexPrimary)) dataset->primary_key = columns;
    if (std::find(state->indexed.begin(), state->indexed.end(), columns[0]) ==
        state->indexed.end()) {
      state->indexed.push_back(columns[0]);
    }
  }
}

Status BuildSchema(const TableState& state, const std::map<std::string, std::string>& comments,
                   Dataset* dataset) {
  auto mappings = MapColumns(state, dataset->options);
  if (!mappings.ok()) return WithContext(mappings.status(), dataset->id.ToString());
  arrow::FieldVector fields;
  for (size_t i = 0; i < mappings->size(); ++i) {
    auto field = (*mappings)[i].field;
    if (const auto comment = comments.find(field->name()); comment != comments.end()) {
      field =
          field->WithMergedMetadata(arrow::key_value_metadata({{kCommentKey, comment->second}}));
    }
    fields.push_back(std::move(field));
    const std::string& note = (*mappings)[i].note;
    if (!note.empty()) {
      dataset->warnings.push_back(fmt::format("column {}: {}", fields.back()->name(), note));
    }
  }
  dataset->schema = arrow::schema(std::move(fields));
  return Status::OK();
}

void Warn(const Listed& listed, const TableState& state, Dataset* dataset) {
  auto& warnings = dataset->warnings;
  if (state.denied) {
    warnings.push_back("permission denied: this role may read no column; reading it will fail");
  }
  if (state.row_security) {
    warnings.push_back(
        "row-level security would hide rows from this role; reading it will fail rather than give "
        "a part: use a role with BYPASSRLS, or the owner");
  }
  if (state.children) {
    const size_t count = state.relations.size() - 1;
    warnings.push_back(
        dataset->options.GetBool("include_children")
            ? fmt::format("rows of {} inheritance children are included, with the parent's columns",
                          count)
            : fmt::format("rows of {} inheritance children are not included", count));
  }
  if (listed.is_child && listed.partition_root == 0) {
    warnings.push_back("an inheritance child: its rows are also in its parent's export");
  }
  const bool foreign = std::any_of(state.relations.begin(), state.relations.end(),
                                   [](const Relation& relation) { return relation.kind == 'f'; });
  if (foreign) {
    warnings.push_back(
        "foreign data is read in the foreign server's own moment, not in the snapshot");
  }
}

Result<Dataset> BuildDataset(const Listed& listed, const Answers& answers,
                             const Selector& selector) {
  Dataset dataset;
  dataset.id = listed.id;
  dataset.kind = KindName(listed.kind);
  dataset.options = selector.OptionsFor(listed.id);
  TableState state;
  state.oid = listed.oid;
  state.kind = listed.kind;
  state.server_version = answers.server_version;
  state.raw_encoding = answers.raw_encoding;
  state.block_bytes = answers.facts.block_bytes;
  state.money_scale = answers.facts.money_scale;
  std::map<std::string, std::string> comments;
  ReadRelations(answers, listed.oid, &dataset, &state);
  RETURN_NOT_OK(ReadColumns(answers, listed.oid, &dataset, &state, &comments));
  RETURN_NOT_OK(SelectColumns(dataset, &state));
  ReadIndexes(answers, listed.oid, &dataset, &state);
  RETURN_NOT_OK(BuildSchema(state, comments, &dataset));
  Warn(listed, state, &dataset);
  dataset.source_state = state.ToJson();
  return dataset;
}

// What a whole database has besides tables.
void WarnOfTheRest(const ServerFacts& facts, const Selector& selector,
                   std::vector<Dataset>* datasets) {
  if (!selector.all || datasets->empty()) return;
  auto& warnings = datasets->front().warnings;
  if (facts.sequences > 0) {
    warnings.push_back(
        fmt::format("the database has {} sequences; their state is not exported", facts.sequences));
  }
  if (facts.large_objects > 0) {
    warnings.push_back(fmt::format("the database has {} large objects; they are not exported",
                                   facts.large_objects));
  }
}

}  // namespace

bool IsRawEncoding(const Connection& connection) {
  return connection.parameter("server_encoding") == "SQL_ASCII";
}

Result<std::vector<pg::ColumnMapping>> MapColumns(const TableState& state, const Options& options) {
  ARROW_ASSIGN_OR_RAISE(
      auto mapping_options,
      pg::MappingOptions::FromText(options.GetString("numeric"), options.GetString("wide_numeric"),
                                   options.GetString("infinity"), options.GetString("numeric_nan"),
                                   options.GetString("invalid_utf8")));
  mapping_options.money_scale = state.money_scale;
  std::vector<pg::ColumnMapping> mappings;
  for (const auto& column : state.columns) {
    auto mapping = pg::MapColumn(column, mapping_options);
    if (!mapping.ok()) {
      return WithContext(mapping.status(), fmt::format("column '{}'", column.name));
    }
    mappings.push_back(*std::move(mapping));
  }
  return mappings;
}

Result<Discovered> DiscoverDatasets(Connection& connection, const Selector& selector,
                                    const WaitLimit& limit) {
  constexpr std::string_view kWhat = "cannot read the database's catalogue";
  Answers answers;
  answers.server_version = connection.server_version();
  answers.raw_encoding = IsRawEncoding(connection);
  Discovered discovered;
  // Ends the transaction also after an error, so that the connection can be used again.
  const auto finish = [&](Status status) {
    if (connection.ok()) (void)connection.Execute("ROLLBACK", limit, kWhat);
    return status;
  };
  auto list = connection.Query(Begin(connection, selector.options) + ListRelationsSql() + "; " +
                                   ServerFactsSql(connection.server_version()),
                               limit, kWhat);
  if (!list.ok()) return finish(list.status());
  answers.facts = ReadServerFacts(list->back());
  auto chosen = Choose(ReadList((*list)[list->size() - 2]), selector);
  if (!chosen.ok()) return finish(chosen.status());
  std::vector<uint32_t> oids;
  for (const auto& one : *chosen) oids.push_back(one.oid);
  const std::string array = OidArray(oids);
  const std::string seed = fmt::format(
      "SELECT DISTINCT a.atttypid FROM pg_catalog.pg_attribute a WHERE a.attrelid = ANY ({}) AND "
      "a.attnum > 0 AND NOT a.attisdropped",
      array);
  auto described =
      connection.Query(fmt::format("{}; {}; {}; {}; COMMIT", RelationsSql(array), ColumnsSql(array),
                                   IndexesSql(array), TypesSql(seed, connection.server_version())),
                       limit, kWhat);
  if (!described.ok()) return finish(described.status());
  answers.relation_rows = &(*described)[0];
  answers.column_rows = &(*described)[1];
  answers.index_rows = &(*described)[2];
  answers.relations = GroupByFirst(*answers.relation_rows);
  answers.columns = GroupByFirst(*answers.column_rows);
  answers.indexes = GroupByFirst(*answers.index_rows);
  ARROW_ASSIGN_OR_RAISE(answers.types, BuildTypes((*described)[3]));
  for (const auto& one : *chosen) {
    ARROW_ASSIGN_OR_RAISE(auto dataset, BuildDataset(one, answers, selector));
    discovered.datasets.push_back(std::move(dataset));
  }
  for (const auto& query : selector.queries) {
    ARROW_ASSIGN_OR_RAISE(auto dataset,
                          DescribeQuery(connection, query, selector.options, answers.facts, limit));
    discovered.datasets.push_back(std::move(dataset));
  }
  std::stable_sort(discovered.datasets.begin(), discovered.datasets.end(),
                   [](const Dataset& a, const Dataset& b) { return a.id < b.id; });
  WarnOfTheRest(answers.facts, selector, &discovered.datasets);
  discovered.facts = answers.facts;
  return discovered;
}

Result<Dataset> DescribeQuery(Connection& connection, const QuerySpec& query,
                              const Options& job_options, const ServerFacts& facts,
                              const WaitLimit& limit) {
  const std::string what = fmt::format("query '{}'", query.name);
  const auto finish = [&](Status status) {
    if (connection.ok()) (void)connection.Execute("ROLLBACK", limit, what);
    return status;
  };
  RETURN_NOT_OK(connection.Execute(Begin(connection, job_options) + "SELECT 1", limit, what));
  const std::string text = WithoutTerminator(query.sql);
  auto described =
      connection.Describe(fmt::format("SELECT * FROM (\n{}\n) AS q", text), limit, what);
  if (!described.ok()) return finish(described.status());
  std::vector<uint32_t> oids;
  for (int i = 0; i < described->columns(); ++i) oids.push_back(described->column_type(i));
  auto type_rows = connection.QueryOne(
      TypesSql(fmt::format("SELECT DISTINCT o FROM pg_catalog.unnest({}) AS o", OidArray(oids)),
               connection.server_version()),
      limit, what);
  if (!type_rows.ok()) return finish(type_rows.status());
  ARROW_ASSIGN_OR_RAISE(const auto types, BuildTypes(*type_rows));
  Dataset dataset;
  dataset.id = {"", query.name};
  dataset.kind = "query";
  dataset.options = job_options.With(query.options);
  TableState state;
  state.kind = 'q';
  state.query = text;
  state.server_version = connection.server_version();
  state.raw_encoding = IsRawEncoding(connection);
  state.block_bytes = facts.block_bytes;
  state.money_scale = facts.money_scale;
  for (int i = 0; i < described->columns(); ++i) {
    pg::ColumnSpec column{.name = std::string(described->column_name(i)),
                          .source_type = {},
                          .type = TypeOf(types, described->column_type(i)),
                          .typmod = described->column_typmod(i)};
    if (!column.type) return finish(BugError("a query's column has an unknown type"));
    column.source_type = pg::FormatType(*column.type, column.typmod);
    state.columns.push_back(std::move(column));
  }
  RETURN_NOT_OK(BuildSchema(state, {}, &dataset));
  dataset.source_state = state.ToJson();
  RETURN_NOT_OK(finish(Status::OK()));
  return dataset;
}

}  // namespace bulkhaul::postgres
