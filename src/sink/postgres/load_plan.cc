#include "sink/postgres/load_plan.h"

#include <algorithm>
#include <iterator>
#include <set>

#include <fmt/format.h>

#include "base/hash.h"
#include "base/short_text.h"
#include "base/text.h"
#include "client/postgres/server_catalog.h"
#include "client/postgres/sql_text.h"
#include "plan/drift.h"
#include "sink/postgres/column_types.h"
#include "sink/postgres/evolution.h"
#include "sink/postgres/text_cast.h"

namespace bulkhaul::postgres {
namespace {

constexpr size_t kNameBytesMax = 63;

std::string Replace(std::string text, std::string_view what, const std::string& by) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size()) {
    text.replace(at, what.size(), by);
  }
  return text;
}

// Whether a text that is read as this type is what the column takes. Of text itself only where the
// column is text: numeric without precision, say, is text in Arrow, and takes numbers as they come.
bool ReadsTexts(const arrow::DataType& type, uint32_t base_oid) {
  constexpr uint32_t kText = 25, kBpchar = 1042, kVarchar = 1043;
  switch (type.id()) {
    case arrow::Type::BOOL:
    case arrow::Type::INT16:
    case arrow::Type::INT32:
    case arrow::Type::INT64:
    case arrow::Type::FLOAT:
    case arrow::Type::DOUBLE:
    case arrow::Type::DECIMAL128:
    case arrow::Type::DATE32:
    case arrow::Type::TIMESTAMP:
    case arrow::Type::TIME64:
      return true;
    case arrow::Type::STRING:
      return base_oid == kText || base_oid == kBpchar || base_oid == kVarchar;
    default:
      return false;
  }
}

// A name that may be a whole file.
std::string ShownName(const std::string& name) {
  return name.size() <= 2 * kNameBytesMax ? name : ShortText(name, kNameBytesMax);
}

