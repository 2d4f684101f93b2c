// Numbers, dates and times. PostgreSQL counts from 2000-01-01, Arrow from 1970-01-01.
// Source: int8recv(), float8recv(), date_recv(), time_recv(), timestamp_recv(), interval_recv().
#include "wire/pg_copy/encode_fixed.h"

#include <limits>
#include <utility>

#include <arrow/type_traits.h>
#include <arrow/util/bit_util.h>
#include <arrow/util/float16.h>

#include "wire/pg_copy/binary_format.h"
#include "wire/pg_copy/builtin_types.h"
#include "wire/pg_copy/bytes.h"

namespace bulkhaul::pg {
namespace {

constexpr int64_t kMillisPerDay = 86'400'000;
// PostgreSQL's first day and microsecond, and the ends of its dates and timestamps, from 2000.
constexpr int64_t kOwnFirstDay = kFirstDay - kDaysShift;
constexpr int64_t kOwnFirstMicro = kOwnFirstDay * kMicrosPerDay;
constexpr int64_t kDateEnd = 2'145'031'949;
constexpr int64_t kMicroEnd = 9'223'371'331'200'000'000;

template <typename T>
void StoreInteger(uint8_t* out, T value) {
  if constexpr (sizeof(T) == 2) {
    Store16(out, static_cast<uint16_t>(value));
  } else if constexpr (sizeof(T) == 4) {
    Store32(out, static_cast<uint32_t>(value));
  } else {
    Store64(out, static_cast<uint64_t>(value));
  }
}

// Each codec: what it reads, how many bytes it writes, and whether the value fits.
template <typename From, typename To>
struct Integer {
  using In = From;
  static constexpr int32_t kBytes = sizeof(To);
  static bool Put(const EncodePlan&, In value, uint8_t* out) {
    StoreInteger(out, static_cast<To>(value));
    return std::in_range<To>(value);
  }
};
template <typename From, typename To>
struct Floating {
  using In = From;
  static constexpr int32_t kBytes = sizeof(To);
  static bool Put(const EncodePlan&, In value, uint8_t* out) {
    const To wide = static_cast<To>(value);
    if constexpr (sizeof(To) == 4) {
      Store32(out, std::bit_cast<uint32_t>(wide));
    } else {
      Store64(out, std::bit_cast<uint64_t>(wide));
    }
    return true;
  }
};
template <typename To>
struct HalfFloat {
  using In = uint16_t;
  static constexpr int32_t kBytes = sizeof(To);
  static bool Put(const EncodePlan& plan, In value, uint8_t* out) {
    return Floating<float, To>::Put(plan, arrow::util::Float16::FromBits(value).ToFloat(), out);
  }
};
struct Date32 {
  using In = int32_t;
  static constexpr int32_t kBytes = 4;
  static bool Put(const EncodePlan&, In value, uint8_t* out) {
    const int64_t days = int64_t{value} - kDaysShift;
    Store32(out, static_cast<uint32_t>(days));
    return days >= kOwnFirstDay && days < kDateEnd;
  }
};
struct Date64 {
  using In = int64_t;
  static constexpr int32_t kBytes = 4;
  static bool Put(const EncodePlan&, In value, uint8_t* out) {
    const int64_t days = value / kMillisPerDay - kDaysShift;
    Store32(out, static_cast<uint32_t>(days));
    return value % kMillisPerDay == 0 && days >= kOwnFirstDay && days < kDateEnd;
  }
};
struct Date32AsTimestamp {
  using In = int32_t;
  static constexpr int32_t kBytes = 8;
  static bool Put(const EncodePlan&, In value, uint8_t* out) {
    const int64_t days = int64_t{value} - kDaysShift;
    Store64(out, static_cast<uint64_t>(days) * kMicrosPerDay);
    return days >= kOwnFirstDay && days < kMicroEnd / kMicrosPerDay;
  }
};
template <int64_t PerSecond>
struct ToMicros {
  // False: digits below a microsecond, or too large.
  static bool Of(int64_t value, int64_t* micros) {
    if constexpr (PerSecond > 1'000'000) {
      *micros = value / (PerSecond / 1'000'000);
      return value % (PerSecond / 1'000'000) == 0;
    } else {
      return !__builtin_mul_overflow(value, 1'000'000 / PerSecond, micros);
    }
  }
};
template <int64_t PerSecond>
struct Timestamp {
  using In = int64_t;
  static constexpr int32_t kBytes = 8;
  static bool Put(const EncodePlan& plan, In value, uint8_t* out) {
    int64_t micros = 0;
    bool fits = ToMicros<PerSecond>::Of(value, &micros);
    fits &= !__builtin_sub_overflow(micros, kMicrosShift, &micros);
    Store64(out, static_cast<uint64_t>(micros));
    if (plan.multiple > 1) fits &= micros % plan.multiple == 0;
    return fits && micros >= kOwnFirstMicro && micros < kMicroEnd;
  }
};
template <typename From, int64_t PerSecond>
struct Time {
  using In = From;
  static constexpr int32_t kBytes = 8;
  static bool Put(const EncodePlan& plan, In value, uint8_t* out) {
    int64_t micros = 0;
    bool fits = ToMicros<PerSecond>::Of(value, &micros);
    Store64(out, static_cast<uint64_t>(micros));
    if (plan.multiple > 1) fits &= micros % plan.multiple == 0;
    return fits && micros >= 0 && micros <= kMicrosPerDay;
  }
};
template <int64_t PerSecond>
struct Duration {
  using In = int64_t;
  static constexpr int32_t kBytes = 16;
  static bool Put(const EncodePlan&, In value, uint8_t* out) {
    int64_t micros = 0;
    const bool fits = ToMicros<PerSecond>::Of(value, &micros);
    Store64(out, static_cast<uint64_t>(micros));
    Store64(out + 8, 0);
    return fits;
  }
};
struct MonthDayNano {
  using In = arrow::MonthDayNanoIntervalType::MonthDayNanos;
  static constexpr int32_t kBytes = 16;
  static bool Put(const EncodePlan&, const In& value, uint8_t* out) {
    int64_t micros = 0;
    const bool fits = ToMicros<1'000'000'000>::Of(value.nanoseconds, &micros);
    Store64(out, static_cast<uint64_t>(micros));
    Store32(out + 8, static_cast<uint32_t>(value.days));
    Store32(out + 12, static_cast<uint32_t>(value.months));
    return fits;
  }
};
struct Uuid {
  struct In {
    uint8_t bytes[16];
  };
  static constexpr int32_t kBytes = 16;
  static bool Put(const EncodePlan&, const In& value, uint8_t* out) {
    std::memcpy(out, value.bytes, 16);
    return true;
  }
};

template <typename Codec>
int64_t EncodeColumnOf(const EncodePlan& plan, const EncodeSlice& slice, uint8_t** cursors) {
  using In = typename Codec::In;
  const auto& array = *slice.array;
  const In* const values = array.GetValues<In>(1) + slice.begin;
  constexpr int32_t kStep = 4 + Codec::kBytes;
  bool all_fit = true;
  if (array.GetNullCount() == 0) {
    for (int64_t row = 0; row < slice.rows; ++row) {
      uint8_t* const out = cursors[row];
      Store32(out, Codec::kBytes);
      all_fit &= Codec::Put(plan, values[row], out + 4);
      cursors[row] = out + kStep;
    }
    if (all_fit) return -1;
  } else {
    const uint8_t* const valid = array.buffers[0]->data();
    for (int64_t row = 0; row < slice.rows; ++row) {
      uint8_t* const out = cursors[row];
      if (arrow::bit_util::GetBit(valid, array.offset + slice.begin + row)) {
        Store32(out, Codec::kBytes);
        all_fit &= Codec::Put(plan, values[row], out + 4);
        cursors[row] = out + kStep;
      } else {
        Store32(out, 0xffffffff);
        cursors[row] = out + 4;
      }
    }
    if (all_fit) return -1;
  }
  uint8_t scratch[Codec::kBytes];
  for (int64_t row = 0; row < slice.rows; ++row) {
    if (!array.IsNull(slice.begin + row) && !Codec::Put(plan, values[row], scratch)) return row;
  }
  return -1;
}

template <typename Codec>
bool EncodeValueOf(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row,
                   ByteBuffer* out, std::string*) {
  uint8_t* const place = out->Extend(Codec::kBytes);
  return Codec::Put(plan, array.GetValues<typename Codec::In>(1)[row], place);
}

template <typename Codec>
FixedCodec Of() {
  return {EncodeColumnOf<Codec>, EncodeValueOf<Codec>, Codec::kBytes};
}

int64_t EncodeBoolColumn(const EncodePlan&, const EncodeSlice& slice, uint8_t** cursors) {
  const auto& array = *slice.array;
  const uint8_t* const bits = array.buffers[1]->data();
  for (int64_t row = 0; row < slice.rows; ++row) {
    uint8_t* const out = cursors[row];
    const int64_t place = array.offset + slice.begin + row;
    if (array.IsNull(slice.begin + row)) {
      Store32(out, 0xffffffff);
      cursors[row] = out + 4;
    } else {
      Store32(out, 1);
      out[4] = arrow::bit_util::GetBit(bits, place) ? 1 : 0;
      cursors[row] = out + 5;
    }
  }
  return -1;
}
bool EncodeBool(const EncodePlan&, const arrow::ArrayData& array, int64_t row, ByteBuffer* out,
                std::string*) {
  out->AppendByte(arrow::bit_util::GetBit(array.buffers[1]->data(), array.offset + row) ? 1 : 0);
  return true;
}

template <typename From>
FixedCodec IntegerTo(uint32_t oid) {
  switch (oid) {
    case kInt2Oid:
      return Of<Integer<From, int16_t>>();
    case kInt4Oid:
      return Of<Integer<From, int32_t>>();
    case kInt8Oid:
      return Of<Integer<From, int64_t>>();
    case kOidOid:
    case kXidOid:
    case kCidOid:
      return Of<Integer<From, uint32_t>>();
    case kXid8Oid:
      return Of<Integer<From, uint64_t>>();
    case kFloat8Oid:
      if constexpr (sizeof(From) <= 4) return Of<Floating<From, double>>();
      return {};
    default:
      return {};
  }
}

template <template <int64_t> typename Codec>
FixedCodec ByUnit(arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND:
      return Of<Codec<1>>();
    case arrow::TimeUnit::MILLI:
      return Of<Codec<1'000>>();
    case arrow::TimeUnit::MICRO:
      return Of<Codec<1'000'000>>();
    default:
      return Of<Codec<1'000'000'000>>();
  }
}

FixedCodec TimeCodec(const arrow::DataType& from) {
  switch (static_cast<const arrow::TimeType&>(from).unit()) {
    case arrow::TimeUnit::SECOND:
      return Of<Time<int32_t, 1>>();
    case arrow::TimeUnit::MILLI:
      return Of<Time<int32_t, 1'000>>();
    case arrow::TimeUnit::MICRO:
      return Of<Time<int64_t, 1'000'000>>();
    default:
      return Of<Time<int64_t, 1'000'000'000>>();
  }
}

}  // namespace

