#include <algorithm>

#include <fmt/format.h>

#include "wire/json/date_format.h"
#include "wire/json/field_class.h"
#include "wire/json/mapping.h"

namespace bulkhaul::search {

namespace {

std::string DateFormatOf(const MappedField& field) {
  return field.format.empty() ? kDefaultDateFormat : field.format;
}

// The parts of both, each once, in order.
std::string JoinFormats(const std::string& left, const std::string& right) {
  std::string joined = left;
  std::string_view rest = right;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find("||"), rest.size());
    const std::string part(rest.substr(0, end));
    if (("||" + joined + "||").find("||" + part + "||") == std::string::npos) joined += "||" + part;
    rest.remove_prefix(std::min(end + 2, rest.size()));
  }
  return joined;
}

void Merge(const MappedField& field, const std::string& index, MergedField* into) {
  MappedField& merged = into->field;
  const auto known = [&](const auto& type) { return type.first == field.type; };
  if (std::none_of(into->types.begin(), into->types.end(), known)) {
    const std::string wider =
        into->types.empty() ? field.type : WidenTypes(merged.type, field.type);
    into->types.emplace_back(field.type, index);
    if (wider.empty() && into->conflict.empty()) {
      into->conflict =
          fmt::format("field '{}' is {} in index '{}' and {} in index '{}'", field.path,
                      into->types.front().first, into->types.front().second, field.type, index);
    }
    if (!wider.empty()) merged.type = wider;
  }
  if (ClassifyType(merged.type).field_class == FieldClass::kDate) {
    merged.format = JoinFormats(DateFormatOf(merged), DateFormatOf(field));
    const bool whole = field.derived || (field.type == "date" && field.format.empty());
    if (!whole && into->shortened_in.empty()) into->shortened_in = index;
  }
  if (field.derived) {
    merged.derived = true;
    if (into->derived_in.empty()) into->derived_in = index;
  }
  if (field.in_nested) merged.in_nested = true;
  if (merged.locale.empty()) merged.locale = field.locale;
  if (field.computed) merged.computed = true;
  if (merged.doc_values_differ.empty()) merged.doc_values_differ = field.doc_values_differ;
  if (merged.alias_of.empty()) merged.alias_of = field.alias_of;
  merged.is_object = ClassifyType(merged.type).field_class == FieldClass::kObject;
  for (const std::string& name : field.multi_fields) {
    if (std::find(merged.multi_fields.begin(), merged.multi_fields.end(), name) ==
        merged.multi_fields.end()) {
      merged.multi_fields.push_back(name);
    }
  }
  if (!field.constant.empty()) into->constants[index] = field.constant;
}

}  // namespace

const MergedField* MergedMapping::Find(std::string_view path) const {
  const auto found = std::lower_bound(
      fields.begin(), fields.end(), path,
      [](const MergedField& field, std::string_view wanted) { return field.field.path < wanted; });
  return found != fields.end() && found->field.path == path ? &*found : nullptr;
}

MergedMapping MergeMappings(std::span<const IndexMapping> mappings) {
  MergedMapping merged;
  std::map<std::string, MergedField> fields;
  const IndexMapping* previous = nullptr;
  for (const IndexMapping& mapping : mappings) {
    merged.indices.push_back(mapping.index);
    // Indices of one template differ in nothing, and there may be thousands.
    const bool same = previous != nullptr && previous->fields == mapping.fields;
    previous = &mapping;
    for (const MappedField& field : mapping.fields) {
      if (same) {
        if (!field.constant.empty()) fields[field.path].constants[mapping.index] = field.constant;
        continue;
      }
      const auto [place, added] = fields.try_emplace(field.path);
      if (added) {
        place->second.field.path = field.path;
        place->second.field.format = field.format;
      }
      Merge(field, mapping.index, &place->second);
    }
  }
  for (auto& [path, field] : fields) merged.fields.push_back(std::move(field));
  return merged;
}

}  // namespace bulkhaul::search
