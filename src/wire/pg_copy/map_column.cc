#include <charconv>

#include <arrow/extension/uuid.h>
#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>

#include "wire/pg_copy/builtin_types.h"
#include "wire/pg_copy/decode_plan.h"
#include "wire/pg_copy/types.h"

namespace bulkhaul::pg {
namespace {

using enum DecodeKind;

// The name that plan/values.h gives to the key; wire stands below plan and cannot include it.
constexpr char kSourceTypeKey[] = "bulkhaul.source_type";
constexpr int32_t kDecimal128Digits = 38;
constexpr int32_t kDecimal256Digits = 76;
constexpr int32_t kMoneyDigits = 19;  // of an int64

const TypeInfo& WithoutDomain(const TypeInfo& type) {
  return type.kind == 'd' && type.base ? *type.base : type;
}

bool IsExtensionType(const TypeInfo& type, std::string_view name) {
  return type.extension == name && type.typname == name;
}

// Base types whose binary form the decoder reads.
bool IsBinaryBaseType(const TypeInfo& type) {
  if (IsExtensionType(type, "hstore") || IsExtensionType(type, "citext")) return true;
  if (type.schema != "pg_catalog") return false;
  switch (type.oid) {
    case kBoolOid:
    case kByteaOid:
    case kCharOid:
    case kNameOid:
    case kInt8Oid:
    case kInt2Oid:
    case kInt4Oid:
    case kTextOid:
    case kOidOid:
    case kTidOid:
    case kXidOid:
    case kCidOid:
    case kJsonOid:
    case kXmlOid:
    case kCidrOid:
    case kFloat4Oid:
    case kFloat8Oid:
    case kUnknownOid:
    case kMacaddr8Oid:
    case kMoneyOid:
    case kMacaddrOid:
    case kInetOid:
    case kBpcharOid:
    case kVarcharOid:
    case kDateOid:
    case kTimeOid:
    case kTimestampOid:
    case kTimestamptzOid:
    case kIntervalOid:
    case kTimetzOid:
    case kBitOid:
    case kVarbitOid:
    case kNumericOid:
    case kRefcursorOid:
    case kUuidOid:
    case kPgLsnOid:
    case kJsonbOid:
    case kJsonpathOid:
    case kXid8Oid:
      return true;
    default:
      return false;
  }
}

bool IsBinary(const TypeInfo& type, int depth = 0) {
  if (depth > kTypeDepthMax || !type.has_send) return false;
  switch (type.kind) {
    case 'b':
      return type.element ? IsBinary(*type.element, depth + 1) : IsBinaryBaseType(type);
    case 'p':
      return type.oid == kUnknownOid;
    case 'd':
      return type.base && IsBinary(*type.base, depth + 1);
    case 'e':
      return true;
    case 'r':
    case 'm':
      return type.subtype && IsBinary(*type.subtype, depth + 1);
    case 'c':
      for (const CompositeField& field : type.fields) {
        if (!field.type || !IsBinary(*field.type, depth + 1)) return false;
      }
      return !type.fields.empty();  // Parquet has no struct without fields
    default:
      return false;
  }
}

// The cast of a column that cannot come in binary. An array stays an array, of texts.
std::string TextCast(const TypeInfo& type) {
  const TypeInfo& base = WithoutDomain(type);
  const bool array = base.element && WithoutDomain(*base.element).kind != 'p';
  return array ? "pg_catalog.text[]" : "pg_catalog.text";
}

class Mapper {
 public:
  explicit Mapper(const MappingOptions& options) : options_(options) {}

  PlanPtr Map(const TypeInfo& type, int32_t typmod, int32_t dimensions, bool nested);
  const std::string& note() const { return note_; }

