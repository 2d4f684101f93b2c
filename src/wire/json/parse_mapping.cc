#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "wire/json/mapping.h"

namespace bulkhaul::search {

namespace {

using Json = nlohmann::ordered_json;

// The servers' own limit on the depth of a mapping is 20 unless a setting raises it.
constexpr int kDepthMax = 200;

Status NotAMapping(const std::string& why) {
  return PermanentError("the answer to _mapping is not one: " + why);
}

std::string TextOf(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return {};
  return found->is_string() ? found->get<std::string>() : found->dump();
}

// Settings of mappings may be booleans or their text.
bool IsFalse(const Json& object, const char* key) { return TextOf(object, key) == "false"; }

std::vector<std::string> ListOf(const Json& object, const char* key) {
  std::vector<std::string> list;
  const auto found = object.find(key);
  if (found == object.end()) return list;
  if (found->is_string()) list.push_back(found->get<std::string>());
  if (found->is_array()) {
    for (const Json& item : *found) {
      if (item.is_string()) list.push_back(item.get<std::string>());
    }
  }
  return list;
}

MappedField FieldOf(std::string path, const Json& definition) {
  MappedField field;
  field.path = std::move(path);
  field.type = TextOf(definition, "type");
  field.format = TextOf(definition, "format");
  field.locale = TextOf(definition, "locale");
  if (field.type.empty()) field.type = "object";
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

Status AddProperties(const std::string& prefix, const Json& holder, int depth,
                     std::vector<MappedField>* fields) {
  const auto properties = holder.find("properties");
  if (properties == holder.end()) return Status::OK();
  if (!properties->is_object()) return NotAMapping("\"properties\" is no object");
  if (depth > kDepthMax) return NotAMapping("its objects are nested too deeply");
  for (const auto& [name, definition] : properties->items()) {
    if (!definition.is_object()) return NotAMapping("the field '" + name + "' is no object");
    MappedField field = FieldOf(prefix + name, definition);
    const bool holds_fields = field.type == "object" || field.type == "passthrough";
    field.is_object = holds_fields && !IsFalse(definition, "enabled");
    // Disabled: kept in _source as it came, whatever it is.
    if (holds_fields && !field.is_object) field.type = "disabled object";
    const std::string below = field.path + ".";
    const bool open = field.is_object;
    fields->push_back(std::move(field));
    if (open) ARROW_RETURN_NOT_OK(AddProperties(below, definition, depth + 1, fields));
  }
  return Status::OK();
}

// Fields that a script makes. Elasticsearch: "runtime"; OpenSearch: "derived".
void AddComputed(const Json& mappings, const char* section, std::vector<MappedField>* fields) {
  const auto found = mappings.find(section);
  if (found == mappings.end() || !found->is_object()) return;
  for (const auto& [name, definition] : found->items()) {
    if (!definition.is_object()) continue;
    MappedField field = FieldOf(name, definition);
    field.computed = true;
    // A runtime field shadows a mapped one of the same name.
    std::erase_if(*fields, [&](const MappedField& other) { return other.path == field.path; });
    fields->push_back(std::move(field));
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
    field.format = target->format;
    field.locale = target->locale;
  }
}

}  // namespace

Result<std::vector<IndexMapping>> ParseMappings(std::string_view answer) {
  const Json root = Json::parse(answer, nullptr, false);
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
    const Json& mappings = body["mappings"];
    mapping.hash = Xxh3Of(mappings.dump(-1, ' ', false, Json::error_handler_t::replace));
    ARROW_RETURN_NOT_OK(AddProperties("", mappings, 0, &mapping.fields));
    AddComputed(mappings, "runtime", &mapping.fields);
    AddComputed(mappings, "derived", &mapping.fields);
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
