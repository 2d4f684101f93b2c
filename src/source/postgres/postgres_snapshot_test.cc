// Snapshot and locks: what concurrent changes and dying servers do to a job.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "source/postgres/hold_process.h"
#include "source/postgres/pin.h"
#include "source/postgres/test_export.h"
#include "tests/support/postgres_server.h"

namespace bulkhaul::postgres {
namespace {

using test::PostgresClient;
using test::PostgresServer;
using testing::HasSubstr;

class SnapshotTest : public testing::Test {
 protected:
  SnapshotTest()
      : uri_(PostgresServer::Shared().Uri(PostgresServer::Shared().NewDatabase())), sql_(uri_) {}

  void MakeTable(int rows = 20'000) {
    sql_.Execute(
        "CREATE TABLE t (id int PRIMARY KEY, v int, pad text); INSERT INTO t SELECT i, 1, "
        "repeat('x', 80) FROM generate_series(1, " +
        std::to_string(rows) + ") i");
  }
  TestJob Job() {
    TestJob job(uri_);
    job.Table("t");
    job.hint.unit_bytes = 128 << 10;
    return job;
  }
  // Waits until another session's statement stands behind a lock.
  void WaitForBlocked() {
    PostgresClient looker(uri_);
    for (int i = 0; i < 20'000; ++i) {
      if (looker.Value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") !=
          "0") {
        return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    FAIL() << "nothing waits for a lock";
  }

  const std::string uri_;
  PostgresClient sql_;
};

TEST_F(SnapshotTest, AllWorkersSeeTheMomentOfThePin) {
  MakeTable();
  auto job = Job();
  ASSERT_TRUE(job.Pin().ok());
  sql_.Execute(
      "UPDATE t SET v = 2; DELETE FROM t WHERE id <= 5000; INSERT INTO t SELECT i, 3, '' "
      "FROM generate_series(30000, 40000) i");
  auto late = job.Open();  // joins after the change
  ASSERT_TRUE(late.ok()) << late.status();
  auto result = job.Read(job.datasets[0], late->get());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->table->num_rows(), 20'000);
  const auto values = Column(*result->table, "v");
  EXPECT_EQ(std::set(values.begin(), values.end()), std::set<std::string>{"1"});
}

TEST_F(SnapshotTest, VacuumFullTruncateAndAlterWaitForTheLastRead) {
  for (const char* statement :
       {"VACUUM FULL t", "TRUNCATE t", "ALTER TABLE t ADD COLUMN extra int DEFAULT 7"}) {
    sql_.Execute("DROP TABLE IF EXISTS t");
    MakeTable();
    auto job = Job();
    job.Option("lock_timeout", "300ms");
    ASSERT_TRUE(job.Pin().ok());
    auto session = job.Open();
    ASSERT_TRUE(session.ok()) << session.status();
    PostgresClient changer(uri_);
    changer.Send(statement);
    WaitForBlocked();
    const auto late = job.Open();  // stands in the queue behind the statement that waits
    EXPECT_EQ(CodeOf(late.status()), "55P03") << late.status();
    EXPECT_EQ(KindOf(late.status()), ErrorKind::kTransient);
    EXPECT_THAT(MessageOf(late.status()), HasSubstr("ALTER"));
    auto result = job.Read(job.datasets[0], session->get());
    EXPECT_TRUE(changer.Busy()) << statement << " did not wait";
    session->reset();
    job.source->Release(job.snapshot);
    changer.Finish();
    ASSERT_TRUE(result.ok()) << statement << ": " << result.status();
    EXPECT_EQ(result->table->num_rows(), 20'000) << statement;
  }
}

TEST_F(SnapshotTest, LeavesAndViewsAreLockedToo) {
  sql_.Execute(
      "CREATE TABLE p (k int) PARTITION BY RANGE (k); CREATE TABLE p1 PARTITION OF p FOR "
      "VALUES FROM (0) TO (100); INSERT INTO p SELECT generate_series(0, 99); "
      "CREATE MATERIALIZED VIEW m AS SELECT * FROM p; CREATE VIEW w AS SELECT * FROM p");
  TestJob job(uri_);
  job.Table("p").Table("m").Table("w");
  ASSERT_TRUE(job.Pin().ok());
  const auto locked = sql_.Query(
      "SELECT relation::regclass FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE mode = "
      "'AccessShareLock' AND a.application_name LIKE 'bulkhaul%' AND relation::regclass::text IN "
      "('p', 'p1', 'm', 'w') ORDER BY 1");
  EXPECT_EQ(locked.size(), 4u);
}

TEST_F(SnapshotTest, TheHolderHasNoTimeouts) {
  const std::string database = PostgresServer::Shared().NewDatabase();
  PostgresClient(PostgresServer::Shared().uri())
      .Execute("ALTER DATABASE " + database +
               " SET idle_in_transaction_session_timeout = '1ms'; "
               "ALTER DATABASE " +
               database +
               " SET statement_timeout = '5s'; "
               "ALTER DATABASE " +
               database + " SET lock_timeout = '1ms'");
  TestJob job(PostgresServer::Shared().Uri(database));
  PostgresClient(job.spec.source_uri).Execute("CREATE TABLE t AS SELECT 1 AS a");
  job.Table("t");
  ASSERT_TRUE(job.Pin().ok());
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_TRUE(job.source->CheckPin(job.snapshot).ok());
  EXPECT_TRUE(job.Read(job.datasets[0]).ok());
}

TEST_F(SnapshotTest, WithoutItsHolderASnapshotIsLostForNewWorkersAlone) {
  MakeTable();
  auto job = Job();
  ASSERT_TRUE(job.Pin().ok());
  auto joined = job.Open();
  ASSERT_TRUE(joined.ok());
  sql_.Execute(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE "
      "'%:snapshot'");
  sql_.Execute("UPDATE t SET v = 9 WHERE id = 1");
  const Status check = job.source->CheckPin(job.snapshot);
  EXPECT_EQ(KindOf(check), ErrorKind::kSnapshotLost) << check;
  const auto late = job.Open();
  EXPECT_EQ(KindOf(late.status()), ErrorKind::kSnapshotLost) << late.status();
  EXPECT_EQ(CodeOf(late.status()), "22023");
  auto units = job.Split(job.datasets[0]);
  ASSERT_TRUE(units.ok());
  const auto table = job.ReadUnit(**joined, (*units)[0]);
  ASSERT_TRUE(table.ok()) << "workers that imported live on: " << table.status();
  EXPECT_EQ(Column(**table, "v")[0], "1");
}

TEST_F(SnapshotTest, ChangesBetweenPlanAndPinAreNoticed) {
  sql_.Execute(
      "CREATE TABLE p (k int, v int) PARTITION BY RANGE (k); "
      "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100)");
  for (const char* change : {"CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (200)",
                             "ALTER TABLE p ALTER COLUMN v TYPE bigint",
                             "ALTER TABLE p DROP COLUMN v", "DROP TABLE p1"}) {
    TestJob job(uri_);
    job.Table("p");
    ASSERT_TRUE(job.Discover().ok());
    sql_.Execute(change);
    const Status pinned = job.Pin();
    EXPECT_EQ(KindOf(pinned), ErrorKind::kUser) << change << ": " << pinned;
    EXPECT_THAT(MessageOf(pinned), HasSubstr("altered")) << change;
  }
}

TEST_F(SnapshotTest, ALockThatIsNotToBeHadIsAnErrorInTime) {
  MakeTable(10);
  PostgresClient blocker(uri_);
  blocker.Execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE");
  auto job = Job();
  job.Option("lock_timeout", "200ms");
  ASSERT_TRUE(job.Make().ok());
  // Sizes of a locked table cannot be asked for either: the catalogue's functions wait.
  blocker.Execute("COMMIT");
  ASSERT_TRUE(job.Discover().ok());
  blocker.Execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE");
  const Status pinned = job.Pin();
  EXPECT_EQ(CodeOf(pinned), "55P03") << pinned;
  EXPECT_EQ(KindOf(pinned), ErrorKind::kTransient);
  EXPECT_THAT(MessageOf(pinned), HasSubstr("lock_timeout"));
}

TEST_F(SnapshotTest, NoConsistencyWhenNoneIsWanted) {
  MakeTable();
  auto job = Job();
  job.Option("consistency", "none");
  auto result = job.Run();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FALSE(job.snapshot.consistent);
  EXPECT_EQ(result->table->num_rows(), 20'000);
  EXPECT_EQ(result->units[0].range.axis, "key") << "keys stay where they are, pages do not";
  EXPECT_EQ(sql_.Value("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE "
                       "'%:snapshot' AND datname = current_database()"),
            "0");
}

TEST_F(SnapshotTest, ServerRestartLosesTheSnapshotAndTheSession) {
  PostgresServer server;
  PostgresClient(server.uri()).Execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS id");
  TestJob job(server.uri());
  job.Table("t");
  ASSERT_TRUE(job.Pin().ok());
  auto session = job.Open();
  ASSERT_TRUE(session.ok());
  server.Restart();
  const auto result = job.Read(job.datasets[0], session->get());
  EXPECT_EQ(KindOf(result.status()), ErrorKind::kTransient) << result.status();
  EXPECT_FALSE((*session)->ok());
  EXPECT_EQ(KindOf(job.source->CheckPin(job.snapshot)), ErrorKind::kSnapshotLost);
}

TEST_F(SnapshotTest, AKeptSnapshotOutlivesItsSource) {
  MakeTable();
  auto job = Job();
  job.Option("keep_snapshot", "60s");
  ASSERT_TRUE(job.Pin().ok());
  EXPECT_TRUE(job.source->CheckPin(job.snapshot).ok());
  job.source.reset();  // as a killed process: its sockets close
  sql_.Execute("UPDATE t SET v = 2");
  EXPECT_THROW(sql_.Execute("SET lock_timeout = '50ms'; TRUNCATE t"), std::runtime_error);
  auto resumed = Job();
  ASSERT_TRUE(resumed.Make().ok());
  resumed.datasets = job.datasets;
  resumed.snapshot = Snapshot::FromJson(job.snapshot.ToJson()).ValueOrDie();
  const Status adopted = resumed.source->Adopt(resumed.snapshot);
  ASSERT_TRUE(adopted.ok()) << adopted;
  ASSERT_TRUE(resumed.source->CheckPin(resumed.snapshot).ok());
  auto result = resumed.Read(resumed.datasets[0]);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->table->num_rows(), 20'000);
  const auto values = Column(*result->table, "v");
  EXPECT_EQ(std::set(values.begin(), values.end()), std::set<std::string>{"1"});
  resumed.source->Release(resumed.snapshot);
  resumed.source.reset();
  sql_.Execute("SET lock_timeout = '5min'; TRUNCATE t");  // as soon as the holder has let go
  auto third = Job();
  ASSERT_TRUE(third.Make().ok());
  EXPECT_EQ(KindOf(third.source->Adopt(resumed.snapshot)), ErrorKind::kSnapshotLost);
}

TEST_F(SnapshotTest, AKeptSnapshotEndsAfterItsTime) {
  MakeTable(10);
  auto job = Job();
  job.Option("keep_snapshot", "1ms");
  ASSERT_TRUE(job.Pin().ok());
  job.source.reset();
  sql_.Execute("SET lock_timeout = '5min'; TRUNCATE t");  // waits for the holder's locks
  auto resumed = Job();
  ASSERT_TRUE(resumed.Make().ok());
  EXPECT_EQ(KindOf(resumed.source->Adopt(job.snapshot)), ErrorKind::kSnapshotLost);
}

TEST_F(SnapshotTest, TheHoldersPasswordIsInNoArgument) {
  MakeTable(10);
  TestJob job(uri_ + "?password=topsecret");
  job.Table("t").Option("keep_snapshot", "60s");
  ASSERT_TRUE(job.Pin().ok());
  int holders = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "cmdline");
    std::string arguments((std::istreambuf_iterator<char>(file)), {});
    EXPECT_THAT(arguments, testing::Not(HasSubstr("topsecret")));
    if (arguments.find(kHoldVerb) != std::string::npos) ++holders;
  }
  EXPECT_GE(holders, 1);
  job.source->Release(job.snapshot);
}

TEST_F(SnapshotTest, ASnapshotOfAnotherServerIsRefusedWithAdvice) {
  MakeTable(10);
  TestJob job(PostgresServer::Shared().uri());
  PostgresClient(job.spec.source_uri).Execute("CREATE TABLE IF NOT EXISTS t (id int)");
  job.Table("t");
  ASSERT_TRUE(job.Pin().ok());
  PostgresServer other;
  PostgresClient(other.uri()).Execute("CREATE TABLE t (id int, v int, pad text)");
  // A balancer would send this session elsewhere.
  auto stray = job.snapshot;
  TestJob elsewhere(other.uri());
  elsewhere.Table("t");
  ASSERT_TRUE(elsewhere.Pin().ok());
  stray.source_state = elsewhere.snapshot.source_state;
  const auto session =
      job.source->Open(stray, job.datasets, (job.worker.options = &job.spec.options, job.worker));
  EXPECT_EQ(KindOf(session.status()), ErrorKind::kUser) << session.status();
  EXPECT_THAT(MessageOf(session.status()), HasSubstr("consistency: none"));
}

// pgbouncer in front of the shared server, stopped with the object.
class Pooler {
 public:
  explicit Pooler(const std::string& mode) {
    folder_ = std::filesystem::temp_directory_path() /
              ("bulkhaul-pooler-" + std::to_string(getpid()) + mode);
    std::filesystem::create_directory(folder_);
    std::filesystem::permissions(folder_, std::filesystem::perms::all);
    std::ofstream(folder_.string() + "/users") << "\"postgres\" \"\"\n";
    for (int attempt = 0; attempt < 20 && port_ == 0; ++attempt) Start(mode, 32'100 + rand() % 500);
  }
  ~Pooler() {
    std::ifstream file(folder_ / "pid");
    int pid = 0;
    if (file >> pid) kill(pid, SIGTERM);
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  int port() const { return port_; }

 private:
  void Start(const std::string& mode, int port) {
    const std::string ini = folder_ / "ini";
    std::ofstream(ini) << "[databases]\n* = host=127.0.0.1 port=" << PostgresServer::Shared().port()
                       << "\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port=" << port
                       << "\nunix_socket_dir=\nauth_type=trust\nauth_file="
                       << (folder_ / "users").string() << "\npool_mode=" << mode
                       << "\ndefault_pool_size=8\nlogfile=" << (folder_ / "log").string()
                       << "\npidfile=" << (folder_ / "pid").string() << "\n";
    // pgbouncer refuses root, as the server does.
    const std::string as_user =
        geteuid() == 0 ? "setpriv --reuid=nobody --regid=nogroup --clear-groups -- " : "";
    const std::string command =
        "PATH=$PATH:/usr/sbin " + as_user + "pgbouncer -q -d " + ini + " >/dev/null 2>&1";
    if (std::system(command.c_str()) != 0) return;
    for (int i = 0; i < 500; ++i) {
      try {
        PostgresClient probe("host=127.0.0.1 user=postgres dbname=postgres port=" +
                             std::to_string(port));
        port_ = port;
        return;
      } catch (const std::runtime_error&) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
    }
  }
  std::filesystem::path folder_;
  int port_ = 0;
};

TEST_F(SnapshotTest, PoolersInTransactionModeWork) {
  MakeTable();
  const Pooler pooler("transaction");
  ASSERT_NE(pooler.port(), 0);
  TestJob job("host=127.0.0.1 user=postgres dbname=" + uri_.substr(uri_.rfind('/') + 1) +
              " port=" + std::to_string(pooler.port()));
  job.Table("t").Option("session_settings", "work_mem=8MB");
  job.hint.unit_bytes = 256 << 10;
  const Status pinned = job.Pin();
  ASSERT_TRUE(pinned.ok()) << pinned;
  sql_.Execute("UPDATE t SET v = 2");
  auto first = job.Open(), second = job.Open();
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(second.ok()) << second.status();
  for (auto* session : {first->get(), second->get()}) {
    auto result = job.Read(job.datasets[0], session);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_GT(result->units.size(), 3u);
    EXPECT_EQ(result->table->num_rows(), 20'000);
    EXPECT_EQ(Column(*result->table, "v")[0], "1");
  }
}

TEST_F(SnapshotTest, PoolersInStatementModeAreRefused) {
  MakeTable(10);
  const Pooler pooler("statement");
  ASSERT_NE(pooler.port(), 0);
  TestJob job("host=127.0.0.1 user=postgres dbname=" + uri_.substr(uri_.rfind('/') + 1) +
              " port=" + std::to_string(pooler.port()));
  job.Table("t");
  const Status pinned = job.Pin();
  EXPECT_EQ(KindOf(pinned), ErrorKind::kUser) << pinned;
  EXPECT_THAT(MessageOf(pinned), HasSubstr("transaction pooling"));
}

}  // namespace
}  // namespace bulkhaul::postgres
