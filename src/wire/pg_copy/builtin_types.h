// Oids of pg_catalog that the codec knows by heart.
// Source: PostgreSQL, src/include/catalog/pg_type.dat; the numbers never change.
#pragma once

#include <cstdint>

namespace bulkhaul::pg {

enum BuiltinOid : uint32_t {
  kBoolOid = 16,
  kByteaOid = 17,
  kCharOid = 18,
  kNameOid = 19,
  kInt8Oid = 20,
  kInt2Oid = 21,
  kInt2VectorOid = 22,
  kInt4Oid = 23,
  kTextOid = 25,
  kOidOid = 26,
  kTidOid = 27,
  kXidOid = 28,
  kCidOid = 29,
  kOidVectorOid = 30,
  kJsonOid = 114,
  kXmlOid = 142,
  kCidrOid = 650,
  kFloat4Oid = 700,
  kFloat8Oid = 701,
  kUnknownOid = 705,
  kMacaddr8Oid = 774,
  kMoneyOid = 790,
  kMacaddrOid = 829,
  kInetOid = 869,
  kTextArrayOid = 1009,
  kBpcharOid = 1042,
  kVarcharOid = 1043,
  kDateOid = 1082,
  kTimeOid = 1083,
  kTimestampOid = 1114,
  kTimestamptzOid = 1184,
  kIntervalOid = 1186,
  kTimetzOid = 1266,
  kBitOid = 1560,
  kVarbitOid = 1562,
  kNumericOid = 1700,
  kRefcursorOid = 1790,
  kUuidOid = 2950,
  kPgLsnOid = 3220,
  kJsonbOid = 3802,
  kJsonpathOid = 4072,
  kXid8Oid = 5069,
};

// What the modifier of a numeric says. Source: make_numeric_typmod() in numeric.c; the scale has
// eleven bits with a sign since PostgreSQL 15 and was at most 1000 before, so one reading fits
// both.
struct NumericModifier {
  int32_t precision;
  int32_t scale;
};
inline NumericModifier ReadNumericModifier(int32_t typmod) {
  const int32_t packed = typmod - 4;
  return {(packed >> 16) & 0xffff, ((packed & 0x7ff) ^ 1024) - 1024};
}

}  // namespace bulkhaul::pg
