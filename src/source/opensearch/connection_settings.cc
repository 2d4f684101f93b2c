#include "source/opensearch/connection_settings.h"

#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

namespace bulkhaul::opensearch {
namespace {

Status CheckReadable(const std::string& path, const char* what) {
  if (path.empty() || access(path.c_str(), R_OK) == 0) return Status::OK();
  return WithContext(ErrnoError(errno, "read", path), what);
}

// A line break in a header's value would begin another header.
Status CheckHeaderValue(const Secret& value, const char* what) {
  for (const char c : value.Reveal()) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return UserError(fmt::format("{} has a control character in it", what));
    }
  }
  return Status::OK();
}

}  // namespace

Status CheckConnectionSettings(const ConnectionSettings& settings) {
  if (settings.hosts.empty()) return UserError("no host is named");
  if (!settings.tls &&
      !(settings.ca_file.empty() && settings.certificate.empty() && settings.fingerprint.empty())) {
    return UserError("certificates and fingerprints need https");
  }
  if (settings.certificate.empty() && !settings.certificate_key.empty()) {
    return UserError("a certificate's key is given without the certificate");
  }
  ARROW_RETURN_NOT_OK(CheckReadable(settings.ca_file, "certificate authority"));
  ARROW_RETURN_NOT_OK(CheckReadable(settings.ca_folder, "folder of certificate authorities"));
  ARROW_RETURN_NOT_OK(CheckReadable(settings.certificate, "client certificate"));
  ARROW_RETURN_NOT_OK(CheckReadable(settings.certificate_key, "client certificate's key"));
  ARROW_RETURN_NOT_OK(CheckHeaderValue(settings.api_key, "the API key"));
  ARROW_RETURN_NOT_OK(CheckHeaderValue(settings.bearer_token, "the bearer token"));
  return CheckHeaderValue(settings.aws_session_token, "the AWS session token");
}

std::string HostAddress::ToString() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

}  // namespace bulkhaul::opensearch
