// docs/types.md, made from the mapping itself.
#include <map>

#include <fmt/format.h>

#include "wire/pg_copy/builtin_types.h"
#include "wire/pg_copy/types.h"

namespace bulkhaul::pg {
namespace {

constexpr int32_t NumericTypmod(int32_t precision, int32_t scale) {
  return ((precision << 16) | (scale & 0x7ff)) + 4;
}

const char* RemarkOn(const TypeInfo& type) {
  static const std::map<uint32_t, const char*> kRemarks = {
      {kCharOid, "zero is empty, bytes above 127 are `\\ooo`, as PostgreSQL 16 prints them"},
      {kBpcharOid, "padding kept as the server sends it"},
      {kFloat4Oid, "NaN and infinities kept"},
      {kFloat8Oid, "NaN and infinities kept"},
      {kXidOid, ""},
      {kDateOid, "`infinity` decides about ±infinity"},
      {kTimeOid, "24:00:00 has no Arrow form: `infinity` decides"},
      {kTimetzOid, "as PostgreSQL prints it: Arrow has no time with zone"},
      {kTimestampOid, "`infinity` decides about ±infinity and times after 294247-01-10"},
      {kTimestamptzOid, "the same instants; `infinity` as for timestamp"},
      {kIntervalOid,
       "the three numbers that PostgreSQL stores: no loss, and every reader has structs"},
      {kInetOid, "as PostgreSQL prints it"},
      {kCidrOid, "as PostgreSQL prints it"},
      {kMacaddrOid, "as PostgreSQL prints it"},
      {kMacaddr8Oid, "as PostgreSQL prints it"},
      {kBitOid, "zeros and ones"},
      {kVarbitOid, "zeros and ones"},
      {kMoneyOid, "scale from the server's lc_monetary"},
      {kUuidOid, "Parquet: logical type UUID"},
      {kPgLsnOid, "as PostgreSQL prints it"},
      {kTidOid, "as PostgreSQL prints it"},
      {kJsonOid, "the text as stored"},
      {kJsonbOid, "as PostgreSQL prints it"},
      {kXmlOid, "the text as PostgreSQL prints it"},
      {kInt2VectorOid, "begins at 0 in PostgreSQL; not counted as a lower bound"},
      {kOidVectorOid, "begins at 0 in PostgreSQL; not counted as a lower bound"},
  };
  const auto found = kRemarks.find(type.oid);
  return found == kRemarks.end() ? "" : found->second;
}

class TableMaker {
 public:
  void Add(TypePtr type, int32_t typmod, int32_t dimensions, std::string postgres,
           std::string remark, const MappingOptions& options = {}) {
    ColumnSpec column;
    column.name = "c";
    column.type = std::move(type);
    column.typmod = typmod;
    column.dimensions = dimensions;
    column.source_type = postgres;
    auto mapping = MapColumn(column, options);
    if (!mapping.ok()) return;
    rows_.push_back({std::move(postgres), mapping->field->type()->ToString(),
                     mapping->cast.empty() ? "binary" : "text cast", std::move(remark)});
  }
  void AddBuiltin(uint32_t oid, int32_t typmod = -1, std::string remark = {},
                  const MappingOptions& options = {}) {
    const TypePtr type = BuiltinType(oid);
    Add(type, typmod, 0, FormatType(*type, typmod),
        remark.empty() ? RemarkOn(*type) : std::move(remark), options);
  }
  std::vector<TypeTableRow> Take() { return std::move(rows_); }