 private:
  std::shared_ptr<DecodePlan> Make(DecodeKind kind, std::shared_ptr<arrow::DataType> type) {
    auto plan = std::make_shared<DecodePlan>();
    plan->kind = kind;
    plan->type = std::move(type);
    plan->invalid_utf8 = options_.invalid_utf8;
    return plan;
  }
  PlanPtr Text(DecodeKind kind = kText) {
    auto plan = Make(kind, arrow::utf8());
    plan->may_make_null = options_.invalid_utf8 == OnInvalidUtf8::kNull;
    return plan;
  }
  PlanPtr Dated(DecodeKind kind, std::shared_ptr<arrow::DataType> type) {
    auto plan = Make(kind, std::move(type));
    plan->misfit = options_.infinity;
    plan->may_make_null = options_.infinity == OnMisfit::kNull;
    return plan;
  }
  PlanPtr Base(const TypeInfo& type, int32_t typmod);
  PlanPtr Numeric(int32_t typmod);
  PlanPtr Decimal(int32_t precision, int32_t scale);
  PlanPtr Enum(const TypeInfo& type, bool nested);
  PlanPtr List(const TypeInfo& type, int32_t typmod, int32_t dimensions);
  PlanPtr Composite(const TypeInfo& type);
  PlanPtr Range(const TypeInfo& type, int32_t typmod);
  PlanPtr Multirange(const TypeInfo& type, int32_t typmod);
  PlanPtr Hstore();

