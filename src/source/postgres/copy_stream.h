// The bytes of COPY … TO STDOUT, read past libpq.
//
// PQgetCopyData allocates once a row and libpq's buffer makes many small reads. Between two
// statements a connection is at a message boundary and libpq's buffers are empty, so that this
// class may speak the protocol itself on the same socket (or the same TLS session) until the next
// ReadyForQuery; after that libpq goes on as if nothing had happened.
// Source: PostgreSQL documentation, "Frontend/Backend Protocol", "Message Flow" and "Message
// Formats".
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "client/postgres/connection.h"
#include "client/postgres/transport.h"

namespace bulkhaul::postgres {

// One a connection, used for one COPY after the other; buffers are kept. Not thread-safe.
class CopyStream {
 public:
  // `force_libpq`: read by PQgetCopyData, as is always done under GSS encryption.
  explicit CopyStream(Connection* connection, bool force_libpq = false);
  ~CopyStream();

  // Sends `sql`: statements without rows, then one COPY … TO STDOUT. `what` begins error messages.
  Status Begin(const std::string& sql, const WaitLimit& limit, std::string what);
  // The next bytes of the COPY's data, cut anywhere; valid until the next call. Empty at the end,
  // when the server has said that the COPY is complete. An error of the server leaves the
  // connection usable (with a failed transaction); a broken stream does not: see Connection::ok().
  // A stop or the deadline cancels the statement at the server, for two seconds at most.
  Result<std::span<const uint8_t>> Next(const WaitLimit& limit);
  // Ends a COPY before its end: cancels and drains it, or breaks the connection.
  void Abandon();
  bool active() const { return active_; }
  // Rows that the server says it sent; -1 before the end.
  int64_t rows_announced() const { return rows_announced_; }
  // Bytes received by this COPY, protocol included.
  int64_t bytes_received() const { return bytes_received_; }

 private:
  std::span<const uint8_t> Parse();
  void HandleMessage();
  Status Fill(const WaitLimit& limit);
  Status Fail(Status status);
  Status Finished();
  Result<std::span<const uint8_t>> NextFromLibpq(const WaitLimit& limit);
  Status BeginByLibpq(const std::string& sql, const WaitLimit& limit);
  bool DrainUntilReady();

  Connection* const connection_;
  std::unique_ptr<Transport> transport_;  // nullptr: by libpq
  std::unique_ptr<uint8_t[]> buffer_;
  size_t begin_ = 0, end_ = 0;  // not parsed yet
  char type_ = 0;               // of the message that is being read; 0: between two messages
  size_t message_left_ = 0;
  std::string message_;  // of a message that is no CopyData
  bool active_ = false, ready_ = false, copying_ = false, complete_ = false;
  bool cancel_sent_ = false;
  Status failure_;
  std::string what_;
  char* libpq_row_ = nullptr;
  int64_t rows_announced_ = -1;
  int64_t bytes_received_ = 0;
};

}  // namespace bulkhaul::postgres
