// Memory for one response body, kept from page to page: fresh pages cost more than the copy.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

namespace bulkhaul::opensearch {

// Not thread-safe. `padding` zero bytes stand behind the text after Terminate().
class ResponseBuffer {
 public:
  explicit ResponseBuffer(size_t padding) : padding_(padding) {}
  void Clear() { size_ = 0; }
  // False when there is no memory; what was there stays.
  bool Append(const char* bytes, size_t count) {
    // By half, where the answer did not say how long it would be.
    if (size_ + count + padding_ > capacity_ &&
        !Reserve(std::max(size_ + count, capacity_ + capacity_ / 2))) {
      return false;
    }
    std::memcpy(data_.get() + size_, bytes, count);
    size_ += count;
    return true;
  }
  bool Reserve(size_t size) {
    if (size + padding_ <= capacity_) return true;
    // A little more: the next page may be that much longer.
    const size_t wanted = size + size / 16 + padding_;
    void* grown = std::realloc(data_.get(), wanted);
    if (grown == nullptr) return false;
    (void)data_.release();
    data_.reset(static_cast<char*>(grown));
    capacity_ = wanted;
    return true;
  }
  bool Terminate() {
    if (!Reserve(size_)) return false;
    std::memset(data_.get() + size_, 0, padding_);
    return true;
  }
  // Gives memory back that one huge page needed.
  void ShrinkTo(size_t capacity_max) {
    if (capacity_ <= capacity_max) return;
    data_.reset();
    capacity_ = size_ = 0;
  }
  std::string_view text() const { return {data_.get(), size_}; }
  size_t capacity() const { return capacity_; }

 private:
  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };
  const size_t padding_;
  std::unique_ptr<char, Free> data_;
  size_t size_ = 0, capacity_ = 0;
};

}  // namespace bulkhaul::opensearch
