// Which columns the documents of an index become, and how each is read. Pure; serialises to JSON,
// so that a worker elsewhere decodes as the planner decided.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/type.h>

#include "base/error.h"
#include "wire/json/mapping.h"

namespace bulkhaul::search {

// Code of the error that says that doc values are not what the documents have.
inline constexpr char kDocValuesDiffer[] = "doc_values_differ";

enum class ObjectForm { kFlatten, kStruct };  // columns "a.b"; or a column "a" of type struct
// kAuto: a list where LayoutOptions::array_fields says so, else single values;
// kList: every field a list; kFirst: the first value that is not null, the others counted;
// kJson: JSON text where array_fields says so, else single values.
enum class ArrayForm { kAuto, kList, kFirst, kJson };
enum class NestedForm { kList, kJson };     // of nested: a list of structs; or JSON text
enum class FloatForm { kDouble, kMapped };  // kMapped: float and half_float become float32
enum class DateForm { kTimestamp, kText };  // kText: as it stands in the document
enum class DateUnit { kMilli, kMicro, kNano };
enum class OnMisfitValue { kError, kNull };  // kNull: counted as misfit_nulled
enum class OnExcessDigits {
  kError,
  kTruncate
};                                        // of a second; kTruncate: as the server does, counted
enum class OnConflict { kError, kJson };  // kJson: the column becomes JSON text

// Error messages call the choices below by the names of job options: arrays, type_mismatch
// (misfit), dates, date_unit, date_digits (excess_digits), type_conflict (conflicts), include and
// exclude.
struct LayoutOptions {
  // Wildcards ('*' also across dots) and paths; an object's path takes the fields below it along.
  // Empty: all. Names without '*' that no mapping has are refused with the nearest name.
  std::vector<std::string> include, exclude;
  ObjectForm objects = ObjectForm::kFlatten;
  ArrayForm arrays = ArrayForm::kAuto;
  // Nested fields that name no properties, and all of them with doc_values, are JSON text anyhow.
  NestedForm nested = NestedForm::kList;
  // Paths in which a sample held more than one value (FieldSampler).
  std::set<std::string> array_fields;
  bool id = false, index = false, routing = false, seq_no = false;  // columns _id, _index, …
  bool extra = false;  // column _extra: what no mapping has, as JSON text of path → value
  FloatForm floats = FloatForm::kDouble;
  DateForm dates = DateForm::kTimestamp;
  DateUnit date_unit = DateUnit::kMicro;  // of date; date_nanos is always nanoseconds
  OnMisfitValue misfit = OnMisfitValue::kError;
  OnExcessDigits excess_digits = OnExcessDigits::kError;
  OnConflict conflicts = OnConflict::kError;
  // Hits carry every column in "fields" (docvalue_fields) and no "_source". kUser with the code
  // kDocValuesDiffer where a column's values there may be others than those of the documents.
  bool doc_values = false;
};

enum class ColumnKind {
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kUInt64,
  kDecimal,  // decimal128(20, 0): signed and unsigned 64-bit integers mixed
  kFloat,
  kDouble,
  kBool,
  kText,
  kBinary,     // from base64
  kTimestamp,  // UTC
  kGeoPoint,   // struct<lat: double, lon: double>
  kVector,     // list<float>
  kNested,     // list<struct> of ColumnSpec::children
  kJson,       // utf8: the value as JSON without white space, numbers digit by digit
  kId,
  kIndex,
  kRouting,
  kSeqNo,
  kExtra,
};

struct ColumnSpec {
  // The column's name too, but for structs. Of a child: from the nested field on.
  std::string path;
  ColumnKind kind = ColumnKind::kJson;
  std::string source_type;  // for people: "scaled_float", "integer|long"
  bool list = false;
  bool from_fields = false;          // read from a hit's "fields"
  bool exact_integers = false;       // kDouble: an integer that a double cannot hold is a misfit
  DateUnit unit = DateUnit::kMicro;  // kTimestamp
  std::string format;                // kTimestamp: never empty
  bool own_format = false;           // kTimestamp: that of the mapping, not one to ask for
  std::map<std::string, std::string> constants;  // index → value where a document has none
  std::vector<ColumnSpec> children;              // kNested: the fields of one element
};

// Columns by the objects that they are in.
struct StructGroup {
  std::string name;
  int column = -1;  // of a leaf
  std::vector<StructGroup> children;
};

// Of columns of one level: the root of the schema, or of a nested field's elements. Without
// objects: struct, one level.
StructGroup GroupColumns(const std::vector<ColumnSpec>& columns, ObjectForm objects);

struct PageLayout {
  std::vector<ColumnSpec> columns;
  // Mapped paths that are no column; a value in them is neither lost nor unmapped.
  std::vector<std::string> left_out;
  ObjectForm objects = ObjectForm::kFlatten;
  ArrayForm arrays = ArrayForm::kAuto;
  OnMisfitValue misfit = OnMisfitValue::kError;
  OnExcessDigits excess_digits = OnExcessDigits::kError;
  bool doc_values = false;

  // Every column nullable but _id and _index; with "bulkhaul.source_type" in the fields' metadata.
  Result<std::shared_ptr<arrow::Schema>> Schema() const;
  // What a search request must ask for in "fields" (or "docvalue_fields" where doc_values): path
  // and format, "" where the field has none.
  std::vector<std::pair<std::string, std::string>> RequestedFields() const;
  bool needs_seq_no() const;  // the request must say seq_no_primary_term: true
  // Whether every column keeps its values when the server filters _source: it then prints all
  // numbers anew, through a double where they have a fraction or an exponent.
  bool bears_source_filter() const;
  // Those of `exclude` that the server's filter may have: to it, every name takes along what begins
  // with it and a dot, columns among them.
  std::vector<std::string> ServerExcludes(const std::vector<std::string>& exclude) const;
  std::shared_ptr<arrow::DataType> TypeOf(const ColumnSpec& column) const;

  std::string ToJson() const;
  static Result<PageLayout> FromJson(std::string_view json);
};

// kUser: unknown field (with the nearest name), types in conflict (naming both indices), a date
// format that is not supported, a field called like a metadata column.
Result<PageLayout> MakeLayout(const MergedMapping& mapping, const LayoutOptions& options);

}  // namespace bulkhaul::search