FixedCodec FixedCodecOf(const arrow::DataType& from, uint32_t oid) {
  const bool stamp = oid == kTimestampOid || oid == kTimestamptzOid;
  switch (from.id()) {
    case arrow::Type::BOOL:
      return oid == kBoolOid ? FixedCodec{EncodeBoolColumn, EncodeBool, 1} : FixedCodec{};
    case arrow::Type::INT8:
      return IntegerTo<int8_t>(oid);
    case arrow::Type::INT16:
      return IntegerTo<int16_t>(oid);
    case arrow::Type::INT32:
      return IntegerTo<int32_t>(oid);
    case arrow::Type::INT64:
      return IntegerTo<int64_t>(oid);
    case arrow::Type::UINT8:
      return IntegerTo<uint8_t>(oid);
    case arrow::Type::UINT16:
      return IntegerTo<uint16_t>(oid);
    case arrow::Type::UINT32:
      return IntegerTo<uint32_t>(oid);
    case arrow::Type::UINT64:
      return IntegerTo<uint64_t>(oid);
    case arrow::Type::HALF_FLOAT:
      if (oid == kFloat4Oid) return Of<HalfFloat<float>>();
      return oid == kFloat8Oid ? Of<HalfFloat<double>>() : FixedCodec{};
    case arrow::Type::FLOAT:
      if (oid == kFloat4Oid) return Of<Floating<float, float>>();
      return oid == kFloat8Oid ? Of<Floating<float, double>>() : FixedCodec{};
    case arrow::Type::DOUBLE:
      return oid == kFloat8Oid ? Of<Floating<double, double>>() : FixedCodec{};
    case arrow::Type::DATE32:
      if (stamp) return Of<Date32AsTimestamp>();
      return oid == kDateOid ? Of<Date32>() : FixedCodec{};
    case arrow::Type::DATE64:
      return oid == kDateOid ? Of<Date64>() : FixedCodec{};
    case arrow::Type::TIMESTAMP:
      if (!stamp) return {};
      return ByUnit<Timestamp>(static_cast<const arrow::TimestampType&>(from).unit());
    case arrow::Type::TIME32:
    case arrow::Type::TIME64:
      return oid == kTimeOid ? TimeCodec(from) : FixedCodec{};
    case arrow::Type::DURATION:
      if (oid != kIntervalOid) return {};
      return ByUnit<Duration>(static_cast<const arrow::DurationType&>(from).unit());
    case arrow::Type::INTERVAL_MONTH_DAY_NANO:
      return oid == kIntervalOid ? Of<MonthDayNano>() : FixedCodec{};
    case arrow::Type::FIXED_SIZE_BINARY: {
      const bool wide = static_cast<const arrow::FixedSizeBinaryType&>(from).byte_width() == 16;
      return wide && oid == kUuidOid ? Of<Uuid>() : FixedCodec{};
    }
    default:
      return {};
  }
}

}  // namespace bulkhaul::pg
