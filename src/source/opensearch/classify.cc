#include "source/opensearch/classify.h"

#include <algorithm>
#include <cctype>

#include <curl/curl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/secret.h"

namespace bulkhaul::opensearch {
namespace {

constexpr size_t kErrorBodyMax = 1 << 20;
constexpr size_t kReasonMax = 500;
constexpr size_t kExcerptMax = 120;

std::string Excerpt(std::string_view text, size_t bytes_max) {
  std::string excerpt;
  for (const char c : text.substr(0, bytes_max)) {
    excerpt += std::iscntrl(static_cast<unsigned char>(c)) ? ' ' : c;
  }
  // Not in the middle of a character.
  if (text.size() > bytes_max) {
    while (!excerpt.empty() && (excerpt.back() & 0xC0) == 0x80) excerpt.pop_back();
    if (!excerpt.empty() && (excerpt.back() & 0x80) != 0) excerpt.pop_back();
    excerpt += "…";
  }
  return Redact(excerpt);
}

std::string TextOf(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// The innermost of several levels of "caused_by" says why.
ServerError InnermostCause(const nlohmann::json& error) {
  const nlohmann::json* inner = &error;
  for (int depth = 0; depth < 16; ++depth) {
    const auto cause = inner->find("caused_by");
    if (cause == inner->end() || !cause->is_object()) break;
    inner = &*cause;
  }
  ServerError found{TextOf(*inner, "type"), TextOf(*inner, "reason")};
  return found.type.empty() ? ServerError{TextOf(error, "type"), TextOf(error, "reason")} : found;
}

ServerError ErrorOf(const nlohmann::json& error) {
  if (error.is_string()) return {"", error.get<std::string>()};
  if (!error.is_object()) return {};
  const auto causes = error.find("root_cause");
  if (causes == error.end() || !causes->is_array() || causes->empty() ||
      !causes->front().is_object() || TextOf(causes->front(), "type").empty()) {
    return InnermostCause(error);
  }
  ServerError found{TextOf(causes->front(), "type"), TextOf(causes->front(), "reason")};
  // Of a script the root cause says "runtime error", and only a cause below it says which.
  const std::string why = InnermostCause(error).reason;
  if (!why.empty() && found.reason.find(why) == std::string::npos) found.reason += ": " + why;
  return found;
}

bool IsLostContext(const ServerError& error) {
  return error.type == "search_context_missing_exception" ||
         error.reason.find("o search context found") != std::string::npos;
}

bool IsContextLimit(const ServerError& error) {
  return error.type == "too_many_scroll_contexts_exception" ||
         error.reason.find("too many scroll contexts") != std::string::npos ||
         error.reason.find("too many Point In Time contexts") != std::string::npos;
}

std::string Hint(int status, const ServerError& error) {
  if (status == 401) return "; check user and password, or the key";
  if (status == 403 && error.type.find("block") == std::string::npos) {
    return "; these credentials may not do that";
  }
  if (status == 413) return "; the request is larger than http.max_content_length";
  if (status >= 300 && status < 400) return "; it redirects elsewhere: name that address instead";
  if (error.reason.find("[search.max_keep_alive]") != std::string::npos) {
    return "; choose a shorter scroll_keep_alive";
  }
  if (IsLostContext(error)) return "; it expired (scroll_keep_alive), or its node is gone";
  return "";
}

}  // namespace

ServerError ParseServerError(std::string_view body) {
  if (body.empty() || body.size() > kErrorBodyMax) return {};
  const auto document = nlohmann::json::parse(body, nullptr, false);
  if (!document.is_object()) return {};
  const auto error = document.find("error");
  if (error != document.end()) return ErrorOf(*error);
  // What gateways of managed services answer: {"message": "…"} or {"Message": "…"}.
  for (const char* name : {"message", "Message"}) {
    if (const auto text = TextOf(document, name); !text.empty()) return {"", text};
  }
  return {};
}

Status ClassifyHttp(int status, std::string_view body, std::string_view content_type,
                    std::string_view request_line) {
  const ServerError error = ParseServerError(body);
  std::string message = fmt::format("{}: HTTP {}", request_line, status);
  if (!error.type.empty()) message += fmt::format(", {}", error.type);
  if (!error.reason.empty()) {
    message += fmt::format(": {}", Excerpt(error.reason, kReasonMax));
  } else if (!body.empty() && error.type.empty()) {
    message += fmt::format(" ({}): {}", content_type.empty() ? "no content type" : content_type,
                           Excerpt(body, kExcerptMax));
  }
  message += Hint(status, error);
  // Some servers say 503 to what they would refuse again.
  const bool refused = error.type == "too_many_buckets_exception";
  const bool transient = !refused && (status == 408 || status == 409 || status == 429 ||
                                      (status >= 500 && status != 501 && status != 505) ||
                                      IsLostContext(error) || IsContextLimit(error));
  return MakeError(transient ? ErrorKind::kTransient : ErrorKind::kUser, std::move(message),
                   error.type.empty() ? fmt::format("HTTP {}", status) : error.type);
}

bool IsOverload(const Status& failure) {
  const std::string code = CodeOf(failure);
  for (const char* one : {"rejected_execution_exception", "es_rejected_execution_exception",
                          "circuit_breaking_exception", "too_many_scroll_contexts_exception",
                          "timed_out", "stalled", "no_answer"}) {
    if (code == one) return true;
  }
  if (code == fmt::format("CURLE_{}", static_cast<int>(CURLE_OPERATION_TIMEDOUT))) return true;
  // An error with a type of its own keeps the status in its message.
  const std::string message = MessageOf(failure);
  for (const char* status : {": HTTP 429", ": HTTP 502", ": HTTP 503", ": HTTP 504"}) {
    if (message.find(status) != std::string::npos) return true;
  }
  return false;
}

Status NotJsonError(int status, std::string_view body, std::string_view content_type,
                    std::string_view request_line) {
  return TransientError(
      fmt::format("{}: HTTP {} with {} in place of JSON; is a proxy or login page in the way? It "
                  "begins: {}",
                  request_line, status,
                  content_type.empty() ? std::string_view("no content type") : content_type,
                  Excerpt(body, kExcerptMax)),
      "not_json");
}

Status ClassifyCurl(int curl_code, std::string_view detail, std::string_view request_line,
                    bool reached) {
  const auto code = static_cast<CURLcode>(curl_code);
  std::string text(detail);
  if (text.empty()) text = curl_easy_strerror(code);
  const auto has = [&](std::string_view part) { return text.find(part) != std::string::npos; };
  ErrorKind kind = ErrorKind::kTransient;
  std::string hint;
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      if (!reached) kind = ErrorKind::kUser;
      break;
    case CURLE_PEER_FAILED_VERIFICATION:
      kind = ErrorKind::kUser;
      hint = "; give the authority's certificate, or its fingerprint";
      break;
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_URL_MALFORMAT:
    case CURLE_BAD_FUNCTION_ARGUMENT:
    case CURLE_LOGIN_DENIED:
      kind = ErrorKind::kUser;
      break;
    case CURLE_SSL_CONNECT_ERROR:
      if (has("wrong version number")) {
        kind = ErrorKind::kUser;
        hint = "; the server speaks http there, not https";
      } else if (has("alert") || has("unsupported protocol")) {
        kind = ErrorKind::kUser;
      }
      break;
    case CURLE_UNSUPPORTED_PROTOCOL:  // an answer without a status line
    case CURLE_WEIRD_SERVER_REPLY:
      kind = reached ? ErrorKind::kTransient : ErrorKind::kUser;
      hint = "; that is not an HTTP server";
      break;
    case CURLE_GOT_NOTHING:
      if (!reached) hint = "; does the server want https?";
      break;
    case CURLE_OUT_OF_MEMORY:
      kind = ErrorKind::kPermanent;
      break;
    default:
      break;
  }
  if (has("certificate required") || has("getpeername() failed")) {
    hint =
        "; does the server want a client certificate? Give it with certificate and "
        "certificate_key";
  }
  // TLS 1.3 servers refuse a client certificate after the handshake.
  if (code == CURLE_RECV_ERROR && has("alert")) kind = ErrorKind::kUser;
  return MakeError(kind, fmt::format("{}: {}{}", request_line, Excerpt(text, kReasonMax), hint),
                   fmt::format("CURLE_{}", static_cast<int>(code)));
}

}  // namespace bulkhaul::opensearch
