// SQLSTATE to error kind.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace bulkhaul::postgres {

// What the connection was doing when the server reported the error: some codes mean different
// things.
struct ErrorSituation {
  bool cancel_sent = false;  // we asked the server to cancel this statement because of a stop
  bool importing_snapshot = false;  // SET TRANSACTION SNAPSHOT was sent
  bool holding_snapshot = false;    // the connection is the one that holds the exported snapshot
  bool in_snapshot = false;         // the transaction reads an imported snapshot
};

// Pure. Source of the codes: PostgreSQL documentation, "PostgreSQL Error Codes".
ErrorKind ClassifySqlState(std::string_view sqlstate, const ErrorSituation& situation);
// The fields of an ErrorResponse. Source: PostgreSQL documentation, "Error and Notice Message
// Fields".
struct ServerError {
  std::string severity;  // not localised where the server sends 'V' (9.6 and later)
  std::string sqlstate;
  std::string message = {};
  std::string detail = {};
  std::string hint = {};
  std::string context = {};
};

// What the user may do about it, "" when the server's message says it all. Pure.
std::string AdviceFor(const ServerError& error, const ErrorSituation& situation);

// The number of "COPY <table>, line N…" in an error's context; -1: there is none. Lines of a binary
// COPY are its rows, from 1.
int64_t LineInCopy(std::string_view context, std::string_view table);

// "<what>: <message> (<detail>) <advice>" of the right kind, with the SQLSTATE as its code.
Status ServerErrorStatus(const ServerError& error, const ErrorSituation& situation,
                         std::string_view what);

}  // namespace bulkhaul::postgres
