#include "wire/json/document_scan.h"

#include <algorithm>

#include "base/text.h"
#include "wire/json/json_scan.h"

namespace bulkhaul::search {

namespace {

bool IsUtf8(const char* begin, const char* end) {
  return IsValidUtf8({begin, static_cast<size_t>(end - begin)});
}

// The string at `at`: behind it, or nullptr where its end is not to be found or it is no UTF-8.
// `content->escapes`: whether its inside must be read for them.
const char* BehindString(const char* at, const char* end, StringContent* content) {
  const char* const quote = StringEnd(at + 1, end, content);
  if (quote == nullptr) return nullptr;
  return !content->beyond_ascii || IsUtf8(at + 1, quote) ? quote + 1 : nullptr;
}

// The same of any scalar, noted as the text of `member`.
const char* BehindScalar(const char* at, const char* end, ScannedMember* member) {
  if (*at != '"') {
    const char* const behind = ScalarEnd(at, end);
    member->text = at;
    member->text_end = behind;
    member->quoted = false;
    member->plain = true;
    return behind == at ? nullptr : behind;
  }
  StringContent content;
  const char* const behind = BehindString(at, end, &content);
  if (behind == nullptr) return nullptr;
  member->text = at + 1;
  member->text_end = behind - 1;
  member->quoted = true;
  member->plain = !content.escapes;
  return behind;
}

// The key at `at`, which is not the one expected: at its value, or nullptr.
const char* BehindKey(FieldNode* node, const char* at, const char* end, ScannedMember* member) {
  StringContent content;
  if (at >= end || *at != '"') return nullptr;
  const char* const behind = BehindString(at, end, &content);
  if (behind == nullptr || content.escapes) return nullptr;
  member->parent = node;
  member->key = at + 1;
  member->key_end = behind - 1;
  const char* const colon = SkipWhite(behind, end);
  if (colon >= end || *colon != ':' || !node->Find(member->raw_key(), &member->node))
    return nullptr;
  return colon + 1;
}

// Behind the value at `at`, of an object or array.
const char* BehindContainer(const char* at, const char* end, ScannedMember* member) {
  const char* const behind = ValueEnd(at, end);
  member->plain = false;
  if (behind == nullptr || *at == '{') return behind;
  // An array of one scalar, as "fields" has them.
  const char* const inner = SkipWhite(at + 1, behind);
  if (*inner == '{' || *inner == '[' || *inner == ']') return behind;
  const char* const inner_end = BehindScalar(inner, behind, member);
  if (inner_end == nullptr) return nullptr;
  if (SkipWhite(inner_end, behind) + 1 != behind) member->plain = false;
  return behind;
}

bool IsPlainObject(const FieldNode& node) {
  return node.is_object() && node.column < 0 && node.nested_in == nullptr && !node.is_nested_list &&
         !node.skipped;
}

}  // namespace

[[gnu::flatten]] bool DocumentScan::AddObject(FieldNode* node, const char** at, const char* end) {
  constexpr size_t kMembersAtFirst = 64;
  node->Rewind();
  const char* here = SkipWhite(*at + 1, end);
  if (here < end && *here == '}') return *at = here + 1, true;
  for (;;) {
    if (count_ == capacity_) {
      capacity_ = std::max(kMembersAtFirst, 2 * count_);
      members_.resize(capacity_);
    }
    ScannedMember* const member = &members_[count_];
    member->node = node->TakeExpected(&here, end);
    if (member->node == nullptr) here = BehindKey(node, here, end, member);
    if (here == nullptr || (here = SkipWhite(here, end)) == end) return false;
    if (*here == '{' && member->node != nullptr && IsPlainObject(*member->node)) {
      if (!AddObject(member->node, &here, end)) return false;
    } else {
      member->value = here;
      here = *here == '{' || *here == '[' ? BehindContainer(here, end, member)
                                          : BehindScalar(here, end, member);
      if (here == nullptr) return false;
      member->behind = here;
      if (member->node == nullptr || !member->node->skipped) {
        ++count_;
      } else if (*member->value != '"' && !IsUtf8(member->value, here)) {
        return false;  // of what is skipped, only the characters are checked, as by tokens
      }
    }
    here = SkipWhite(here, end);
    if (here == end) return false;
    if (*here == '}') return *at = here + 1, true;
    if (*here != ',') return false;
    here = SkipWhite(here + 1, end);
  }
}

}  // namespace bulkhaul::search
