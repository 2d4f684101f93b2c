#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "wire/json/field_class.h"
#include "wire/json/mapping.h"

namespace bulkhaul::search {

namespace {

using OrderedJson = nlohmann::ordered_json;

Status NotAMapping(const std::string& why) {
  return PermanentError("the answer to _mapping is not one: " + why);
}

std::string TextOf(const OrderedJson& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return {};
  return found->is_string() ? found->get<std::string>() : found->dump();
}

// Settings of mappings may be booleans or their text.
bool IsFalse(const OrderedJson& object, const char* key) { return TextOf(object, key) == "false"; }
bool IsTrue(const OrderedJson& object, const char* key) { return TextOf(object, key) == "true"; }

std::vector<std::string> ListOf(const OrderedJson& object, const char* key) {
  std::vector<std::string> list;
  const auto found = object.find(key);
  if (found == object.end()) return list;
  if (found->is_string()) list.push_back(found->get<std::string>());
  if (found->is_array()) {
    for (const OrderedJson& item : *found) {
      if (item.is_string()) list.push_back(item.get<std::string>());
    }
  }
  return list;
}

// Sources: Elasticsearch guide, "Mapping parameters" and "Doc value fields"; OpenSearch
// documentation, "Mapping parameters".
std::string WhyDocValuesDiffer(const std::string& type, const OrderedJson& definition) {
  constexpr std::array<std::string_view, 9> kSame = {"byte",    "short",         "integer",
                                                     "long",    "unsigned_long", "double",
                                                     "boolean", "date",          "date_nanos"};
  if (IsFalse(definition, "doc_values")) return "it has doc_values: false";
  if (!TextOf(definition, "null_value").empty()) return "its null_value stands in place of nulls";
  if (IsTrue(definition, "ignore_malformed")) {
    return "ignore_malformed leaves values out";
  }
  if (type == "keyword") {
    if (!TextOf(definition, "normalizer").empty()) return "its normalizer changes values";
    if (!TextOf(definition, "ignore_above").empty()) return "ignore_above leaves long values out";
    return {};
  }
  if (std::find(kSame.begin(), kSame.end(), type) != kSame.end()) return {};
  return fmt::format("fields of type {} keep their values in another form, or none", type);
}

MappedField FieldOf(std::string path, const OrderedJson& definition) {
  MappedField field;
  field.path = std::move(path);
  field.type = TextOf(definition, "type");
  field.format = TextOf(definition, "format");
  field.locale = TextOf(definition, "locale");
  if (field.type.empty()) field.type = "object";
  field.doc_values_differ = WhyDocValuesDiffer(field.type, definition);
  if (field.type == "constant_keyword") field.constant = TextOf(definition, "value");
  if (field.type == "alias") field.alias_of = TextOf(definition, "path");
  const auto fields = definition.find("fields");
  if (fields != definition.end() && fields->is_object()) {
    for (const auto& [name, ignored] : fields->items()) {
      field.multi_fields.push_back(field.path + "." + name);
    }
  }
  return field;
}

// What one mapping tells of its fields, on the way down.
struct FieldList {
  std::vector<MappedField>* fields;
  std::vector<std::string> copied_to;  // fields that get the values of others too
};

// `apart`: from the documents themselves, in a nested field.
Status AddProperties(const std::string& prefix, const OrderedJson& holder, int depth, bool apart,
                     FieldList* list) {
  const auto properties = holder.find("properties");
  if (properties == holder.end()) return Status::OK();
  if (!properties->is_object()) return NotAMapping("\"properties\" is no object");
  if (depth > kNestingMax) return NotAMapping("its objects are nested too deeply");
  for (const auto& [name, definition] : properties->items()) {
    if (!definition.is_object()) return NotAMapping("the field '" + name + "' is no object");
    MappedField field = FieldOf(prefix + name, definition);
    const bool holds_fields = field.type == "object" || field.type == "passthrough";
    field.is_object = holds_fields && !IsFalse(definition, "enabled");
    // Disabled: kept in _source as it came, whatever it is.
    if (holds_fields && !field.is_object) field.type = "disabled object";
    const std::string below = field.path + ".";
    const bool nested = field.type == "nested", open = field.is_object || nested;
    field.in_nested = apart;
    const bool apart_below = nested ? !IsTrue(definition, "include_in_root") &&
                                          (apart || !IsTrue(definition, "include_in_parent"))
                                    : apart;
    list->fields->push_back(std::move(field));
    for (auto& target : ListOf(definition, "copy_to")) list->copied_to.push_back(std::move(target));
    if (open) {
      ARROW_RETURN_NOT_OK(AddProperties(below, definition, depth + 1, apart_below, list));
    }
  }
  return Status::OK();
}

Status AddMapped(const OrderedJson& mappings, std::vector<MappedField>* fields) {
  FieldList list{fields, {}};
  ARROW_RETURN_NOT_OK(AddProperties("", mappings, 0, false, &list));
  for (MappedField& field : *fields) {
    if (std::find(list.copied_to.begin(), list.copied_to.end(), field.path) !=
        list.copied_to.end()) {
      field.doc_values_differ = "copy_to adds the values of other fields";
    }
  }
  return Status::OK();
}

constexpr std::string_view kDerivedSection = "derived";

void AddComputedField(const std::string& path, const OrderedJson& definition,
                      std::string_view section, std::vector<MappedField>* fields) {
  MappedField field = FieldOf(path, definition);
  field.computed = true;
  field.derived = section == kDerivedSection;
  if (field.derived && field.type == "object") field.type = kDerivedObject;
  field.doc_values_differ = "it is computed";
  // A runtime field shadows a mapped one of the same name.
  std::erase_if(*fields, [&](const MappedField& other) { return other.path == field.path; });
  fields->push_back(std::move(field));
}

// Fields that a script makes. Elasticsearch: "runtime"; OpenSearch: "derived".
void AddComputed(const OrderedJson& mappings, std::string_view section,
                 std::vector<MappedField>* fields) {
  const auto found = mappings.find(section);
  if (found == mappings.end() || !found->is_object()) return;
  for (const auto& [name, definition] : found->items()) {
    if (!definition.is_object()) continue;
    // One script for several fields; the name itself has no value.
    const bool composite = TextOf(definition, "type") == "composite";
    if (!composite) AddComputedField(name, definition, section, fields);
    if (!composite || !definition.contains("fields")) continue;
    for (const auto& [below, inner] : definition["fields"].items()) {
      if (inner.is_object()) AddComputedField(name + "." + below, inner, section, fields);
    }
  }
}

// An alias is read as what it stands for.
void ResolveAliases(std::vector<MappedField>* fields) {
  for (MappedField& field : *fields) {
    if (field.alias_of.empty()) continue;
    const auto target =
        std::find_if(fields->begin(), fields->end(), [&](const MappedField& candidate) {
          return candidate.path == field.alias_of && candidate.alias_of.empty();
        });
    if (target == fields->end()) continue;
    field.type = target->type;
    field.doc_values_differ = "it is an alias";
    field.format = target->format;
    field.locale = target->locale;
  }
}

}  // namespace

Result<std::vector<IndexMapping>> ParseMappings(std::string_view answer) {
  const OrderedJson root = OrderedJson::parse(answer, nullptr, false);
  if (!root.is_object()) return NotAMapping("it is no JSON object");
  if (root.contains("error") && root.contains("status")) {
    return NotAMapping("it is an error: " + root["error"].dump());
  }
  std::vector<IndexMapping> result;
  for (const auto& [index, body] : root.items()) {
    IndexMapping mapping;
    mapping.index = index;
    if (!body.is_object() || !body.contains("mappings") || !body["mappings"].is_object()) {
      return NotAMapping("index '" + index + "' has no \"mappings\"");
    }
    const OrderedJson& mappings = body["mappings"];
    mapping.hash = Xxh3Of(mappings.dump(-1, ' ', false, OrderedJson::error_handler_t::replace));
    ARROW_RETURN_NOT_OK(AddMapped(mappings, &mapping.fields));
    AddComputed(mappings, "runtime", &mapping.fields);
    AddComputed(mappings, kDerivedSection, &mapping.fields);
    ResolveAliases(&mapping.fields);
    if (const auto source = mappings.find("_source");
        source != mappings.end() && source->is_object()) {
      mapping.source_enabled =
          !IsFalse(*source, "enabled") && TextOf(*source, "mode") != "disabled";
      mapping.source_includes = ListOf(*source, "includes");
      mapping.source_excludes = ListOf(*source, "excludes");
    }
    result.push_back(std::move(mapping));
  }
  std::sort(result.begin(), result.end(),
            [](const IndexMapping& a, const IndexMapping& b) { return a.index < b.index; });
  return result;
}

}  // namespace bulkhaul::search
