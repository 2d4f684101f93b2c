// Error kinds on top of arrow::Status. Every failure in bulkhaul is an arrow::Status that carries
// an ErrorDetail; KindOf() decides what the runner does with it.
#pragma once

#include <memory>
#include <string>

#include <arrow/result.h>
#include <arrow/status.h>

namespace bulkhaul {

using arrow::Result;
using arrow::Status;

enum class ErrorKind {
  kUser,          // The user can change it: bad option, missing grant, value that does not fit.
  kTransient,     // The same call may succeed later: lost connection, deadlock, server restart.
  kPermanent,     // The same call fails again: corrupt file, full disk, dropped table.
  kBug,           // An invariant of ours is broken.
  kCancelled,     // A stop was asked for; nothing is wrong with the data.
  kSnapshotLost,  // The epoch's consistent view is gone; the dataset needs a new epoch.
};

// Stable lower-case name ("user", "transient", …) for logs, ledgers and JSON.
const char* ErrorKindName(ErrorKind kind);
Result<ErrorKind> ErrorKindFromName(const std::string& name);

class ErrorDetail : public arrow::StatusDetail {
 public:
  ErrorDetail(ErrorKind kind, std::string code) : kind_(kind), code_(std::move(code)) {}
  const char* type_id() const override { return "bulkhaul::ErrorDetail"; }
  std::string ToString() const override;
  ErrorKind kind() const { return kind_; }
  // What the other side called it: SQLSTATE, "HTTP 429", "ENOSPC"; empty when there is none.
  const std::string& code() const { return code_; }

 private:
  ErrorKind kind_;
  std::string code_;
};

// A message says what failed, where, why, and what to do.
Status MakeError(ErrorKind kind, std::string message, std::string code = {});
Status UserError(std::string message, std::string code = {});
// kUser: an option of the job is at fault. A resume keeps the options and would fail again.
inline constexpr char kOptionCode[] = "option";
Status OptionError(std::string message);
Status TransientError(std::string message, std::string code = {});
Status PermanentError(std::string message, std::string code = {});
Status BugError(std::string message, std::string code = {});
Status CancelledError(std::string message = "cancelled");
Status SnapshotLostError(std::string message, std::string code = {});

// The kind of a failed status. A status without our detail: Cancelled → kCancelled; Invalid,
// KeyError, TypeError, NotImplemented → kUser; IOError → from its errno detail; others →
// kPermanent. Out of memory is kPermanent. Never call with an OK status.
ErrorKind KindOf(const Status& status);
// The code of a failed status, or "".
std::string CodeOf(const Status& status);
// The message without Arrow's "Invalid: " prefix and without the detail.
std::string MessageOf(const Status& status);
// The same error with `context` put before its message; kind and code are kept.
Status WithContext(const Status& status, const std::string& context);

// errno to kind: EINTR, EAGAIN, ECONNRESET, ETIMEDOUT … transient; ENOSPC, EIO … permanent;
// EACCES, EPERM, ENOENT, EROFS, EEXIST … user. Pure.
ErrorKind KindOfErrno(int error_number);
// "cannot <action> '<path>': <strerror>" with the kind of `error_number` and its symbolic code.
Status ErrnoError(int error_number, const std::string& action, const std::string& path);

}  // namespace bulkhaul
