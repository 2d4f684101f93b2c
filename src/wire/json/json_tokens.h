// JSON text as tokens: first where they begin, found with SIMD, and then a cursor that walks them
// on demand. Internal to wire/json.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bulkhaul::search {

// Where the tokens of one text begin. Not thread-safe; its buffer serves text after text.
class TokenIndex {
 public:
  // kTransient when the text cannot be JSON: a string without an end or with control characters,
  // bytes that are no UTF-8.
  Status Build(std::string_view text);
  const uint32_t* positions() const { return positions_.data(); }
  uint32_t count() const { return count_; }
  int64_t buffered_bytes() const { return static_cast<int64_t>(positions_.capacity()) * 4; }

 private:
  std::vector<uint32_t> positions_;
  uint32_t count_ = 0;
};

// What text that breaks JSON's grammar is answered with.
Status BrokenJson(const std::string& what, int64_t position);

// Whether the text is a number as JSON writes it.
bool IsJsonNumber(std::string_view text);
// Whether every backslash in the text of a string begins an escape of JSON.
bool EscapesAreValid(std::string_view text);

// Writes what the inside of a JSON string means to `out`, which has room for text.size() bytes. The
// number of bytes, or -1 for escapes that are none, or half of a character beyond U+FFFF.
int64_t Unescape(std::string_view text, char* out);

// A place among the tokens. Every step checks its bounds and the grammar, so that no text, however
// broken, is read beyond its end.
class TokenCursor {
 public:
  static constexpr int kDepthMax = 1000;  // as the servers' own parser has it

  // `base`: where the text begins in the answer, for errors.
  TokenCursor(std::string_view text, const TokenIndex& index, int64_t base = 0)
      : text_(text), positions_(index.positions()), count_(index.count()), base_(base) {}

  bool at_end() const { return next_ == count_; }
  // The first character of the token here; NUL at the end.
  char peek() const { return next_ < count_ ? text_[positions_[next_]] : '\0'; }
  uint32_t position() const {
    return next_ < count_ ? positions_[next_] : static_cast<uint32_t>(text_.size());
  }
  int64_t place_in_answer() const { return base_ + position(); }
  void Advance() { ++next_; }
  // A place to come back to.
  uint32_t mark() const { return next_; }
  void ReturnTo(uint32_t mark) { next_ = mark; }
  // The token here without the white space behind it. Not at the end.
  std::string_view Token() const { return TokenAt(next_); }
  // The same, and past it.
  std::string_view Take() {
    const std::string_view token = TokenAt(next_);
    ++next_;
    return token;
  }
  Status Error(const char* expected) const;
  // A scalar that may stand here: a string with its quotes, a number, true, false, null.
  Status TakeScalar(std::string_view* token);
  // The string that stands here, with its quotes; false, and nothing done, where none does.
  bool TryTakeString(std::string_view* token) {
    if (peek() != '"') return false;
    const std::string_view text = TokenAt(next_);
    if (text.size() < 2 || text.back() != '"') return false;
    *token = text;
    ++next_;
    return true;
  }
  // Past the value here, of any kind. Its inside is checked for balance only.
  Status Skip();
  // The text of the value here, and past it.
  Status TakeRaw(std::string_view* raw);
  // Appends the value here, checked, without white space, and goes past it.
  Status CopyCompact(std::string* out);

  // Members of the object here: call `member` with the key's raw text (escapes as they stand); it
  // must go past the value.
  template <typename Member>
  Status ForEachMember(const Member& member) {
    return ForEachMember([](std::string_view) { return false; }, member);
  }
  // The same, where `try_member` is asked first: true when it went past the value, false when
  // nothing was done. A Status costs more than many a value.
  template <typename TryMember, typename Member>
  Status ForEachMember(const TryMember& try_member, const Member& member) {
    if (peek() != '{') return Error("an object");
    ++next_;
    if (peek() == '}') return ++next_, Status::OK();
    for (;;) {
      std::string_view key;
      if (!TakeKey(&key)) return KeyError();
      if (!try_member(key)) ARROW_RETURN_NOT_OK(member(key));
      if (TakeComma()) continue;
      if (peek() != '}') return Error("',' or '}'");
      ++next_;
      return Status::OK();
    }
  }
  template <typename Element>
  Status ForEachElement(const Element& element) {
    if (peek() != '[') return Error("an array");
    ++next_;
    if (peek() == ']') return ++next_, Status::OK();
    for (;;) {
      ARROW_RETURN_NOT_OK(element());
      const char behind = peek();
      ++next_;
      if (behind == ']') return Status::OK();
      if (behind != ',') return --next_, Error("',' or ']'");
    }
  }

 private:
  [[gnu::always_inline]] std::string_view TokenAt(uint32_t token) const {
    const uint32_t begin = positions_[token];
    size_t end = token + 1 < count_ ? positions_[token + 1] : text_.size();
    while (end > begin + 1 && static_cast<unsigned char>(text_[end - 1]) <= ' ') --end;
    return text_.substr(begin, end - begin);
  }
  // The key here and the ':' behind it. False, and KeyError() says why, where they do not stand
  // here: a Status for each key costs more than reading it.
  [[gnu::always_inline]] bool TakeKey(std::string_view* key) {
    if (next_ + 1 >= count_ || text_[positions_[next_ + 1]] != ':') return false;
    const char* const token = text_.data() + positions_[next_];
    size_t size = positions_[next_ + 1] - positions_[next_];
    while (size > 1 && static_cast<unsigned char>(token[size - 1]) <= ' ') --size;
    if (size < 2 || token[0] != '"' || token[size - 1] != '"') return false;
    *key = std::string_view(token + 1, size - 2);
    next_ += 2;
    return true;
  }
  Status KeyError();
  [[gnu::always_inline]] bool TakeComma() {
    if (next_ >= count_ || text_[positions_[next_]] != ',') return false;
    ++next_;
    return true;
  }

  std::string_view text_;
  const uint32_t* positions_;
  uint32_t count_;
  uint32_t next_ = 0;
  int64_t base_;
};

}  // namespace bulkhaul::search
