// Which way a type goes, and values inside other values.
// Source: array_recv(), record_recv(), range_recv(), multirange_recv(), hstore_recv().
#include "wire/pg_copy/encode_plan.h"

#include <arrow/extension_type.h>
#include <arrow/type_traits.h>
#include <arrow/util/utf8.h>
#include <fmt/format.h>

#include "wire/pg_copy/binary_format.h"
#include "wire/pg_copy/builtin_types.h"
#include "wire/pg_copy/encode_fixed.h"

namespace bulkhaul::pg {
namespace {

// The scale is negative in numeric(5,-2), from PostgreSQL 15 on.
void LimitNumeric(int32_t typmod, EncodePlan* plan) {
  const int32_t scale = ReadNumericModifier(typmod).scale;
  plan->scale_max = std::max(scale, 0);
  plan->zeros_min = std::max(-scale, 0);
}

const arrow::DataType& StorageType(const arrow::DataType& type) {
  return type.id() == arrow::Type::EXTENSION
             ? *static_cast<const arrow::ExtensionType&>(type).storage_type()
             : type;
}

// The elements of one list: a child array and where they lie in it.
struct Elements {
  const arrow::ArrayData* array;
  int64_t begin, count;
};
Elements ElementsOf(const arrow::ArrayData& array, int64_t row) {
  const arrow::ArrayData* child = array.child_data[0].get();
  switch (StorageType(*array.type).id()) {
    case arrow::Type::LARGE_LIST: {
      const int64_t* const offsets = array.GetValues<int64_t>(1);
      return {child, offsets[row], offsets[row + 1] - offsets[row]};
    }
    case arrow::Type::FIXED_SIZE_LIST: {
      const int64_t size =
          static_cast<const arrow::FixedSizeListType&>(StorageType(*array.type)).list_size();
      return {child, (array.offset + row) * size, size};
    }
    default: {
      const int32_t* const offsets = array.GetValues<int32_t>(1);
      return {child, offsets[row], offsets[row + 1] - offsets[row]};
    }
  }
}

bool EncodeBytes(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row,
                 ByteBuffer* out, std::string* why) {
  const std::string_view bytes = BytesOf(array, row);
  if (plan.prefix >= 0) out->AppendByte(static_cast<uint8_t>(plan.prefix));
  const bool escaped = plan.jsonb && bytes.find(kNulEscape) != std::string_view::npos;
  if (plan.text && plan.strip_nul && (escaped || bytes.find('\0') != std::string_view::npos)) {
    std::string kept;
    for (const char byte : bytes) {
      if (byte != '\0') kept += byte;
    }
    if (escaped) kept = WithoutNulEscapes(kept);
    if (!CheckText(plan, kept, why)) return false;
    out->Append(kept.data(), kept.size());
    return true;
  }
  if (plan.text && !CheckText(plan, bytes, why)) return false;
  out->Append(bytes.data(), bytes.size());
  return true;
}

bool EncodeDictionary(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row,
                      ByteBuffer* out, std::string* why) {
  const auto& type = static_cast<const arrow::DictionaryType&>(*array.type);
  int64_t index = 0;
  switch (type.index_type()->id()) {
    case arrow::Type::INT8:
      // A number, no character. NOLINTNEXTLINE(bugprone-signed-char-misuse)
      index = array.GetValues<int8_t>(1)[row];
      break;
    case arrow::Type::UINT8:
      index = array.GetValues<uint8_t>(1)[row];
      break;
    case arrow::Type::INT16:
      index = array.GetValues<int16_t>(1)[row];
      break;
    case arrow::Type::UINT16:
      index = array.GetValues<uint16_t>(1)[row];
      break;
    case arrow::Type::INT32:
      index = array.GetValues<int32_t>(1)[row];
      break;
    case arrow::Type::UINT32:
      index = array.GetValues<uint32_t>(1)[row];
      break;
    default:
      index = array.GetValues<int64_t>(1)[row];
  }
  return plan.children[0]->value(*plan.children[0], *array.dictionary, index, out, why);
}

bool WalkLevels(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row, int32_t level,
                int64_t* counts, ByteBuffer* out, std::string* why) {
  const Elements elements = ElementsOf(array, row);
  if (counts[level] < 0) counts[level] = elements.count;
  if (counts[level] != elements.count) {
    *why = "holds lists of different lengths, which a PostgreSQL array cannot";
    return false;
  }
  for (int64_t i = elements.begin; i < elements.begin + elements.count; ++i) {
    if (level + 1 < plan.dimensions) {
      if (IsNull(*elements.array, i)) {
        *why = "holds a list that is NULL, which a PostgreSQL array cannot";
        return false;
      }
      if (!WalkLevels(plan, *elements.array, i, level + 1, counts, out, why)) return false;
    } else if (!AppendField(*plan.children[0], *elements.array, i, out, why)) {
      return false;
    }
  }
  return true;
}

bool EncodeList(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row, ByteBuffer* out,
                std::string* why) {
  const size_t header = out->size();
  const size_t header_bytes = 12 + 8 * static_cast<size_t>(plan.dimensions);
  out->Extend(header_bytes);
  int64_t counts[kArrayDimensionsMax];
  std::fill(counts, counts + kArrayDimensionsMax, int64_t{-1});
  if (!WalkLevels(plan, array, row, 0, counts, out, why)) return false;
  const bool empty =
      std::any_of(counts, counts + plan.dimensions, [](int64_t n) { return n <= 0; });
  ByteBuffer head;
  head.AppendU32(empty ? 0 : static_cast<uint32_t>(plan.dimensions));
  head.AppendU32(empty ? 0 : 1);  // NULLs may be there; the server looks for itself
  head.AppendU32(plan.element_oid);
  for (int32_t level = 0; level < plan.dimensions && !empty; ++level) {
    head.AppendU32(static_cast<uint32_t>(counts[level]));
    head.AppendU32(static_cast<uint32_t>(plan.lower_bound));
  }
  std::memcpy(out->data() + header, head.data(), head.size());
  if (empty) out->Resize(header + head.size());
  return true;
}

bool EncodeComposite(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row,
                     ByteBuffer* out, std::string* why) {
  out->AppendU32(static_cast<uint32_t>(plan.children.size()));
  for (size_t field = 0; field < plan.children.size(); ++field) {
    out->AppendU32(plan.child_oids[field]);
    const auto& child = *array.child_data[field];
    if (!AppendField(*plan.children[field], child, array.offset + row, out, why)) return false;
  }
  return true;
}

bool EncodeIntervalStruct(const EncodePlan&, const arrow::ArrayData& array, int64_t row,
                          ByteBuffer* out, std::string* why) {
  const int64_t place = array.offset + row;
  for (int field = 0; field < 3; ++field) {
    if (IsNull(*array.child_data[field], place)) {
      *why = "has a part that is NULL";
      return false;
    }
  }
  out->AppendU64(static_cast<uint64_t>(array.child_data[2]->GetValues<int64_t>(1)[place]));
  out->AppendU32(static_cast<uint32_t>(array.child_data[1]->GetValues<int32_t>(1)[place]));
  out->AppendU32(static_cast<uint32_t>(array.child_data[0]->GetValues<int32_t>(1)[place]));
  return true;
}

bool BitAt(const arrow::ArrayData& array, int64_t row) {
  return !IsNull(array, row) &&
         arrow::bit_util::GetBit(array.buffers[1]->data(), array.offset + row);
}

bool EncodeRange(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row,
                 ByteBuffer* out, std::string* why) {
  const int64_t place = array.offset + row;
  const auto& lower = *array.child_data[0];
  const auto& upper = *array.child_data[1];
  if (BitAt(*array.child_data[4], place)) {
    out->AppendByte(kRangeEmpty);
    return true;
  }
  uint8_t flags = 0;
  if (IsNull(lower, place)) {
    flags |= kRangeLowerInfinite;
  } else if (BitAt(*array.child_data[2], place)) {
    flags |= kRangeLowerInclusive;
  }
  if (IsNull(upper, place)) {
    flags |= kRangeUpperInfinite;
  } else if (BitAt(*array.child_data[3], place)) {
    flags |= kRangeUpperInclusive;
  }
  out->AppendByte(flags);
  const EncodePlan& bound = *plan.children[0];
  if (!IsNull(lower, place) && !AppendField(bound, lower, place, out, why)) return false;
  return IsNull(upper, place) || AppendField(bound, upper, place, out, why);
}

bool EncodeMultirange(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row,
                      ByteBuffer* out, std::string* why) {
  const Elements ranges = ElementsOf(array, row);
  out->AppendU32(static_cast<uint32_t>(ranges.count));
  for (int64_t i = ranges.begin; i < ranges.begin + ranges.count; ++i) {
    if (IsNull(*ranges.array, i)) {
      *why = "holds a range that is NULL, which a multirange cannot";
      return false;
    }
    if (!AppendField(*plan.children[0], *ranges.array, i, out, why)) return false;
  }
  return true;
}

bool EncodeHstore(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row,
                  ByteBuffer* out, std::string* why) {
  const Elements pairs = ElementsOf(array, row);
  out->AppendU32(static_cast<uint32_t>(pairs.count));
  for (int64_t i = pairs.begin; i < pairs.begin + pairs.count; ++i) {
    const int64_t place = pairs.array->offset + i;
    for (int part = 0; part < 2; ++part) {
      const auto& child = *pairs.array->child_data[static_cast<size_t>(part)];
      if (!AppendField(*plan.children[0], child, place, out, why)) return false;
    }
  }
  return true;
}

bool EncodeNothing(const EncodePlan&, const arrow::ArrayData&, int64_t, ByteBuffer*, std::string*) {
  return true;
}

bool IsListLike(const arrow::DataType& type) {
  const auto id = StorageType(type).id();
  return id == arrow::Type::LIST || id == arrow::Type::LARGE_LIST ||
         id == arrow::Type::FIXED_SIZE_LIST;
}
bool IsTextLike(arrow::Type::type id) {
  return id == arrow::Type::STRING || id == arrow::Type::LARGE_STRING ||
         id == arrow::Type::STRING_VIEW;
}
bool IsBinaryLike(arrow::Type::type id) {
  return id == arrow::Type::BINARY || id == arrow::Type::LARGE_BINARY ||
         id == arrow::Type::BINARY_VIEW || id == arrow::Type::FIXED_SIZE_BINARY;
}

class Planner {
 public:
  explicit Planner(const EncodeOptions& options) : options_(options) {}

