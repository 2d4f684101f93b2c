// The socket, or the TLS session, under a libpq connection: for the bytes of a COPY, which libpq
// handles a row and a small read at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/error.h"
#include "client/postgres/connection.h"

namespace bulkhaul::postgres {

// Where bytes come from once libpq has connected: the socket or its TLS session. Not thread-safe.
class Transport {
 public:
  virtual ~Transport() = default;
  // Reads at least one byte, waiting as `limit` allows. 0 when the peer has closed.
  virtual Result<size_t> Read(std::span<uint8_t> into, const WaitLimit& limit) = 0;
  // While on, Read() waits for many bytes at once where it can: the server sends 8 KiB at a time,
  // and waking up for each costs more than copying them. Off whenever libpq uses the connection.
  virtual void SetBulk(bool on) {}
  virtual Status Write(std::string_view bytes, const WaitLimit& limit) = 0;
};
// nullptr when the connection's bytes cannot be had (GSS encryption).
std::unique_ptr<Transport> MakeTransport(const Connection& connection);

}  // namespace bulkhaul::postgres
