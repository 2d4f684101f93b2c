// From the keys of documents to columns. Internal to wire/json.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "wire/json/page_layout.h"

namespace bulkhaul::search {

struct KeyHash {
  using is_transparent = void;
  size_t operator()(std::string_view key) const { return std::hash<std::string_view>()(key); }
};

// An object that a mapping knows, or a field. Documents of one index mostly have the same keys in
// the same order: each node guesses the next key from the one before.
class FieldNode {
 public:
  explicit FieldNode(std::string path) : path(std::move(path)) {}

  const std::string path;
  int column = -1;                 // that takes a value here, among the columns of its nested field
  FieldNode* nested_in = nullptr;  // the innermost nested field around this, if that is a list
  bool is_nested_list = false;
  bool skipped = false;   // nothing here is wanted: mapped, but no column here or below
  bool left_out = false;  // a field whose own values are not wanted; those of fields below may be
  bool is_object() const { return !children_.empty(); }
  // Whether column `column` takes scalars: not a list of nested objects.
  bool is_column() const { return column >= 0 && !is_nested_list; }

  // The place of `path` below this node, made where it is missing.
  FieldNode* Make(std::string_view path);
  // Tells all nodes below which nested field they are in.
  void SetNestedBelow();
  // Marks nodes at and below which nothing is a column: all such, or, with _extra, those left out,
  // as objects are looked through then for what no mapping has. Whether there is a column.
  bool MarkSkipped(bool extra);

  // Before the keys of one object.
  void Rewind() { expected_ = 0; }
  // The node of a key that stands where it stood before; nullptr where it does not, or no mapping
  // has it.
  FieldNode* FindExpected(std::string_view raw_key) {
    if (expected_ >= learned_count_) return nullptr;
    const Learned& guess = learned_[expected_];
    if (guess.node == nullptr || !SameText(guess.raw_key(), raw_key)) return nullptr;
    ++expected_;
    return guess.node;
  }
  // The same where the key is still text with its quotes and its colon, past which `*at` goes.
  FieldNode* TakeExpected(const char** at, const char* end) {
    if (expected_ >= learned_count_) return nullptr;
    const Learned& guess = learned_[expected_];
    const size_t size = guess.member.size();
    if (guess.node == nullptr || static_cast<size_t>(end - *at) < size ||
        !SameText(guess.member, {*at, size})) {
      return nullptr;
    }
    ++expected_;
    *at += size;
    return guess.node;
  }
  // The node of a key as the document writes it, "a.b" included; nullptr when no mapping has it.
  // False when the key's escapes are none.
  bool Find(std::string_view raw_key, FieldNode** node);

 private:
  struct Learned {
    std::string member;  // "raw_key":
    FieldNode* node;
    std::string_view raw_key() const { return {member.data() + 1, member.size() - 3}; }
  };
  FieldNode* Resolve(std::string_view key);
  // Keys are short: comparing them here costs less than calling memcmp.
  static bool SameText(std::string_view a, std::string_view b) {
    const size_t size = a.size();
    if (size != b.size()) return false;
    if (size > 32) return a == b;
    if (size > 16)
      return SameText(a.substr(0, 16), b.substr(0, 16)) &&
             SameText(a.substr(size - 16), b.substr(size - 16));
    const auto same = [&]<typename Word>(Word) {
      Word first_a, first_b, last_a, last_b;
      std::memcpy(&first_a, a.data(), sizeof(Word));
      std::memcpy(&first_b, b.data(), sizeof(Word));
      std::memcpy(&last_a, a.data() + size - sizeof(Word), sizeof(Word));
      std::memcpy(&last_b, b.data() + size - sizeof(Word), sizeof(Word));
      return ((first_a ^ first_b) | (last_a ^ last_b)) == 0;
    };
    if (size >= 8) return same(uint64_t{});
    if (size >= 4) return same(uint32_t{});
    return size == 0 || (a[0] == b[0] && a[size / 2] == b[size / 2] && a[size - 1] == b[size - 1]);
  }

  std::map<std::string, std::unique_ptr<FieldNode>, std::less<>> children_;
  std::vector<Learned> learned_;  // in the order of their first appearance
  std::unordered_map<std::string, uint32_t, KeyHash, std::equal_to<>> places_;
  uint32_t expected_ = 0;
  uint32_t learned_count_ = 0;  // learned_.size(), which costs a division
};

// The tree of the columns that are read from "fields", or else from "_source".
std::unique_ptr<FieldNode> MakeFieldTree(const PageLayout& layout, bool from_fields);

}  // namespace bulkhaul::search
