#include "base/secret.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/text.h"

namespace bulkhaul {
namespace {

constexpr std::array<std::string_view, 9> kSecretKeywords = {
    "password", "passwd", "sslpassword", "secret",    "token",
    "api_key",  "apikey", "access_key",  "secret_key"};

bool IsWordByte(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }
bool EndsUri(char c) {
  return std::isspace(static_cast<unsigned char>(c)) || c == '\'' || c == '"';
}

// `text` follows "://". The length of "user:password" when a password is there, and where the
// password starts; both 0 when there is none.
struct Credentials {
  size_t password_begin = 0;
  size_t end = 0;  // place of '@'
};

Credentials FindCredentials(std::string_view text) {
  const auto stop = std::find_if(text.begin(), text.end(), EndsUri);
  std::string_view uri = text.substr(0, static_cast<size_t>(stop - text.begin()));
  uri = uri.substr(0, uri.find('?'));
  // A password may hold '@', and by mistake '/': the last '@' of the authority ends it, else the
  // last '@' of the whole.
  size_t at = uri.substr(0, uri.find('/')).rfind('@');
  if (at == std::string_view::npos) at = uri.rfind('@');
  if (at == std::string_view::npos) return {};
  const size_t colon = uri.find(':');
  if (colon == std::string_view::npos || colon > at) return {};
  return {colon + 1, at};
}

// Whether the word that ends at `end` names a secret.
bool IsSecretWord(std::string_view text, size_t end) {
  size_t begin = end;
  while (begin > 0 && IsWordByte(text[begin - 1])) --begin;
  const std::string word = AsciiLower(text.substr(begin, end - begin));
  return std::any_of(kSecretKeywords.begin(), kSecretKeywords.end(),
                     [&](std::string_view keyword) { return word.ends_with(keyword); });
}

// The value that starts at `from`: quoted with backslash escapes, or up to a separator.
size_t ValueEnd(std::string_view text, size_t from) {
  if (from < text.size() && (text[from] == '\'' || text[from] == '"')) {
    const char quote = text[from];
    for (size_t i = from + 1; i < text.size(); ++i) {
      if (text[i] == '\\') {
        ++i;
      } else if (text[i] == quote) {
        return i + 1;
      }
    }
    return text.size();
  }
  constexpr std::string_view kSeparators = "&,;}'\"";
  size_t end = from;
  while (end < text.size() && !std::isspace(static_cast<unsigned char>(text[end])) &&
         kSeparators.find(text[end]) == std::string_view::npos) {
    ++end;
  }
  return end;
}

}  // namespace

std::string Redact(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  size_t i = 0;
  while (i < text.size()) {
    if (text.substr(i).starts_with("://")) {
      result += "://";
      i += 3;
      if (const Credentials found = FindCredentials(text.substr(i)); found.end > 0) {
        result.append(text.substr(i, found.password_begin)).append("***");
        i += found.end;
      }
      continue;
    }
    if ((text[i] == '=' || text[i] == ':') && i > 0) {
      size_t word_end = i;
      while (word_end > 0 && std::isspace(static_cast<unsigned char>(text[word_end - 1])))
        --word_end;
      if (word_end > 0 && (text[word_end - 1] == '"' || text[word_end - 1] == '\'')) --word_end;
      if (IsSecretWord(text, word_end)) {
        size_t value = i + 1;
        while (value < text.size() && std::isspace(static_cast<unsigned char>(text[value])))
          ++value;
        result.append(text.substr(i, value - i));
        const size_t end = ValueEnd(text, value);
        if (end > value) result += "***";
        i = end;
        continue;
      }
    }
    result += text[i++];
  }
  return result;
}

}  // namespace bulkhaul