  // nullptr: there is no way.
  EncodePlanPtr Plan(const arrow::DataType& declared, const TypeInfo& type, int32_t typmod,
                     int depth = 0);

 private:
  std::shared_ptr<EncodePlan> Make(EncodeValue value, const TypeInfo& type) {
    auto plan = std::make_shared<EncodePlan>();
    plan->value = value;
    plan->strip_nul = options_.strip_nul;
    plan->money_scale = options_.money_scale;
    plan->type_name = type.name;
    return plan;
  }
  EncodePlanPtr List(const arrow::DataType& from, const TypeInfo& type, int32_t typmod, int depth);
  EncodePlanPtr Composite(const arrow::DataType& from, const TypeInfo& type, int depth);
  EncodePlanPtr Range(const arrow::DataType& from, const TypeInfo& type, int depth);
  EncodePlanPtr Multirange(const arrow::DataType& from, const TypeInfo& type, int depth);
  EncodePlanPtr Hstore(const arrow::DataType& from, const TypeInfo& type, int depth);
  EncodePlanPtr Base(const arrow::DataType& from, const TypeInfo& type, int32_t typmod);
  EncodePlanPtr Bytes(const arrow::DataType& from, const TypeInfo& type, bool text, int32_t prefix);
  EncodePlanPtr Numeric(const arrow::DataType& from, const TypeInfo& type, int32_t typmod);

