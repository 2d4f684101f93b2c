// A throw-away PostgreSQL server for a test program: made by scripts/test-postgres, stopped when
// the object or the process goes, however it goes.
#pragma once

#include <string>
#include <vector>

struct pg_conn;

namespace bulkhaul::test {

// Aborts the test program when the server cannot be made: no test could say anything then.
class PostgresServer {
 public:
  // `settings` as lines of postgresql.conf.
  explicit PostgresServer(const std::vector<std::string>& settings = {});
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  // One server for the whole test program, made at the first call.
  static PostgresServer& Shared();

  const std::string& uri() const { return uri_; }  // superuser postgres, database postgres
  std::string Uri(const std::string& database, const std::string& user = "postgres") const;
  int port() const { return port_; }
  const std::string& folder() const { return folder_; }  // of the Unix socket and the log
  // A new empty database; gives its name.
  std::string NewDatabase();
  // Immediate shutdown, then a start on the same port.
  void Restart();
  // SIGKILL to all server processes; Start() brings it back.
  void Crash();
  void Start();

 private:
  void Script(const std::string& command);
  std::string folder_;
  std::string uri_;
  int port_ = 0;
};

// A plain connection of the test's own, for making tables and for looking. Throws
// std::runtime_error with the server's message when a statement fails.
class PostgresClient {
 public:
  explicit PostgresClient(const std::string& uri);
  ~PostgresClient();
  PostgresClient(const PostgresClient&) = delete;
  PostgresClient& operator=(const PostgresClient&) = delete;
  // Rows as texts; NULL is "∅".
  std::vector<std::vector<std::string>> Query(const std::string& sql);
  void Execute(const std::string& sql) { Query(sql); }
  // First column of the first row.
  std::string Value(const std::string& sql);
  // Sends and does not wait; Finish() waits for the result.
  void Send(const std::string& sql);
  bool Busy();  // the statement that was sent has not ended
  void Finish();

 private:
  pg_conn* connection_;
};

}  // namespace bulkhaul::test
