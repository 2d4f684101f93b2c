// What a contract says of texts: that they are of a set, that they match a pattern. Texts may be
// stored as utf8, large_utf8, utf8_view, and as the binary types of the same layout; they are
// looked at where they lie.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <arrow/array.h>
#include <arrow/memory_pool.h>
#include <arrow/type.h>

#include "base/error.h"
#include "base/hash.h"

namespace bulkhaul {

bool IsText(const arrow::DataType& type);

// A text's length and its first, middle and last eight bytes, which may overlap: all of a text up
// to 24 bytes, so that comparing and hashing the usual text is a few instructions without a branch.
struct TextWords {
  static constexpr size_t kWholeBytesMax = 24, kReadBytes = 8;

  uint64_t length = 0, head = 0, middle = 0, tail = 0;
  bool operator==(const TextWords&) const = default;
  bool whole() const { return length <= kWholeBytesMax; }

  static TextWords Of(std::string_view text) {
    if (text.size() >= kReadBytes) return OfReadable(text);
    char bytes[kReadBytes] = {};
    std::copy(text.begin(), text.end(), bytes);
    return OfReadable({bytes, text.size()});
  }
  // At least kReadBytes from the text's beginning can be read, however short it is.
  static TextWords OfReadable(std::string_view text) {
    const size_t last = std::max(text.size(), kReadBytes) - kReadBytes;
    const uint64_t mask = kMasks[std::min(text.size(), kReadBytes)];
    const auto at = [&](size_t offset) {
      uint64_t word = 0;
      std::memcpy(&word, text.data() + offset, sizeof(word));
      return word & mask;
    };
    return {text.size(), at(0), at(last / 2), at(last)};
  }
  // `text` is the one that the words are of.
  uint64_t HashOf(std::string_view text) const {
    constexpr uint64_t kFirst = 0x9E37'79B9'7F4A'7C15, kSecond = 0xC2B2'AE3D'27D4'EB4F;
    uint64_t mixed = (head ^ length << 56) * kFirst ^ std::rotr(middle * kSecond, 23) ^
                     std::rotr(tail * kFirst, 43);
    if (!whole()) mixed ^= Xxh3Of(text);
    return (mixed ^ mixed >> 29) * kSecond >> 32;
  }

 private:
  static_assert(std::endian::native == std::endian::little);
  static constexpr uint64_t kMasks[kReadBytes + 1] = {0,
                                                      0xFF,
                                                      0xFFFF,
                                                      0xFF'FFFF,
                                                      0xFFFF'FFFF,
                                                      0xFF'FFFF'FFFF,
                                                      0xFFFF'FFFF'FFFF,
                                                      0xFF'FFFF'FFFF'FFFF,
                                                      0xFFFF'FFFF'FFFF'FFFF};
};

// Constant after construction.
class TextSet {
 public:
  explicit TextSet(std::vector<std::string> texts);
  bool Holds(std::string_view text) const { return Holds(TextWords::Of(text), text); }
  // The rows that hold another text, in their order, go to the end of `rows`. NULL is none.
  void Others(const arrow::Array& texts, std::vector<int64_t>* rows) const;

 private:
  static constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
  struct Slot {
    TextWords words;
    uint32_t text = kNone;  // its place in texts_
  };
  bool Holds(const TextWords& words, std::string_view text) const {
    for (size_t at = words.HashOf(text) & mask_;; at = (at + 1) & mask_) {
      const Slot& slot = slots_[at];
      if (slot.text == kNone) return false;
      if (slot.words == words && (words.whole() || texts_[slot.text] == text)) return true;
    }
  }

  std::vector<std::string> texts_;
  std::vector<Slot> slots_;  // a power of two, few of them taken
  size_t mask_ = 0;
};

// An RE2 expression, which is looked for in each text; anchors are the caller's. Arrow has the one
// RE2 that this program may link, and its function takes whole columns: texts that were not seen
// lately are handed to it together. Not thread-safe.
class TextPattern {
 public:
  explicit TextPattern(std::string pattern) : pattern_(std::move(pattern)) {}
  // The rows whose text does not match, in no order, go to the end of `rows`. NULL is none.
  Status Others(const arrow::Array& texts, arrow::MemoryPool* pool, std::vector<int64_t>* rows);

  static constexpr size_t kSlots = 1024, kRememberedBytesMax = 64;
  // So many texts are looked up before it is judged whether remembering pays.
  static constexpr int64_t kTrialTexts = 16'384;

 private:
  // What was found of the last text with this place. What is not yet known is in the text's place
  // among the batch's new ones.
  static constexpr int32_t kUnused = -1, kMatches = -2, kOther = -3;
  struct Slot {
    TextWords words;
    int32_t verdict = kUnused;
    char text[kRememberedBytesMax] = {};
  };
  Status Lookup(const arrow::Array& texts, arrow::MemoryPool* pool, std::vector<int64_t>* rows);
  Slot* SlotOf(const TextWords& words, std::string_view text);
  // Whether each of the texts, utf8 or large_utf8, matches; NULL: NULL.
  Result<std::shared_ptr<arrow::BooleanArray>> Match(const std::shared_ptr<arrow::Array>& texts,
                                                     arrow::MemoryPool* pool) const;

  const std::string pattern_;
  std::vector<Slot> slots_;  // empty until the first text, and when remembering does not pay
  bool remembers_ = true;
  int64_t looked_up_ = 0, known_ = 0;
};

}  // namespace bulkhaul
