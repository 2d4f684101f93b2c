#include "source/opensearch/unit_token.h"

#include <nlohmann/json.hpp>

namespace bulkhaul::opensearch {

std::string UnitToken::ToJson() const {
  nlohmann::json json = {{"index", index}};
  if (!uuid.empty()) json["uuid"] = uuid;
  if (!shards.empty()) json["shards"] = shards;
  if (!routing.empty()) json["routing"] = routing;
  // As text: parsing it would round numbers that a double cannot hold.
  if (!query.empty()) json["query"] = query;
  if (slice_max > 0) {
    json["slice"] = {{"id", slice_id}, {"max", slice_max}};
    if (!slice_field.empty()) json["slice"]["field"] = slice_field;
  }
  if (expected >= 0) json["expected"] = expected;
  if (document_bytes > 0) json["doc_bytes"] = document_bytes;
  if (page_documents_max > 0) json["page_max"] = page_documents_max;
  if (!content.address.empty()) {
    json["content"] = {{"address", content.address},
                       {"query", content.query},
                       {"shards", content.shards},
                       {"ends_ms", content.ends_ms},
                       {"label", content.label}};
  } else if (!content.reason.empty()) {
    json["content"] = {{"reason", content.reason}};
  }
  return json.dump();
}

Result<UnitToken> UnitToken::FromJson(std::string_view text) {
  try {
    const auto json = nlohmann::json::parse(text);
    UnitToken token;
    token.index = json.at("index").get<std::string>();
    token.uuid = json.value("uuid", "");
    token.shards = json.value("shards", std::vector<int>());
    token.routing = json.value("routing", "");
    token.query = json.value("query", "");
    if (const auto slice = json.find("slice"); slice != json.end()) {
      token.slice_id = slice->at("id").get<int>();
      token.slice_max = slice->at("max").get<int>();
      token.slice_field = slice->value("field", "");
    }
    token.expected = json.value("expected", int64_t{-1});
    token.document_bytes = json.value("doc_bytes", int64_t{0});
    token.page_documents_max = json.value("page_max", int64_t{0});
    if (const auto content = json.find("content"); content != json.end()) {
      token.content = {content->value("address", ""), content->value("query", ""),
                       content->value("shards", 1),   content->value("ends_ms", int64_t{-1}),
                       content->value("label", ""),   content->value("reason", "")};
    }
    return token;
  } catch (const nlohmann::json::exception& problem) {
    return BugError(std::string("a unit's state cannot be read: ") + problem.what());
  }
}

}  // namespace bulkhaul::opensearch
