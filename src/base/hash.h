// Checksums of files and rows.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace bulkhaul {

// XXH3 64-bit over a stream of bytes. Not thread-safe.
class Xxh3 {
 public:
  Xxh3();
  ~Xxh3();
  Xxh3(const Xxh3&) = delete;
  Xxh3& operator=(const Xxh3&) = delete;
  void Update(const void* data, size_t bytes);
  uint64_t Digest() const;

 private:
  void* state_;
};

uint64_t Xxh3Of(std::string_view bytes);
// 16 lower-case hexadecimal digits.
std::string HashText(uint64_t hash);
// XXH3 128-bit, as 32 lower-case hexadecimal digits: a name for a content.
std::string HashName(std::string_view bytes);
struct Hash128 {
  uint64_t high = 0, low = 0;
  auto operator<=>(const Hash128&) const = default;
};
// XXH3 128-bit: of any number of contents that fits a disk, no two have the same.
Hash128 WideHashOf(std::string_view bytes);
// Reads the whole file in blocks.
Result<uint64_t> Xxh3OfFile(const std::string& path);

}  // namespace bulkhaul
