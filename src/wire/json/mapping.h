// What the mappings of OpenSearch and Elasticsearch indices say about their documents' fields.
// Pure. Sources: Elasticsearch guide, "Mapping"; OpenSearch documentation, "Mappings and field
// types".
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bulkhaul::search {

// One entry of a mapping. Objects and nested fields stand before the fields in them, in the
// mapping's order.
struct MappedField {
  std::string path;  // "http.method"
  // As the mapping writes it: "keyword", "date", "nested", "object" where it names properties and
  // no type. Of an alias: the type of its target. "derived object": text that a script makes.
  std::string type;
  std::string format;      // of dates and date ranges; "" is the server's default
  std::string locale;      // of dates; "" is the default
  std::string constant;    // of constant_keyword: its value, "" when it has none yet
  std::string alias_of;    // the path that an alias stands for, or ""
  bool is_object = false;  // its own values are in the fields below it: object, passthrough
  bool computed = false;   // runtime (Elasticsearch) or derived (OpenSearch): not in _source
  bool derived = false;  // OpenSearch's: no format may be asked for, nor whether a document has it
  bool in_nested = false;  // in a nested field, where queries of the documents do not look
  // Why its doc values may be others than those of the document; "" when they are the same.
  std::string doc_values_differ;
  std::vector<std::string>
      multi_fields;  // full paths ("message.keyword"): same value, not in _source

  // Whether its values come in a hit's "fields" and not in its "_source".
  bool from_fields() const { return computed || !alias_of.empty(); }
  bool operator==(const MappedField&) const = default;
};

struct IndexMapping {
  std::string index;
  std::vector<MappedField> fields;
  uint64_t hash = 0;                                          // of all that the mapping says
  bool source_enabled = true;                                 // false: documents cannot be had back
  std::vector<std::string> source_includes, source_excludes;  // what _source leaves out
};

// The answer to GET <indices>/_mapping, ordered by index. kPermanent when it is not such an answer.
Result<std::vector<IndexMapping>> ParseMappings(std::string_view answer);

// A field as several indices have it.
struct MergedField {
  MappedField field;  // widened; from_fields() when it is so in any index
  // Every type that was met, with the first index that has it, in order of the indices.
  std::vector<std::pair<std::string, std::string>> types;  // type, index
  std::map<std::string, std::string> constants;            // of constant_keyword: index → value
  // Set when the types have no common one: what is wrong, naming both indices.
  std::string conflict;
  std::string derived_in;  // the first index where it is derived
  // Of dates: the first index where its own format may show less than the documents have.
  std::string shortened_in;
};

// Fields by path, sorted: the result does not depend on the order of indices that agree.
//
// How types are widened; any other pair is a conflict:
//   byte < short < integer < long; with unsigned_long: decimal of 20 digits
//   half_float < float < double; scaled_float, and any integer with any of these: double, where an
//     integer that a double does not hold exactly is an error when it is met
//   keyword, text, wildcard, constant_keyword, version, match_only_text, ip and their kin: text
//   date with date_nanos: date_nanos, with the formats of both
//   object with nested, flattened or flat_object: JSON text; all that becomes JSON text: JSON text
struct MergedMapping {
  std::vector<MergedField> fields;
  std::vector<std::string> indices;

  // By its whole path; nullptr when there is none. Multi-fields are not found.
  const MergedField* Find(std::string_view path) const;
};
MergedMapping MergeMappings(std::span<const IndexMapping> mappings);

}  // namespace bulkhaul::search
