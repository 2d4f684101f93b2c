// The limit that a load through the wire protocol can reach: sends ready-made binary COPY files
// with N connections, one transaction a file.
//
//   raw_load URI TABLE CONNECTIONS FILE…
#include <libpq-fe.h>

#include <fmt/format.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr size_t kPieceBytes = 256 << 10;

[[noreturn]] void Fail(PGconn* connection, const char* what) {
  fmt::print(stderr, "raw_load: {}: {}", what, PQerrorMessage(connection));
  std::exit(1);
}

PGconn* Connect(const char* uri) {
  PGconn* connection = PQconnectdb(uri);
  if (PQstatus(connection) != CONNECTION_OK) Fail(connection, "connect");
  return connection;
}

int64_t SendFile(PGconn* connection, const std::string& table, const char* path,
                 std::vector<char>* piece) {
  std::FILE* const file = std::fopen(path, "rb");
  if (file == nullptr) Fail(connection, path);
  const std::string sql = fmt::format("COPY {} FROM STDIN (FORMAT binary)", table);
  PGresult* result = PQexec(connection, sql.c_str());
  if (PQresultStatus(result) != PGRES_COPY_IN) Fail(connection, "COPY");
  PQclear(result);
  int64_t bytes = 0;
  while (const size_t size = std::fread(piece->data(), 1, piece->size(), file)) {
    if (PQputCopyData(connection, piece->data(), static_cast<int>(size)) != 1) {
      Fail(connection, "COPY data");
    }
    bytes += static_cast<int64_t>(size);
  }
  std::fclose(file);
  if (PQputCopyEnd(connection, nullptr) != 1) Fail(connection, "COPY end");
  while ((result = PQgetResult(connection)) != nullptr) {
    if (PQresultStatus(result) != PGRES_COMMAND_OK) Fail(connection, "COPY end");
    PQclear(result);
  }
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    fmt::print(stderr, "usage: raw_load URI TABLE CONNECTIONS FILE…\n");
    return 2;
  }
  const std::string table = argv[2];
  const int connections = std::atoi(argv[3]);
  std::atomic<int> next_file = 4;
  std::atomic<int64_t> bytes = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < connections; ++i) {
    threads.emplace_back([&] {
      PGconn* connection = Connect(argv[1]);
      std::vector<char> piece(kPieceBytes);
      for (int file = next_file++; file < argc; file = next_file++) {
        bytes += SendFile(connection, table, argv[file], &piece);
      }
      PQfinish(connection);
    });
  }
  threads.clear();
  fmt::print("{} bytes\n", bytes.load());
  return 0;
}
