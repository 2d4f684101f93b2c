#include "source/files/json_utf8.h"

#include <algorithm>

#include "base/invalid_utf8.h"
#include "base/text.h"

namespace bulkhaul::files {
namespace {

// Behind the quote that ends the text which begins at `begin`; npos: none does.
size_t EndOfText(std::string_view line, size_t begin) {
  for (size_t at = begin + 1; at < line.size(); ++at) {
    if (line[at] == '\\') {
      ++at;
    } else if (line[at] == '"') {
      return at + 1;
    }
  }
  return std::string_view::npos;
}

void RepairLine(std::string_view line, BadJsonText policy, int64_t* count, std::string* out) {
  for (size_t at = 0; at < line.size();) {
    const size_t begin = std::min(line.find('"', at), line.size());
    out->append(line.substr(at, begin - at));
    const size_t end = begin < line.size() ? EndOfText(line, begin) : std::string_view::npos;
    if (end == std::string_view::npos) {
      out->append(line.substr(begin));
      return;
    }
    const auto text = line.substr(begin, end - begin);
    const size_t next = line.find_first_not_of(" \t", end);
    const bool name = next != std::string_view::npos && line[next] == ':';
    at = end;
    if (IsValidUtf8(text) || (name && policy == BadJsonText::kNull)) {
      out->append(text);
      continue;
    }
    ++*count;
    out->append(policy == BadJsonText::kNull ? "null" : ReplaceInvalidUtf8(text));
  }
}

}  // namespace

BadJsonText BadJsonTextFrom(std::string_view option) {
  if (option == "replace") return BadJsonText::kReplace;
  return option == "null" ? BadJsonText::kNull : BadJsonText::kError;
}

std::string RepairJsonTexts(std::string_view lines, BadJsonText policy, int64_t* count) {
  std::string out;
  out.reserve(lines.size());
  while (!lines.empty()) {
    // No text goes beyond its line, whatever is wrong with its quotes.
    const auto line = lines.substr(0, std::min(lines.find('\n'), lines.size() - 1) + 1);
    lines.remove_prefix(line.size());
    if (policy == BadJsonText::kError || IsValidUtf8(line)) {
      out.append(line);
    } else {
      RepairLine(line, policy, count, &out);
    }
  }
  return out;
}

}  // namespace bulkhaul::files
