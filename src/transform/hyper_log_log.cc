#include "transform/hyper_log_log.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <arrow/util/base64.h>

namespace bulkhaul {

void HyperLogLog::Merge(const HyperLogLog& other) {
  for (size_t i = 0; i < kRegisters; ++i) {
    registers_[i] = std::max(registers_[i], other.registers_[i]);
  }
}

double HyperLogLog::Estimate() const {
  constexpr auto kCount = static_cast<double>(kRegisters);
  double sum = 0;
  int64_t zeros = 0;
  for (const uint8_t rank : registers_) {
    sum += std::ldexp(1.0, -rank);
    zeros += rank == 0;
  }
  const double raw = 0.7213 / (1 + 1.079 / kCount) * kCount * kCount / sum;
  if (raw <= 2.5 * kCount && zeros > 0)
    return kCount * std::log(kCount / static_cast<double>(zeros));
  return raw;
}

std::string HyperLogLog::ToBase64() const {
  return arrow::util::base64_encode(
      std::string_view(reinterpret_cast<const char*>(registers_.data()), kRegisters));
}

Result<HyperLogLog> HyperLogLog::FromBase64(std::string_view text) {
  ARROW_ASSIGN_OR_RAISE(const std::string bytes, arrow::util::base64_decode(text));
  if (bytes.size() != kRegisters) return BugError("a damaged sketch of distinct values");
  HyperLogLog sketch;
  std::memcpy(sketch.registers_.data(), bytes.data(), kRegisters);
  return sketch;
}

}  // namespace bulkhaul
