// What PostgreSQL's catalogue says about a column, and the Arrow type that the column becomes.
// Everything here is pure: no connection, no state.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/type.h>

#include "base/error.h"

namespace bulkhaul::pg {

// Types nested deeper (arrays, composites, domains) are not read by their parts.
constexpr int kTypeDepthMax = 64;

struct TypeInfo;
using TypePtr = std::shared_ptr<const TypeInfo>;

// An attribute of a composite type that is not dropped, in attnum order.
struct CompositeField {
  std::string name;
  TypePtr type;
  int32_t typmod = -1;     // atttypmod
  int32_t dimensions = 0;  // attndims
};

// One row of pg_type with what hangs off it. Immutable once shared, so that thousands of columns
// share one. Sources of the members: pg_type, pg_range, pg_enum, pg_attribute, pg_depend.
struct TypeInfo {
  uint32_t oid = 0;
  std::string schema;   // nspname of typnamespace
  std::string typname;  // as in pg_type
  std::string name;     // format_type(oid, NULL)
  char kind =
      'b';  // typtype: b base, c composite, d domain, e enum, r range, m multirange, p pseudo
  char category = 'U';    // typcategory
  bool has_send = true;   // typsend <> 0
  std::string extension;  // extname of the extension that owns the type, "" when none
  TypePtr element;        // true arrays only (typsubscript = array_subscript_handler, or before 14
                          // typlen = -1 and typelem <> 0): typelem
  TypePtr base;           // domains: typbasetype followed to the first type that is no domain
  int32_t base_typmod = -1;            // domains: the typtypmod nearest to the base that is not -1
  int32_t base_dimensions = 0;         // domains: typndims of the innermost domain
  TypePtr subtype;                     // ranges: rngsubtype; multiranges: the range (rngtypid)
  std::vector<CompositeField> fields;  // composites
  std::vector<std::string> labels;     // enums, in enumsortorder
};

// A column as the catalogue (or the description of a query's result) gives it.
struct ColumnSpec {
  std::string name;
  std::string source_type;  // format_type(atttypid, atttypmod): for people and metadata
  TypePtr type;
  int32_t typmod = -1;
  int32_t dimensions = 0;  // attndims; 0 or 1: a list, n: n lists in each other
  bool nullable = true;    // false only where the catalogue proves it (attnotnull)

  // Built-in types are written as their oid alone, so that wide catalogues stay small.
  std::string ToJson() const;
  static Result<ColumnSpec> FromJson(std::string_view json);
};
std::string ColumnSpecsToJson(std::span<const ColumnSpec> columns);
Result<std::vector<ColumnSpec>> ColumnSpecsFromJson(std::string_view json);

// Base types of pg_catalog with a fixed oid, their arrays, and the built-in ranges and multiranges.
// nullptr when the oid is not one of them: ask the catalogue. Thread-safe; the object lives as long
// as the program. Source of the oids: PostgreSQL's src/include/catalog/pg_type.dat, fixed for ever.
TypePtr BuiltinType(uint32_t oid);
// All oids for which BuiltinType() answers, ascending.
std::vector<uint32_t> BuiltinTypeOids();
// "numeric(15,2)", "timestamp(3) without time zone", "character varying(10)[]": format_type() for
// built-in types; for others the name without its modifier.
std::string FormatType(const TypeInfo& type, int32_t typmod);

// What to do with a value that has no exact form in the column's Arrow type.
enum class OnMisfit { kError, kNull, kClamp };
enum class OnInvalidUtf8 { kError, kReplace, kNull };
enum class NumericForm { kString, kDouble, kDecimal };

// How values are mapped, under the names of the job options that decide it.
struct MappingOptions {
  NumericForm numeric = NumericForm::kString;  // numeric without precision
  int32_t numeric_precision = 0;               // of kDecimal
  int32_t numeric_scale = 0;
  bool wide_numeric_decimal256 = false;     // numeric(p,s) with p above 38; else text
  OnMisfit infinity = OnMisfit::kError;     // infinite or out of Arrow's range: dates, times
  OnMisfit numeric_nan = OnMisfit::kError;  // kError or kNull
  OnInvalidUtf8 invalid_utf8 = OnInvalidUtf8::kError;
  int32_t money_scale =
      2;  // digits after the point of lc_monetary: length of '1'::money's fraction

  // From the options' texts as a job has them: numeric, wide_numeric, infinity, numeric_nan,
  // invalid_utf8. kUser when one of them is not understood.
  static Result<MappingOptions> FromText(std::string_view numeric, std::string_view wide_numeric,
                                         std::string_view infinity, std::string_view numeric_nan,
                                         std::string_view invalid_utf8);
};

struct DecodePlan;  // how the decoder reads one column; internal to wire/pg_copy

struct ColumnMapping {
  // With the key "bulkhaul.source_type" in its metadata. Nullable also where an option may turn a
  // value of a NOT NULL column into NULL.
  std::shared_ptr<arrow::Field> field;
  // "" or the type that the select list must cast the column to, already fit for SQL:
  // SELECT "col"::pg_catalog.text. Text casts need a session with DateStyle 'ISO, YMD',
  // IntervalStyle 'postgres', bytea_output 'hex' and extra_float_digits 1, so that they are exact
  // and the same everywhere.
  std::string cast;
  std::string note;  // what a user should know of this column (shown in plan and report), or ""
  std::shared_ptr<const DecodePlan> plan;
};

// The Arrow type of a column and how it is read. Types that the codec does not know, that have no
// send function, or whose text form is the exact one come as text by the server's own cast; the
// whole column does when any part of it needs that. docs/types.md is the table. kUser when an
// option makes no type (decimal(80,2)).
Result<ColumnMapping> MapColumn(const ColumnSpec& column, const MappingOptions& options);

// One line of docs/types.md.
struct TypeTableRow {
  std::string postgres;
  std::string arrow;
  std::string transfer;  // "binary" or "text cast"
  std::string remark;
};
// The mapping of every known type, made by MapColumn() itself.
std::vector<TypeTableRow> TypeTable();
// docs/types.md as it must be.
std::string TypeTableMarkdown();

}  // namespace bulkhaul::pg
