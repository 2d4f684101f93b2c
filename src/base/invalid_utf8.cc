#include "base/invalid_utf8.h"

#include <algorithm>

#include "base/text.h"

namespace bulkhaul {
namespace {

constexpr char kReplacement[] = "\xEF\xBF\xBD";

}  // namespace

std::string ReplaceInvalidUtf8(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    size_t length = 0;
    for (size_t tried = 1; tried <= std::min<size_t>(4, text.size()); ++tried) {
      if (IsValidUtf8(text.substr(0, tried))) {
        length = tried;
        break;
      }
    }
    if (length == 0) {
      out += kReplacement;
      text.remove_prefix(1);
    } else {
      out += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return out;
}

}  // namespace bulkhaul
