#include "wire/json/page_parts.h"

#include <charconv>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace bulkhaul::search {

namespace {

using Json = nlohmann::json;

Status TakeInteger(TokenCursor* cursor, int64_t* value) {
  std::string_view token;
  ARROW_RETURN_NOT_OK(cursor->TakeScalar(&token));
  const auto [stop, error] = std::from_chars(token.data(), token.data() + token.size(), *value);
  if (error != std::errc() || stop != token.data() + token.size()) {
    return NotASearchAnswer(fmt::format("'{}' stands where a number belongs", token));
  }
  return Status::OK();
}

Status TakeBool(TokenCursor* cursor, bool* value) {
  std::string_view token;
  ARROW_RETURN_NOT_OK(cursor->TakeScalar(&token));
  *value = token == "true";
  return Status::OK();
}

Status TakeText(TokenCursor* cursor, std::string* value) {
  std::string_view token;
  ARROW_RETURN_NOT_OK(cursor->TakeScalar(&token));
  const Json parsed = Json::parse(token, nullptr, false);
  if (!parsed.is_string()) return NotASearchAnswer("something else stands where a text belongs");
  *value = parsed.get<std::string>();
  return Status::OK();
}

std::string TextIn(const Json& object, const char* key) {
  if (!object.is_object() || !object.contains(key)) return {};
  const Json& value = object[key];
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// "logs [0]: circuit_breaking_exception: Data too large".
std::string DescribeFailure(std::string_view failures) {
  const Json parsed = Json::parse(failures, nullptr, false);
  if (!parsed.is_array() || parsed.empty() || !parsed[0].is_object()) return {};
  const Json& first = parsed[0];
  const Json reason = first.value("reason", Json::object());
  std::string text = fmt::format("{} [{}]: {}: {}", TextIn(first, "index"), TextIn(first, "shard"),
                                 TextIn(reason, "type"), TextIn(reason, "reason"));
  if (reason.is_object() && reason.contains("caused_by")) {
    text += fmt::format(" (caused by {}: {})", TextIn(reason["caused_by"], "type"),
                        TextIn(reason["caused_by"], "reason"));
  }
  return text;
}

Status DecodeShards(TokenCursor* cursor, PageSummary* summary) {
  return cursor->ForEachMember([&](std::string_view key) -> Status {
    if (key == "total") return TakeInteger(cursor, &summary->shards_total);
    if (key == "successful") return TakeInteger(cursor, &summary->shards_successful);
    if (key == "skipped") return TakeInteger(cursor, &summary->shards_skipped);
    if (key == "failed") return TakeInteger(cursor, &summary->shards_failed);
    if (key != "failures") return cursor->Skip();
    std::string_view failures;
    ARROW_RETURN_NOT_OK(cursor->TakeRaw(&failures));
    summary->failure = DescribeFailure(failures);
    return Status::OK();
  });
}

Status DecodeError(TokenCursor* cursor) {
  std::string_view raw;
  ARROW_RETURN_NOT_OK(cursor->TakeRaw(&raw));
  const Json error = Json::parse(raw, nullptr, false);
  const std::string type = TextIn(error, "type");
  const std::string reason = error.is_object() ? TextIn(error, "reason") : std::string(raw);
  return TransientError(fmt::format("the server answers with an error: {}: {}", type, reason),
                        type);
}

}  // namespace

Status NotASearchAnswer(const std::string& why) {
  return TransientError("the server's answer is not one to a search: " + why);
}

size_t FindHits(std::string_view page, TokenIndex* index) {
  constexpr std::string_view kHits = "\"hits\":[";
  constexpr size_t kPageBytesMax = size_t{2} << 30;  // of which places are known
  size_t end = page.find(kHits);
  if (end == page.npos || page.size() > kPageBytesMax) return page.npos;
  end += kHits.size();
  const std::string_view head = page.substr(0, end);
  if (!index->Build(head).ok()) return page.npos;
  // The array is in an object called "hits" of the answer itself.
  const auto token = [&](uint32_t number) { return head.substr(index->positions()[number]); };
  int depth = 0;
  bool inside = false;
  for (uint32_t next = 0; next < index->count(); ++next) {
    const char first = token(next).front();
    if (first == '{' || first == '[') {
      if (depth++ == 1)
        inside = first == '{' && next >= 2 && token(next - 2).starts_with("\"hits\"");
    } else if (first == '}' || first == ']') {
      --depth;
    }
  }
  return depth == 3 && inside ? end : page.npos;
}

Status DecodePagePart(std::string_view key, TokenCursor* cursor, PageSummary* summary) {
  if (key == "_scroll_id") return TakeText(cursor, &summary->scroll_id);
  if (key == "pit_id") return TakeText(cursor, &summary->pit_id);
  if (key == "took") return TakeInteger(cursor, &summary->took_ms);
  if (key == "timed_out") return TakeBool(cursor, &summary->timed_out);
  if (key == "terminated_early") return TakeBool(cursor, &summary->terminated_early);
  if (key == "_shards") return DecodeShards(cursor, summary);
  if (key == "error") return DecodeError(cursor);
  return cursor->Skip();
}

Status DecodeTotal(TokenCursor* cursor, PageSummary* summary) {
  if (cursor->peek() != '{') {
    if (cursor->peek() == 'n') return cursor->Skip();
    summary->total_relation = "eq";
    return TakeInteger(cursor, &summary->total);
  }
  return cursor->ForEachMember([&](std::string_view key) -> Status {
    if (key == "value") return TakeInteger(cursor, &summary->total);
    if (key == "relation") return TakeText(cursor, &summary->total_relation);
    return cursor->Skip();
  });
}

}  // namespace bulkhaul::search
