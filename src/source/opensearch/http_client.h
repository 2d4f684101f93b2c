// HTTP to a cluster: one keep-alive connection a client, several hosts, every way to log in.
#pragma once

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/error.h"
#include "source/opensearch/connection_settings.h"
#include "source/opensearch/host_health.h"

namespace bulkhaul::opensearch {

// Zero bytes behind every response body, so that a parser may read whole blocks of 64 bytes.
inline constexpr size_t kBodyPaddingBytes = 64;

struct HttpRequest {
  std::string method = "GET";  // "GET", "POST", "PUT", "DELETE", "HEAD"
  std::string path = {};       // absolute, percent-encoded, with the query string
  std::string body = {};       // JSON; "" sends none
  int64_t timeout_ms = 0;      // for the whole answer; 0: the settings' request_timeout_ms
  // May be sent to the next host, or once more on a fresh connection, after the server may have
  // seen it. Never for a scroll's next page: a repeat would skip a page.
  bool repeatable = true;
  // The answer goes to a third buffer: bodies of other requests stay valid.
  bool aside = false;
};

struct HttpResponse {
  int status = 0;
  // In the client's buffer, with kBodyPaddingBytes zeros behind it; valid until the second Start()
  // or Request() after this one (the client has two buffers, and one for `aside`).
  std::string_view body;
  size_t body_capacity = 0;  // bytes that may be read from body.data(): size + padding at least
  std::string content_type;  // "application/json; charset=UTF-8"
  int64_t wire_bytes = 0;    // received, before decompression, headers included
  int64_t elapsed_ms = 0;
  HostAddress host;
};

// Not thread-safe: one client a thread. Errors carry a kind (classify.h) and never a secret; the
// message names host, method and path.
class HttpClient {
 public:
  // Opens no connection. kUser when a certificate file cannot be read, or a setting is malformed.
  // `first_host`: which of the hosts is tried first, modulo their number; a source spreads its
  // sessions over them. `health`: of settings.hosts, shared by the clients of a source; null: the
  // client's own.
  static Result<std::unique_ptr<HttpClient>> Make(const ConnectionSettings& settings,
                                                  size_t first_host = 0,
                                                  std::shared_ptr<HostHealth> health = nullptr);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Sends it and waits for the whole answer. OK only for a 2xx answer whose content type is JSON
  // (or that has no body): any other answer is its ClassifyHttp() error. kCancelled within 200 ms
  // of a stop. Hosts that cannot be reached are passed over for the next.
  Result<HttpResponse> Request(const HttpRequest& request, std::stop_token stop = {});

  // Request() in two halves, so that the server works while the caller does: Start() sends what
  // the socket takes at once, Finish() waits for the rest. One request at a time. After kCancelled
  // the request is still started: Finish() it once more or Abandon() it.
  Status Start(HttpRequest request);
  // `patience_ms` > 0: kTransient when the answer is not there by then, and the request is given
  // up.
  Result<HttpResponse> Finish(std::stop_token stop = {}, int64_t patience_ms = 0);
  bool started() const;
  // Gives up a started request and closes its connection, so that the server stops working on it.
  void Abandon();

  // Of the settings.
  size_t hosts_count() const;

  // Connections opened so far, for tests and the log.
  int64_t connections_opened() const;

 private:
  class Impl;
  explicit HttpClient(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

// Percent-encodes one segment of a path or one value of a query string. Pure.
std::string PercentEncode(std::string_view text);

}  // namespace bulkhaul::opensearch
