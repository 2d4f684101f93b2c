#include <nlohmann/json.hpp>

#include "wire/pg_copy/types.h"

namespace bulkhaul::pg {
namespace {

using Json = nlohmann::json;

Json TypeToJson(const TypeInfo& type) {
  if (type.schema == "pg_catalog" && BuiltinType(type.oid)) return type.oid;
  Json json = {{"oid", type.oid},
               {"schema", type.schema},
               {"typname", type.typname},
               {"name", type.name},
               {"kind", std::string(1, type.kind)},
               {"category", std::string(1, type.category)}};
  if (!type.has_send) json["has_send"] = false;
  if (!type.extension.empty()) json["extension"] = type.extension;
  if (type.element) json["element"] = TypeToJson(*type.element);
  if (type.base) {
    json["base"] = TypeToJson(*type.base);
    json["base_typmod"] = type.base_typmod;
    json["base_dimensions"] = type.base_dimensions;
  }
  if (type.subtype) json["subtype"] = TypeToJson(*type.subtype);
  for (const CompositeField& field : type.fields) {
    json["fields"].push_back({{"name", field.name},
                              {"type", TypeToJson(*field.type)},
                              {"typmod", field.typmod},
                              {"dimensions", field.dimensions}});
  }
  if (!type.labels.empty()) json["labels"] = type.labels;
  return json;
}

char LetterOf(const Json& json, const char* key) {
  const auto& text = json.at(key).get_ref<const std::string&>();
  return text.empty() ? ' ' : text[0];
}

TypePtr TypeFromJson(const Json& json, int depth) {
  if (depth > kTypeDepthMax) throw std::invalid_argument("types nested too deep");
  if (json.is_number()) {
    TypePtr type = BuiltinType(json.get<uint32_t>());
    if (!type) throw std::invalid_argument("no built-in type has oid " + json.dump());
    return type;
  }
  auto type = std::make_shared<TypeInfo>();
  type->oid = json.at("oid").get<uint32_t>();
  type->schema = json.at("schema").get<std::string>();
  type->typname = json.at("typname").get<std::string>();
  type->name = json.at("name").get<std::string>();
  type->kind = LetterOf(json, "kind");
  type->category = LetterOf(json, "category");
  type->has_send = json.value("has_send", true);
  type->extension = json.value("extension", "");
  if (json.contains("element")) type->element = TypeFromJson(json["element"], depth + 1);
  if (json.contains("base")) {
    type->base = TypeFromJson(json["base"], depth + 1);
    type->base_typmod = json.at("base_typmod").get<int32_t>();
    type->base_dimensions = json.at("base_dimensions").get<int32_t>();
  }
  if (json.contains("subtype")) type->subtype = TypeFromJson(json["subtype"], depth + 1);
  if (json.contains("fields")) {
    for (const Json& field : json["fields"]) {
      type->fields.push_back(
          {field.at("name").get<std::string>(), TypeFromJson(field.at("type"), depth + 1),
           field.at("typmod").get<int32_t>(), field.at("dimensions").get<int32_t>()});
    }
  }
  if (json.contains("labels")) type->labels = json["labels"].get<std::vector<std::string>>();
  return type;
}

// Names of a SQL_ASCII database need not be UTF-8, which JSON must be.
std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json SpecToJson(const ColumnSpec& column) {
  Json json = {{"name", column.name}, {"type", TypeToJson(*column.type)}};
  if (!column.source_type.empty()) json["source_type"] = column.source_type;
  if (column.typmod != -1) json["typmod"] = column.typmod;
  if (column.dimensions != 0) json["dimensions"] = column.dimensions;
  if (!column.nullable) json["nullable"] = false;
  return json;
}

ColumnSpec SpecFromJson(const Json& json) {
  ColumnSpec column;
  column.name = json.at("name").get<std::string>();
  column.type = TypeFromJson(json.at("type"), 0);
  column.source_type = json.value("source_type", "");
  column.typmod = json.value("typmod", -1);
  column.dimensions = json.value("dimensions", 0);
  column.nullable = json.value("nullable", true);
  return column;
}

}  // namespace

std::string ColumnSpec::ToJson() const { return Dump(SpecToJson(*this)); }

Result<ColumnSpec> ColumnSpec::FromJson(std::string_view json) {
  try {
    return SpecFromJson(Json::parse(json));
  } catch (const std::exception& error) {
    return PermanentError(std::string("not a column description: ") + error.what());
  }
}

std::string ColumnSpecsToJson(std::span<const ColumnSpec> columns) {
  Json json = Json::array();
  for (const ColumnSpec& column : columns) json.push_back(SpecToJson(column));
  return Dump(json);
}

Result<std::vector<ColumnSpec>> ColumnSpecsFromJson(std::string_view json) {
  try {
    std::vector<ColumnSpec> columns;
    const Json list = Json::parse(json);
    if (!list.is_array()) throw std::invalid_argument("no array");
    for (const Json& column : list) columns.push_back(SpecFromJson(column));
    return columns;
  } catch (const std::exception& error) {
    return PermanentError(std::string("not a list of column descriptions: ") + error.what());
  }
}

}  // namespace bulkhaul::pg
