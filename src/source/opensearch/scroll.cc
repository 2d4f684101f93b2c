#include "source/opensearch/scroll.h"

#include <array>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/units.h"
#include "source/opensearch/page_head.h"

namespace bulkhaul::opensearch {
namespace {

// A cancel must be over within two seconds, the closing included.
constexpr int64_t kCancelTimeoutMs = 1000;
constexpr int64_t kCloseTimeoutMs = 10'000;
// Contexts that are remembered; those that are not end with their keep-alive.
constexpr size_t kOpenContextsMax = 64;

constexpr std::array<std::string_view, 12> kReservedMembers = {
    "size",         "sort",    "query", "slice",           "from",    "track_total_hits", "timeout",
    "search_after", "rescore", "pit",   "terminate_after", "collapse"};

std::string ShardList(const std::vector<int>& shards) {
  return fmt::format("{}", fmt::join(shards, ","));
}

std::string SliceText(const UnitToken& token) {
  nlohmann::json slice = {{"id", token.slice_id}, {"max", token.slice_max}};
  if (!token.slice_field.empty()) slice["field"] = token.slice_field;
  return slice.dump();
}

// The members of a JSON object's text, without its braces; "" for an empty one. The text is kept as
// it is: parsing and writing it again could round a number.
Result<std::string> InnerMembers(std::string_view text) {
  if (text.empty()) return std::string();
  const auto parsed = nlohmann::json::parse(text, nullptr, false);
  if (!parsed.is_object()) return BugError("the search body's members are not a JSON object");
  for (const auto name : kReservedMembers) {
    if (parsed.contains(name)) {
      return BugError(fmt::format("'{}' may not be set in the search body", name));
    }
  }
  if (parsed.empty()) return std::string();
  const size_t open = text.find('{'), close = text.rfind('}');
  return std::string(text.substr(open + 1, close - open - 1));
}

Status Incomplete(std::string what, const char* code) {
  return TransientError(std::move(what), code);
}

}  // namespace

Result<SearchRequest> MakeSearchRequest(const UnitToken& token, std::string_view members,
                                        int64_t page_documents, int64_t keep_alive_ms) {
  SearchRequest request;
  // An index that is missing or closed, a shard that is not there: an error, not less documents.
  request.path = fmt::format(
      "/{}/_search?scroll={}ms&allow_partial_search_results=false&ignore_unavailable=false"
      "&allow_no_indices=false",
      PercentEncode(token.index), keep_alive_ms);
  if (!token.shards.empty()) {
    request.path += "&preference=" + PercentEncode("_shards:" + ShardList(token.shards));
  }
  if (!token.routing.empty()) request.path += "&routing=" + PercentEncode(token.routing);
  request.body =
      fmt::format(R"({{"size":{},"sort":["_doc"],"track_total_hits":true)", page_documents);
  if (!token.query.empty()) request.body += ",\"query\":" + token.query;
  if (token.slice_max > 0) request.body += ",\"slice\":" + SliceText(token);
  ARROW_ASSIGN_OR_RAISE(const auto inner, InnerMembers(members));
  if (!inner.empty()) request.body += "," + inner;
  request.body += "}";
  return request;
}

Status CheckPage(const search::PageSummary& page, const UnitToken& token,
                 ScrollProgress* progress) {
  if (page.timed_out) {
    return Incomplete(
        "the server gave up after its search timeout (timed_out) and held "
        "documents back; make the query cheaper, or raise "
        "search.default_search_timeout",
        "timed_out");
  }
  if (page.terminated_early) {
    return Incomplete(
        "the server stopped before the end (terminated_early) and held "
        "documents back",
        "terminated_early");
  }
  if (page.shards_total < 0 || page.shards_successful < 0) {
    return Incomplete("the answer does not say how many shards took part", "no_shards");
  }
  if (page.shards_failed > 0 || !page.failure.empty()) {
    return Incomplete(fmt::format("{} of {} shards failed: {}", page.shards_failed,
                                  page.shards_total, page.failure),
                      "shards_failed");
  }
  if (page.shards_successful < page.shards_total) {
    return Incomplete(fmt::format("only {} of {} shards answered, without an error; is a primary "
                                  "shard unassigned?",
                                  page.shards_successful, page.shards_total),
                      "shards_missing");
  }
  // A preference for shards that do not exist gives no shards, no documents and HTTP 200.
  const auto wanted = static_cast<int64_t>(token.shards.size());
  if (page.shards_total == 0 ||
      (wanted > 0 && token.slice_max == 0 && page.shards_total != wanted)) {
    return Incomplete(fmt::format("{} shards took part, {} were asked for", page.shards_total,
                                  wanted > 0 ? std::to_string(wanted) : "one or more"),
                      "shards_missing");
  }
  if (page.total < 0 || page.total_relation != "eq") {
    return Incomplete("the server does not say how many documents there are", "no_total");
  }
  if (progress->pages == 0) {
    progress->total = page.total;
  } else if (page.total != progress->total) {
    return Incomplete(fmt::format("the search context had {} documents at first, {} now",
                                  FormatCount(progress->total), FormatCount(page.total)),
                      "total_changed");
  }
  ++progress->pages;
  progress->documents += page.hits;
  if (progress->documents > progress->total) {
    return Incomplete(fmt::format("{} documents came where the search context has {}",
                                  FormatCount(progress->documents), FormatCount(progress->total)),
                      "documents_too_many");
  }
  if (page.hits == 0 && progress->documents < progress->total) {
    return Incomplete(fmt::format("{} documents came, the search context has {}",
                                  FormatCount(progress->documents), FormatCount(progress->total)),
                      "documents_missing");
  }
  return Status::OK();
}

Result<HttpResponse> Scroll::Open(const SearchRequest& request) {
  // Repeating it would leave the first context open.
  ARROW_RETURN_NOT_OK(client_->Start(
      {.method = "POST", .path = request.path, .body = request.body, .repeatable = false}));
  auto response = client_->Finish(stop_);
  if (!response.ok()) {
    if (KindOf(response.status()) == ErrorKind::kCancelled) CatchLateContext();
    client_->Abandon();
    return response.status();
  }
  id_ = PeekPageHead(response->body).scroll_id;
  ARROW_RETURN_NOT_OK(CheckIndex());
  return response;
}

// The context may have been opened just now, and its id be under way.
void Scroll::CatchLateContext() noexcept {
  const auto late = client_->Finish({}, kCancelTimeoutMs);
  if (late.ok()) id_ = PeekPageHead(late->body).scroll_id;
}

Status Scroll::CheckIndex() {
  if (token_.uuid.empty()) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(
      const auto response,
      client_->Request({.path = fmt::format("/{}/_settings?filter_path=*.settings.index.uuid",
                                            PercentEncode(token_.index)),
                        .body = {},
                        .aside = true},
                       stop_));
  const auto answer = nlohmann::json::parse(response.body, nullptr, false);
  std::string uuid;
  if (answer.is_object() && answer.contains(token_.index)) {
    uuid = answer[token_.index].value("/settings/index/uuid"_json_pointer, "");
  }
  if (uuid == token_.uuid) return Status::OK();
  return UserError(
      fmt::format(
          "the index is not the one that the job was planned for: it was deleted and made "
          "again{}; start a new job",
          client_->hosts_count() > 1
              ? ", or the source's hosts are of different clusters, which cannot be one source"
              : ""),
      "index_replaced");
}

Status Scroll::Ask() {
  return client_->Start(
      {.method = "POST",
       .path = "/_search/scroll",
       .body = fmt::format(R"({{"scroll":"{}ms","scroll_id":"{}"}})", keep_alive_ms_, id_),
       .repeatable = false});
}

Result<HttpResponse> Scroll::Next() {
  auto response = client_->Finish(stop_);
  if (!response.ok()) client_->Abandon();
  return response;
}

void Scroll::Close() noexcept {
  client_->Abandon();
  if (!id_.empty()) closer_->Close(std::exchange(id_, {}), stop_);
}

ContextCloser::~ContextCloser() {
  std::stop_source now;
  now.request_stop();
  Close({}, now.get_token());
}

void ContextCloser::Close(std::string id, std::stop_token stop) noexcept {
  if (!id.empty()) open_.push_back(std::move(id));
  if (open_.empty()) return;
  HttpRequest request{.method = "DELETE",
                      .path = "/_search/scroll",
                      .body = fmt::format(R"({{"scroll_id":["{}"]}})", fmt::join(open_, "\",\"")),
                      .timeout_ms = kCloseTimeoutMs};
  auto closed = client_->Request(request, stop);
  if (!closed.ok() && stop.stop_requested()) {
    request.timeout_ms = kCancelTimeoutMs;
    closed = client_->Request(request);
  }
  // 404: they are gone already.
  if (closed.ok() || KindOf(closed.status()) != ErrorKind::kTransient || stop.stop_requested()) {
    open_.clear();
  } else if (open_.size() > kOpenContextsMax) {
    open_.erase(open_.begin());
  }
  if (!closed.ok() && LogEnabled(LogLevel::kExtra)) {
    Log(LogLevel::kExtra,
        fmt::format("search contexts not closed: {}", MessageOf(closed.status())));
  }
}

}  // namespace bulkhaul::opensearch
