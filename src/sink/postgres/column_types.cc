#include "sink/postgres/column_types.h"

#include <regex>

#include <arrow/extension_type.h>
#include <arrow/type_traits.h>
#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>

#include "client/postgres/server_catalog.h"
#include "client/postgres/sql_text.h"
#include "plan/values.h"
#include "wire/pg_copy/copy_encoder.h"

namespace bulkhaul::postgres {
namespace {

const arrow::DataType& Plain(const arrow::DataType& type) {
  if (type.id() == arrow::Type::DICTIONARY) {
    return Plain(*static_cast<const arrow::DictionaryType&>(type).value_type());
  }
  return type;
}

bool IsList(const arrow::DataType& type) {
  return type.id() == arrow::Type::LIST || type.id() == arrow::Type::LARGE_LIST ||
         type.id() == arrow::Type::FIXED_SIZE_LIST;
}

int32_t ListDepth(const arrow::DataType& type) {
  int32_t depth = 0;
  const arrow::DataType* at = &type;
  for (; IsList(*at); ++depth) at = at->field(0)->type().get();
  return depth;
}

// Whether the types have the same values; dictionaries, names of list items and whether parts may
// be NULL make no difference.
bool SameValues(const arrow::DataType& left_given, const arrow::DataType& right_given) {
  const auto& left = Plain(left_given);
  const auto& right = Plain(right_given);
  if (left.num_fields() == 0 || right.num_fields() == 0) return left.Equals(right);
  const bool lists = IsList(left) && IsList(right);
  if ((!lists && left.id() != right.id()) || left.num_fields() != right.num_fields()) return false;
  for (int i = 0; i < left.num_fields(); ++i) {
    if (left.id() == arrow::Type::STRUCT && left.field(i)->name() != right.field(i)->name()) {
      return false;
    }
    if (!SameValues(*left.field(i)->type(), *right.field(i)->type())) return false;
  }
  return true;
}

// The mappings that some choice of options makes of the column.
std::vector<pg::ColumnMapping> MappingsOf(const pg::ColumnSpec& spec, const arrow::DataType& type) {
  std::vector<pg::MappingOptions> choices(4);
  choices[1].numeric = pg::NumericForm::kDouble;
  choices[2].wide_numeric_decimal256 = true;
  const arrow::DataType* inner = &type;
  while (IsList(*inner)) inner = inner->field(0)->type().get();
  if (arrow::is_decimal(inner->id())) {
    const auto& decimal = static_cast<const arrow::DecimalType&>(*inner);
    choices[3].numeric = pg::NumericForm::kDecimal;
    choices[3].numeric_precision = decimal.precision();
    choices[3].numeric_scale = decimal.scale();
    choices[3].money_scale = decimal.scale();
  }
  std::vector<pg::ColumnMapping> mappings;
  for (const auto& options : choices) {
    auto mapping = pg::MapColumn(spec, options);
    if (mapping.ok()) mappings.push_back(mapping.MoveValueUnsafe());
  }
  return mappings;
}

// The type's text, or "json" for what has none of its own.
std::string NearestType(const arrow::DataType& given) {
  const auto& type = Plain(given);
  switch (type.id()) {
    case arrow::Type::BOOL:
      return "boolean";
    case arrow::Type::INT8:
    case arrow::Type::INT16:
    case arrow::Type::UINT8:
      return "smallint";
    case arrow::Type::INT32:
    case arrow::Type::UINT16:
      return "integer";
    case arrow::Type::INT64:
    case arrow::Type::UINT32:
      return "bigint";
    case arrow::Type::UINT64:
      return "numeric(20,0)";
    case arrow::Type::HALF_FLOAT:
    case arrow::Type::FLOAT:
      return "real";
    case arrow::Type::DOUBLE:
      return "double precision";
    case arrow::Type::DECIMAL32:
    case arrow::Type::DECIMAL64:
    case arrow::Type::DECIMAL128:
    case arrow::Type::DECIMAL256: {
      const auto& decimal = static_cast<const arrow::DecimalType&>(type);
      const int32_t scale = std::max(decimal.scale(), 0);
      return fmt::format("numeric({},{})", decimal.precision() + std::max(-decimal.scale(), 0),
                         scale);
    }
    case arrow::Type::BINARY:
    case arrow::Type::LARGE_BINARY:
    case arrow::Type::BINARY_VIEW:
    case arrow::Type::FIXED_SIZE_BINARY:
      return "bytea";
    case arrow::Type::DATE32:
    case arrow::Type::DATE64:
      return "date";
    case arrow::Type::TIME32:
    case arrow::Type::TIME64:
      return "time without time zone";
    case arrow::Type::TIMESTAMP:
      return static_cast<const arrow::TimestampType&>(type).timezone().empty()
                 ? "timestamp without time zone"
                 : "timestamp with time zone";
    case arrow::Type::DURATION:
    case arrow::Type::INTERVAL_MONTH_DAY_NANO:
      return "interval";
    case arrow::Type::LIST:
    case arrow::Type::LARGE_LIST:
    case arrow::Type::FIXED_SIZE_LIST: {
      const std::string element = NearestType(*type.field(0)->type());
      if (element == "json" || ListDepth(type) > 6) return "json";
      return element.ends_with("[]") ? element : element + "[]";
    }
    case arrow::Type::STRUCT:
    case arrow::Type::MAP:
      return "json";
    case arrow::Type::EXTENSION: {
      const auto& extension = static_cast<const arrow::ExtensionType&>(type);
      if (extension.extension_name() == "arrow.uuid") return "uuid";
      if (extension.extension_name() == "arrow.json") return "jsonb";
      return NearestType(*extension.storage_type());
    }
    default:
      return "text";
  }
}

}  // namespace

bool IsNested(const arrow::DataType& given) {
  const auto& type = Plain(given);
  return IsList(type) || type.id() == arrow::Type::STRUCT || type.id() == arrow::Type::MAP;
}

bool IsTextOrTexts(const arrow::DataType& given) {
  const arrow::DataType* type = &given;
  while (IsList(*type)) type = type->field(0)->type().get();
  const auto id = Plain(*type).id();
  return id == arrow::Type::STRING || id == arrow::Type::LARGE_STRING ||
         id == arrow::Type::STRING_VIEW;
}

pg::ColumnSpec TextSpec(const std::string& name, const arrow::DataType& type) {
  constexpr uint32_t kText = 25, kTextArray = 1009;
  pg::ColumnSpec spec;
  spec.name = name;
  spec.dimensions = ListDepth(type);
  spec.type = pg::BuiltinType(spec.dimensions > 0 ? kTextArray : kText);
  spec.source_type = "text";
  for (int32_t depth = 0; depth < spec.dimensions; ++depth) spec.source_type += "[]";
  return spec;
}

Result<std::optional<pg::ColumnSpec>> TypeChooser::Find(const std::string& text) {
  if (const auto found = known_.find(text); found != known_.end()) return found->second;
  auto asked = Ask(text);
  if (!asked.ok()) {
    // Whatever is no type of this server: a syntax error, an unknown schema.
    if (KindOf(asked.status()) != ErrorKind::kUser || !connection_.ok()) return asked.status();
    asked = std::optional<pg::ColumnSpec>();
  }
  known_[text] = *asked;
  return *asked;
}

Result<std::optional<pg::ColumnSpec>> TypeChooser::Ask(const std::string& text) {
  constexpr size_t kTextBytesMax = 400;
  static const std::regex with_modifier(R"(^[a-z ]+\([0-9,-]+\)[a-z ]*(\[\])?$)");
  if (text.empty() || text.size() > kTextBytesMax || text.find('\0') != std::string::npos) {
    return std::nullopt;
  }
  pg::ColumnSpec spec;
  spec.source_type = text;
  uint32_t oid = 0;
  if (std::regex_match(text, with_modifier)) {
    ARROW_ASSIGN_OR_RAISE(const auto described,
                          connection_.Describe("SELECT NULL::" + text, limit_, "a type"));
    oid = described.column_type(0);
    spec.typmod = described.column_typmod(0);
    ARROW_ASSIGN_OR_RAISE(
        const auto spelt,
        connection_.QueryOne(fmt::format("SELECT pg_catalog.format_type({}, {})", oid, spec.typmod),
                             limit_, "a type"));
    if (spelt.text(0, 0) != text) return std::nullopt;
  } else {
    ARROW_ASSIGN_OR_RAISE(
        const auto rows,
        connection_.QueryOne(
            // `character` alone would mean character(1), and `bit` bit(1).
            fmt::format("SELECT t.oid, CASE {0} WHEN pg_catalog.format_type(t.oid, NULL)"
                        " THEN pg_catalog.format_type(t.oid, -1) ELSE {0} END FROM "
                        "pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n"
                        " ON n.oid = t.typnamespace WHERE t.oid = pg_catalog.to_regtype({0})"
                        " AND t.typtype <> 'p' AND {0} IN (pg_catalog.format_type(t.oid, NULL),"
                        " pg_catalog.format_type(t.oid, -1),"
                        " pg_catalog.quote_ident(n.nspname) || '.' ||"
                        " pg_catalog.quote_ident(t.typname))",
                        QuoteLiteral(text)),
            limit_, "a type"));
    if (rows.rows() == 0) return std::nullopt;
    oid = static_cast<uint32_t>(rows.integer(0, 0));
    spec.source_type = rows.text(0, 1);
  }
  ARROW_ASSIGN_OR_RAISE(
      const auto rows,
      connection_.QueryOne(TypesSql(fmt::format("SELECT {}::pg_catalog.oid AS oid", oid),
                                    connection_.server_version()),
                           limit_, "a type"));
  ARROW_ASSIGN_OR_RAISE(const auto types, BuildTypes(rows));
  const auto found = types.find(oid);
  if (found == types.end()) return std::nullopt;
  spec.type = found->second;
  return spec;
}

Result<ChosenType> TypeChooser::Choose(const arrow::Field& field) {
  const arrow::DataType& type = *field.type();
  std::string wished;
  if (field.metadata() && field.metadata()->Contains(kSourceTypeKey)) {
    ARROW_ASSIGN_OR_RAISE(wished, field.metadata()->Get(kSourceTypeKey));
  }
  ARROW_ASSIGN_OR_RAISE(auto source, Find(wished));
  if (source) {
    source->name = field.name();
    const bool array = source->type->element != nullptr && source->source_type.ends_with("[]");
    if (array) {
      const auto& element = *source->type->element;
      const auto& item = element.base ? *element.base : element;
      const bool is_list = item.kind == 'm' || item.element != nullptr;  // multirange, vector
      source->dimensions = std::max(ListDepth(type) - (is_list ? 1 : 0), 1);
    }
    for (const auto& mapping : MappingsOf(*source, type)) {
      if (!SameValues(*mapping.field->type(), type)) continue;
      if (array) {
        for (int32_t depth = 1; depth < source->dimensions; ++depth) source->source_type += "[]";
      }
      const bool encodes = pg::PlanEncoding(type, *source, {}).ok();
      if (!encodes && mapping.cast.empty()) break;
      return ChosenType{std::move(*source), !encodes, false};
    }
  }
  const std::string nearest = NearestType(type);
  ChosenType chosen;
  chosen.as_json = nearest == "json";
  ARROW_ASSIGN_OR_RAISE(auto found, Find(chosen.as_json ? "jsonb" : nearest));
  if (!found) return BugError("the server has no type " + nearest);
  chosen.spec = std::move(*found);
  chosen.spec.name = field.name();
  if (!chosen.as_json && ListDepth(type) > 0) {
    chosen.spec.dimensions = ListDepth(type);
    for (int32_t depth = 1; depth < chosen.spec.dimensions; ++depth) {
      chosen.spec.source_type += "[]";
    }
  }
  return chosen;
}

}  // namespace bulkhaul::postgres
