#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "wire/json/page_layout.h"

namespace bulkhaul::search {

namespace {

using Json = nlohmann::json;

Json ColumnToJson(const ColumnSpec& column) {
  Json json = {{"path", column.path},
               {"kind", static_cast<int>(column.kind)},
               {"source_type", column.source_type}};
  if (column.list) json["list"] = true;
  if (column.from_fields) json["from_fields"] = true;
  if (column.exact_integers) json["exact_integers"] = true;
  if (!column.format.empty()) {
    json["format"] = column.format;
    json["unit"] = static_cast<int>(column.unit);
    if (column.from_fields && column.own_format) json["own_format"] = true;
  }
  if (!column.constants.empty()) json["constants"] = column.constants;
  for (const ColumnSpec& child : column.children) json["children"].push_back(ColumnToJson(child));
  return json;
}

template <typename Enum>
Enum EnumOf(const Json& json, const char* key, Enum fallback, Enum last) {
  const int value = json.value(key, static_cast<int>(fallback));
  if (value < 0 || value > static_cast<int>(last)) throw std::out_of_range(key);
  return static_cast<Enum>(value);
}

ColumnSpec ColumnFromJson(const Json& json) {
  ColumnSpec column;
  column.path = json.at("path").get<std::string>();
  column.kind = EnumOf(json, "kind", ColumnKind::kJson, ColumnKind::kExtra);
  column.source_type = json.value("source_type", "");
  column.list = json.value("list", false);
  column.from_fields = json.value("from_fields", false);
  column.exact_integers = json.value("exact_integers", false);
  column.format = json.value("format", "");
  column.own_format = json.value("own_format", !column.from_fields);
  column.unit = EnumOf(json, "unit", DateUnit::kMicro, DateUnit::kNano);
  if (json.contains("constants")) {
    column.constants = json["constants"].get<std::map<std::string, std::string>>();
  }
  if (json.contains("children")) {
    for (const Json& child : json["children"]) column.children.push_back(ColumnFromJson(child));
  }
  if ((column.kind == ColumnKind::kNested) == column.children.empty()) {
    throw std::invalid_argument("a nested column without children, or another with some");
  }
  return column;
}

}  // namespace

std::string PageLayout::ToJson() const {
  Json list = Json::array();
  for (const ColumnSpec& column : columns) list.push_back(ColumnToJson(column));
  const Json json = {{"columns", std::move(list)},
                     {"left_out", left_out},
                     {"objects", static_cast<int>(objects)},
                     {"arrays", static_cast<int>(arrays)},
                     {"misfit", static_cast<int>(misfit)},
                     {"excess_digits", static_cast<int>(excess_digits)},
                     {"doc_values", doc_values}};
  return json.dump();
}

Result<PageLayout> PageLayout::FromJson(std::string_view text) {
  try {
    const Json json = Json::parse(text);
    PageLayout layout;
    for (const Json& column : json.at("columns")) layout.columns.push_back(ColumnFromJson(column));
    layout.left_out = json.at("left_out").get<std::vector<std::string>>();
    layout.objects = EnumOf(json, "objects", ObjectForm::kFlatten, ObjectForm::kStruct);
    layout.arrays = EnumOf(json, "arrays", ArrayForm::kAuto, ArrayForm::kJson);
    layout.misfit = EnumOf(json, "misfit", OnMisfitValue::kError, OnMisfitValue::kNull);
    layout.excess_digits =
        EnumOf(json, "excess_digits", OnExcessDigits::kError, OnExcessDigits::kTruncate);
    layout.doc_values = json.value("doc_values", false);
    return layout;
  } catch (const std::exception& error) {
    return PermanentError(fmt::format("a page layout that cannot be read: {}", error.what()));
  }
}

}  // namespace bulkhaul::search
