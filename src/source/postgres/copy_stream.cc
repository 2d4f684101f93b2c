#include "source/postgres/copy_stream.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include <fmt/format.h>
#include <libpq-fe.h>

namespace bulkhaul::postgres {
namespace {

constexpr size_t kBufferBytes = 256 << 10;
// A short COPY must not wait for more bytes than it has.
constexpr int64_t kBulkFromBytes = 512 << 10;
constexpr size_t kHeaderBytes = 5;            // type and length
constexpr size_t kControlBytesMax = 1 << 20;  // of an error or notice that is kept
constexpr int64_t kCancelSendMs = 1'000;
constexpr int64_t kCancelDrainMs = 900;

uint32_t BigEndian32(const uint8_t* bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

std::string QueryMessage(const std::string& sql) {
  const uint32_t length = static_cast<uint32_t>(sql.size() + 5);
  std::string message = "Q";
  for (int shift = 24; shift >= 0; shift -= 8) message += static_cast<char>(length >> shift & 0xFF);
  message += sql;
  message += '\0';
  return message;
}

ServerError ParseError(std::string_view fields) {
  ServerError error;
  while (!fields.empty() && fields[0] != '\0') {
    const char code = fields[0];
    const size_t end = std::min(fields.find('\0', 1), fields.size());
    const std::string text(fields.substr(1, end - 1));
    switch (code) {
      case 'V':
        error.severity = text;
        break;
      case 'C':
        error.sqlstate = text;
        break;
      case 'M':
        error.message = text;
        break;
      case 'D':
        error.detail = text;
        break;
      case 'H':
        error.hint = text;
        break;
      case 'W':
        error.context = text;
        break;
      default:
        break;
    }
    fields.remove_prefix(std::min(end + 1, fields.size()));
  }
  return error;
}

}  // namespace

CopyStream::CopyStream(Connection* connection, bool force_libpq) : connection_(connection) {
  if (!force_libpq) transport_ = MakeTransport(*connection);
  if (transport_) buffer_ = std::make_unique_for_overwrite<uint8_t[]>(kBufferBytes);
}

CopyStream::~CopyStream() {
  if (active_) Abandon();
  PQfreemem(libpq_row_);
}

Status CopyStream::Begin(const std::string& sql, const WaitLimit& limit, std::string what) {
  if (active_) return BugError("a COPY begins before the one before it has ended");
  if (sql.find('\0') != std::string::npos) return UserError("a statement holds a NUL byte");
  active_ = true;
  ready_ = copying_ = complete_ = cancel_sent_ = false;
  begin_ = end_ = message_left_ = 0;
  type_ = 0;
  failure_ = Status::OK();
  what_ = std::move(what);
  rows_announced_ = -1;
  bytes_received_ = 0;
  const Status sent =
      transport_ ? transport_->Write(QueryMessage(sql), limit) : BeginByLibpq(sql, limit);
  if (!sent.ok()) {
    if (transport_) connection_->Break();
    active_ = active_ && connection_->ok();
    if (active_) Abandon();
    return WithContext(sent, what_);
  }
  return Status::OK();
}

Result<std::span<const uint8_t>> CopyStream::Next(const WaitLimit& limit) {
  if (!transport_) return NextFromLibpq(limit);
  while (active_) {
    if (limit.stop.stop_requested()) return Fail(CancelledError());
    const auto data = Parse();
    if (!data.empty() && failure_.ok()) return data;
    if (ready_) {
      RETURN_NOT_OK(Finished());
      return std::span<const uint8_t>();
    }
    const Status filled = Fill(limit);
    if (!filled.ok()) return Fail(filled);
  }
  return std::span<const uint8_t>();
}

// Strips the message headers by moving the payloads together, and gives what is in the buffer.
std::span<const uint8_t> CopyStream::Parse() {
  uint8_t* const buffer = buffer_.get();
  const size_t out_begin = begin_;
  size_t out_end = begin_;
  while (begin_ < end_ && !ready_) {
    if (type_ == 0) {
      if (end_ - begin_ < kHeaderBytes) break;
      type_ = static_cast<char>(buffer[begin_]);
      const uint32_t length = BigEndian32(buffer + begin_ + 1);
      begin_ += kHeaderBytes;
      message_.clear();
      if (length < 4) {
        failure_ = TransientError(fmt::format("{}: the stream is damaged", what_), "08P01");
        connection_->Break();
        break;
      }
      message_left_ = length - 4;
    }
    const size_t taken = std::min(message_left_, end_ - begin_);
    if (type_ == 'd') {
      if (out_end != begin_) std::memmove(buffer + out_end, buffer + begin_, taken);
      out_end += taken;
    } else if (message_.size() + taken <= kControlBytesMax) {
      message_.append(reinterpret_cast<const char*>(buffer + begin_), taken);
    }
    begin_ += taken;
    message_left_ -= taken;
    if (message_left_ == 0) {
      if (type_ != 'd') HandleMessage();
      type_ = 0;
    }
  }
  return {buffer + out_begin, out_end - out_begin};
}

void CopyStream::HandleMessage() {
  switch (type_) {
    case 'H':
      copying_ = true;
      break;
    case 'C': {
      const std::string_view tag(message_.c_str());
      if (!tag.starts_with("COPY ")) break;  // of a statement before the COPY
      const std::string_view digits = tag.substr(5);
      std::from_chars(digits.data(), digits.data() + digits.size(), rows_announced_);
      complete_ = true;
      break;
    }
    case 'E': {
      ErrorSituation situation = connection_->situation;
      situation.cancel_sent = situation.cancel_sent || cancel_sent_;
      if (failure_.ok()) failure_ = ServerErrorStatus(ParseError(message_), situation, what_);
      break;
    }
    case 'Z':
      ready_ = true;
      break;
    case 'c':  // the data is complete
    case 'N':
    case 'S':
    case 'A':
    case 'T':
    case 'D':
    case 'I':
      break;
    default:
      failure_ = TransientError(fmt::format("{}: the stream is damaged", what_), "08P01");
      connection_->Break();
  }
}

Status CopyStream::Fill(const WaitLimit& limit) {
  if (!connection_->ok()) return failure_.ok() ? TransientError("connection lost") : failure_;
  const size_t kept = end_ - begin_;
  if (kept > 0) std::memmove(buffer_.get(), buffer_.get() + begin_, kept);
  begin_ = 0;
  end_ = kept;
  if (limit.deadline != SteadyTime::max() && std::chrono::steady_clock::now() >= limit.deadline) {
    return TransientError("timed out");
  }
  ARROW_ASSIGN_OR_RAISE(const size_t received,
                        transport_->Read({buffer_.get() + kept, kBufferBytes - kept}, limit));
  if (received == 0) {
    connection_->Break();
    // What the server said before it closed is the reason.
    if (!failure_.ok()) return failure_;
    return TransientError("PostgreSQL closed the connection before the data was complete", "08006");
  }
  end_ += received;
  bytes_received_ += static_cast<int64_t>(received);
  if (bytes_received_ >= kBulkFromBytes) transport_->SetBulk(true);
  return Status::OK();
}

// Ends the COPY after a failure on our side: a stop, the deadline, a lost connection.
Status CopyStream::Fail(Status status) {
  if (connection_->ok()) Abandon();
  active_ = false;
  if (KindOf(status) == ErrorKind::kCancelled) return status;
  return status.message().starts_with(what_) ? status : WithContext(status, what_);
}

Status CopyStream::Finished() {
  active_ = false;
  if (transport_) transport_->SetBulk(false);
  RETURN_NOT_OK(failure_);
  if (!copying_ || !complete_) {
    return BugError(fmt::format("{}: the statement was no COPY TO STDOUT", what_));
  }
  return Status::OK();
}

bool CopyStream::DrainUntilReady() {
  const WaitLimit limit{.deadline = DeadlineIn(kCancelDrainMs), .stop = {}};
  while (!ready_) {
    Parse();
    if (!ready_ && !Fill(limit).ok()) return false;
  }
  transport_->SetBulk(false);
  return true;
}

void CopyStream::Abandon() {
  if (!active_) return;
  active_ = false;
  if (transport_) transport_->SetBulk(false);
  if (!connection_->ok()) return;
  if (transport_ && ready_) return;
  cancel_sent_ = true;
  connection_->CancelStatement(kCancelSendMs);
  if (transport_) {
    if (!DrainUntilReady()) connection_->Break();
    return;
  }
  // By libpq: read on with no hurry of its own until the deadline.
  active_ = true;
  const WaitLimit limit{.deadline = DeadlineIn(kCancelDrainMs), .stop = {}};
  while (active_) {
    const auto next = NextFromLibpq(limit);
    if (next.ok() && !next->empty()) continue;
    if (active_) connection_->Break();
    active_ = false;
  }
}

Status CopyStream::BeginByLibpq(const std::string& sql, const WaitLimit& limit) {
  PGconn* raw = connection_->raw();
  if (PQsendQuery(raw, sql.c_str()) != 1) {
    connection_->Break();
    return TransientError(PQerrorMessage(raw), "08006");
  }
  while (PQflush(raw) > 0) RETURN_NOT_OK(WaitOnSocket(PQsocket(raw), WaitFor::kWrite, limit));
  return Status::OK();
}

Result<std::span<const uint8_t>> CopyStream::NextFromLibpq(const WaitLimit& limit) {
  PGconn* raw = connection_->raw();
  while (active_) {
    if (limit.stop.stop_requested()) return Fail(CancelledError());
    if (copying_ && !complete_) {
      PQfreemem(libpq_row_);
      libpq_row_ = nullptr;
      const int bytes = PQgetCopyData(raw, &libpq_row_, 1);
      if (bytes > 0) {
        bytes_received_ += bytes + static_cast<int64_t>(kHeaderBytes);
        return std::span(reinterpret_cast<const uint8_t*>(libpq_row_), static_cast<size_t>(bytes));
      }
      if (bytes < 0) complete_ = true;
    }
    if (!copying_ || complete_) {
      if (PQisBusy(raw) == 0) {
        PGresult* next = PQgetResult(raw);
        if (next == nullptr) {
          if (PQstatus(raw) != CONNECTION_OK) connection_->Break();
          RETURN_NOT_OK(Finished());
          return std::span<const uint8_t>();
        }
        const ResultSet owner(next);
        if (PQresultStatus(next) == PGRES_COPY_OUT) copying_ = true;
        if (PQresultStatus(next) == PGRES_COMMAND_OK && complete_) {
          const std::string_view digits = PQcmdTuples(next);
          std::from_chars(digits.data(), digits.data() + digits.size(), rows_announced_);
        }
        if (PQresultStatus(next) == PGRES_FATAL_ERROR && failure_.ok()) {
          const auto field = [&](int code) {
            const char* text = PQresultErrorField(next, code);
            return std::string(text == nullptr ? "" : text);
          };
          ErrorSituation situation = connection_->situation;
          situation.cancel_sent = situation.cancel_sent || cancel_sent_;
          const ServerError error{.severity = field(PG_DIAG_SEVERITY_NONLOCALIZED),
                                  .sqlstate = field(PG_DIAG_SQLSTATE),
                                  .message = field(PG_DIAG_MESSAGE_PRIMARY),
                                  .detail = field(PG_DIAG_MESSAGE_DETAIL),
                                  .hint = field(PG_DIAG_MESSAGE_HINT),
                                  .context = field(PG_DIAG_CONTEXT)};
          failure_ =
              error.sqlstate.empty()
                  ? TransientError(fmt::format("{}: {}", what_, PQerrorMessage(raw)), "08006")
                  : ServerErrorStatus(error, situation, what_);
        }
        continue;
      }
    }
    const Status waited = WaitOnSocket(PQsocket(raw), WaitFor::kRead, limit);
    if (!waited.ok()) return Fail(waited);
    if (PQconsumeInput(raw) == 0) {
      connection_->Break();
      return Fail(TransientError(PQerrorMessage(raw), "08006"));
    }
  }
  return std::span<const uint8_t>();
}

}  // namespace bulkhaul::postgres
