// Big-endian loads and stores of unaligned memory, as PostgreSQL sends numbers.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace bulkhaul::pg {

static_assert(std::endian::native == std::endian::little, "the functions below swap bytes");

inline uint16_t LoadU16(const uint8_t* bytes) {
  uint16_t value;
  std::memcpy(&value, bytes, sizeof(value));
  return __builtin_bswap16(value);
}
inline uint32_t LoadU32(const uint8_t* bytes) {
  uint32_t value;
  std::memcpy(&value, bytes, sizeof(value));
  return __builtin_bswap32(value);
}
inline uint64_t LoadU64(const uint8_t* bytes) {
  uint64_t value;
  std::memcpy(&value, bytes, sizeof(value));
  return __builtin_bswap64(value);
}
inline int16_t LoadI16(const uint8_t* bytes) { return static_cast<int16_t>(LoadU16(bytes)); }
inline int32_t LoadI32(const uint8_t* bytes) { return static_cast<int32_t>(LoadU32(bytes)); }
inline int64_t LoadI64(const uint8_t* bytes) { return static_cast<int64_t>(LoadU64(bytes)); }

inline void Store16(uint8_t* out, uint16_t value) {
  value = __builtin_bswap16(value);
  std::memcpy(out, &value, sizeof(value));
}
inline void Store32(uint8_t* out, uint32_t value) {
  value = __builtin_bswap32(value);
  std::memcpy(out, &value, sizeof(value));
}
inline void Store64(uint8_t* out, uint64_t value) {
  value = __builtin_bswap64(value);
  std::memcpy(out, &value, sizeof(value));
}

}  // namespace bulkhaul::pg
