#include "tests/support/postgres_server.h"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include <fmt/format.h>
#include <libpq-fe.h>

#include "tests/support/run_or_abort.h"

namespace bulkhaul::test {
namespace {

std::string ShellQuote(const std::string& text) {
  std::string quoted = "'";
  for (const char byte : text) quoted += byte == '\'' ? std::string("'\\''") : std::string(1, byte);
  return quoted + "'";
}

std::vector<std::vector<std::string>> RowsOf(PGresult* result, PGconn* connection) {
  const auto status = PQresultStatus(result);
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY) {
    const std::string message = PQerrorMessage(connection);
    PQclear(result);
    throw std::runtime_error(message);
  }
  std::vector<std::vector<std::string>> rows;
  for (int i = 0; i < PQntuples(result); ++i) {
    auto& row = rows.emplace_back();
    for (int column = 0; column < PQnfields(result); ++column) {
      row.emplace_back(PQgetisnull(result, i, column) ? "∅" : PQgetvalue(result, i, column));
    }
  }
  PQclear(result);
  return rows;
}

}  // namespace

PostgresServer::PostgresServer(const std::vector<std::string>& settings) {
  static std::atomic<int> count{0};
  folder_ = fmt::format("/tmp/bulkhaul-pg-{}-{}", getpid(), count++);
  std::string command = fmt::format("{}/scripts/test-postgres start --owner {} {}",
                                    ShellQuote(BULKHAUL_SOURCE_DIR), getpid(), ShellQuote(folder_));
  for (const auto& setting : settings) command += " " + ShellQuote(setting);
  uri_ = RunOrAbort(command);
  port_ = std::atoi(uri_.substr(uri_.rfind(':') + 1).c_str());
}

PostgresServer::~PostgresServer() { Script("stop"); }

PostgresServer& PostgresServer::Shared() {
  static PostgresServer server;
  return server;
}

std::string PostgresServer::Uri(const std::string& database, const std::string& user) const {
  return fmt::format("postgres://{}@127.0.0.1:{}/{}", user, port_, database);
}

std::string PostgresServer::NewDatabase() {
  static std::atomic<int> count{0};
  const std::string name = fmt::format("test_{}", count++);
  PostgresClient(uri_).Execute("CREATE DATABASE " + name);
  return name;
}

void PostgresServer::Script(const std::string& command) {
  RunOrAbort(fmt::format("{}/scripts/test-postgres {} {} >/dev/null",
                         ShellQuote(BULKHAUL_SOURCE_DIR), command, ShellQuote(folder_)));
}

void PostgresServer::Restart() { Script("restart"); }
void PostgresServer::Crash() { Script("crash"); }
void PostgresServer::Start() { Script("start"); }

PostgresClient::PostgresClient(const std::string& uri) : connection_(PQconnectdb(uri.c_str())) {
  if (PQstatus(connection_) != CONNECTION_OK) {
    const std::string message = PQerrorMessage(connection_);
    PQfinish(connection_);
    throw std::runtime_error(message);
  }
  PQsetNoticeReceiver(
      connection_, [](void*, const PGresult*) {}, nullptr);
}

PostgresClient::~PostgresClient() { PQfinish(connection_); }

std::vector<std::vector<std::string>> PostgresClient::Query(const std::string& sql) {
  return RowsOf(PQexec(connection_, sql.c_str()), connection_);
}

std::string PostgresClient::Value(const std::string& sql) {
  const auto rows = Query(sql);
  return rows.empty() || rows[0].empty() ? "" : rows[0][0];
}

void PostgresClient::Send(const std::string& sql) {
  if (PQsendQuery(connection_, sql.c_str()) != 1) {
    throw std::runtime_error(PQerrorMessage(connection_));
  }
}

bool PostgresClient::Busy() {
  PQconsumeInput(connection_);
  return PQisBusy(connection_) != 0;
}

void PostgresClient::Finish() {
  while (PGresult* result = PQgetResult(connection_)) RowsOf(result, connection_);
}

}  // namespace bulkhaul::test
