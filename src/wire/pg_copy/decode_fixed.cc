// Numbers, booleans, uuid: load, swap, store.
#include <fmt/format.h>

#include "wire/pg_copy/bytes.h"
#include "wire/pg_copy/decode_functions.h"

namespace bulkhaul::pg {

bool AppendNullOrFail(DecodeContext& context, ColumnNode& node) {
  Status status = node.AppendNull();
  return status.ok() || context.Fail(std::move(status));
}

bool AppendMisfit(DecodeContext& context, ColumnNode& node, OnMisfit choice, Counter nulled,
                  const std::string& message) {
  if (choice != OnMisfit::kNull) return context.Fail(UserError(message));
  ++context.counters[nulled];
  return AppendNullOrFail(context, node);
}

bool WrongSize(DecodeContext& context, const char* type, int32_t size) {
  return context.Malformed(fmt::format("{} bytes are no {}", size, type));
}

bool DecodeBool(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size) {
  if (size != 1) [[unlikely]]
    return WrongSize(context, "boolean", size);
  node.AppendBit(bytes[0] != 0);
  return true;
}

bool DecodeInt16(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size) {
  if (size != 2) [[unlikely]]
    return WrongSize(context, "2-byte number", size);
  node.AppendFixed(LoadU16(bytes));
  return true;
}

bool DecodeInt32(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size) {
  if (size != 4) [[unlikely]]
    return WrongSize(context, "4-byte number", size);
  node.AppendFixed(LoadU32(bytes));
  return true;
}

bool DecodeInt64(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size) {
  if (size != 8) [[unlikely]]
    return WrongSize(context, "8-byte number", size);
  node.AppendFixed(LoadU64(bytes));
  return true;
}

bool DecodeUuid(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size) {
  if (size != 16) [[unlikely]]
    return WrongSize(context, "uuid", size);
  std::memcpy(node.values + node.length * 16, bytes, 16);
  ++node.length;
  return true;
}

bool DecodeMoney(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size) {
  if (size != 8) [[unlikely]]
    return WrongSize(context, "money", size);
  node.AppendFixed(static_cast<__int128>(LoadI64(bytes)));
  return true;
}

DecodeFunction DecodeFunctionFor(DecodeKind kind) {
  switch (kind) {
    case DecodeKind::kBool:
      return DecodeBool;
    case DecodeKind::kInt16:
      return DecodeInt16;
    case DecodeKind::kInt32:
    case DecodeKind::kUInt32:
    case DecodeKind::kFloat:
      return DecodeInt32;
    case DecodeKind::kInt64:
    case DecodeKind::kUInt64:
    case DecodeKind::kDouble:
      return DecodeInt64;
    case DecodeKind::kNumericDecimal128:
      return DecodeDecimal128;
    case DecodeKind::kNumericDecimal256:
      return DecodeDecimal256;
    case DecodeKind::kNumericDouble:
      return DecodeNumericDouble;
    case DecodeKind::kNumericText:
      return DecodeNumericText;
    case DecodeKind::kMoney:
      return DecodeMoney;
    case DecodeKind::kText:
      return DecodeText;
    case DecodeKind::kVersioned:
      return DecodeVersioned;
    case DecodeKind::kChar:
      return DecodeChar;
    case DecodeKind::kBinary:
      return DecodeBinary;
    case DecodeKind::kUuid:
      return DecodeUuid;
    case DecodeKind::kDate:
      return DecodeDate;
    case DecodeKind::kTime:
      return DecodeTime;
    case DecodeKind::kTimetzText:
      return DecodeTimetz;
    case DecodeKind::kTimestamp:
      return DecodeTimestamp;
    case DecodeKind::kInterval:
      return DecodeInterval;
    case DecodeKind::kEnum:
      return DecodeEnum;
    case DecodeKind::kInetText:
      return DecodeInet;
    case DecodeKind::kMacaddrText:
      return DecodeMacaddr;
    case DecodeKind::kBitText:
      return DecodeBits;
    case DecodeKind::kLsnText:
      return DecodeLsn;
    case DecodeKind::kTidText:
      return DecodeTid;
    case DecodeKind::kList:
      return DecodeList;
    case DecodeKind::kComposite:
      return DecodeComposite;
    case DecodeKind::kRange:
      return DecodeRange;
    case DecodeKind::kMultirange:
      return DecodeMultirange;
    case DecodeKind::kHstore:
      return DecodeHstore;
  }
  return nullptr;
}

}  // namespace bulkhaul::pg
