#include "base/error.h"

#include <cerrno>
#include <cstring>

#include <arrow/util/io_util.h>
#include <fmt/format.h>

namespace bulkhaul {

const char* ErrorKindName(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUser:
      return "user";
    case ErrorKind::kTransient:
      return "transient";
    case ErrorKind::kPermanent:
      return "permanent";
    case ErrorKind::kBug:
      return "bug";
    case ErrorKind::kCancelled:
      return "cancelled";
    case ErrorKind::kSnapshotLost:
      return "snapshot_lost";
  }
  return "bug";
}

Result<ErrorKind> ErrorKindFromName(const std::string& name) {
  for (auto kind : {ErrorKind::kUser, ErrorKind::kTransient, ErrorKind::kPermanent, ErrorKind::kBug,
                    ErrorKind::kCancelled, ErrorKind::kSnapshotLost}) {
    if (name == ErrorKindName(kind)) return kind;
  }
  return BugError(fmt::format("unknown error kind '{}'", name));
}

std::string ErrorDetail::ToString() const {
  return code_.empty() ? fmt::format("[{}]", ErrorKindName(kind_))
                       : fmt::format("[{}, {}]", ErrorKindName(kind_), code_);
}

Status MakeError(ErrorKind kind, std::string message, std::string code) {
  auto status_code = arrow::StatusCode::UnknownError;
  switch (kind) {
    case ErrorKind::kUser:
      status_code = arrow::StatusCode::Invalid;
      break;
    case ErrorKind::kTransient:
    case ErrorKind::kPermanent:
    case ErrorKind::kSnapshotLost:
      status_code = arrow::StatusCode::IOError;
      break;
    case ErrorKind::kCancelled:
      status_code = arrow::StatusCode::Cancelled;
      break;
    case ErrorKind::kBug:
      break;
  }
  return Status(status_code, std::move(message),
                std::make_shared<ErrorDetail>(kind, std::move(code)));
}

Status UserError(std::string message, std::string code) {
  return MakeError(ErrorKind::kUser, std::move(message), std::move(code));
}
Status OptionError(std::string message) { return UserError(std::move(message), kOptionCode); }
Status TransientError(std::string message, std::string code) {
  return MakeError(ErrorKind::kTransient, std::move(message), std::move(code));
}
Status PermanentError(std::string message, std::string code) {
  return MakeError(ErrorKind::kPermanent, std::move(message), std::move(code));
}
Status BugError(std::string message, std::string code) {
  return MakeError(ErrorKind::kBug, std::move(message), std::move(code));
}
Status CancelledError(std::string message) {
  return MakeError(ErrorKind::kCancelled, std::move(message));
}
Status SnapshotLostError(std::string message, std::string code) {
  return MakeError(ErrorKind::kSnapshotLost, std::move(message), std::move(code));
}

namespace {
const ErrorDetail* DetailOf(const Status& status) {
  return dynamic_cast<const ErrorDetail*>(status.detail().get());
}
}  // namespace

ErrorKind KindOf(const Status& status) {
  if (const auto* detail = DetailOf(status)) return detail->kind();
  if (status.IsCancelled()) return ErrorKind::kCancelled;
  if (status.IsInvalid() || status.IsKeyError() || status.IsTypeError() ||
      status.IsNotImplemented()) {
    return ErrorKind::kUser;
  }
  if (const int error_number = arrow::internal::ErrnoFromStatus(status)) {
    return KindOfErrno(error_number);
  }
  return ErrorKind::kPermanent;
}

std::string CodeOf(const Status& status) {
  if (const auto* detail = DetailOf(status)) return detail->code();
  return {};
}

std::string MessageOf(const Status& status) { return status.message(); }

Status WithContext(const Status& status, const std::string& context) {
  if (status.ok()) return status;
  return MakeError(KindOf(status), context + ": " + status.message(), CodeOf(status));
}

ErrorKind KindOfErrno(int error_number) {
  switch (error_number) {
    case EINTR:
    case EAGAIN:
    case EBUSY:
    case ECONNRESET:
    case ECONNREFUSED:
    case ECONNABORTED:
    case EPIPE:
    case ETIMEDOUT:
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENOBUFS:
    case ESTALE:
      return ErrorKind::kTransient;
    case EACCES:
    case EPERM:
    case ENOENT:
    case EEXIST:
    case EROFS:
    case ENOTDIR:
    case EISDIR:
    case ENAMETOOLONG:
    case ENOTEMPTY:
      return ErrorKind::kUser;
    default:
      return ErrorKind::kPermanent;
  }
}

Status ErrnoError(int error_number, const std::string& action, const std::string& path) {
  const char* name = strerrorname_np(error_number);
  return MakeError(KindOfErrno(error_number),
                   fmt::format("cannot {} '{}': {}", action, path, std::strerror(error_number)),
                   name ? name : std::to_string(error_number));
}

}  // namespace bulkhaul
