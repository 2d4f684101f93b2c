// JSON text walked once from left to right, without an index of its tokens: where values end.
// Internal to wire/json.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace bulkhaul::search {

// What the inside of a string holds besides plain ASCII.
struct StringContent {
  bool escapes = false, beyond_ascii = false;
};

inline bool IsWhite(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

inline const char* SkipWhite(const char* at, const char* end) {
  while (at < end && IsWhite(*at)) ++at;
  return at;
}

// Past a backslash and what it escapes; false where something else stands at `*at`.
inline bool PassEscape(const char** at, const char* end, StringContent* content) {
  if (**at != '\\' || end - *at < 2 || static_cast<unsigned char>((*at)[1]) <= 0x1F) return false;
  content->escapes = true;
  if (static_cast<unsigned char>((*at)[1]) > 0x7F) content->beyond_ascii = true;
  *at += 2;
  return true;
}

// The quote that ends the string whose inside begins at `at`; nullptr where none does before `end`,
// or a control character stands in it.
[[gnu::always_inline]] inline const char* StringEnd(const char* at, const char* end,
                                                    StringContent* content) {
#ifdef __SSE2__
  using Bytes [[gnu::vector_size(16)]] = char;
  using Unsigned [[gnu::vector_size(16)]] = unsigned char;
  while (end - at >= 16) {
    Bytes bytes;
    std::memcpy(&bytes, at, sizeof(bytes));
    // A bit a byte: its highest, which comparisons set in those that match.
    const auto bits = [](Bytes matches) {
      return static_cast<uint32_t>(__builtin_ia32_pmovmskb128(matches));
    };
    const uint32_t quotes = bits(Bytes(bytes == '"'));
    const uint32_t odd = bits(Bytes(bytes == '\\') | Bytes(Unsigned(bytes) < 0x20));
    const uint32_t before = (quotes - 1) & ~quotes;  // the bytes in front of the first quote
    if ((bits(bytes) & before) != 0) content->beyond_ascii = true;
    if ((odd & before) == 0) {
      if (quotes != 0) return at + std::countr_zero(quotes);
      at += 16;
      continue;
    }
    at += std::countr_zero(odd);
    if (!PassEscape(&at, end, content)) return nullptr;
  }
#endif
  while (at < end && *at != '"') {
    if (static_cast<unsigned char>(*at) <= 0x1F || *at == '\\') {
      if (!PassEscape(&at, end, content)) return nullptr;
    } else {
      if (static_cast<unsigned char>(*at) > 0x7F) content->beyond_ascii = true;
      ++at;
    }
  }
  return at < end ? at : nullptr;
}

// Behind the number or literal that begins at `at`, whatever it is.
inline const char* ScalarEnd(const char* at, const char* end) {
  while (at < end && *at != ',' && *at != '}' && *at != ']' && !IsWhite(*at)) ++at;
  return at;
}

// Behind the value of any kind that begins at `at`; nullptr where none does. Brackets are counted
// and not told apart: whoever reads the value's tokens does that.
inline const char* ValueEnd(const char* at, const char* end) {
  int64_t depth = 0;
  do {
    if (at >= end) return nullptr;
    if (*at == '"') {
      StringContent content;
      at = StringEnd(at + 1, end, &content);
      if (at == nullptr) return nullptr;
    } else if (*at == '{' || *at == '[') {
      ++depth;
    } else if (*at == '}' || *at == ']') {
      if (--depth < 0) return nullptr;
    } else if (depth == 0) {
      const char* const behind = ScalarEnd(at, end);
      return behind == at ? nullptr : behind;
    }
    ++at;
  } while (depth > 0);
  return at;
}

}  // namespace bulkhaul::search
