// The limit that an export through the wire protocol can reach: receives binary COPY over page
// ranges with N connections and throws the bytes away.
//
//   raw_copy URI TABLE CONNECTIONS PAGES_PER_UNIT
#include <libpq-fe.h>

#include <fmt/format.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace {

[[noreturn]] void Fail(PGconn* connection, const char* what) {
  fmt::print(stderr, "raw_copy: {}: {}", what, PQerrorMessage(connection));
  std::exit(1);
}

PGconn* Connect(const char* uri) {
  PGconn* connection = PQconnectdb(uri);
  if (PQstatus(connection) != CONNECTION_OK) Fail(connection, "connect");
  return connection;
}

int64_t PagesOf(const char* uri, const std::string& table) {
  PGconn* connection = Connect(uri);
  const std::string sql =
      fmt::format("SELECT pg_relation_size('{}') / current_setting('block_size')::bigint", table);
  PGresult* result = PQexec(connection, sql.c_str());
  if (PQresultStatus(result) != PGRES_TUPLES_OK) Fail(connection, "size");
  const int64_t pages = std::atoll(PQgetvalue(result, 0, 0));
  PQclear(result);
  PQfinish(connection);
  return pages;
}

int64_t ReceiveUnit(PGconn* connection, const std::string& table, int64_t first, int64_t end) {
  const std::string sql = fmt::format(
      "COPY (SELECT * FROM {} WHERE ctid >= '({},0)' AND ctid < '({},0)') TO STDOUT (FORMAT "
      "binary)",
      table, first, end);
  PGresult* result = PQexec(connection, sql.c_str());
  if (PQresultStatus(result) != PGRES_COPY_OUT) Fail(connection, "COPY");
  PQclear(result);
  int64_t bytes = 0;
  char* row = nullptr;
  int length = 0;
  while ((length = PQgetCopyData(connection, &row, 0)) > 0) {
    bytes += length;
    PQfreemem(row);
  }
  if (length == -2) Fail(connection, "COPY data");
  while ((result = PQgetResult(connection)) != nullptr) {
    if (PQresultStatus(result) != PGRES_COMMAND_OK) Fail(connection, "COPY end");
    PQclear(result);
  }
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    fmt::print(stderr, "usage: raw_copy URI TABLE CONNECTIONS PAGES_PER_UNIT\n");
    return 2;
  }
  const std::string table = argv[2];
  const int connections = std::atoi(argv[3]);
  const int64_t unit_pages = std::atoll(argv[4]);
  const int64_t pages = PagesOf(argv[1], table);
  std::atomic<int64_t> next_page = 0;
  std::atomic<int64_t> bytes = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < connections; ++i) {
    threads.emplace_back([&] {
      PGconn* connection = Connect(argv[1]);
      while (true) {
        const int64_t first = next_page.fetch_add(unit_pages);
        if (first >= pages) break;
        bytes += ReceiveUnit(connection, table, first, first + unit_pages);
      }
      PQfinish(connection);
    });
  }
  threads.clear();
  fmt::print("{} bytes\n", bytes.load());
  return 0;
}
