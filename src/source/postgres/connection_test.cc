// Connecting: everything libpq knows, and servers that misbehave.
#include "client/postgres/connection.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "source/postgres/copy_stream.h"
#include "source/postgres/test_export.h"
#include "tests/support/postgres_server.h"

namespace bulkhaul::postgres {
namespace {

using test::PostgresClient;
using test::PostgresServer;
using testing::HasSubstr;
using testing::Not;

// Listens on a free port of the loopback and does what `serve` says with each connection.
class FakeServer {
 public:
  explicit FakeServer(std::function<void(int)> serve) : listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    if (bind(listener_, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
        listen(listener_, 16) != 0 ||
        getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
      std::abort();
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this, serve](std::stop_token stop) {
      std::vector<std::jthread> clients;
      while (!stop.stop_requested()) {
        const int client = accept(listener_, nullptr, nullptr);
        if (client < 0) break;
        clients.emplace_back([serve, client] {
          serve(client);
          close(client);
        });
      }
    });
  }
  ~FakeServer() {
    thread_.request_stop();
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  int port() const { return port_; }

 private:
  const int listener_;
  int port_ = 0;
  std::jthread thread_;
};

// Passes everything on to the real server, until the server has sent `bytes`; then `then`.
void Relay(int client, int64_t bytes, const std::function<void(int client, int server)>& then) {
  const int server = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(PostgresServer::Shared().port()));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(server, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) std::abort();
  std::jthread upward([&] {
    char buffer[8192];
    ssize_t got;
    while ((got = recv(client, buffer, sizeof buffer, 0)) > 0) {
      if (send(server, buffer, static_cast<size_t>(got), MSG_NOSIGNAL) < 0) break;
    }
    shutdown(server, SHUT_RDWR);
  });
  char buffer[8192];
  ssize_t got;
  while (bytes > 0 &&
         (got = recv(server, buffer, static_cast<size_t>(std::min<int64_t>(bytes, sizeof buffer)),
                     0)) > 0) {
    if (send(client, buffer, static_cast<size_t>(got), MSG_NOSIGNAL) < 0) break;
    bytes -= got;
  }
  if (bytes <= 0) then(client, server);  // a request to cancel comes this way too, and is short
  shutdown(client, SHUT_RDWR);
  shutdown(server, SHUT_RDWR);
  upward.join();
  close(server);
}

ConnectionSettings To(const std::string& conninfo, int64_t timeout_ms = 10'000) {
  return {.conninfo = Secret(conninfo),
          .application_name = "bulkhaul:test",
          .connect_timeout_ms = timeout_ms,
          .address = {}};
}

std::string Database(const std::unique_ptr<Connection>& connection) {
  auto rows = connection->QueryOne("SELECT current_database()", {}, "test");
  return rows.ok() ? std::string(rows->text(0, 0)) : rows.status().ToString();
}

TEST(ConnectionTest, AServerThatNeverAnswersMeetsTheTimeout) {
  FakeServer silent([](int client) {
    char buffer[64];
    while (recv(client, buffer, sizeof buffer, 0) > 0) {
    }
  });
  const auto connection =
      Connection::Open(To("host=127.0.0.1 port=" + std::to_string(silent.port()), 200), {});
  EXPECT_EQ(KindOf(connection.status()), ErrorKind::kTransient) << connection.status();
  EXPECT_THAT(MessageOf(connection.status()), HasSubstr("no answer within 200 ms"));
}

TEST(ConnectionTest, AStopEndsConnecting) {
  FakeServer silent([](int client) {
    char buffer[64];
    while (recv(client, buffer, sizeof buffer, 0) > 0) {
    }
  });
  std::stop_source stop;
  stop.request_stop();
  const auto connection = Connection::Open(
      To("host=127.0.0.1 port=" + std::to_string(silent.port()), 60'000), stop.get_token());
  EXPECT_EQ(KindOf(connection.status()), ErrorKind::kCancelled);
}

TEST(ConnectionTest, SeveralHostsAreTriedOneAfterTheOther) {
  FakeServer silent([](int client) {
    char buffer[64];
    while (recv(client, buffer, sizeof buffer, 0) > 0) {
    }
  });
  const int good = PostgresServer::Shared().port();
  const auto connection =
      Connection::Open(To("postgres://postgres@127.0.0.1:" + std::to_string(silent.port()) +
                              ",127.0.0.1:1,127.0.0.1:" + std::to_string(good) +
                              "/postgres?target_session_attrs=read-write",
                          5000),  // what a busy server may need
                       {});
  ASSERT_TRUE(connection.ok()) << connection.status();
  EXPECT_EQ((*connection)->address().port, std::to_string(good));
  // All sessions of a snapshot go where it lives.
  ConnectionSettings pinned = To("postgres://postgres@127.0.0.1:1,127.0.0.1:2/postgres");
  pinned.address = (*connection)->address();
  EXPECT_TRUE(Connection::Open(pinned, {}).ok());
}

TEST(ConnectionTest, UriKeywordsServiceSocketAndPassfile) {
  auto& server = PostgresServer::Shared();
  const std::string port = std::to_string(server.port());
  const auto folder =
      std::filesystem::temp_directory_path() / ("bulkhaul-service-" + std::to_string(getpid()));
  std::filesystem::create_directory(folder);
  std::ofstream(folder / "service")
      << "[here]\nhost=127.0.0.1\nport=" << port << "\nuser=postgres\ndbname=template1\n";
  setenv("PGSERVICEFILE", (folder / "service").c_str(), 1);
  for (const auto& [conninfo, database] : std::vector<std::pair<std::string, std::string>>{
           {server.uri(), "postgres"},
           {"postgresql://postgres@localhost:" + port + "/template1", "template1"},
           {"host=" + server.folder() + " port=" + port + " user=postgres dbname=template1",
            "template1"},
           {"postgres:///?service=here", "template1"},
           {"service=here dbname=postgres", "postgres"}}) {
    const auto connection = Connection::Open(To(conninfo), {});
    ASSERT_TRUE(connection.ok()) << conninfo << ": " << connection.status();
    EXPECT_EQ(Database(*connection), database) << conninfo;
  }
  unsetenv("PGSERVICEFILE");
  std::filesystem::remove_all(folder);
}

TEST(ConnectionTest, PasswordsFromUriEnvironmentAndPassfileButNeverInMessages) {
  PostgresServer server;
  PostgresClient(server.uri())
      .Execute(
          "SET password_encryption = 'scram-sha-256'; CREATE ROLE locked LOGIN PASSWORD 'top "
          "secret'");
  // Only this role needs a password.
  const std::string hba = server.folder() + "/data/pg_hba.conf";
  const std::string rules =
      "host all locked 127.0.0.1/32 scram-sha-256\nlocal all all trust\nhost all all 127.0.0.1/32 "
      "trust\n";
  std::ofstream(hba) << rules;
  PostgresClient(server.uri()).Execute("SELECT pg_reload_conf()");
  PostgresClient looker(server.uri());
  for (int i = 0;
       i < 1000 &&
       looker.Value("SELECT count(*) FROM pg_hba_file_rules WHERE user_name = '{locked}'") != "1";
       ++i) {
  }
  const std::string place = "127.0.0.1:" + std::to_string(server.port()) + "/postgres";
  Result<std::unique_ptr<Connection>> wrong = UserError("");
  for (int i = 0; i < 500; ++i) {  // the postmaster rereads its rules in its own time
    wrong = Connection::Open(To("postgres://locked:bad-guess@" + place), {});
    if (!wrong.ok()) break;
  }
  EXPECT_EQ(CodeOf(wrong.status()), "28P01") << wrong.status();
  EXPECT_EQ(KindOf(wrong.status()), ErrorKind::kUser);
  EXPECT_THAT(wrong.status().ToString(), Not(HasSubstr("bad-guess")));
  EXPECT_EQ(KindOf(Connection::Open(To("postgres://locked@" + place), {}).status()),
            ErrorKind::kUser);
  EXPECT_TRUE(Connection::Open(To("postgres://locked:top%20secret@" + place), {}).ok());
  const auto passfile =
      std::filesystem::temp_directory_path() / ("bulkhaul-passfile-" + std::to_string(getpid()));
  std::ofstream(passfile) << "127.0.0.1:*:*:locked:top secret\n";
  std::filesystem::permissions(
      passfile, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  EXPECT_TRUE(
      Connection::Open(To("postgres://locked@" + place + "?passfile=" + passfile.string()), {})
          .ok());
  std::filesystem::remove(passfile);
  setenv("PGPASSWORD", "top secret", 1);
  EXPECT_TRUE(Connection::Open(To("postgres://locked@" + place), {}).ok());
  unsetenv("PGPASSWORD");
  const Status unreadable = CheckConninfo(Secret("postgres://u:sec%ret@h/db"));
  EXPECT_EQ(KindOf(unreadable), ErrorKind::kUser);
  EXPECT_THAT(unreadable.ToString(), Not(HasSubstr("sec%ret")));
}

TEST(ConnectionTest, RefusedAndMissing) {
  const std::string port = std::to_string(PostgresServer::Shared().port());
  EXPECT_EQ(KindOf(Connection::Open(To("host=127.0.0.1 port=1"), {}).status()),
            ErrorKind::kTransient);
  const auto database =
      Connection::Open(To("host=127.0.0.1 user=postgres dbname=nowhere port=" + port), {});
  EXPECT_EQ(CodeOf(database.status()), "3D000") << database.status();
  EXPECT_EQ(KindOf(database.status()), ErrorKind::kUser);
  const auto tls =
      Connection::Open(To("host=127.0.0.1 user=postgres sslmode=require port=" + port), {});
  EXPECT_EQ(KindOf(tls.status()), ErrorKind::kUser) << tls.status();
}

TEST(ConnectionTest, TlsCarriesTheCopyToo) {
  PostgresServer server;
  const std::string data = server.folder() + "/data";
  ASSERT_EQ(
      std::system(("cd " + data +
                   " && openssl req -new -x509 -days 2 -nodes -subj /CN=localhost -addext "
                   "subjectAltName=DNS:localhost,IP:127.0.0.1 -out server.crt -keyout server.key "
                   "2>/dev/null && "
                   "chmod 600 server.key && chown --reference=PG_VERSION server.key server.crt")
                      .c_str()),
      0);
  PostgresClient admin(server.uri());
  admin.Execute("ALTER SYSTEM SET ssl = on");
  server.Restart();
  PostgresClient sql(server.uri());
  sql.Execute(
      "CREATE TABLE t AS SELECT i AS id, repeat('x', 300) AS pad FROM generate_series(1, 20000) i");
  TestJob job("postgres://postgres@localhost:" + std::to_string(server.port()) +
              "/postgres?sslmode=verify-full&sslrootcert=" + data +
              "/server.crt&hostaddr=127.0.0.1");
  job.Table("t");
  job.hint.unit_bytes = 1 << 20;
  const auto result = job.Run();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->table->num_rows(), 20'000);
  EXPECT_GT(result->units.size(), 3u);
  EXPECT_NE(sql.Value("SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity USING (pid) WHERE "
                      "ssl AND application_name LIKE 'bulkhaul%'"),
            "0");
  const auto wrong =
      Connection::Open(To("postgres://postgres@localhost:" + std::to_string(server.port()) +
                          "/postgres?sslmode=verify-full&sslrootcert=/etc/hostname"),
                       {});
  EXPECT_EQ(KindOf(wrong.status()), ErrorKind::kUser) << wrong.status();
}

class BrokenStreamTest : public testing::Test {
 protected:
  BrokenStreamTest() : uri_(PostgresServer::Shared().Uri(PostgresServer::Shared().NewDatabase())) {
    PostgresClient(uri_).Execute(
        "CREATE TABLE t AS SELECT i AS id, repeat('x', 100) AS pad FROM generate_series(1, 20000) "
        "i");
  }
  // Reads t through a relay that misbehaves after `bytes` of the session; the pin is direct.
  Status ReadThrough(int64_t bytes, const std::function<void(int, int)>& then,
                     int64_t timeout_ms = 0) {
    FakeServer relay([&](int client) { Relay(client, bytes, then); });
    TestJob job(uri_);
    job.Table("t").Option("split", "none");
    job.timeout_ms = timeout_ms;
    RETURN_NOT_OK(job.Pin());
    auto moved = nlohmann::json::parse(job.snapshot.source_state);
    moved["port"] = std::to_string(relay.port());
    job.snapshot.source_state = moved.dump();
    ARROW_ASSIGN_OR_RAISE(auto session, job.Open());
    Status status = job.Read(job.datasets[0], session.get()).status();
    EXPECT_FALSE(session->ok());
    return status;
  }
  const std::string uri_;
};

TEST_F(BrokenStreamTest, ATruncatedStreamIsTransient) {
  for (const int64_t bytes : {2'000, 100'000, 500'007}) {
    const Status status = ReadThrough(bytes, [](int, int) {});
    EXPECT_EQ(KindOf(status), ErrorKind::kTransient) << bytes << ": " << status;
  }
}

TEST_F(BrokenStreamTest, AResetIsTransient) {
  const Status status = ReadThrough(100'000, [](int client, int) {
    const linger now{.l_onoff = 1, .l_linger = 0};
    setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(dup(client));
  });
  EXPECT_EQ(KindOf(status), ErrorKind::kTransient) << status;
}

TEST_F(BrokenStreamTest, AStallEndsAtTheUnitsDeadline) {
  const Status status = ReadThrough(
      100'000,
      [](int client, int) {
        char buffer[64];
        while (recv(client, buffer, sizeof buffer, MSG_PEEK) > 0) {
          std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
      },
      3000);  // in which a busy machine gets as far as the stall
  EXPECT_EQ(KindOf(status), ErrorKind::kTransient) << status;
  EXPECT_THAT(status.ToString(), HasSubstr("timed out"));
}

TEST_F(BrokenStreamTest, RubbishIsNoCrash) {
  const Status status = ReadThrough(100'000, [](int client, int) {
    const std::string rubbish(20'000, '\x01');
    send(client, rubbish.data(), rubbish.size(), MSG_NOSIGNAL);
  });
  EXPECT_FALSE(status.ok());
  EXPECT_NE(KindOf(status), ErrorKind::kBug) << status;
}

// The bytes by our own reading of the protocol and by libpq are the same.
TEST(CopyStreamTest, GivesWhatLibpqGives) {
  const std::string uri = PostgresServer::Shared().Uri(PostgresServer::Shared().NewDatabase());
  PostgresClient(uri).Execute(
      "CREATE TABLE t AS SELECT i AS id, repeat('y', i % 3000) AS pad, NULL::int AS n "
      "FROM generate_series(1, 3000) i; CREATE TABLE big AS SELECT repeat('z', 5000000) AS z");
  for (const char* query : {"TABLE t", "TABLE big", "SELECT 1 WHERE false", "SELECT FROM t"}) {
    std::vector<std::string> streams;
    for (const bool by_libpq : {false, true}) {
      auto connection = Connection::Open(To(uri), {}).ValueOrDie();
      CopyStream stream(connection.get(), by_libpq);
      for (int round = 0; round < 2; ++round) {
        std::string bytes;
        const std::string sql =
            std::string("SET LOCAL jit = off; COPY (") + query + ") TO STDOUT (FORMAT binary)";
        ASSERT_TRUE(stream.Begin(sql, {}, "test").ok());
        while (true) {
          const auto next = stream.Next({});
          ASSERT_TRUE(next.ok()) << next.status();
          if (next->empty()) break;
          bytes.append(reinterpret_cast<const char*>(next->data()), next->size());
        }
        streams.push_back(bytes);
        EXPECT_GE(stream.rows_announced(), 0) << query;
        EXPECT_EQ(Database(connection), uri.substr(uri.rfind('/') + 1))
            << "libpq goes on afterwards";
      }
    }
    for (const auto& stream : streams) EXPECT_EQ(stream, streams[0]) << query;
  }
}

TEST(CopyStreamTest, ErrorsCarryTheirFields) {
  auto connection = Connection::Open(To(PostgresServer::Shared().uri()), {}).ValueOrDie();
  for (const bool by_libpq : {false, true}) {
    CopyStream stream(connection.get(), by_libpq);
    ASSERT_TRUE(
        stream
            .Begin("COPY (SELECT 1/(3-i) FROM generate_series(1, 5) i) TO STDOUT (FORMAT binary)",
                   {}, "reading x")
            .ok());
    Status status;
    while (status.ok()) status = stream.Next({}).status();
    EXPECT_EQ(CodeOf(status), "22012");
    EXPECT_THAT(status.ToString(), HasSubstr("reading x: division by zero"));
    EXPECT_TRUE(connection->ok());
  }
}

}  // namespace
}  // namespace bulkhaul::postgres
