// Small text functions that several rooms need.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhaul {

// The candidate nearest to `word` by edit distance, when near enough to be a likely typing error.
std::optional<std::string> NearestName(std::string_view word,
                                       std::span<const std::string> candidates);
// Shell-style match of a whole name: '*', '?', '[a-z]', '\' escapes. Case-sensitive.
bool GlobMatch(std::string_view pattern, std::string_view name);
// True when the text holds glob syntax.
bool HasGlob(std::string_view pattern);
// A file or folder name made from any text: keeps letters, digits, '.', '_', '-' and UTF-8 letters;
// '/' , '\', control characters, leading dots become '_'; never empty, ".", ".."; at most
// 200 bytes, cut at a character. Not injective: callers must resolve collisions.
std::string SafeFileName(std::string_view text);
// A new random id: 12 characters of [0-9a-z], starting with a letter.
std::string NewId();
// A to Z become a to z, whatever the locale; other bytes, those of UTF-8 too, stay as they are.
constexpr char AsciiLower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
std::string AsciiLower(std::string_view text);
// The digit's value, -1 when it is none.
int HexDigit(char c);
// "%20" to " "; what is no escape is kept, so that logs-%Y.%m needs no "%25".
std::string PercentDecode(std::string_view text);
bool IsValidUtf8(std::string_view text);
// How often the byte occurs; some 20 GB/s a core, where std::count makes 2.
size_t CountByte(std::string_view text, char byte);

}  // namespace bulkhaul
