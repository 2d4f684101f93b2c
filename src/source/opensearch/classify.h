// What an answer, or none, means for the unit. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace bulkhaul::opensearch {

// What a server's answer that is not 2xx means. `request_line` ("POST /logs/_search on host:9200")
// goes into the message, with the server's own type and reason. The code is the server's type of
// the error where it gave one, else "HTTP <status>".
//   transient: 408, 409, 429, 500 and above but 501 and 505; a lost search context, whatever its
//     status; a scroll or PIT limit that is reached
//   user: everything else; a redirect too, which is never followed
// Sources: RestStatus and ExceptionsHelper of opensearch-core; tried on OpenSearch 3.6.0 and
// Elasticsearch 8.19.
Status ClassifyHttp(int status, std::string_view body, std::string_view content_type,
                    std::string_view request_line);
// A 2xx answer that is no JSON, from something that stands before the server.
Status NotJsonError(int status, std::string_view body, std::string_view content_type,
                    std::string_view request_line);
// The kind of a CURLcode. `detail`: libcurl's own text. `reached`: an earlier request on this
// client got an answer, so that the settings are right.
Status ClassifyCurl(int curl_code, std::string_view detail, std::string_view request_line,
                    bool reached);

// Whether the failure says that the cluster has too much to do: 429, 502, 503, 504, a full queue, a
// circuit breaker, no answer in time. Pure.
bool IsOverload(const Status& failure);

// Of an error body: its root cause's "type" and "reason", else its own. "" where it is not one.
struct ServerError {
  std::string type;    // "index_not_found_exception"
  std::string reason;  // "no such index [t]"
};
ServerError ParseServerError(std::string_view body);

}  // namespace bulkhaul::opensearch