bool IsSystemColumn(std::string_view name) {
  static constexpr std::string_view kNames[] = {"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

// Names that PostgreSQL would cut, that it has itself, or that would come twice.
Status CheckNames(const arrow::Schema& schema, const TableName& target) {
  constexpr int kColumnsMax = 1600;
  if (schema.num_fields() > kColumnsMax) {
    return UserError(fmt::format("{}: {} columns are more than the {} that PostgreSQL allows; "
                                 "choose some with columns",
                                 target.ToString(), schema.num_fields(), kColumnsMax),
                     "54011");
  }
  std::set<std::string> seen;
  for (const auto& field : schema.fields()) {
    const std::string& name = field->name();
    if (name.empty() || name.size() > kNameBytesMax || name.find('\0') != std::string::npos) {
      return UserError(fmt::format("'{}' cannot be the name of a column: PostgreSQL's have 1 to {} "
                                   "bytes; give it another one with rename, or see whether the "
                                   "file is read as it is written (source_encoding, "
                                   "source_delimiter)",
                                   ShownName(name), kNameBytesMax),
                       "42622");
    }
    if (IsSystemColumn(name)) {
      return UserError(fmt::format("'{}' cannot be the name of a column: every table of PostgreSQL "
                                   "has a system column of that name; give it another one with "
                                   "rename",
                                   name),
                       "42701");
    }
    if (!seen.insert(name).second) {
      return UserError(fmt::format("two columns are called '{}'; rename one of them", name),
                       "42701");
    }
  }
  return Status::OK();
}

// The table does not exist: its columns come from the rows.
Status PlanNewTable(Connection& connection, const DatasetPlan& dataset, const WaitLimit& limit,
                    LoadPlan* plan) {
  TypeChooser chooser(connection, limit);
  for (int i = 0; i < dataset.schema->num_fields(); ++i) {
    ARROW_ASSIGN_OR_RAISE(auto column, NewColumn(chooser, *dataset.schema->field(i), i, plan));
    plan->columns.push_back(std::move(column));
  }
  plan->comment = dataset.dataset.comment;
  plan->primary_key = plan->options.if_exists == IfExists::kUpsert && !plan->options.key.empty()
                          ? plan->options.key
                          : dataset.dataset.primary_key;
  const bool whole =
      std::all_of(plan->primary_key.begin(), plan->primary_key.end(),
                  [&](const auto& name) { return dataset.schema->GetFieldIndex(name) >= 0; });
  if (!whole) plan->primary_key.clear();
  return Status::OK();
}

// What one field becomes in a table that exists; a sentence when it cannot.
Result<std::string> FitColumn(const arrow::Field& field, int index, Evolution& evolution,
                              LoadPlan* plan) {
  const TargetTable& table = *plan->existing;
  const TargetColumn* target = table.Find(field.name());
  if (target == nullptr && evolution.Allows(DriftKind::kAdded)) {
    ARROW_ASSIGN_OR_RAISE(auto added, evolution.Add(field, index));
    plan->columns.push_back(std::move(added));
    return std::string();
  }
  if (target == nullptr) {
    std::vector<std::string> names;
    for (const auto& column : table.columns) names.push_back(column.spec.name);
    const auto nearest = NearestName(field.name(), names);
    return fmt::format("it has no column \"{}\"{}", field.name(),
                       nearest ? fmt::format(" (did you mean \"{}\"?)", *nearest) : "");
  }
  if (target->generated) {
    plan->notes.push_back(
        fmt::format("column \"{}\" is left out: the table computes it", field.name()));
    return std::string();
  }
  ARROW_ASSIGN_OR_RAISE(auto wider, evolution.Widen(field, index, *target));
  if (wider) {
    plan->overriding = plan->overriding || target->identity == 'a';
    plan->columns.push_back(*std::move(wider));
    return std::string();
  }
  LoadColumn column;
  column.name = field.name();
  column.source = index;
  column.side = target->spec;
  column.side_type = column.target_type = target->spec.source_type;
  column.as_json =
      IsNested(*field.type()) && (column.target_type == "jsonb" || column.target_type == "json");
  const auto& given = column.as_json ? *arrow::utf8() : *field.type();
  const auto encoding = pg::PlanEncoding(given, target->spec, {});
  if (!encoding.ok()) {
    if (!IsTextOrTexts(given) || plan->direct()) return MessageOf(encoding.status());
    column.side = TextSpec(field.name(), given);
    column.side_type = column.side.source_type;
    column.cast = CastTextSql(column.name, target->spec, TextOf::kAnybody);
    plan->notes.push_back(fmt::format("column \"{}\" comes as text; the server casts it to {}",
                                      column.name, column.target_type));
  }
  plan->overriding = plan->overriding || target->identity == 'a';
  plan->columns.push_back(std::move(column));
  return std::string();
}

Status PlanExisting(Connection& connection, const DatasetPlan& dataset, const WaitLimit& limit,
                    LoadPlan* plan) {
  const TargetTable& table = *plan->existing;
  ARROW_ASSIGN_OR_RAISE(const auto policy, DriftPolicy::From(dataset.dataset.options,
                                                             !dataset.dataset.contract.empty()));
  Evolution evolution(connection, limit, policy, plan);
  std::vector<std::string> problems;
  for (int i = 0; i < dataset.schema->num_fields(); ++i) {
    ARROW_ASSIGN_OR_RAISE(auto problem, FitColumn(*dataset.schema->field(i), i, evolution, plan));
    if (!problem.empty()) problems.push_back(std::move(problem));
  }
  for (const auto& column : table.columns) {
    if (dataset.schema->GetFieldIndex(column.spec.name) >= 0 || column.generated) continue;
    const bool filled = column.spec.nullable || column.has_default || column.identity != 0;
    if (!filled) {
      problems.push_back(fmt::format(
          "its column \"{}\" is NOT NULL without a default, and the rows do not have it",
          column.spec.name));
    } else {
      plan->notes.push_back(
          fmt::format("column \"{}\" of {} gets its default: the rows do not "
                      "have it",
                      column.spec.name, table.name.ToString()));
    }
  }
  if (problems.empty()) return Status::OK();
  return UserError(fmt::format("{} does not take these rows: {}", table.name.ToString(),
                               fmt::join(problems, "; ")),
                   "type_mismatch");
}

// INSERT runs rules and COPY does not; ON CONFLICT takes none.
Status CheckRules(const TargetTable& table, LoadPlan* plan) {
  const std::string name = table.name.ToString();
  if (!table.instead_rules.empty()) {
    return UserError(fmt::format("{} has rules that run instead of an INSERT, so that rows would "
                                 "not get into it: {}; disable them with ALTER TABLE {} DISABLE "
                                 "RULE, or load into another table",
                                 name, fmt::join(table.instead_rules, ", "), table.name.quoted()),
                     "0A000");
  }
  if (table.rules.empty()) return Status::OK();
  const bool upsert = plan->options.if_exists == IfExists::kUpsert;
  if (upsert || plan->direct()) {
    return UserError(fmt::format("{} has the rules {}, which {}; append without commit: unit runs "
                                 "them",
                                 name, fmt::join(table.rules, ", "),
                                 upsert ? "upsert cannot go with" : "COPY would not run"),
                     "0A000");
  }
  plan->notes.push_back(
      fmt::format("{}: the rules {} run for the rows", name, fmt::join(table.rules, ", ")));
  return Status::OK();
}

// What would surprise at the end of a load is said, or refused, before it begins.
Status CheckTarget(const TargetTable& table, LoadPlan* plan) {
  const std::string name = table.name.ToString();
  const IfExists mode = plan->options.if_exists;
  if (mode == IfExists::kFail) {
    return UserError(fmt::format("{} exists; set if_exists to append, replace, truncate or upsert, "
                                 "or name another table with target_table",
                                 name),
                     "42P07");
  }
  if (table.row_security) {
    return UserError(fmt::format("{} has row security that applies to this role: COPY into it is "
                                 "not possible and rows would be checked one by one; load as its "
                                 "owner or as a role with BYPASSRLS",
                                 name),
                     "0A000");
  }
  if (!table.may_insert) {
    return UserError(fmt::format("this role may not insert into {}; GRANT INSERT ON {}", name,
                                 table.name.quoted()),
                     "42501");
  }
  if (mode == IfExists::kTruncate && (!table.may_truncate || !table.referenced_by.empty())) {
    return UserError(table.may_truncate
                         ? fmt::format("{0} cannot be truncated by itself: foreign keys refer to "
                                       "it: {1}; empty all these tables with one TRUNCATE and load "
                                       "them with append, or use upsert",
                                       name, fmt::join(table.referenced_by, ", "))
                         : fmt::format("this role may not truncate {}", name),
                     table.may_truncate ? "0A000" : "42501");
  }
  if (!table.foreign_keys.empty() && mode != IfExists::kReplace) {
    std::vector<std::string> keys;
    for (const auto& key : table.foreign_keys) keys.push_back(key.name);
    plan->notes.push_back(fmt::format("{}: rows are checked against the foreign keys {} at the end",
                                      name, fmt::join(keys, ", ")));
  }
  const bool replace = mode == IfExists::kReplace;
  if (plan->attaches()) return Status::OK();  // attach_partition.h says what becomes of triggers
  std::set<std::string> triggers(table.triggers.begin(), table.triggers.end());
  if (mode == IfExists::kUpsert) {
    triggers.insert(table.update_triggers.begin(), table.update_triggers.end());
  }
  if (!triggers.empty()) {
    plan->notes.push_back(fmt::format("{}: the triggers {} {} for the rows", name,
                                      fmt::join(triggers, ", "), replace ? "do not fire" : "fire"));
  }
  return replace ? Status::OK() : CheckRules(table, plan);
}

Status PlanKey(LoadPlan* plan) {
  const auto& wished = plan->options.key;
  plan->key = !wished.empty()  ? wished
              : plan->existing ? plan->existing->primary_key
                               : plan->primary_key;
  const std::string name = plan->target.ToString();
  if (plan->key.empty()) {
    return UserError(
        fmt::format("{} has no primary key for upsert; name the columns with key", name), "42P10");
  }
  for (const auto& column : plan->key) {
    const bool loaded =
        std::any_of(plan->columns.begin(), plan->columns.end(),
                    [&](const LoadColumn& candidate) { return candidate.name == column; });
    if (!loaded) {
      std::vector<std::string> names;
      for (const auto& candidate : plan->columns) names.push_back(candidate.name);
      const auto nearest = NearestName(column, names);
      return OptionError(fmt::format("the rows for {} have no column \"{}\" of the key{}", name,
                                     column,
                                     nearest ? "; did you mean \"" + *nearest + "\"?" : ""));
    }
  }
  if (!plan->existing) return Status::OK();
  const std::set<std::string> wanted(plan->key.begin(), plan->key.end());
  bool found = false;
  for (const auto& unique : plan->existing->unique_keys) {
    if (std::set<std::string>(unique.columns.begin(), unique.columns.end()) != wanted) continue;
    found = true;
    plan->nulls_equal = plan->nulls_equal || unique.nulls_equal;
  }
  if (found) return Status::OK();
  std::vector<std::string> quoted;
  for (const auto& column : plan->key) quoted.push_back(QuoteIdentifier(column));
  return UserError(
      fmt::format("{} has no unique index on ({}), which upsert needs; CREATE UNIQUE "
                  "INDEX ON {} ({})",
                  name, fmt::join(plan->key, ", "), plan->target.quoted(), fmt::join(quoted, ", ")),
      "42P10");
}

// Elsewhere it would cost the parallel load and the resume, and save nothing.
Status CheckSkipsWal(Connection& connection, const WaitLimit& limit, LoadPlan* plan) {
  ARROW_ASSIGN_OR_RAISE(const auto level,
                        connection.QueryOne("SELECT pg_catalog.current_setting('wal_level')", limit,
                                            "look at the server"));
  if (level.text(0, 0) != "minimal") {
    return UserError(fmt::format("skip_wal needs a server with wal_level = minimal, and this one "
                                 "has {}: it writes WAL for every table; leave skip_wal out, or "
                                 "load with unlogged",
                                 level.text(0, 0)),
                     "wal_level");
  }
  plan->notes.push_back(
      fmt::format("{}: one connection loads it in one transaction, without WAL; if that connection "
                  "is lost, the table is loaded from its beginning",
                  plan->target.ToString()));
  if (plan->existing && plan->options.if_exists != IfExists::kReplace &&
      plan->options.if_exists != IfExists::kTruncate) {
    plan->notes.push_back(
        fmt::format("{}: WAL is written all the same when the rows go from the table loaded beside "
                    "into it, because it was there before",
                    plan->target.ToString()));
  }
  return Status::OK();
}

}  // namespace

Result<SinkPlace> PlaceOfLoad(Connection& connection, const DatasetPlan& dataset,
                              const WaitLimit& limit) {
  ARROW_ASSIGN_OR_RAISE(const auto options, LoadOptions::From(dataset.dataset.options));
  ARROW_ASSIGN_OR_RAISE(const auto target,
                        TargetNameOf(connection, dataset.dataset.id, options, limit));
  ARROW_ASSIGN_OR_RAISE(const auto existing, FindTarget(connection, target, limit));
  SinkPlace place;
  place.place = target.ToString();
  if (!existing) return place;
  place.units_appear = options.each_unit;
  // A column that is neither in the rows nor has a default is NULL, and a key with it not checked.
  const auto given = [&](const std::string& name) {
    const TargetColumn* column = existing->Find(name);
    return dataset.schema->GetFieldIndex(name) >= 0 || column == nullptr || column->has_default;
  };
  for (const auto& key : existing->foreign_keys) {
    const bool of_itself =
        std::find(key.places.begin(), key.places.end(), place.place) != key.places.end();
    if (of_itself || !std::all_of(key.columns.begin(), key.columns.end(), given)) continue;
    for (const auto& other : key.places) {
      place.after.push_back({other, "foreign key " + key.name});
    }
  }
  return place;
}

Result<std::shared_ptr<arrow::Schema>> ColumnsThere(Connection& connection, const DatasetId& id,
                                                    const Options& dataset_options,
                                                    const WaitLimit& limit) {
  ARROW_ASSIGN_OR_RAISE(const auto options, LoadOptions::From(dataset_options));
  ARROW_ASSIGN_OR_RAISE(const auto name, TargetNameOf(connection, id, options, limit));
  ARROW_ASSIGN_OR_RAISE(const auto table, FindTarget(connection, name, limit));
  if (!table) return nullptr;
  arrow::FieldVector fields;
  for (const auto& column : table->columns) {
    ARROW_ASSIGN_OR_RAISE(const auto mapping, pg::MapColumn(column.spec, {}));
    const pg::TypePtr base = column.spec.type->base ? column.spec.type->base : column.spec.type;
    if (ReadsTexts(*mapping.field->type(), base->oid)) fields.push_back(mapping.field);
  }
  return arrow::schema(std::move(fields));
}

bool LoadPlan::casts() const {
  return std::any_of(columns.begin(), columns.end(),
                     [](const LoadColumn& column) { return !column.cast.empty(); });
}

std::string LoadPlan::AlterSql(const TableName& table) const {
  if (alterations.empty()) return {};
  return fmt::format("ALTER TABLE {} {}", table.quoted(), fmt::join(alterations, ", "));
}

std::string LoadPlan::CreateLikeTargetSql(const TableName& table, bool unlogged) const {
  return fmt::format(
      "CREATE {}TABLE IF NOT EXISTS {} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS"
      " INCLUDING GENERATED {} INCLUDING STORAGE INCLUDING COMMENTS); {}",
      unlogged ? "UNLOGGED " : "", table.quoted(), target.quoted(),
      // The partitioned table counts for all its partitions.
      attaches() ? "" : "INCLUDING IDENTITY", AlterSql(table));
}

std::string LoadPlan::ColumnList() const {
  std::vector<std::string> names;
  for (const auto& column : columns) names.push_back(QuoteIdentifier(column.name));
  return fmt::format("{}", fmt::join(names, ", "));
}

Result<std::vector<pg::EncodeColumn>> LoadPlan::EncodeColumns(const arrow::Schema& schema) const {
  const pg::EncodeOptions encode{.strip_nul = options.strip_nul, .money_scale = money_scale};
  std::vector<pg::EncodeColumn> encoded;
  for (const auto& column : columns) {
    const auto& given = column.as_json ? *arrow::utf8() : *schema.field(column.source)->type();
    ARROW_ASSIGN_OR_RAISE(auto encoding, pg::PlanEncoding(given, column.side, encode));
    encoded.push_back({column.name, column.source, std::move(encoding)});
  }
  return encoded;
}

Result<TableName> TargetNameOf(Connection& connection, const DatasetId& id,
                               const LoadOptions& options, const WaitLimit& limit) {
  const auto fill = [&](const std::string& text) {
    return Replace(Replace(text, "{schema}", id.schema), "{table}", id.name);
  };
  TableName target{fill(options.target_schema), fill(options.target_table)};
  if (target.name.empty()) target.name = id.name;
  if (const size_t dot = target.name.find('.');
      target.schema.empty() && !options.target_table.empty() && dot != std::string::npos) {
    target.schema = target.name.substr(0, dot);
    target.name = target.name.substr(dot + 1);
  }
  if (target.schema.empty()) target.schema = id.schema;
  if (target.name.size() > kNameBytesMax) {
    return UserError(
        fmt::format("'{}' is longer than the {} bytes of a table's name in PostgreSQL; "
                    "give it one with target_table",
                    target.name, kNameBytesMax),
        "42622");
  }
  ARROW_ASSIGN_OR_RAISE(
      const auto found,
      connection.QueryOne(
          fmt::format("SELECT s, EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = s),"
                      " pg_catalog.has_schema_privilege(s, 'CREATE'), current_user"
                      " FROM (SELECT coalesce(nullif({}, ''), current_schema()::text)) AS x(s)"
                      " WHERE s IS NULL OR EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE "
                      "nspname = s)",
                      QuoteLiteral(target.schema)),
          limit, "look up the schema"));
  if (target.schema.empty() && found.is_null(0, 0)) {
    return UserError(
        fmt::format("no schema of this role's search_path exists for {}; name one with "
                    "target_schema",
                    id.ToString()),
        "3F000");
  }
  if (found.rows() == 0) {
    return UserError(
        fmt::format("the database has no schema '{}' for {}; CREATE SCHEMA {}, or name "
                    "one with target_schema",
                    target.schema, id.ToString(), QuoteIdentifier(target.schema)),
        "3F000");
  }
  if (!found.boolean(0, 2)) {
    return UserError(fmt::format("the role {1} may not create tables in schema '{0}', which a load "
                                 "needs for the table it loads beside: GRANT CREATE ON SCHEMA {2} "
                                 "TO {1}",
                                 found.text(0, 0), QuoteIdentifier(found.text(0, 3)),
                                 QuoteIdentifier(found.text(0, 0))),
                     "42501");
  }
  target.schema = found.text(0, 0);
  return target;
}

Result<LoadPlan> PlanLoad(Connection& connection, const DatasetPlan& dataset,
                          const WaitLimit& limit) {
  LoadPlan plan;
  ARROW_ASSIGN_OR_RAISE(plan.options, LoadOptions::From(dataset.dataset.options));
  ARROW_ASSIGN_OR_RAISE(plan.target,
                        TargetNameOf(connection, dataset.dataset.id, plan.options, limit));
  plan.side.schema = plan.target.schema;
  plan.side.name =
      fmt::format("_bulkhaul_{}_{}",
                  HashText(Xxh3Of(fmt::format("{}/{}/{}/{}", dataset.job_id, dataset.instance,
                                              dataset.dataset.id.schema, dataset.dataset.id.name))),
                  dataset.epoch);
  ARROW_RETURN_NOT_OK(CheckNames(*dataset.schema, plan.target));
  ARROW_ASSIGN_OR_RAISE(const auto facts,
                        connection.QueryOne(ServerFactsSql(connection.server_version()), limit,
                                            "look at the server"));
  plan.money_scale = ReadServerFacts(facts).money_scale;
  ARROW_ASSIGN_OR_RAISE(plan.existing, FindTarget(connection, plan.target, limit));
  if (!plan.existing && !plan.options.partition.empty()) {
    return UserError(fmt::format("there is no table {} to attach a partition to; CREATE TABLE … "
                                 "PARTITION BY …, or leave partition out",
                                 plan.target.ToString()),
                     "42P01");
  }
  if (plan.existing) {
    ARROW_RETURN_NOT_OK(CheckTarget(*plan.existing, &plan));
    ARROW_RETURN_NOT_OK(PlanExisting(connection, dataset, limit, &plan));
    // What takes its place is unlogged too, from the first row on.
    if (plan.options.if_exists == IfExists::kReplace && plan.existing->unlogged) {
      plan.options.unlogged = true;
    }
  } else {
    ARROW_RETURN_NOT_OK(PlanNewTable(connection, dataset, limit, &plan));
  }
  if (plan.options.if_exists == IfExists::kUpsert) ARROW_RETURN_NOT_OK(PlanKey(&plan));
  if (plan.options.skip_wal) ARROW_RETURN_NOT_OK(CheckSkipsWal(connection, limit, &plan));
  // Anything that cannot be encoded is said now.
  ARROW_RETURN_NOT_OK(plan.EncodeColumns(*dataset.schema).status());
  return plan;
}

}  // namespace bulkhaul::postgres
