#include "client/postgres/copy_in.h"

#include <sys/socket.h>

#include <fmt/format.h>
#include <libpq-fe.h>

namespace bulkhaul::postgres {
namespace {

constexpr size_t kHeadBytes = 5;  // 'd' and the length, which counts itself
constexpr int64_t kAbandonMs = 2'000;

Status FlushLibpq(PGconn* raw, const WaitLimit& limit) {
  for (;;) {
    const int pending = PQflush(raw);
    if (pending == 0) return Status::OK();
    if (pending < 0) return TransientError("the connection to PostgreSQL was lost", "08006");
    ARROW_RETURN_NOT_OK(WaitOnSocket(PQsocket(raw), WaitFor::kWrite, limit));
  }
}

Result<PGresult*> NextResult(PGconn* raw, const WaitLimit& limit) {
  while (PQisBusy(raw) != 0) {
    ARROW_RETURN_NOT_OK(WaitOnSocket(PQsocket(raw), WaitFor::kRead, limit));
    if (PQconsumeInput(raw) == 0) break;
  }
  return PQgetResult(raw);
}

}  // namespace

Status CopyIn::Begin(const std::string& sql, const WaitLimit& limit, std::string what) {
  what_ = std::move(what);
  bytes_sent_ = 0;
  PGconn* const raw = connection_->raw();
  Status status;
  if (PQsendQuery(raw, sql.c_str()) != 1) {
    status = TransientError(what_ + ": the connection to PostgreSQL was lost", "08006");
  }
  if (status.ok()) status = FlushLibpq(raw, limit);
  while (status.ok()) {
    auto next = NextResult(raw, limit);
    if (!next.ok()) {
      status = next.status();
      break;
    }
    if (*next == nullptr) return BugError("no COPY in the statement: " + sql);
    ResultSet result(*next);
    const auto kind = PQresultStatus(*next);
    if (kind == PGRES_COPY_IN) break;
    if (kind == PGRES_FATAL_ERROR) {
      const ServerError error = ErrorOf(*next);
      status = ServerErrorStatus(error, connection_->situation, what_);
      // The rest of the answer, so that the connection can go on.
      for (auto more = NextResult(raw, limit); more.ok() && *more != nullptr;
           more = NextResult(raw, limit)) {
        PQclear(*more);
      }
      return status;
    }
  }
  if (!status.ok()) {
    connection_->Break();
    return status;
  }
  if (!transport_) transport_ = MakeTransport(*connection_);
  active_ = true;
  buffer_.Clear();
  buffer_.Extend(kHeadBytes);
  return Status::OK();
}

Status CopyIn::SendMessage(const WaitLimit& limit) {
  const size_t size = buffer_.size() - kHeadBytes;
  if (size == 0) return Status::OK();
  bytes_sent_ += static_cast<int64_t>(size);
  uint8_t* const head = buffer_.data();
  if (transport_) {
    const uint32_t length = __builtin_bswap32(static_cast<uint32_t>(size + 4));
    head[0] = 'd';
    std::memcpy(head + 1, &length, 4);
    ARROW_RETURN_NOT_OK(
        transport_->Write({reinterpret_cast<const char*>(head), buffer_.size()}, limit));
  } else {
    PGconn* const raw = connection_->raw();
    if (PQputCopyData(raw, reinterpret_cast<const char*>(head + kHeadBytes),
                      static_cast<int>(size)) != 1) {
      return TransientError("the connection to PostgreSQL was lost", "08006");
    }
    ARROW_RETURN_NOT_OK(FlushLibpq(raw, limit));
  }
  buffer_.Resize(kHeadBytes);
  return Status::OK();
}

Status CopyIn::Flush(const WaitLimit& limit) {
  const Status sent = SendMessage(limit);
  if (!sent.ok()) {
    // Half a message may have gone out.
    active_ = false;
    connection_->Break();
    return WithContext(sent, what_);
  }
  // A server that has failed says so at once, and throws away the rest.
  char first = 0;
  if (PQsslInUse(connection_->raw()) == 0 &&
      recv(connection_->socket(), &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1 && first == 'E') {
    ARROW_RETURN_NOT_OK(End(nullptr, limit).status());
    return PermanentError(what_ + ": the server ended the COPY before its end");
  }
  return Status::OK();
}

Result<int64_t> CopyIn::Finish(const WaitLimit& limit) {
  const Status sent = SendMessage(limit);
  if (!sent.ok()) {
    active_ = false;
    connection_->Break();
    return WithContext(sent, what_);
  }
  return End(nullptr, limit);
}

Result<int64_t> CopyIn::End(const char* failure, const WaitLimit& limit) {
  PGconn* const raw = connection_->raw();
  active_ = false;
  const auto ended = [&]() -> Result<int64_t> {
    if (PQputCopyEnd(raw, failure) != 1) {
      return TransientError("the connection to PostgreSQL was lost", "08006");
    }
    ARROW_RETURN_NOT_OK(FlushLibpq(raw, limit));
    int64_t rows = 0;
    Status status;
    for (;;) {
      ARROW_ASSIGN_OR_RAISE(PGresult * next, NextResult(raw, limit));
      if (next == nullptr) break;
      ResultSet result(next);
      const auto kind = PQresultStatus(next);
      if (kind == PGRES_COMMAND_OK) {
        rows = result.affected();
      } else if (kind == PGRES_FATAL_ERROR && status.ok()) {
        const ServerError error = ErrorOf(next);
        error_context_ = error.context;
        status = error.sqlstate.empty()
                     ? TransientError("the connection to PostgreSQL was lost", "08006")
                     : ServerErrorStatus(error, connection_->situation, what_);
      }
    }
    ARROW_RETURN_NOT_OK(status);
    return rows;
  }();
  if (!ended.ok() &&
      (PQstatus(raw) != CONNECTION_OK || PQtransactionStatus(raw) == PQTRANS_ACTIVE)) {
    connection_->Break();
  }
  return ended;
}

void CopyIn::Abandon() noexcept {
  if (!active_) return;
  const auto ended = End("given up by bulkhaul", {.deadline = DeadlineIn(kAbandonMs), .stop = {}});
  // 57014 is what a COPY that the client gives up ends with.
  if (!ended.ok() && CodeOf(ended.status()) != "57014") connection_->Break();
}

}  // namespace bulkhaul::postgres
