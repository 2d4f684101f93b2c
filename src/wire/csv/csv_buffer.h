// A growing run of bytes that the encoder writes into without clearing it first.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

namespace bulkhaul {

// Not thread-safe. Keeps its memory when cleared.
class CsvBuffer {
 public:
  std::string_view view() const { return {data_.get(), size_}; }
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  void Clear() { size_ = 0; }
  void Truncate(size_t size) { size_ = size; }
  // Space for `bytes` more; Advance() says how many were used.
  char* Room(size_t bytes) {
    if (capacity_ - size_ < bytes) Grow(bytes);
    return data_.get() + size_;
  }
  void Advance(size_t bytes) { size_ += bytes; }
  void Append(char byte) {
    *Room(1) = byte;
    ++size_;
  }
  void Append(std::string_view text) {
    if (text.empty()) return;
    std::memcpy(Room(text.size()), text.data(), text.size());
    size_ += text.size();
  }

 private:
  void Grow(size_t bytes) {
    const size_t capacity = std::max<size_t>(std::max<size_t>(capacity_ * 2, size_ + bytes), 4096);
    auto data = std::unique_ptr<char[]>(new char[capacity]);
    if (size_ > 0) std::memcpy(data.get(), data_.get(), size_);
    data_ = std::move(data);
    capacity_ = capacity;
  }

  std::unique_ptr<char[]> data_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace bulkhaul
