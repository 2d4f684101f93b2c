#include "source/opensearch/tls_fingerprint.h"

#include <memory>
#include <string>

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/text.h"

namespace bulkhaul::opensearch {
namespace {

bool Matches(const X509* certificate, const Fingerprint& wanted) {
  Fingerprint digest{};
  unsigned int size = 0;
  return X509_digest(certificate, EVP_sha256(), digest.data(), &size) == 1 &&
         size == digest.size() && digest == wanted;
}

struct StoreFree {
  void operator()(X509_STORE* store) const { X509_STORE_free(store); }
  void operator()(X509_STORE_CTX* context) const { X509_STORE_CTX_free(context); }
};

// Whether `leaf` is valid with `anchor` as the only certificate that is trusted. That the anchor
// stands in the chain proves nothing: anybody may send it along.
bool SignedBy(X509* leaf, STACK_OF(X509) * chain, X509* anchor) {
  const std::unique_ptr<X509_STORE, StoreFree> store(X509_STORE_new());
  const std::unique_ptr<X509_STORE_CTX, StoreFree> context(X509_STORE_CTX_new());
  if (!store || !context || X509_STORE_add_cert(store.get(), anchor) != 1) return false;
  if (X509_STORE_CTX_init(context.get(), store.get(), leaf, chain) != 1) return false;
  X509_STORE_CTX_set_flags(context.get(), X509_V_FLAG_PARTIAL_CHAIN);
  X509_STORE_CTX_set_purpose(context.get(), X509_PURPOSE_SSL_SERVER);
  return X509_verify_cert(context.get()) == 1;
}

std::string TextOf(const X509* certificate) {
  Fingerprint digest{};
  unsigned int size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest.data(), &size) != 1) return "unknown";
  std::string text;
  for (const uint8_t byte : digest) {
    for (const int half : {byte >> 4, byte & 15}) text += "0123456789abcdef"[half];
  }
  return text;
}

int Verify(X509_STORE_CTX* context, void* argument) {
  auto& check = *static_cast<FingerprintCheck*>(argument);
  const Fingerprint& wanted = check.wanted;
  X509* leaf = X509_STORE_CTX_get0_cert(context);
  STACK_OF(X509)* chain = X509_STORE_CTX_get0_untrusted(context);
  if (leaf != nullptr && Matches(leaf, wanted)) return 1;
  for (int i = 0; leaf != nullptr && chain != nullptr && i < sk_X509_num(chain); ++i) {
    X509* one = sk_X509_value(chain, i);
    if (Matches(one, wanted) && SignedBy(leaf, chain, one)) return 1;
  }
  if (leaf != nullptr) check.refused = TextOf(leaf);
  X509_STORE_CTX_set_error(context, X509_V_ERR_CERT_UNTRUSTED);
  return 0;
}

}  // namespace

Result<Fingerprint> ParseFingerprint(std::string_view text) {
  Fingerprint fingerprint{};
  size_t digits = 0;
  for (const char c : text) {
    if (c == ':') continue;
    const int digit = HexDigit(c);
    if (digit < 0 || digits == 2 * fingerprint.size()) {
      digits = 0;
      break;
    }
    auto& byte = fingerprint[digits / 2];
    byte = static_cast<uint8_t>(byte << 4 | digit);
    ++digits;
  }
  if (digits != 2 * fingerprint.size()) {
    return UserError("fingerprint: '" + std::string(text) +
                     "' is not the SHA-256 of a certificate (64 hexadecimal digits)");
  }
  return fingerprint;
}

void TrustFingerprint(void* ssl_context, FingerprintCheck* check) {
  auto* context = static_cast<SSL_CTX*>(ssl_context);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(context, Verify, check);
}

}  // namespace bulkhaul::opensearch
