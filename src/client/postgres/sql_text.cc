#include "client/postgres/sql_text.h"

namespace bulkhaul::postgres {
namespace {

bool IsWordStart(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' ||
         static_cast<unsigned char>(byte) >= 0x80;
}

bool IsWordByte(char byte) {
  return IsWordStart(byte) || (byte >= '0' && byte <= '9') || byte == '$';
}

// Walks over one statement; `at` always stands on the next byte to look at.
class Lexer {
 public:
  explicit Lexer(std::string_view sql) : sql_(sql) {}

  std::vector<Word> Words() {
    std::vector<Word> words;
    while (at_ < sql_.size()) {
      if (SkipComment() || SkipDollarQuoted()) continue;
      const char byte = sql_[at_];
      if (byte == '\'') {
        SkipQuoted('\'', false);
      } else if (byte == '"') {
        words.push_back({.text = SkipQuoted('"', false), .quoted = true});
      } else if (IsWordStart(byte)) {
        TakeWord(&words);
      } else if (byte >= '0' && byte <= '9') {
        while (at_ < sql_.size() && IsWordByte(sql_[at_])) ++at_;
      } else {
        if (byte == '(' && !words.empty() && after_word_) words.back().called = true;
        after_word_ = after_word_ && (byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r');
        ++at_;
        continue;
      }
      after_word_ = byte == '"' || IsWordStart(byte);
    }
    return words;
  }

  // Where the last thing ends that is neither white space, a comment nor a semicolon.
  size_t EndOfStatement() {
    constexpr std::string_view kNothing = "; \t\r\n\f\v";
    size_t end = 0;
    while (at_ < sql_.size()) {
      if (SkipComment()) continue;
      const char byte = sql_[at_];
      if (SkipDollarQuoted()) {
      } else if (byte == '\'' || byte == '"') {
        SkipQuoted(byte, false);
      } else if (IsWordStart(byte)) {
        std::vector<Word> unused;
        TakeWord(&unused);
      } else {
        ++at_;
        if (kNothing.find(byte) != std::string_view::npos) continue;
      }
      end = at_;
    }
    return end;
  }

 private:
  char Peek(size_t ahead) const { return at_ + ahead < sql_.size() ? sql_[at_ + ahead] : '\0'; }

  void TakeWord(std::vector<Word>* words) {
    const size_t begin = at_;
    while (at_ < sql_.size() && IsWordByte(sql_[at_])) ++at_;
    std::string word(sql_.substr(begin, at_ - begin));
    for (char& byte : word) {
      if (byte >= 'A' && byte <= 'Z') byte = static_cast<char>(byte - 'A' + 'a');
    }
    if (word == "e" && Peek(0) == '\'') {
      SkipQuoted('\'', true);
      return;
    }
    words->push_back({.text = std::move(word)});
  }

  bool SkipComment() {
    if (Peek(0) == '-' && Peek(1) == '-') {
      while (at_ < sql_.size() && sql_[at_] != '\n') ++at_;
      return true;
    }
    if (Peek(0) != '/' || Peek(1) != '*') return false;
    int depth = 0;
    do {
      if (Peek(0) == '/' && Peek(1) == '*') {
        ++depth;
        at_ += 2;
      } else if (Peek(0) == '*' && Peek(1) == '/') {
        --depth;
        at_ += 2;
      } else {
        ++at_;
      }
    } while (depth > 0 && at_ < sql_.size());
    return true;
  }

  bool SkipDollarQuoted() {
    if (Peek(0) != '$') return false;
    size_t end = at_ + 1;
    while (end < sql_.size() && sql_[end] != '$' && IsWordByte(sql_[end])) ++end;
    if (end >= sql_.size() || sql_[end] != '$') return false;
    const std::string_view tag = sql_.substr(at_, end - at_ + 1);
    const size_t close = sql_.find(tag, end + 1);
    at_ = close == std::string_view::npos ? sql_.size() : close + tag.size();
    return true;
  }

  std::string SkipQuoted(char quote, bool backslashes) {
    std::string text;
    ++at_;
    while (at_ < sql_.size()) {
      const char byte = sql_[at_++];
      if (byte == '\\' && backslashes && at_ < sql_.size()) {
        text += sql_[at_++];
      } else if (byte == quote) {
        if (Peek(0) != quote) return text;
        text += quote;
        ++at_;
      } else {
        text += byte;
      }
    }
    return text;
  }

  const std::string_view sql_;
  size_t at_ = 0;
  bool after_word_ = false;  // only white space since the last word
};

}  // namespace

std::string QuoteIdentifier(std::string_view name) {
  std::string quoted = "\"";
  for (const char byte : name) {
    if (byte == '"') quoted += '"';
    quoted += byte;
  }
  quoted += '"';
  return quoted;
}

std::string QuoteQualified(std::string_view schema, std::string_view name) {
  if (schema.empty()) return QuoteIdentifier(name);
  return QuoteIdentifier(schema) + "." + QuoteIdentifier(name);
}

std::string QuoteLiteral(std::string_view text) {
  std::string quoted = text.find('\\') == std::string_view::npos ? "'" : " E'";
  for (const char byte : text) {
    if (byte == '\'' || byte == '\\') quoted += byte;
    quoted += byte;
  }
  quoted += '\'';
  return quoted;
}

std::vector<Word> WordsOf(std::string_view sql) { return Lexer(sql).Words(); }

std::string WithoutTerminator(std::string_view sql) {
  return std::string(sql.substr(0, Lexer(sql).EndOfStatement()));
}

}  // namespace bulkhaul::postgres
