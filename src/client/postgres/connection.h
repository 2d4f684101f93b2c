// One libpq connection whose every wait has a deadline and can be stopped.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/secret.h"
#include "client/postgres/classify.h"

struct pg_conn;
struct pg_result;

namespace bulkhaul::postgres {

using SteadyTime = std::chrono::steady_clock::time_point;

// How long an operation may take, and who may end it early.
struct WaitLimit {
  SteadyTime deadline = SteadyTime::max();
  std::stop_token stop = {};
};
// A deadline `milliseconds` from now; 0: none.
SteadyTime DeadlineIn(int64_t milliseconds);

enum class WaitFor { kRead, kWrite };
// Waits until the socket is ready. kCancelled on a stop, kTransient ("timed out") at the deadline.
Status WaitOnSocket(int socket, WaitFor what, const WaitLimit& limit);

// The server that a snapshot lives on: with several hosts, all sessions must reach the same one.
struct ServerAddress {
  std::string host, hostaddr, port;
  bool empty() const { return host.empty() && hostaddr.empty() && port.empty(); }
};

struct ConnectionSettings {
  // URI or keyword=value text, all that libpq knows: service, passfile, sslmode, several hosts.
  Secret conninfo;
  std::string application_name;
  int64_t connect_timeout_ms = 30'000;  // for each host, log-in included
  ServerAddress address;                // empty: as conninfo says
};

// kUser when the text is not a connection string that libpq understands.
Status CheckConninfo(const Secret& conninfo);

// What the server said with a failed result.
ServerError ErrorOf(const pg_result* result);

// Rows of one statement, as text.
class ResultSet {
 public:
  explicit ResultSet(pg_result* result);
  ~ResultSet();
  ResultSet(ResultSet&& other) noexcept;
  ResultSet& operator=(ResultSet&& other) noexcept;
  int rows() const;
  int columns() const;
  int64_t affected() const;  // rows of INSERT, UPDATE, DELETE
  bool is_null(int row, int column) const;
  std::string_view text(int row, int column) const;  // "" for NULL
  int64_t integer(int row, int column, int64_t if_null = 0) const;
  bool boolean(int row, int column) const;  // false for NULL
  std::string_view column_name(int column) const;
  uint32_t column_type(int column) const;
  int32_t column_typmod(int column) const;

 private:
  pg_result* result_;
};

// Not thread-safe, but for CancelStatement().
class Connection {
 public:
  // Tries the hosts one after the other; each gets connect_timeout_ms, so that a server that
  // accepts and never answers costs no more. kTransient when nobody answers, kUser on a refused
  // log-in.
  static Result<std::unique_ptr<Connection>> Open(const ConnectionSettings& settings,
                                                  std::stop_token stop);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Runs the statements of `sql` by the simple protocol and gives the result of each. On a stop or
  // a passed deadline the server is asked to cancel; a server that does not within two seconds
  // costs the connection. `what` begins the error message.
  Result<std::vector<ResultSet>> Query(const std::string& sql, const WaitLimit& limit,
                                       std::string_view what);
  // The result of the last statement.
  Result<ResultSet> QueryOne(const std::string& sql, const WaitLimit& limit, std::string_view what);
  Status Execute(const std::string& sql, const WaitLimit& limit, std::string_view what);
  // Column names and types of a statement that is not run: an unnamed prepared statement.
  Result<ResultSet> Describe(const std::string& sql, const WaitLimit& limit, std::string_view what);

  // Asks the server to cancel what it runs, waiting at most `wait_ms` for the request to go out.
  // libpq's call blocks, so that it runs in a thread of its own; the request is not encrypted
  // before libpq 17. Best effort.
  void CancelStatement(int64_t wait_ms);

  // False when the connection is gone and cannot be used again.
  bool ok() const;
  // Between BEGIN and its end, also where a statement has failed.
  bool in_transaction() const;
  // Marks it gone and closes the socket for both sides, so that the server notices.
  void Break();
  int socket() const;
  pg_conn* raw() const { return connection_; }
  // 150020 for 15.20.
  int server_version() const;
  int backend_pid() const;
  std::string parameter(const char* name) const;  // "server_encoding"; "" when not reported
  ServerAddress address() const;
  // What classification needs to know of this connection; set by its owner.
  ErrorSituation situation;

 private:
  explicit Connection(pg_conn* connection) : connection_(connection) {}
  static Result<std::unique_ptr<Connection>> OpenOne(
      const std::vector<std::pair<std::string, std::string>>& parameters, int64_t timeout_ms,
      std::stop_token stop);
  Status Poll(const WaitLimit& limit);
  Status Send(bool sent, const WaitLimit& limit, std::string_view what);
  Result<std::vector<ResultSet>> Collect(const WaitLimit& limit, std::string_view what);
  Result<pg_result*> NextResult(const WaitLimit& limit);
  void CancelAndDrain();
  Status LostError(std::string_view what) const;

  pg_conn* connection_;
  bool broken_ = false;
};

}  // namespace bulkhaul::postgres
