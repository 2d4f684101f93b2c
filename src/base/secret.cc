#include "base/secret.h"

#include <regex>

namespace bulkhaul {

std::string Redact(std::string_view text) {
  // scheme://user:password@host — the password may hold anything but '/', '@', space, quote.
  static const std::regex uri(R"(([A-Za-z][A-Za-z0-9+.-]*://[^/@\s:'"]*):([^@\s'"]*)@)");
  // keyword = value, keyword = 'quoted value', "keyword": "value"
  static const std::regex keyword(
      R"re(((?:ssl)?password|passwd|secret|token|api_?key|access_key)("?\s*[=:]\s*)('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s&,;}'"]+))re",
      std::regex::icase);
  std::string result = std::regex_replace(std::string(text), uri, "$1:***@");
  return std::regex_replace(result, keyword, "$1$2***");
}

}  // namespace bulkhaul
