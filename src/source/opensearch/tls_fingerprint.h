// Trust by a certificate's fingerprint in place of a certificate authority.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace bulkhaul::opensearch {

using Fingerprint = std::array<uint8_t, 32>;  // SHA-256 of the certificate's DER form

// 64 hexadecimal digits, with or without colons. kUser otherwise. Pure.
Result<Fingerprint> ParseFingerprint(std::string_view text);

// Makes an SSL_CTX accept exactly the servers whose certificate has this fingerprint, or was
// signed, possibly through others of its chain, by one that has it. Names are not compared.
// `check` must outlive the context.
struct FingerprintCheck {
  Fingerprint wanted{};
  std::string refused;  // the last server's own, as text, where it was another one
};
void TrustFingerprint(void* ssl_context, FingerprintCheck* check);

}  // namespace bulkhaul::opensearch
