// A growing run of bytes that are not zeroed first.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string_view>

namespace bulkhaul::pg {

// Not thread-safe. Keeps its memory over Clear().
class ByteBuffer {
 public:
  uint8_t* data() { return data_.get(); }
  const uint8_t* data() const { return data_.get(); }
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  std::span<const uint8_t> bytes() const { return {data_.get(), size_}; }
  void Clear() { size_ = 0; }
  void Resize(size_t size) {
    Reserve(size);
    size_ = size;
  }
  void Reserve(size_t capacity) {
    if (capacity <= capacity_) return;
    capacity = std::max(capacity, capacity_ * 2);
    auto* grown = static_cast<uint8_t*>(std::realloc(data_.release(), capacity));
    if (grown == nullptr) throw std::bad_alloc();
    data_.reset(grown);
    capacity_ = capacity;
  }
  // `bytes` more, to be written by the caller.
  uint8_t* Extend(size_t bytes) {
    Reserve(size_ + bytes);
    uint8_t* const place = data_.get() + size_;
    size_ += bytes;
    return place;
  }
  void Append(const void* bytes, size_t size) {
    if (size > 0) std::memcpy(Extend(size), bytes, size);
  }
  void AppendByte(uint8_t byte) { *Extend(1) = byte; }
  void AppendU16(uint16_t number) {
    number = __builtin_bswap16(number);
    Append(&number, sizeof(number));
  }
  void AppendU32(uint32_t number) {
    number = __builtin_bswap32(number);
    Append(&number, sizeof(number));
  }
  void AppendU64(uint64_t number) {
    number = __builtin_bswap64(number);
    Append(&number, sizeof(number));
  }

 private:
  struct Free {
    void operator()(uint8_t* memory) const { std::free(memory); }
  };
  std::unique_ptr<uint8_t[], Free> data_;
  size_t size_ = 0, capacity_ = 0;
};

}  // namespace bulkhaul::pg
