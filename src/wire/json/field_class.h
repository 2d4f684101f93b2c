// What kind of values a field type of the servers has, and how deep fields may lie. Internal to
// wire/json.
#pragma once

#include <string>
#include <string_view>

namespace bulkhaul::search {

// Objects within objects, in a mapping and so in its documents. The servers' own limit on a mapping
// is 20 unless a setting raises it.
inline constexpr int kNestingMax = 200;

// What the text is that the script of an OpenSearch derived field of type object emits.
inline constexpr char kDerivedObject[] = "derived object";

enum class FieldClass {
  kInteger,        // byte, short, integer, long, by rank
  kUnsigned,       // unsigned_long
  kMixedIntegers,  // made by widening: signed and unsigned 64 bits
  kReal,           // half_float, float, double, scaled_float, by rank
  kBool,
  kText,
  kBinary,
  kDate,  // date, date_nanos, by rank
  kGeoPoint,
  kVector,
  kJson,  // no column of its own kind: JSON text
  kObject,
};

struct ClassifiedType {
  FieldClass field_class;
  int rank = 0;  // wider types have a higher one
};

// Types that are not known, those of later versions and plugins among them, are kJson.
ClassifiedType ClassifyType(std::string_view type);

// The type that holds the values of both: one of them, or "mixed integers", "double", "json". ""
// when there is none.
std::string WidenTypes(const std::string& left, const std::string& right);

}  // namespace bulkhaul::search