 private:
  std::vector<TypeTableRow> rows_;
};

void AddNumerics(TableMaker* table) {
  table->AddBuiltin(kNumericOid, NumericTypmod(15, 2),
                    "up to 38 digits; NaN by `numeric_nan`; Parquet stores up to 18 digits as "
                    "integers");
  table->AddBuiltin(kNumericOid, NumericTypmod(5, -2),
                    "no negative scale in Parquet: wider instead");
  table->AddBuiltin(kNumericOid, NumericTypmod(2, 5), "no scale above the precision in Parquet");
  table->AddBuiltin(kNumericOid, NumericTypmod(50, 10), "more than 38 digits: text");
  MappingOptions options;
  options.wide_numeric_decimal256 = true;
  table->AddBuiltin(kNumericOid, NumericTypmod(50, 10), "`wide_numeric: decimal256`, to 76 digits",
                    options);
  table->AddBuiltin(kNumericOid, -1, "`numeric: string`, as PostgreSQL prints it");
  options.numeric = NumericForm::kDouble;
  table->AddBuiltin(kNumericOid, -1, "`numeric: double`: the nearest double", options);
  options.numeric = NumericForm::kDecimal;
  options.numeric_precision = 38;
  options.numeric_scale = 9;
  table->AddBuiltin(kNumericOid, -1,
                    "`numeric: decimal(38,9)`: a value that does not fit exactly is an error",
                    options);
}

TypePtr UserType(char kind, std::string name) {
  auto type = std::make_shared<TypeInfo>();
  type->oid = 100'000;
  type->schema = "public";
  type->typname = type->name = std::move(name);
  type->kind = kind;
  return type;
}

void AddConstructed(TableMaker* table) {
  table->Add(BuiltinType(1007), -1, 1, "integer[]",
             "lower bounds other than 1 are dropped and counted; a value of other dimensions than "
             "declared is an error");
  table->Add(BuiltinType(1007), -1, 2, "integer[][]", "one list for each declared dimension");
  table->Add(BuiltinType(3643), -1, 1, "tsvector[]", "each element by the server's cast");
  auto labels = std::make_shared<TypeInfo>(*UserType('e', "an enum"));
  labels->labels = {"a", "b"};
  table->Add(labels, -1, 0, "an enum",
             "labels in the catalogue's order; plain text inside other types");
  auto composite = std::make_shared<TypeInfo>(*UserType('c', "a composite"));
  composite->fields = {{"a", BuiltinType(kInt4Oid), -1, 0}, {"b", BuiltinType(kTextOid), -1, 0}};
  table->Add(composite, -1, 0, "a composite (a integer, b text)", "");
  auto opaque = std::make_shared<TypeInfo>(*UserType('c', "a composite"));
  opaque->fields = {{"a", BuiltinType(600), -1, 0}};
  table->Add(opaque, -1, 0, "a composite (a point)", "whole as text when a part needs a cast");
  auto domain = std::make_shared<TypeInfo>(*UserType('d', "a domain"));
  domain->base = BuiltinType(kInt4Oid);
  table->Add(domain, -1, 0, "a domain over integer", "as its base type");
  for (const char* extension : {"hstore", "citext"}) {
    auto type = std::make_shared<TypeInfo>(*UserType('b', extension));
    type->extension = extension;
    table->Add(type, -1, 0, extension, "");
  }
  table->Add(UserType('b', "any other type"), -1, 0, "any other type",
             "as the server casts it to text");
}

}  // namespace

std::vector<TypeTableRow> TypeTable() {
  TableMaker table;
  for (const uint32_t oid : BuiltinTypeOids()) {
    const TypePtr type = BuiltinType(oid);
    if (type->element && type->name.ends_with("[]")) continue;
    if (oid == kNumericOid) {
      AddNumerics(&table);
    } else {
      table.AddBuiltin(oid);
    }
  }
  AddConstructed(&table);
  return table.Take();
}

std::string TypeTableMarkdown() {
  std::string text =
      "# Types: PostgreSQL to Arrow and Parquet\n\n"
      "Made by the program from the mapping it uses; a test fails when this page differs "
      "(`BULKHAUL_UPDATE_DOCS=1` before `wire_pg_copy_test` writes it anew).\n\n"
      "*binary*: decoded from PostgreSQL's binary COPY. *text cast*: the column is selected as "
      "`column::text` (arrays as `text[]`), so that the server itself prints it.\n\n"
      "A value without an exact form in its Arrow type is an error that names column, row and the "
      "option that decides otherwise. What an option changed is counted in the report:\n\n"
      "| option | choices | values | counted as |\n|---|---|---|---|\n"
      "| `infinity` | `error`, `null`, `clamp` | infinite dates, timestamps and intervals, "
      "timestamps after 294247-01-10 04:00:54.775807, the time 24:00:00; `clamp` gives the "
      "earliest or latest value that PostgreSQL and Arrow both hold (4714-11-24 BC, 5874897-12-31, "
      "294247-01-10 04:00:54.775807, 23:59:59.999999) | `infinity_nulled`, `infinity_clamped` |\n"
      "| `numeric_nan` | `error`, `null` | NaN and infinities in a numeric that becomes a decimal "
      "| `numeric_nan_nulled` |\n"
      "| `invalid_utf8` | `error`, `replace`, `null` | text that is not UTF-8, as SQL_ASCII "
      "databases may hold | `invalid_utf8_replaced`, `invalid_utf8_nulled` |\n"
      "| `numeric` | `string`, `double`, `decimal(p,s)` | numeric without precision | |\n"
      "| `wide_numeric` | `string`, `decimal256` | numeric with more than 38 digits | |\n\n"
      "An array's lower bounds other than 1 are dropped and counted as "
      "`array_lower_bounds_dropped`.\n\n"
      "| PostgreSQL | Arrow | transfer | remark |\n|---|---|---|---|\n";
  for (const TypeTableRow& row : TypeTable()) {
    text +=
        fmt::format("| {} | `{}` | {} | {} |\n", row.postgres, row.arrow, row.transfer, row.remark);
  }
  return text;
}

}  // namespace bulkhaul::pg
