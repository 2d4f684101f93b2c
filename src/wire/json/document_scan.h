// The members of one document, found in a single walk over its text. What nearly all documents are
// made of is read that way at half the cost of an index of tokens; what is out of the ordinary is
// left to those. Internal to wire/json.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "wire/json/field_tree.h"
#include "wire/json/value_decoder.h"

namespace bulkhaul::search {

// Written and read piece by piece: as a whole it is never copied, which would wait for the pieces.
struct ScannedMember {
  FieldNode* node;              // nullptr: no mapping has it
  const char *value, *behind;   // as it stands in the text
  const char *text, *text_end;  // the value, or what alone stands in an array, without quotes
  bool quoted;
  bool plain;  // the text is all that there is to know: one scalar, without escapes
  // Where node is nullptr:
  const FieldNode* parent;
  const char *key, *key_end;

  std::string_view value_text() const { return Text(value, behind); }
  std::string_view raw_key() const { return Text(key, key_end); }
  ScalarToken scalar() const { return {Text(text, text_end), quoted, plain}; }

 private:
  static std::string_view Text(const char* begin, const char* end) {
    return {begin, static_cast<size_t>(end - begin)};
  }
};

// Not thread-safe. What it points to is the text.
class DocumentScan {
 public:
  void Clear() { count_ = 0; }
  // Adds the members of the object at `*at`, objects that are no columns flattened, in their
  // order, and goes past it. False where the text is none, or such that only tokens can read it.
  bool AddObject(FieldNode* node, const char** at, const char* end);
  std::span<const ScannedMember> members() const { return {members_.data(), count_}; }

 private:
  std::vector<ScannedMember> members_;  // the first count_
  size_t count_ = 0;
  size_t capacity_ = 0;  // members_.size(), which costs a division
};

}  // namespace bulkhaul::search
