// How to reach an OpenSearch or Elasticsearch cluster. Filled from the URI and the options; plain
// values, no I/O.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/secret.h"

namespace bulkhaul::opensearch {

struct HostAddress {
  std::string host;  // name, IPv4, or IPv6 without brackets
  int port = 9200;
  bool operator==(const HostAddress&) const = default;
  std::string ToString() const;  // "host:port", "[::1]:9200"
};

enum class Authentication {
  kNone,
  kBasic,   // user and password
  kApiKey,  // "Authorization: ApiKey <api_key>"
  kBearer,  // "Authorization: Bearer <bearer_token>"
  kAwsSigV4,
};

// kAuto: asked for from then on when an answer of 256 KiB or more came at less than 4 MB/s.
enum class Compress { kOff, kOn, kAuto };

// Constant after it is made.
struct ConnectionSettings {
  bool tls = false;
  std::vector<HostAddress> hosts;  // tried in order; a host that fails is passed over for a while
  std::string path_prefix;         // "" or "/prefix", put before every path

  Authentication authentication = Authentication::kNone;
  std::string user;
  Secret password;
  Secret api_key;  // as the server gave it out: base64 of "id:key"
  Secret bearer_token;
  std::string aws_region;          // "eu-central-1"
  std::string aws_service = "es";  // "es", or "aoss" for a serverless collection
  std::string aws_access_key_id;
  Secret aws_secret_access_key;
  Secret aws_session_token;  // empty: none

  std::string ca_file;      // PEM; "": the system's certificates
  std::string ca_folder;    // of hashed certificates; "": none
  std::string certificate;  // client certificate, PEM file; "": none
  std::string certificate_key;
  Secret certificate_key_password;
  // SHA-256 of the server's certificate or of one that signed it, 64 hexadecimal digits with or
  // without colons. When given it replaces the check against ca_file and the host's name.
  std::string fingerprint;
  bool verify_certificate = true;

  Secret proxy;  // "http://user:password@host:port", "socks5h://…"; empty: none at all
  Compress compress = Compress::kAuto;  // ask for gzip

  int64_t connect_timeout_ms = 30'000;
  int64_t request_timeout_ms = 300'000;  // for one whole answer
  int64_t stall_timeout_ms = 60'000;     // without a byte from the server; 0: none
  int64_t host_pause_ms = 30'000;        // a host that failed is passed over for so long
  int64_t response_bytes_max = int64_t{1} << 30;
};

// kUser when settings contradict each other, a file cannot be read, or a secret that goes into a
// header holds a line break.
Status CheckConnectionSettings(const ConnectionSettings& settings);

}  // namespace bulkhaul::opensearch
