#include "source/opensearch/page_head.h"

#include <charconv>

namespace bulkhaul::opensearch {
namespace {

// A context over a thousand shards has an id of about 100 KB.
constexpr size_t kHeadBytesMax = 1 << 20;

// Ids are base64: nothing is escaped in them.
bool IsIdByte(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
         c == '/' || c == '=' || c == '-' || c == '_';
}

}  // namespace

PageHead PeekPageHead(std::string_view body) {
  PageHead head;
  constexpr std::string_view kId = "{\"_scroll_id\":\"";
  if (!body.starts_with(kId)) return head;
  size_t end = kId.size();
  while (end < body.size() && end < kHeadBytesMax && IsIdByte(body[end])) ++end;
  if (end >= body.size() || body[end] != '"') return head;
  head.scroll_id = std::string(body.substr(kId.size(), end - kId.size()));
  constexpr std::string_view kHits = "\"hits\":{\"total\":{\"value\":";
  const std::string_view rest = body.substr(end, 4096);
  const size_t found = rest.find(kHits);
  if (found == std::string_view::npos) return head;
  const std::string_view number = rest.substr(found + kHits.size());
  int64_t total = -1;
  const auto parsed = std::from_chars(number.data(), number.data() + number.size(), total);
  if (parsed.ec == std::errc() && parsed.ptr != number.data() + number.size()) head.total = total;
  return head;
}

}  // namespace bulkhaul::opensearch
