#include "base/text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <random>
#include <utility>

#include <arrow/util/utf8.h>

namespace bulkhaul {
namespace {

// Damerau-Levenshtein distance with adjacent transpositions, case folded.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t cost = AsciiLower(a[i - 1]) == AsciiLower(b[j - 1]) ? 0 : 1;
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + cost});
      if (i > 1 && j > 1 && AsciiLower(a[i - 1]) == AsciiLower(b[j - 2]) &&
          AsciiLower(a[i - 2]) == AsciiLower(b[j - 1])) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

struct ClassMatch {
  bool well_formed = false;
  bool matched = false;
  size_t pattern_next = 0;
};

// pattern[at] is '['. An unclosed class is an ordinary '['.
ClassMatch MatchClass(std::string_view pattern, size_t at, char c) {
  ClassMatch result;
  size_t i = at + 1;
  const bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
  if (negated) ++i;
  bool first = true;
  while (i < pattern.size() && (pattern[i] != ']' || first)) {
    first = false;
    const unsigned char low = static_cast<unsigned char>(pattern[i]);
    unsigned char high = low;
    if (i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']') {
      high = static_cast<unsigned char>(pattern[i + 2]);
      i += 2;
    }
    const auto byte = static_cast<unsigned char>(c);
    if (low <= byte && byte <= high) result.matched = true;
    ++i;
  }
  if (i >= pattern.size()) return {};
  result.well_formed = true;
  result.matched = result.matched != negated;
  result.pattern_next = i + 1;
  return result;
}

// In how many parts of `word` letters are left out behind the first; SIZE_MAX where something else
// differs, or where two letters are to stand for a word.
size_t PartsShortened(std::string_view word, std::string_view whole) {
  constexpr std::string_view kBetween = "_-";
  size_t shortened = 0;
  while (true) {
    const std::string_view part = word.substr(0, word.find_first_of(kBetween));
    const std::string_view full = whole.substr(0, whole.find_first_of(kBetween));
    size_t found = 0;
    for (const char c : full) found += found < part.size() && part[found] == c ? 1 : 0;
    const bool same_begin = part.empty() ? full.empty() : full.starts_with(part.front());
    if (found < part.size() || !same_begin) return SIZE_MAX;
    if (part.size() < full.size()) {
      if (part.size() < 3) return SIZE_MAX;
      ++shortened;
    }
    if (part.size() == word.size() || full.size() == whole.size()) {
      return part.size() == word.size() && full.size() == whole.size() ? shortened : SIZE_MAX;
    }
    word.remove_prefix(part.size() + 1);
    whole.remove_prefix(full.size() + 1);
  }
}

size_t CharacterBytes(unsigned char lead) {
  return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

}  // namespace

std::optional<std::string> NearestName(std::string_view word,
                                       std::span<const std::string> candidates) {
  std::optional<std::string> nearest;
  // A part between '_' or '-' that is shortened ("docs" for "documents") counts as one letter; a
  // slip of the same size is nearer.
  std::pair<size_t, size_t> best = {std::max<size_t>(1, word.size() / 3) + 1, 0};
  for (const auto& candidate : candidates) {
    const size_t edits = EditDistance(word, candidate);
    const std::pair distance = {std::min(edits, PartsShortened(word, candidate)), edits};
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

bool GlobMatch(std::string_view pattern, std::string_view name) {
  size_t p = 0, n = 0;
  size_t star = std::string_view::npos, star_name = 0;
  while (n < name.size()) {
    size_t next = p;
    bool matched = false;
    if (p < pattern.size()) {
      if (pattern[p] == '*') {
        star = p++;
        star_name = n;
        continue;
      }
      ClassMatch in_class;
      if (pattern[p] == '[') in_class = MatchClass(pattern, p, name[n]);
      if (in_class.well_formed) {
        matched = in_class.matched;
        next = in_class.pattern_next;
      } else if (pattern[p] == '\\' && p + 1 < pattern.size()) {
        matched = pattern[p + 1] == name[n];
        next = p + 2;
      } else {
        matched = pattern[p] == '?' || pattern[p] == name[n];
        next = p + 1;
      }
    }
    if (matched) {
      const bool any = pattern[p] == '?';
      p = next;
      n += any ? std::min(CharacterBytes(static_cast<unsigned char>(name[n])), name.size() - n) : 1;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++star_name;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool HasGlob(std::string_view pattern) {
  return pattern.find_first_of("*?[") != std::string_view::npos;
}

std::string SafeFileName(std::string_view text) {
  constexpr size_t kBytesMax = 200;
  std::string name;
  const bool valid = IsValidUtf8(text);
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t bytes = valid ? CharacterBytes(lead) : 1;
    if (name.size() + bytes > kBytesMax) break;
    const bool plain = std::isalnum(lead) || lead == '_' || lead == '-' || lead == '.';
    if (plain || (lead >= 0x80 && valid)) {
      name.append(text.substr(i, bytes));
    } else {
      name += '_';
    }
    i += bytes;
  }
  for (size_t i = 0; i < name.size() && name[i] == '.'; ++i) name[i] = '_';
  return name.empty() ? "_" : name;
}

std::string NewId() {
  constexpr std::string_view kDigits = "abcdefghijklmnopqrstuvwxyz0123456789";
  static thread_local std::mt19937_64 random = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  std::string id;
  for (int i = 0; i < 12; ++i) {
    id += kDigits[std::uniform_int_distribution<size_t>(0, i == 0 ? 25 : 35)(random)];
  }
  return id;
}

std::string AsciiLower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = AsciiLower(c);
  return lower;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string PercentDecode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 &&
        HexDigit(text[i + 2]) >= 0) {
      out += static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

bool IsValidUtf8(std::string_view text) {
  static const bool initialised = (arrow::util::InitializeUTF8(), true);
  (void)initialised;
  return arrow::util::ValidateUTF8(reinterpret_cast<const uint8_t*>(text.data()),
                                   static_cast<int64_t>(text.size()));
}

size_t CountByte(std::string_view text, char byte) {
  // The innermost loop is one of the few that -O2 makes SIMD of.
  constexpr size_t kLanes = 64;
  size_t count = 0;
  while (text.size() >= kLanes) {
    uint8_t sums[kLanes] = {};
    size_t blocks = std::min<size_t>(text.size() / kLanes, 255);
    const char* at = text.data();
    text.remove_prefix(blocks * kLanes);
    for (; blocks > 0; --blocks, at += kLanes) {
      for (size_t lane = 0; lane < kLanes; ++lane) {
        sums[lane] = static_cast<uint8_t>(sums[lane] + (at[lane] == byte));
      }
    }
    for (const uint8_t sum : sums) count += sum;
  }
  return count + static_cast<size_t>(std::count(text.begin(), text.end(), byte));
}

}  // namespace bulkhaul
