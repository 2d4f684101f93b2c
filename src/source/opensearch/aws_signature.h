// Requests signed for AWS. Pure.
// Source: AWS documentation, "Create a signed AWS API request" (Signature Version 4).
#pragma once

#include <ctime>
#include <map>
#include <string>
#include <string_view>

namespace bulkhaul::opensearch {

struct AwsKeys {
  std::string region;   // "eu-central-1"
  std::string service;  // "es", "aoss"
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;  // "": none
};

struct AwsRequest {
  std::string method;
  std::string host;   // as the Host header has it
  std::string path;   // as it is sent: absolute and percent-encoded
  std::string query;  // AwsQuery(), without '?'
  std::string_view body;
};

// A query string in the one form that is signed: decoded and encoded again, sorted. What is sent
// must have it too.
std::string AwsQuery(std::string_view query);

// Headers to add, by name: Authorization, X-Amz-Date, X-Amz-Content-Sha256, and with a session
// token X-Amz-Security-Token.
std::map<std::string, std::string> AwsHeaders(const AwsRequest& request, const AwsKeys& keys,
                                              std::time_t now);

// The value of Authorization when these headers (lower-case names) are signed, Host among them;
// for the published test vectors.
std::string AwsAuthorization(const AwsRequest& request, const AwsKeys& keys,
                             const std::map<std::string, std::string>& headers,
                             std::string_view date_time);

}  // namespace bulkhaul::opensearch
