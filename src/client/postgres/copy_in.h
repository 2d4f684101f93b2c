// The bytes of COPY … FROM STDIN, written past libpq: it copies what it is given and sends 8 KiB at
// a time. libpq begins and ends the COPY.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "client/postgres/connection.h"
#include "client/postgres/transport.h"
#include "wire/pg_copy/byte_buffer.h"

namespace bulkhaul::postgres {

// One COPY on one connection. Not thread-safe.
class CopyIn {
 public:
  // A CopyData message goes out when it has about this many bytes.
  static constexpr size_t kMessageBytes = 256 << 10;

  explicit CopyIn(Connection* connection) : connection_(connection) {}

  Status Begin(const std::string& sql, const WaitLimit& limit, std::string what);
  // Where the stream's bytes are appended; Flush() when it has grown to kMessageBytes.
  pg::ByteBuffer& buffer() { return buffer_; }
  bool full() const { return buffer_.size() >= kMessageBytes; }
  // kUser and others with what the server says, when it has ended the COPY already.
  Status Flush(const WaitLimit& limit);
  // Sends the rest and ends the COPY. Gives the rows that the server counted.
  Result<int64_t> Finish(const WaitLimit& limit);
  // Ends it as failed; breaks the connection when that is not possible at once.
  void Abandon() noexcept;
  bool active() const { return active_; }
  int64_t bytes_sent() const { return bytes_sent_; }
  // What the server said when it ended the COPY; "" when it has not.
  const std::string& error_context() const { return error_context_; }

 private:
  Result<int64_t> End(const char* failure, const WaitLimit& limit);
  Status SendMessage(const WaitLimit& limit);

  Connection* const connection_;
  std::unique_ptr<Transport> transport_;  // nullptr: by libpq (GSS encryption)
  pg::ByteBuffer buffer_;                 // begins with room for the message's head
  std::string what_, error_context_;
  bool active_ = false;
  int64_t bytes_sent_ = 0;
};

}  // namespace bulkhaul::postgres
