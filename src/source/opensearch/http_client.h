// HTTP to a cluster: one keep-alive connection a client, several hosts, every way to log in.
#pragma once

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/error.h"
#include "source/opensearch/connection_settings.h"

namespace bulkhaul::opensearch {

// Zero bytes behind every response body, so that a SIMD parser may read past its end. simdjson
// wants 64 (SIMDJSON_PADDING).
inline constexpr size_t kBodyPaddingBytes = 64;

struct HttpRequest {
  std::string method = "GET";  // "GET", "POST", "PUT", "DELETE", "HEAD"
  std::string path;            // absolute, percent-encoded, with the query string
  std::string body;            // JSON; "" sends none
  int64_t timeout_ms = 0;      // for the whole answer; 0: the settings' request_timeout_ms
  // May be sent to the next host, or once more on a fresh connection, after the server may have
  // seen it. Never for a scroll's next page: a repeat would skip a page.
  bool repeatable = true;
};

struct HttpResponse {
  int status = 0;
  // In the client's buffer, with kBodyPaddingBytes zeros behind it; valid until the second Start()
  // or Request() after this one (the client has two buffers), or the client's end.
  std::string_view body;
  size_t body_capacity = 0;     // bytes that may be read from body.data(): size + padding at least
  std::string content_type;     // "application/json; charset=UTF-8"
  int64_t wire_bytes = 0;       // received, before decompression, headers included
  int64_t elapsed_ms = 0;
  HostAddress host;
};

// Not thread-safe: one client a thread. Errors carry a kind (see ClassifyHttp and ClassifyCurl) and
// never a secret; the message names host, method and path.
class HttpClient {
 public:
  // Opens no connection. kUser when a certificate file cannot be read, or a setting contradicts
  // another.
  static Result<std::unique_ptr<HttpClient>> Make(const ConnectionSettings& settings);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Sends it and waits for the whole answer. OK only for a 2xx answer whose content type is JSON
  // (or that has no body): any other answer is its ClassifyHttp() error. kCancelled within 200 ms
  // of a stop. Hosts that cannot be reached are passed over for the next.
  Result<HttpResponse> Request(const HttpRequest& request, std::stop_token stop = {});

  // Request() in two halves, so that the server works while the caller does: Start() sends what
  // the socket takes at once, Poll() moves what has arrived, Finish() waits for the rest. One
  // request at a time; the request's stop belongs to Finish().
  Status Start(HttpRequest request);
  void Poll();
  Result<HttpResponse> Finish(std::stop_token stop = {});
  bool started() const;
  // Gives up a started request and closes its connection, so that the server stops working on it.
  void Abandon();

  // Connections opened so far, for tests and the log.
  int64_t connections_opened() const;

 private:
  class Impl;
  explicit HttpClient(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

// What a server's answer that is not 2xx means. Pure. `request_line` ("POST /logs/_search on
// host:9200") goes into the message, with the server's own type and reason.
//   400, 401, 403, 404 (index), 405, 413: kUser; the code is "HTTP <status>"
//   404 search_context_missing, 408, 409, 429, 500 with a shard that failed, 502, 503, 504:
//   kTransient
// Source: "status" of RestStatus, opensearch-core; measured on OpenSearch 3.6.0, 2.19.6 and
// Elasticsearch 8.19.
Status ClassifyHttp(int status, std::string_view body, std::string_view content_type,
                    std::string_view request_line);
// "type: reason" of an error body, with the first root cause; "" when it is not one. Pure.
std::string ErrorReason(std::string_view body);
// The server's own name of the error ("index_not_found_exception"), of the root cause when there is
// one; "" when it is not an error body. Pure.
std::string ErrorType(std::string_view body);

// Percent-encodes one segment of a path or one value of a query string. Pure.
std::string PercentEncode(std::string_view text);

}  // namespace bulkhaul::opensearch
