// The socket and the TLS session under a libpq connection.
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <libpq-fe.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "client/postgres/transport.h"

namespace bulkhaul::postgres {
namespace {

constexpr int kBulkBytes = 256 << 10;
constexpr int kGatherMs = 2;

Status LostBy(int error_number) {
  return TransientError(
      fmt::format("the connection to PostgreSQL was lost: {}", std::strerror(error_number)),
      "08006");
}

class SocketTransport final : public Transport {
 public:
  explicit SocketTransport(int socket) : socket_(socket) {}

  Result<size_t> Read(std::span<uint8_t> into, const WaitLimit& limit) override {
    while (true) {
      const ssize_t received = recv(socket_, into.data(), into.size(), MSG_DONTWAIT);
      if (received >= 0) {
        gathering_ = false;
        return static_cast<size_t>(received);
      }
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) return LostBy(errno);
      if (bulk_ && !gathering_) {
        // Wakes up for many bytes, or after a moment for what there is.
        SetLowWater(kBulkBytes);
        gathering_ = true;
        pollfd entry{.fd = socket_, .events = POLLIN, .revents = 0};
        poll(&entry, 1, kGatherMs);
        continue;
      }
      SetLowWater(1);
      RETURN_NOT_OK(WaitOnSocket(socket_, WaitFor::kRead, limit));
    }
  }

  void SetBulk(bool on) override {
    bulk_ = on;
    if (!on) SetLowWater(1);
  }

  Status Write(std::string_view bytes, const WaitLimit& limit) override {
    while (!bytes.empty()) {
      const ssize_t sent = send(socket_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent > 0) {
        bytes.remove_prefix(static_cast<size_t>(sent));
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        RETURN_NOT_OK(WaitOnSocket(socket_, WaitFor::kWrite, limit));
      } else if (errno != EINTR) {
        return LostBy(errno);
      }
    }
    return Status::OK();
  }

 private:
  // Ignored for Unix sockets, where poll() looks at nothing but emptiness.
  void SetLowWater(int bytes) {
    if (low_water_ == bytes) return;
    low_water_ = bytes;
    setsockopt(socket_, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes);
  }

  const int socket_;
  bool bulk_ = false;
  bool gathering_ = false;  // waited for many bytes since the last that came
  int low_water_ = 1;
};

class TlsTransport final : public Transport {
 public:
  TlsTransport(int socket, SSL* session) : socket_(socket), session_(session) {}

  Result<size_t> Read(std::span<uint8_t> into, const WaitLimit& limit) override {
    // A record has at most 16 KiB; what is decrypted already costs no system call.
    size_t filled = 0;
    while (true) {
      ERR_clear_error();
      const int wanted = static_cast<int>(std::min<size_t>(into.size() - filled, 1 << 30));
      const int received = wanted == 0 ? 0 : SSL_read(session_, into.data() + filled, wanted);
      if (received > 0) {
        filled += static_cast<size_t>(received);
        continue;
      }
      if (filled > 0) return filled;
      const int error = SSL_get_error(session_, received);
      if (error == SSL_ERROR_ZERO_RETURN) return size_t{0};
      RETURN_NOT_OK(WaitAfter(error, limit));
    }
  }

  Status Write(std::string_view bytes, const WaitLimit& limit) override {
    while (!bytes.empty()) {
      ERR_clear_error();
      const int sent = SSL_write(session_, bytes.data(),
                                 static_cast<int>(std::min<size_t>(bytes.size(), 1 << 30)));
      if (sent > 0) {
        bytes.remove_prefix(static_cast<size_t>(sent));
      } else {
        RETURN_NOT_OK(WaitAfter(SSL_get_error(session_, sent), limit));
      }
    }
    return Status::OK();
  }

 private:
  Status WaitAfter(int error, const WaitLimit& limit) {
    if (error == SSL_ERROR_WANT_READ) return WaitOnSocket(socket_, WaitFor::kRead, limit);
    if (error == SSL_ERROR_WANT_WRITE) return WaitOnSocket(socket_, WaitFor::kWrite, limit);
    if (error == SSL_ERROR_SYSCALL && errno != 0) return LostBy(errno);
    char text[256];
    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    return TransientError(fmt::format("the TLS connection to PostgreSQL was lost: {}", text),
                          "08006");
  }

  const int socket_;
  SSL* const session_;  // owned by libpq
};

}  // namespace

std::unique_ptr<Transport> MakeTransport(const Connection& connection) {
  PGconn* raw = connection.raw();
  if (PQgssEncInUse(raw) != 0) return nullptr;
  if (PQsslInUse(raw) == 0) return std::make_unique<SocketTransport>(PQsocket(raw));
  auto* session = static_cast<SSL*>(PQsslStruct(raw, "OpenSSL"));
  if (session == nullptr) return nullptr;
  return std::make_unique<TlsTransport>(PQsocket(raw), session);
}

}  // namespace bulkhaul::postgres
