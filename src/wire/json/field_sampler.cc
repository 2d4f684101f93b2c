#include <nlohmann/json.hpp>

#include "wire/json/field_class.h"
#include "wire/json/search_page.h"

namespace bulkhaul::search {

namespace {

using Json = nlohmann::json;

bool IsPoint(const Json& value) {
  return value.is_array() && !value.empty() && value[0].is_number();
}

}  // namespace

class FieldSampler::Impl {
 public:
  explicit Impl(const MergedMapping& mapping) {
    for (const MergedField& field : mapping.fields) {
      if (field.field.is_object && field.conflict.empty()) continue;
      classes_[field.field.path] = ClassifyType(field.field.type).field_class;
      if (field.conflict.empty() && field.field.type == "nested") nested_.insert(field.field.path);
    }
  }

  void AddHit(const Json& hit) {
    std::map<std::string, int64_t> counts;
    for (const char* part : {"_source", "fields"}) {
      // What stands in both is one value.
      std::map<std::string, int64_t> in_part;
      if (const auto document = hit.find(part); document != hit.end()) {
        CountMembers("", *document, 0, &in_part);
      }
      for (const auto& [path, count] : in_part) counts[path] = std::max(counts[path], count);
    }
    for (const auto& [path, count] : counts) {
      if (count > 1) array_fields.insert(path);
    }
  }

  std::set<std::string> array_fields;

 private:
  void CountMembers(const std::string& prefix, const Json& object, int depth,
                    std::map<std::string, int64_t>* counts) const {
    if (!object.is_object() || depth > kNestingMax) return;
    for (const auto& [key, value] : object.items()) {
      Count(prefix + key, value, depth + 1, counts);
    }
  }

  void Count(const std::string& path, const Json& value, int depth,
             std::map<std::string, int64_t>* counts) const {
    if (nested_.contains(path)) return CountInElements(path, value, depth, counts);
    const auto known = classes_.find(path);
    if (known != classes_.end()) {
      if (known->second == FieldClass::kJson || known->second == FieldClass::kVector) return;
      (*counts)[path] += CountValues(value, known->second == FieldClass::kGeoPoint, depth);
    }
    // Also of a field that is an object in some documents only.
    if (value.is_array()) {
      for (const Json& element : value) CountMembers(path + ".", element, depth + 1, counts);
    } else {
      CountMembers(path + ".", value, depth, counts);
    }
  }

  // Each element of a nested field has values of its own: what counts is the largest number.
  void CountInElements(const std::string& path, const Json& value, int depth,
                       std::map<std::string, int64_t>* counts) const {
    if (depth > kNestingMax) return;
    if (value.is_array()) {
      for (const Json& element : value) CountInElements(path, element, depth + 1, counts);
      return;
    }
    std::map<std::string, int64_t> in_element;
    CountMembers(path + ".", value, depth + 1, &in_element);
    for (const auto& [name, count] : in_element) {
      (*counts)[name] = std::max((*counts)[name], count);
    }
  }

  static int64_t CountValues(const Json& value, bool points, int depth) {
    if (value.is_null() || depth > kNestingMax) return 0;
    if (!value.is_array() || (points && IsPoint(value))) return 1;
    int64_t count = 0;
    for (const Json& element : value) count += CountValues(element, points, depth + 1);
    return count;
  }

  std::map<std::string, FieldClass> classes_;
  std::set<std::string> nested_;
};

FieldSampler::FieldSampler(const MergedMapping& mapping) : impl_(std::make_unique<Impl>(mapping)) {}
FieldSampler::~FieldSampler() = default;

Status FieldSampler::Append(std::string_view page) {
  const Json answer = Json::parse(page, nullptr, false);
  if (!answer.is_object() || !answer.contains("hits") || !answer["hits"].is_object() ||
      !answer["hits"].contains("hits")) {
    return TransientError("the server's answer to a sample search is not one");
  }
  for (const Json& hit : answer["hits"]["hits"]) impl_->AddHit(hit);
  return Status::OK();
}

const std::set<std::string>& FieldSampler::array_fields() const { return impl_->array_fields; }

}  // namespace bulkhaul::search
