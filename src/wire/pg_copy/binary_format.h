// Constants of PostgreSQL's binary forms of values, for those who read them and those who write
// them. Internal to wire/pg_copy.
#pragma once

#include <cstdint>

namespace bulkhaul::pg {

// PostgreSQL counts days and microseconds from 2000-01-01, Arrow from 1970-01-01.
// Source: POSTGRES_EPOCH_JDATE and JULIAN_MINYEAR in timestamp.h.
constexpr int32_t kDaysShift = 10957;
constexpr int64_t kMicrosPerDay = 86'400'000'000;
constexpr int64_t kMicrosShift = kDaysShift * kMicrosPerDay;
// 4714-11-24 BC, the first day of PostgreSQL's dates and timestamps, from 1970.
constexpr int32_t kFirstDay = -2'440'588;
constexpr int64_t kFirstMicro = kFirstDay * kMicrosPerDay;

// numeric: groups of four decimal digits, each below 10,000. Source: numeric_send(), and
// NUMERIC_NEG, NUMERIC_NAN, NUMERIC_PINF, NUMERIC_NINF in numeric.c.
constexpr uint16_t kNumericNegative = 0x4000;
constexpr uint16_t kNumericNan = 0xc000;
constexpr uint16_t kNumericPositiveInfinity = 0xd000;
constexpr uint16_t kNumericNegativeInfinity = 0xf000;
constexpr int32_t kNumericGroupDigits = 4;
constexpr uint64_t kNumericBase = 10'000;

constexpr int32_t kArrayDimensionsMax = 6;  // MAXDIM in c.h

// Source: RANGE_EMPTY … RANGE_UB_INF in rangetypes.h.
constexpr uint8_t kRangeEmpty = 0x01;
constexpr uint8_t kRangeLowerInclusive = 0x02;
constexpr uint8_t kRangeUpperInclusive = 0x04;
constexpr uint8_t kRangeLowerInfinite = 0x08;
constexpr uint8_t kRangeUpperInfinite = 0x10;

// Source: PGSQL_AF_INET and PGSQL_AF_INET6 in inet.h, as network_send() writes them on every
// system.
constexpr uint8_t kInetFamilyIpv4 = 2;
constexpr uint8_t kInetFamilyIpv6 = 3;

}  // namespace bulkhaul::pg
