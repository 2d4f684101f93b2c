#include "base/hash.h"

#include <cerrno>
#include <memory>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <xxhash.h>

namespace bulkhaul {
namespace {
XXH3_state_t* State(void* state) { return static_cast<XXH3_state_t*>(state); }
}  // namespace

Xxh3::Xxh3() : state_(XXH3_createState()) { XXH3_64bits_reset(State(state_)); }
Xxh3::~Xxh3() { XXH3_freeState(State(state_)); }
void Xxh3::Update(const void* data, size_t bytes) {
  XXH3_64bits_update(State(state_), data, bytes);
}
uint64_t Xxh3::Digest() const { return XXH3_64bits_digest(State(state_)); }

uint64_t Xxh3Of(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

std::string HashText(uint64_t hash) { return fmt::format("{:016x}", hash); }

std::string HashName(std::string_view bytes) {
  const Hash128 hash = WideHashOf(bytes);
  return HashText(hash.high) + HashText(hash.low);
}

Hash128 WideHashOf(std::string_view bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.high64, hash.low64};
}

Result<uint64_t> Xxh3OfFile(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return ErrnoError(errno, "open", path);
  constexpr size_t kBlockBytes = 256 << 10;
  const auto block = std::make_unique_for_overwrite<char[]>(kBlockBytes);
  Xxh3 hash;
  while (true) {
    const ssize_t count = read(file, block.get(), kBlockBytes);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const Status status = ErrnoError(errno, "read", path);
      close(file);
      return status;
    }
    if (count == 0) break;
    hash.Update(block.get(), static_cast<size_t>(count));
  }
  close(file);
  return hash.Digest();
}

}  // namespace bulkhaul
