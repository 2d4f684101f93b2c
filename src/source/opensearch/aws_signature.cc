#include "source/opensearch/aws_signature.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/text.h"
#include "source/opensearch/http_client.h"

namespace bulkhaul::opensearch {
namespace {

constexpr char kAlgorithm[] = "AWS4-HMAC-SHA256";

std::string Hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text;
}

std::string HexSha256(std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr);
  return Hex({reinterpret_cast<const char*>(digest), size});
}

std::string HmacSha256(std::string_view key, std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest, &size);
  return {reinterpret_cast<const char*>(digest), size};
}

// The path is encoded once more, but for its slashes.
std::string CanonicalPath(std::string_view path) {
  std::string canonical;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    canonical += PercentEncode(path.substr(begin, end - begin));
    if (end < path.size()) canonical += '/';
    begin = end + 1;
  }
  return canonical;
}

std::string EncodedAgain(std::string_view text) { return PercentEncode(PercentDecode(text)); }

}  // namespace

std::string AwsQuery(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> parameters;
  while (!query.empty()) {
    const size_t end = query.find('&');
    const std::string_view one = query.substr(0, end);
    const size_t equals = one.find('=');
    parameters.emplace_back(
        EncodedAgain(one.substr(0, equals)),
        equals == one.npos ? std::string() : EncodedAgain(one.substr(equals + 1)));
    if (end == query.npos) break;
    query.remove_prefix(end + 1);
  }
  std::sort(parameters.begin(), parameters.end());
  std::string sorted;
  for (const auto& [name, value] : parameters) {
    sorted += (sorted.empty() ? "" : "&") + name + "=" + value;
  }
  return sorted;
}

std::string AwsAuthorization(const AwsRequest& request, const AwsKeys& keys,
                             const std::map<std::string, std::string>& headers,
                             std::string_view date_time) {
  std::string lines, names;
  for (const auto& [name, value] : headers) {
    lines += name + ":" + value + "\n";
    names += (names.empty() ? "" : ";") + name;
  }
  const std::string canonical =
      fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.method, CanonicalPath(request.path),
                  request.query, lines, names, HexSha256(request.body));
  const std::string_view date = date_time.substr(0, 8);
  const std::string scope = fmt::format("{}/{}/{}/aws4_request", date, keys.region, keys.service);
  const std::string to_sign =
      fmt::format("{}\n{}\n{}\n{}", kAlgorithm, date_time, scope, HexSha256(canonical));
  std::string key = HmacSha256("AWS4" + keys.secret_access_key, date);
  for (const std::string_view part : {std::string_view(keys.region), std::string_view(keys.service),
                                      std::string_view("aws4_request")}) {
    key = HmacSha256(key, part);
  }
  return fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}", kAlgorithm,
                     keys.access_key_id, scope, names, Hex(HmacSha256(key, to_sign)));
}

std::map<std::string, std::string> AwsHeaders(const AwsRequest& request, const AwsKeys& keys,
                                              std::time_t now) {
  std::tm utc{};
  gmtime_r(&now, &utc);
  char date_time[17];
  std::strftime(date_time, sizeof date_time, "%Y%m%dT%H%M%SZ", &utc);
  const std::string hash = HexSha256(request.body);
  std::map<std::string, std::string> headers = {
      {"host", request.host}, {"x-amz-content-sha256", hash}, {"x-amz-date", date_time}};
  if (!keys.session_token.empty()) headers["x-amz-security-token"] = keys.session_token;
  std::map<std::string, std::string> added = {
      {"Authorization", AwsAuthorization(request, keys, headers, date_time)},
      {"X-Amz-Content-Sha256", hash},
      {"X-Amz-Date", date_time}};
  if (!keys.session_token.empty()) added["X-Amz-Security-Token"] = keys.session_token;
  return added;
}

}  // namespace bulkhaul::opensearch