  const MappingOptions& options_;
  std::string note_;
};

PlanPtr Mapper::Map(const TypeInfo& type, int32_t typmod, int32_t dimensions, bool nested) {
  switch (type.kind) {
    case 'd':
      return Map(*type.base, type.base_typmod, std::max(dimensions, type.base_dimensions), nested);
    case 'e':
      return Enum(type, nested);
    case 'c':
      return Composite(type);
    case 'r':
      return Range(type, typmod);
    case 'm':
      return Multirange(type, typmod);
    default:
      if (type.element) return List(type, typmod, dimensions);
      return IsExtensionType(type, "hstore") ? Hstore() : Base(type, typmod);
  }
}

PlanPtr Mapper::Base(const TypeInfo& type, int32_t typmod) {
  switch (type.oid) {
    case kBoolOid:
      return Make(kBool, arrow::boolean());
    case kByteaOid:
      return Make(kBinary, arrow::binary());
    case kCharOid:
      return Make(kChar, arrow::utf8());
    case kInt8Oid:
      return Make(kInt64, arrow::int64());
    case kInt2Oid:
      return Make(kInt16, arrow::int16());
    case kInt4Oid:
      return Make(kInt32, arrow::int32());
    case kOidOid:
    case kXidOid:
    case kCidOid:
      return Make(kUInt32, arrow::uint32());
    case kXid8Oid:
      return Make(kUInt64, arrow::uint64());
    case kTidOid:
      return Make(kTidText, arrow::utf8());
    case kFloat4Oid:
      return Make(kFloat, arrow::float32());
    case kFloat8Oid:
      return Make(kDouble, arrow::float64());
    case kMacaddrOid:
    case kMacaddr8Oid:
      return Make(kMacaddrText, arrow::utf8());
    case kMoneyOid: {
      auto plan = Make(kMoney, arrow::decimal128(kMoneyDigits, options_.money_scale));
      plan->precision = kMoneyDigits;
      plan->scale = options_.money_scale;
      return plan;
    }
    case kInetOid:
    case kCidrOid: {
      auto plan = Make(kInetText, arrow::utf8());
      plan->cidr = type.oid == kCidrOid;
      return plan;
    }
    case kDateOid:
      return Dated(kDate, arrow::date32());
    case kTimeOid:
      return Dated(kTime, arrow::time64(arrow::TimeUnit::MICRO));
    case kTimetzOid:
      return Make(kTimetzText, arrow::utf8());
    case kTimestampOid:
      return Dated(kTimestamp, arrow::timestamp(arrow::TimeUnit::MICRO));
    case kTimestamptzOid:
      return Dated(kTimestamp, arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"));
    case kIntervalOid:
      return Dated(kInterval, arrow::struct_({arrow::field("months", arrow::int32()),
                                              arrow::field("days", arrow::int32()),
                                              arrow::field("microseconds", arrow::int64())}));
    case kBitOid:
    case kVarbitOid:
      return Make(kBitText, arrow::utf8());
    case kNumericOid:
      return Numeric(typmod);
    case kUuidOid:
      return Make(kUuid, arrow::extension::uuid());
    case kPgLsnOid:
      return Make(kLsnText, arrow::utf8());
    case kJsonbOid:
    case kJsonpathOid:
      return Text(kVersioned);
    default:
      return Text();  // text, varchar, bpchar, name, json, xml, unknown, refcursor, citext
  }
}

PlanPtr Mapper::Decimal(int32_t precision, int32_t scale) {
  const bool small = precision <= kDecimal128Digits;
  auto plan =
      Make(small ? kNumericDecimal128 : kNumericDecimal256,
           small ? arrow::decimal128(precision, scale) : arrow::decimal256(precision, scale));
  plan->precision = precision;
  plan->scale = scale;
  plan->misfit = options_.numeric_nan;
  plan->may_make_null = options_.numeric_nan == OnMisfit::kNull;
  return plan;
}

PlanPtr Mapper::Numeric(int32_t typmod) {
  if (typmod < 4) {
    switch (options_.numeric) {
      case NumericForm::kDouble:
        return Make(kNumericDouble, arrow::float64());
      case NumericForm::kDecimal:
        return Decimal(options_.numeric_precision, options_.numeric_scale);
      case NumericForm::kString:
        return Make(kNumericText, arrow::utf8());
    }
  }
  const NumericModifier modifier = ReadNumericModifier(typmod);
  // Parquet knows neither a negative scale nor one above the precision: numeric(3,-2) holds what
  // decimal(5,0) holds, and numeric(2,5) fits into decimal(5,5).
  const int32_t scale = std::max(modifier.scale, 0);
  const int32_t precision = std::max(modifier.precision - std::min(modifier.scale, 0), scale);
  if (precision <= kDecimal128Digits) return Decimal(precision, scale);
  if (options_.wide_numeric_decimal256 && precision <= kDecimal256Digits) {
    return Decimal(precision, scale);
  }
  note_ = fmt::format("numeric({},{}) needs {} digits, more than {}: text", modifier.precision,
                      modifier.scale, precision,
                      options_.wide_numeric_decimal256 ? kDecimal256Digits : kDecimal128Digits);
  return Make(kNumericText, arrow::utf8());
}

PlanPtr Mapper::Enum(const TypeInfo& type, bool nested) {
  // Dictionaries inside lists and structs are refused by several readers.
  if (nested) return Text();
  auto plan = Make(kEnum, arrow::dictionary(arrow::int32(), arrow::utf8()));
  plan->labels = std::make_shared<EnumLabels>(type.labels);
  return plan;
}

PlanPtr Mapper::List(const TypeInfo& type, int32_t typmod, int32_t dimensions) {
  PlanPtr element = Map(*type.element, typmod, 0, true);
  std::shared_ptr<arrow::DataType> list = element->type;
  const int32_t levels = std::max(dimensions, 1);
  for (int32_t level = 0; level < levels; ++level) list = arrow::list(arrow::field("item", list));
  auto plan = Make(kList, list);
  plan->dimensions = levels;
  plan->vector_bounds = type.oid == kInt2VectorOid || type.oid == kOidVectorOid;
  plan->children = {element};
  plan->child_oids = {type.element->oid};
  return plan;
}

PlanPtr Mapper::Composite(const TypeInfo& type) {
  auto plan = Make(kComposite, nullptr);
  arrow::FieldVector fields;
  for (const CompositeField& field : type.fields) {
    PlanPtr child = Map(*field.type, field.typmod, field.dimensions, true);
    fields.push_back(arrow::field(field.name, child->type));
    plan->children.push_back(std::move(child));
    plan->child_oids.push_back(field.type->oid);
    plan->child_names.push_back(field.name);
  }
  plan->type = arrow::struct_(fields);
  return plan;
}

PlanPtr Mapper::Range(const TypeInfo& type, int32_t typmod) {
  PlanPtr bound = Map(*type.subtype, -1, 0, true);
  auto plan = Make(kRange, arrow::struct_({arrow::field("lower", bound->type),
                                           arrow::field("upper", bound->type),
                                           arrow::field("lower_inc", arrow::boolean()),
                                           arrow::field("upper_inc", arrow::boolean()),
                                           arrow::field("empty", arrow::boolean())}));
  plan->children = {bound};
  return plan;
}

PlanPtr Mapper::Multirange(const TypeInfo& type, int32_t typmod) {
  PlanPtr range = Map(*type.subtype, typmod, 0, true);
  auto plan = Make(kMultirange, arrow::list(arrow::field("item", range->type)));
  plan->children = {range};
  return plan;
}

PlanPtr Mapper::Hstore() {
  auto plan = Make(kHstore, arrow::map(arrow::utf8(), arrow::utf8()));
  // A map's key is never NULL, so a key that is not UTF-8 is mended where a text would be NULL.
  auto key = std::make_shared<DecodePlan>(*Text());
  if (key->invalid_utf8 == OnInvalidUtf8::kNull) key->invalid_utf8 = OnInvalidUtf8::kReplace;
  plan->children = {std::move(key), Text()};
  return plan;
}

Result<NumericForm> ParseNumericForm(std::string_view text, MappingOptions* options) {
  if (text == "string") return NumericForm::kString;
  if (text == "double") return NumericForm::kDouble;
  int32_t precision = 0, scale = 0;
  char close = 0, rest = 0;
  const std::string copy(text);
  if (std::sscanf(copy.c_str(), "decimal(%d,%d%c%c", &precision, &scale, &close, &rest) == 3 &&
      close == ')' && precision >= 1 && precision <= kDecimal256Digits && scale >= 0 &&
      scale <= precision) {
    options->numeric_precision = precision;
    options->numeric_scale = scale;
    return NumericForm::kDecimal;
  }
  return UserError(fmt::format(
      "numeric: '{}' is not string, double or decimal(p,s) with 1 <= p <= {} and 0 <= s <= p", text,
      kDecimal256Digits));
}

Status UnknownChoice(const char* option, std::string_view text, const char* choices) {
  return UserError(fmt::format("{}: '{}' is not one of {}", option, text, choices));
}

}  // namespace

Result<MappingOptions> MappingOptions::FromText(std::string_view numeric,
                                                std::string_view wide_numeric,
                                                std::string_view infinity,
                                                std::string_view numeric_nan,
                                                std::string_view invalid_utf8) {
  MappingOptions options;
  ARROW_ASSIGN_OR_RAISE(options.numeric, ParseNumericForm(numeric, &options));
  if (wide_numeric == "decimal256") {
    options.wide_numeric_decimal256 = true;
  } else if (wide_numeric != "string") {
    return UnknownChoice("wide_numeric", wide_numeric, "string, decimal256");
  }
  if (infinity == "null") {
    options.infinity = OnMisfit::kNull;
  } else if (infinity == "clamp") {
    options.infinity = OnMisfit::kClamp;
  } else if (infinity != "error") {
    return UnknownChoice("infinity", infinity, "error, null, clamp");
  }
  if (numeric_nan == "null") {
    options.numeric_nan = OnMisfit::kNull;
  } else if (numeric_nan != "error") {
    return UnknownChoice("numeric_nan", numeric_nan, "error, null");
  }
  if (invalid_utf8 == "replace") {
    options.invalid_utf8 = OnInvalidUtf8::kReplace;
  } else if (invalid_utf8 == "null") {
    options.invalid_utf8 = OnInvalidUtf8::kNull;
  } else if (invalid_utf8 != "error") {
    return UnknownChoice("invalid_utf8", invalid_utf8, "error, replace, null");
  }
  return options;
}

Result<ColumnMapping> MapColumn(const ColumnSpec& column, const MappingOptions& options) {
  if (!column.type) return BugError("column \"" + column.name + "\" has no type");
  Mapper mapper(options);
  ColumnMapping mapping;
  if (IsBinary(*column.type)) {
    mapping.plan = mapper.Map(*column.type, column.typmod, column.dimensions, false);
    mapping.note = mapper.note();
  } else {
    mapping.cast = TextCast(*column.type);
    const bool array = mapping.cast.ends_with("[]");
    mapping.plan =
        mapper.Map(*BuiltinType(array ? kTextArrayOid : kTextOid), -1, column.dimensions, false);
    mapping.note = fmt::format("{} comes as text by the server's own cast",
                               column.source_type.empty() ? column.type->name : column.source_type);
  }
  mapping.field = arrow::field(
      column.name, mapping.plan->type, column.nullable || mapping.plan->may_make_null,
      arrow::key_value_metadata(
          {kSourceTypeKey}, {column.source_type.empty() ? FormatType(*column.type, column.typmod)
                                                        : column.source_type}));
  return mapping;
}

}  // namespace bulkhaul::pg
