#include "wire/json/field_class.h"

#include <algorithm>

namespace bulkhaul::search {

namespace {

struct KnownType {
  std::string_view name;
  ClassifiedType classified;
};

// Sources: Elasticsearch guide, "Field data types"; OpenSearch documentation, "Supported field
// types".
constexpr KnownType kKnownTypes[] = {
    {"byte", {FieldClass::kInteger, 0}},
    {"short", {FieldClass::kInteger, 1}},
    {"integer", {FieldClass::kInteger, 2}},
    {"long", {FieldClass::kInteger, 3}},
    {"unsigned_long", {FieldClass::kUnsigned}},
    {"mixed integers", {FieldClass::kMixedIntegers}},
    {"half_float", {FieldClass::kReal, 0}},
    {"float", {FieldClass::kReal, 1}},
    {"scaled_float", {FieldClass::kReal, 2}},
    {"double", {FieldClass::kReal, 3}},
    {"rank_feature", {FieldClass::kReal, 1}},
    {"boolean", {FieldClass::kBool}},
    {"keyword", {FieldClass::kText, 0}},
    {"constant_keyword", {FieldClass::kText, 0}},
    {"counted_keyword", {FieldClass::kText, 0}},
    {"wildcard", {FieldClass::kText, 0}},
    {"version", {FieldClass::kText, 0}},
    {"ip", {FieldClass::kText, 0}},
    {"murmur3", {FieldClass::kText, 0}},
    {"token_count", {FieldClass::kText, 0}},
    {"icu_collation_keyword", {FieldClass::kText, 0}},
    {"text", {FieldClass::kText, 1}},
    {"match_only_text", {FieldClass::kText, 1}},
    {"pattern_text", {FieldClass::kText, 1}},
    {"annotated_text", {FieldClass::kText, 1}},
    {"search_as_you_type", {FieldClass::kText, 1}},
    {"string", {FieldClass::kText, 1}},
    {kDerivedObject, {FieldClass::kText, 1}},
    {"binary", {FieldClass::kBinary}},
    {"date", {FieldClass::kDate, 0}},
    {"date_nanos", {FieldClass::kDate, 1}},
    {"geo_point", {FieldClass::kGeoPoint}},
    {"dense_vector", {FieldClass::kVector}},
    {"knn_vector", {FieldClass::kVector}},
    {"object", {FieldClass::kObject}},
    {"passthrough", {FieldClass::kObject}},
};

}  // namespace

ClassifiedType ClassifyType(std::string_view type) {
  const auto found = std::find_if(std::begin(kKnownTypes), std::end(kKnownTypes),
                                  [&](const KnownType& known) { return known.name == type; });
  return found == std::end(kKnownTypes) ? ClassifiedType{FieldClass::kJson} : found->classified;
}

std::string WidenTypes(const std::string& left, const std::string& right) {
  if (left == right) return left;
  const ClassifiedType a = ClassifyType(left), b = ClassifyType(right);
  if (a.field_class == b.field_class) {
    if (a.field_class == FieldClass::kJson) return "json";
    if (a.field_class == FieldClass::kReal && (left == "scaled_float" || right == "scaled_float")) {
      return "double";
    }
    // The same for both orders, where the ranks do not decide.
    return a.rank != b.rank ? (a.rank > b.rank ? left : right) : std::min(left, right);
  }
  const auto is_integer = [](const ClassifiedType& type) {
    return type.field_class == FieldClass::kInteger || type.field_class == FieldClass::kUnsigned ||
           type.field_class == FieldClass::kMixedIntegers;
  };
  const auto is_real = [](const ClassifiedType& type) {
    return type.field_class == FieldClass::kReal;
  };
  const auto is_tree = [](const ClassifiedType& type) {
    return type.field_class == FieldClass::kJson || type.field_class == FieldClass::kObject;
  };
  if (is_integer(a) && is_integer(b)) return "mixed integers";
  if ((is_integer(a) && is_real(b)) || (is_real(a) && is_integer(b))) return "double";
  if (is_tree(a) && is_tree(b)) return "json";
  return {};
}

}  // namespace bulkhaul::search