  const EncodeOptions& options_;
};

EncodePlanPtr Planner::Plan(const arrow::DataType& declared, const TypeInfo& type, int32_t typmod,
                            int depth) {
  if (depth > kTypeDepthMax) return nullptr;
  const arrow::DataType& from = StorageType(declared);
  if (from.id() == arrow::Type::NA) return Make(EncodeNothing, type);
  if (from.id() == arrow::Type::DICTIONARY) {
    auto value = Plan(*static_cast<const arrow::DictionaryType&>(from).value_type(), type, typmod,
                      depth + 1);
    if (!value) return nullptr;
    auto plan = Make(EncodeDictionary, type);
    plan->children = {std::move(value)};
    return plan;
  }
  switch (type.kind) {
    case 'd':
      return type.base ? Plan(from, *type.base, type.base_typmod, depth + 1) : nullptr;
    case 'e':
      return IsTextLike(from.id()) ? Bytes(from, type, true, -1) : nullptr;
    case 'c':
      return Composite(from, type, depth);
    case 'r':
      return Range(from, type, depth);
    case 'm':
      return Multirange(from, type, depth);
    default:
      if (type.element) return List(from, type, typmod, depth);
      if (type.extension == "hstore" && type.typname == "hstore") return Hstore(from, type, depth);
      return Base(from, type, typmod);
  }
}

EncodePlanPtr Planner::List(const arrow::DataType& from, const TypeInfo& type, int32_t typmod,
                            int depth) {
  const arrow::DataType* element = &from;
  int32_t levels = 0;
  while (IsListLike(*element)) {
    element = StorageType(*element).field(0)->type().get();
    ++levels;
  }
  const TypeInfo& inner = *type.element;
  const bool ranges = inner.kind == 'm' || (inner.base && inner.base->kind == 'm');
  if (ranges && levels > 0) {
    --levels;  // the last list is the multirange itself
    element = &from;
    for (int32_t level = 0; level < levels; ++level) {
      element = StorageType(*element).field(0)->type().get();
    }
  }
  if (levels == 0 || levels > kArrayDimensionsMax) return nullptr;
  auto child = Plan(*element, inner, typmod, depth + 1);
  if (!child) return nullptr;
  auto plan = Make(EncodeList, type);
  plan->dimensions = levels;
  plan->element_oid = inner.oid;
  if (type.oid == kInt2VectorOid || type.oid == kOidVectorOid) plan->lower_bound = 0;
  plan->children = {std::move(child)};
  return plan;
}

EncodePlanPtr Planner::Composite(const arrow::DataType& from, const TypeInfo& type, int depth) {
  if (from.id() != arrow::Type::STRUCT ||
      from.num_fields() != static_cast<int>(type.fields.size())) {
    return nullptr;
  }
  auto plan = Make(EncodeComposite, type);
  for (size_t i = 0; i < type.fields.size(); ++i) {
    const CompositeField& field = type.fields[i];
    const auto& given = *from.field(static_cast<int>(i));
    if (given.name() != field.name || !field.type) return nullptr;
    auto child = Plan(*given.type(), *field.type, field.typmod, depth + 1);
    if (!child) return nullptr;
    plan->children.push_back(std::move(child));
    plan->child_oids.push_back(field.type->oid);
  }
  return plan;
}

EncodePlanPtr Planner::Range(const arrow::DataType& from, const TypeInfo& type, int depth) {
  if (from.id() != arrow::Type::STRUCT || from.num_fields() != 5 || !type.subtype) return nullptr;
  for (int flag = 2; flag < 5; ++flag) {
    if (from.field(flag)->type()->id() != arrow::Type::BOOL) return nullptr;
  }
  auto bound = Plan(*from.field(0)->type(), *type.subtype, -1, depth + 1);
  if (!bound || !from.field(0)->type()->Equals(from.field(1)->type())) return nullptr;
  auto plan = Make(EncodeRange, type);
  plan->children = {std::move(bound)};
  return plan;
}

EncodePlanPtr Planner::Multirange(const arrow::DataType& from, const TypeInfo& type, int depth) {
  if (!IsListLike(from) || !type.subtype) return nullptr;
  auto range = Plan(*from.field(0)->type(), *type.subtype, -1, depth + 1);
  if (!range) return nullptr;
  auto plan = Make(EncodeMultirange, type);
  plan->children = {std::move(range)};
  return plan;
}

EncodePlanPtr Planner::Hstore(const arrow::DataType& from, const TypeInfo& type, int depth) {
  if (from.id() != arrow::Type::MAP) return nullptr;
  const auto& map = static_cast<const arrow::MapType&>(from);
  if (!map.key_type()->Equals(map.item_type())) return nullptr;
  auto text = Plan(*map.key_type(), *BuiltinType(kTextOid), -1, depth + 1);
  if (!text) return nullptr;
  auto plan = Make(EncodeHstore, type);
  plan->children = {std::move(text)};
  return plan;
}

EncodePlanPtr Planner::Bytes(const arrow::DataType& from, const TypeInfo& type, bool text,
                             int32_t prefix) {
  auto plan = Make(EncodeBytes, type);
  plan->text = text;
  plan->prefix = prefix;
  plan->jsonb = type.oid == kJsonbOid;
  const auto id = from.id();
  if (text && options_.strip_nul) return plan;
  if (id == arrow::Type::STRING || id == arrow::Type::BINARY) {
    plan->shape = EncodePlan::Shape::kBytes32;
  } else if (id == arrow::Type::LARGE_STRING || id == arrow::Type::LARGE_BINARY) {
    plan->shape = EncodePlan::Shape::kBytes64;
  }
  return plan;
}

EncodePlanPtr Planner::Numeric(const arrow::DataType& from, const TypeInfo& type, int32_t typmod) {
  EncodeValue value = nullptr;
  if (arrow::is_decimal(from.id())) {
    value = EncodeDecimal;
  } else if (arrow::is_integer(from.id())) {
    value = EncodeIntegerAsNumeric;
  } else if (from.id() == arrow::Type::FLOAT || from.id() == arrow::Type::DOUBLE) {
    value = EncodeFloatAsNumeric;
  } else if (IsTextLike(from.id())) {
    value = EncodeTextAsNumeric;
  } else {
    return nullptr;
  }
  auto plan = Make(value, type);
  plan->type_name = FormatType(type, typmod);
  if (typmod >= 4) LimitNumeric(typmod, plan.get());
  if (arrow::is_decimal(from.id())) {
    plan->scale = static_cast<const arrow::DecimalType&>(from).scale();
    plan->shape = EncodePlan::Shape::kDecimal;
  }
  return plan;
}

EncodePlanPtr Planner::Base(const arrow::DataType& from, const TypeInfo& type, int32_t typmod) {
  const bool citext = type.extension == "citext" && type.typname == "citext";
  if (type.schema != "pg_catalog" && !citext) return nullptr;
  const auto id = from.id();
  if (const FixedCodec codec = FixedCodecOf(from, type.oid); codec.column != nullptr) {
    auto plan = Make(codec.value, type);
    plan->shape = EncodePlan::Shape::kFixed;
    plan->fixed = codec.column;
    plan->bytes = codec.bytes;
    plan->type_name = FormatType(type, typmod);
    const bool timed =
        type.oid == kTimestampOid || type.oid == kTimestamptzOid || type.oid == kTimeOid;
    for (int32_t digits = typmod; timed && typmod >= 0 && digits < 6; ++digits) {
      plan->multiple *= 10;
    }
    return plan;
  }
  if (type.oid == kNumericOid) return Numeric(from, type, typmod);
  if (type.oid == kMoneyOid && arrow::is_decimal(id)) {
    auto plan = Make(EncodeMoney, type);
    plan->scale = static_cast<const arrow::DecimalType&>(from).scale();
    return plan;
  }
  if (type.oid == kByteaOid && IsBinaryLike(id)) return Bytes(from, type, false, -1);
  if (type.oid == kIntervalOid && id == arrow::Type::STRUCT && from.num_fields() == 3 &&
      from.field(0)->type()->id() == arrow::Type::INT32 &&
      from.field(1)->type()->id() == arrow::Type::INT32 &&
      from.field(2)->type()->id() == arrow::Type::INT64) {
    return Make(EncodeIntervalStruct, type);
  }
  if (!IsTextLike(id)) return nullptr;
  if (const EncodeValue form = TextFormOf(type.oid)) {
    auto plan = Make(form, type);
    plan->cidr = type.oid == kCidrOid;
    if (type.oid == kNumericOid && typmod >= 4) {
      LimitNumeric(typmod, plan.get());
    }
    return plan;
  }
  switch (type.oid) {
    case kTextOid:
    case kVarcharOid:
    case kBpcharOid:
    case kNameOid:
    case kJsonOid:
    case kXmlOid:
    case kUnknownOid:
    case kRefcursorOid:
      return Bytes(from, type, true, -1);
    case kJsonbOid:
    case kJsonpathOid:
      return Bytes(from, type, true, 1);
    default:
      return citext ? Bytes(from, type, true, -1) : nullptr;
  }
}

}  // namespace

std::string WithoutNulEscapes(std::string_view json) {
  std::string kept;
  for (size_t at = 0; at < json.size();) {
    if (json.substr(at).starts_with(kNulEscape)) {
      at += kNulEscape.size();
      continue;
    }
    const size_t bytes = json[at] == '\\' ? 2 : 1;
    kept.append(json.substr(at, bytes));
    at += bytes;
  }
  return kept;
}

std::string_view BytesOf(const arrow::ArrayData& array, int64_t row) {
  const auto& type = StorageType(*array.type);
  switch (type.id()) {
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY: {
      const int64_t* const offsets = array.GetValues<int64_t>(1);
      if (!array.buffers[2]) return {};
      return {reinterpret_cast<const char*>(array.buffers[2]->data()) + offsets[row],
              static_cast<size_t>(offsets[row + 1] - offsets[row])};
    }
    case arrow::Type::STRING_VIEW:
    case arrow::Type::BINARY_VIEW: {
      const auto& view = array.GetValues<arrow::BinaryViewType::c_type>(1)[row];
      const auto size = static_cast<size_t>(view.size());
      if (view.is_inline()) {
        return {reinterpret_cast<const char*>(view.inline_data()), size};
      }
      const auto& buffer = *array.buffers[2 + static_cast<size_t>(view.ref.buffer_index)];
      return {reinterpret_cast<const char*>(buffer.data()) + view.ref.offset, size};
    }
    case arrow::Type::FIXED_SIZE_BINARY: {
      const int64_t width = static_cast<const arrow::FixedSizeBinaryType&>(type).byte_width();
      return {
          reinterpret_cast<const char*>(array.buffers[1]->data()) + (array.offset + row) * width,
          static_cast<size_t>(width)};
    }
    default: {
      const int32_t* const offsets = array.GetValues<int32_t>(1);
      if (!array.buffers[2]) return {};
      return {reinterpret_cast<const char*>(array.buffers[2]->data()) + offsets[row],
              static_cast<size_t>(offsets[row + 1] - offsets[row])};
    }
  }
}

bool CheckText(const EncodePlan&, std::string_view text, std::string* why) {
  if (text.find('\0') != std::string_view::npos) {
    *why = "holds a NUL byte, which PostgreSQL's text cannot; set nul_bytes: strip to leave it out";
    return false;
  }
  if (!arrow::util::ValidateUTF8(reinterpret_cast<const uint8_t*>(text.data()),
                                 static_cast<int64_t>(text.size()))) {
    *why = "is not valid UTF-8";
    return false;
  }
  return true;
}

bool AppendField(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row,
                 ByteBuffer* out, std::string* why) {
  const size_t begin = out->size();
  if (IsNull(array, row)) {
    out->AppendU32(0xffffffff);
    return true;
  }
  out->Extend(4);
  if (!plan.value(plan, array, row, out, why)) return false;
  const uint32_t size = __builtin_bswap32(static_cast<uint32_t>(out->size() - begin - 4));
  std::memcpy(out->data() + begin, &size, 4);
  return true;
}

Result<std::shared_ptr<const EncodePlan>> PlanEncoding(const arrow::DataType& from,
                                                       const ColumnSpec& target,
                                                       const EncodeOptions& options) {
  arrow::util::InitializeUTF8();
  if (!target.type) return BugError("column \"" + target.name + "\" has no type");
  auto plan = Planner(options).Plan(from, *target.type, target.typmod);
  if (plan) return plan;
  return UserError(
      fmt::format("column \"{}\" is {} and cannot be loaded into {}", target.name, from.ToString(),
                  target.source_type.empty() ? FormatType(*target.type, target.typmod)
                                             : target.source_type),
      "type_mismatch");
}

}  // namespace bulkhaul::pg
