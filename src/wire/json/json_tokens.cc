#include "wire/json/json_tokens.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <fmt/format.h>

#include "wire/json/number_text.h"

namespace bulkhaul::search {

namespace {

bool IsHexDigit(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

size_t SkipDigits(std::string_view text, size_t at) {
  while (at < text.size() && IsDigit(text[at])) ++at;
  return at;
}

// The number that four hexadecimal digits write, or -1.
int64_t HexDigits(std::string_view text) {
  uint32_t value = 0;
  if (text.size() != 4 || !std::all_of(text.begin(), text.end(), IsHexDigit)) return -1;
  std::from_chars(text.data(), text.data() + 4, value, 16);
  return value;
}

// No more bytes than the escape has: \u0800 and above take three of six, pairs four of twelve.
char* WriteUtf8(uint32_t code, char* out) {
  if (code < 0x80) {
    *out++ = static_cast<char>(code);
    return out;
  }
  if (code < 0x800) {
    *out++ = static_cast<char>(0xC0 | code >> 6);
  } else {
    if (code < 0x10000) {
      *out++ = static_cast<char>(0xE0 | code >> 12);
    } else {
      *out++ = static_cast<char>(0xF0 | code >> 18);
      *out++ = static_cast<char>(0x80 | (code >> 12 & 0x3F));
    }
    *out++ = static_cast<char>(0x80 | (code >> 6 & 0x3F));
  }
  *out++ = static_cast<char>(0x80 | (code & 0x3F));
  return out;
}

}  // namespace

Status BrokenJson(const std::string& what, int64_t position) {
  return TransientError(fmt::format("the answer is broken JSON: {} at byte {}", what, position));
}

bool IsJsonNumber(std::string_view text) {
  size_t at = !text.empty() && text[0] == '-' ? 1 : 0;
  const size_t digits = SkipDigits(text, at);
  if (digits == at || (text[at] == '0' && digits > at + 1)) return false;
  at = digits;
  if (at < text.size() && text[at] == '.') {
    const size_t fraction = SkipDigits(text, at + 1);
    if (fraction == at + 1) return false;
    at = fraction;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    const size_t exponent = SkipDigits(text, at);
    if (exponent == at) return false;
    at = exponent;
  }
  return at == text.size();
}

bool EscapesAreValid(std::string_view text) {
  for (size_t at = text.find('\\'); at != text.npos; at = text.find('\\', at)) {
    if (at + 1 >= text.size()) return false;
    const char escape = text[at + 1];
    at += 2;
    if (escape == 'u') {
      if (at + 4 > text.size()) return false;
      if (!std::all_of(text.begin() + at, text.begin() + at + 4, IsHexDigit)) return false;
      at += 4;
    } else if (escape == '\0' || std::strchr("\"\\/bfnrt", escape) == nullptr) {
      return false;
    }
  }
  return true;
}

int64_t Unescape(std::string_view text, char* out) {
  const char* const begin = out;
  for (size_t at = 0;;) {
    const size_t escape = std::min(text.find('\\', at), text.size());
    std::memcpy(out, text.data() + at, escape - at);
    out += escape - at;
    if (escape == text.size()) return out - begin;
    if (escape + 1 == text.size()) return -1;
    at = escape + 2;
    const char kind = text[escape + 1];
    if (kind != 'u') {
      constexpr std::string_view kEscapes = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
      const size_t place = kEscapes.find(kind);
      if (place == kEscapes.npos) return -1;
      *out++ = kMeanings[place];
      continue;
    }
    int64_t code = HexDigits(text.substr(at, 4));
    at += 4;
    if (code >= 0xD800 && code <= 0xDBFF && text.substr(at, 2) == "\\u") {
      const int64_t low = HexDigits(text.substr(at + 2, 4));
      if (low < 0xDC00 || low > 0xDFFF) return -1;
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
      at += 6;
    }
    if (code < 0 || (code >= 0xD800 && code <= 0xDFFF)) return -1;
    out = WriteUtf8(static_cast<uint32_t>(code), out);
  }
}

Status TokenCursor::Error(const char* expected) const {
  if (next_ >= count_) {
    return BrokenJson(fmt::format("it ends where {} should stand", expected), place_in_answer());
  }
  return BrokenJson(fmt::format("{} should stand", expected), place_in_answer());
}

Status TokenCursor::KeyError() {
  if (peek() != '"') return Error("a key");
  const std::string_view token = TokenAt(next_);
  if (token.size() < 2 || token.back() != '"') return Error("a key");
  ++next_;
  return Error("':'");
}

Status TokenCursor::TakeScalar(std::string_view* token) {
  if (next_ >= count_) return Error("a value");
  const std::string_view text = TokenAt(next_);
  switch (text.front()) {
    case '"':
      if (text.size() < 2 || text.back() != '"') return Error("a string");
      break;
    case 't':
    case 'f':
    case 'n':
      if (text != "true" && text != "false" && text != "null") return Error("a value");
      break;
    default:
      if (!IsJsonNumber(text)) return Error("a value");
  }
  *token = text;
  ++next_;
  return Status::OK();
}

Status TokenCursor::Skip() {
  int64_t depth = 0;
  do {
    switch (peek()) {
      case '\0':
        if (next_ >= count_) return Error("a value");
        break;
      case '{':
      case '[':
        ++depth;
        break;
      case '}':
      case ']':
        if (--depth < 0) return Error("a value");
        break;
      case ':':
      case ',':
        if (depth == 0) return Error("a value");
        break;
      default:
        break;
    }
    ++next_;
  } while (depth > 0);
  return Status::OK();
}

Status TokenCursor::TakeRaw(std::string_view* raw) {
  const uint32_t begin = position();
  ARROW_RETURN_NOT_OK(Skip());
  const std::string_view last = TokenAt(next_ - 1);
  *raw = text_.substr(begin, static_cast<size_t>(last.data() + last.size() - text_.data()) - begin);
  return Status::OK();
}

Status TokenCursor::CopyCompact(std::string* out) {
  std::string open;  // the brackets around this place
  for (;;) {
    // A value.
    const char first = peek();
    if (first == '{' || first == '[') {
      if (open.size() >= kDepthMax) return Error("a value at less than 1000 levels");
      open += first;
      *out += first;
      ++next_;
      if (peek() != (first == '{' ? '}' : ']')) {
        if (first == '[') continue;
        std::string_view key;
        if (!TakeKey(&key)) return KeyError();
        if (!EscapesAreValid(key)) return Error("a key");
        out->append("\"").append(key).append("\":");
        continue;
      }
    } else {
      std::string_view token;
      ARROW_RETURN_NOT_OK(TakeScalar(&token));
      if (first == '"' && !EscapesAreValid(token.substr(1, token.size() - 2))) {
        return --next_, Error("a string with valid escapes");
      }
      *out += token;
    }
    // What closes behind it.
    while (!open.empty() && peek() == (open.back() == '{' ? '}' : ']')) {
      *out += peek();
      open.pop_back();
      ++next_;
    }
    if (open.empty()) return Status::OK();
    if (peek() != ',') return Error("',' or the end of an object or array");
    *out += ',';
    ++next_;
    if (open.back() == '{') {
      std::string_view key;
      if (!TakeKey(&key)) return KeyError();
      if (!EscapesAreValid(key)) return Error("a key");
      out->append("\"").append(key).append("\":");
    }
  }
}

}  // namespace bulkhaul::search
