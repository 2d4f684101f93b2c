// One search context: opened, read page by page, always closed. Judges what the server says about
// completeness; decodes nothing.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "base/error.h"
#include "source/opensearch/http_client.h"
#include "source/opensearch/unit_token.h"
#include "wire/json/search_page.h"

namespace bulkhaul::opensearch {

// Path and body of the search that opens the context. `members`: of DatasetReading::body. Pure.
// kBug when a member would override what completeness rests on (size, sort, track_total_hits, …).
struct SearchRequest {
  std::string path, body;
};
Result<SearchRequest> MakeSearchRequest(const UnitToken& token, std::string_view members,
                                        int64_t page_documents, int64_t keep_alive_ms);

// What is known of a context that is being read.
struct ScrollProgress {
  int64_t total = -1;  // of the first page
  int64_t documents = 0;
  int64_t pages = 0;
};
// Checks one page's summary, and adds it. kTransient when the server held documents back; the code
// names the check ("timed_out", "shards_missing"). Pure.
Status CheckPage(const search::PageSummary& page, const UnitToken& token, ScrollProgress* progress);

// Ends search contexts on the server, and remembers those for which it could not be done: an
// overloaded server refuses that too. Not thread-safe.
class ContextCloser {
 public:
  explicit ContextCloser(HttpClient* client) : client_(client) {}
  ~ContextCloser();
  ContextCloser(const ContextCloser&) = delete;
  ContextCloser& operator=(const ContextCloser&) = delete;

  // This context and those that are still open. Never fails; after a stop it takes a second at
  // most. The client has no other request meanwhile.
  void Close(std::string id, std::stop_token stop) noexcept;

 private:
  HttpClient* const client_;
  std::vector<std::string> open_;
};

// Not thread-safe. The client and the closer belong to the session, and the client has no other
// request meanwhile.
class Scroll {
 public:
  Scroll(HttpClient* client, ContextCloser* closer, UnitToken token, int64_t keep_alive_ms,
         std::stop_token stop)
      : client_(client),
        closer_(closer),
        token_(std::move(token)),
        keep_alive_ms_(keep_alive_ms),
        stop_(std::move(stop)) {}
  ~Scroll() { Close(); }
  Scroll(const Scroll&) = delete;
  Scroll& operator=(const Scroll&) = delete;

  // Opens the context and gives the first page. Then, where the token says which, makes sure that
  // the index is the one that was planned: asked afterwards, the answer holds for the context too.
  Result<HttpResponse> Open(const SearchRequest& request);
  // Asks for the next page; Next() waits for it. `id` is the context's latest.
  Status Ask();
  bool asked() const { return client_->started(); }
  Result<HttpResponse> Next();
  // The latest id, as a page's summary gives it.
  void set_id(std::string id) {
    if (!id.empty()) id_ = std::move(id);
  }
  const std::string& id() const { return id_; }
  // Ends the context on the server; never fails.
  void Close() noexcept;

 private:
  Status CheckIndex();
  void CatchLateContext() noexcept;

  HttpClient* const client_;
  ContextCloser* const closer_;
  const UnitToken token_;
  const int64_t keep_alive_ms_;
  const std::stop_token stop_;
  std::string id_;
};

}  // namespace bulkhaul::opensearch
