// Reading: values that surprise, and what ends a read.
#include <algorithm>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "source/postgres/test_export.h"
#include "tests/support/postgres_server.h"

namespace bulkhaul::postgres {
namespace {

using test::PostgresClient;
using test::PostgresServer;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using Texts = std::vector<std::string>;

class ReadingTest : public testing::Test {
 protected:
  ReadingTest()
      : database_(PostgresServer::Shared().NewDatabase()),
        uri_(PostgresServer::Shared().Uri(database_)),
        sql_(uri_) {}

  Result<Export> Read(const std::string& table, Texts options = {}) {
    job_ = std::make_unique<TestJob>(uri_);
    job_->Table(table);
    for (size_t i = 0; i + 1 < options.size(); i += 2) job_->Option(options[i], options[i + 1]);
    return job_->Run();
  }

  const std::string database_;
  const std::string uri_;
  PostgresClient sql_;
  std::unique_ptr<TestJob> job_;
};

TEST_F(ReadingTest, RowSecurityIsAnErrorNotAPart) {
  sql_.Execute(
      "CREATE ROLE limited_" + database_ +
      " LOGIN; CREATE TABLE t (id int, owner text);"
      "INSERT INTO t VALUES (1, 'me'), (2, 'you'); ALTER TABLE t ENABLE ROW LEVEL SECURITY;"
      "CREATE POLICY mine ON t USING (owner = 'me'); GRANT SELECT ON t TO limited_" +
      database_);
  TestJob job(PostgresServer::Shared().Uri(database_, "limited_" + database_));
  job.Table("t");
  const auto result = job.Run();
  EXPECT_EQ(CodeOf(result.status()), "42501") << result.status();
  EXPECT_EQ(KindOf(result.status()), ErrorKind::kUser);
  EXPECT_THAT(job.datasets[0].warnings, Contains(HasSubstr("row-level security")));
  EXPECT_EQ(Read("t")->table->num_rows(), 2) << "a superuser sees all rows";
}

TEST_F(ReadingTest, DroppedColumnsAreSkippedAndGeneratedOnesRead) {
  sql_.Execute(
      "CREATE TABLE t (a int, gone text, b int GENERATED ALWAYS AS (a + 1) STORED);"
      "INSERT INTO t VALUES (1, 'x'); ALTER TABLE t DROP COLUMN gone; INSERT INTO t VALUES (5)");
  const auto result = Read("t");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(Column(*result->table, "b"), ElementsAre("2", "6"));
}

TEST_F(ReadingTest, TypesWithoutASendFunctionComeAsText) {
  sql_.Execute(
      "CREATE TABLE t AS SELECT 1 AS id, makeaclitem('postgres'::regrole, 'postgres'::regrole, "
      "'SELECT', false) AS acl, NULL::aclitem AS none, ARRAY[makeaclitem('postgres'::regrole, "
      "'postgres'::regrole, 'SELECT', false)] AS acls");
  const auto result = Read("t");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(Column(*result->table, "acl"), ElementsAre("postgres=r/postgres"));
  EXPECT_THAT(Column(*result->table, "none"), ElementsAre("∅"));
}

TEST_F(ReadingTest, DomainsAreFollowedToTheEnd) {
  sql_.Execute(
      "CREATE DOMAIN d1 AS numeric(8,2); CREATE DOMAIN d2 AS d1 CHECK (VALUE > 0);"
      "CREATE DOMAIN many AS int[]; CREATE DOMAIN more AS many;"
      "CREATE TABLE t AS SELECT 12.5::d2 AS n, '{1,2}'::more AS l");
  const auto result = Read("t");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(Column(*result->table, "n"), ElementsAre("12.50"));
  EXPECT_EQ(result->table->schema()->GetFieldByName("l")->type()->id(), arrow::Type::LIST);
}

TEST_F(ReadingTest, NumericsOfEveryKind) {
  sql_.Execute(
      "CREATE TABLE t (free numeric, wide numeric(60,5), negative numeric(5,-2), small "
      "numeric(3,5));"
      "INSERT INTO t VALUES (repeat('9', 900)::numeric + 0.000001, repeat('8', 55)::numeric, "
      "12345, 0.00123),"
      " ('NaN', 'NaN', NULL, NULL), ('-Infinity', 1, 0, 0)");
  const auto result = Read("t", {"numeric_nan", "null"});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(Column(*result->table, "free"),
            (Texts{std::string(900, '9') + ".000001", "NaN", "-Infinity"}));
  EXPECT_EQ(Column(*result->table, "wide")[0], std::string(55, '8') + ".00000");
  EXPECT_EQ(Column(*result->table, "small")[0], "0.00123");
  sql_.Execute("CREATE TABLE n (a int, v numeric(10,2)); INSERT INTO n VALUES (1, 1), (2, 'NaN')");
  const auto refused = Read("n");
  EXPECT_EQ(KindOf(refused.status()), ErrorKind::kUser);
  for (const char* part : {"public.n", "v", "numeric_nan", "unit"}) {
    EXPECT_THAT(refused.status().ToString(), HasSubstr(part));
  }
}

TEST_F(ReadingTest, TimesOutOfRange) {
  sql_.Execute(
      "CREATE TABLE t (id int, ts timestamp); INSERT INTO t VALUES (1, '294276-12-31 23:59:59'),"
      "(2, 'infinity'), (3, '2020-01-01'), (4, '4713-01-01 BC')");
  const auto refused = Read("t");
  EXPECT_EQ(KindOf(refused.status()), ErrorKind::kUser);
  EXPECT_THAT(refused.status().ToString(), HasSubstr("infinity"));
  const auto nulled = Read("t", {"infinity", "null"});
  ASSERT_TRUE(nulled.ok()) << nulled.status();
  const auto values = Column(*nulled->table, "ts");
  EXPECT_EQ(values[0], "∅");
  EXPECT_EQ(values[1], "∅");
  EXPECT_THAT(values[2], HasSubstr("2020-01-01"));
}

TEST_F(ReadingTest, MoneyTakesItsScaleFromTheServer) {
  sql_.Execute("CREATE TABLE t AS SELECT '-12.34'::money AS m");
  const auto result = Read("t");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(Column(*result->table, "m"), ElementsAre("-12.34"));
}

TEST_F(ReadingTest, SqlAsciiIsReadRawAndTheErrorNamesTheRow) {
  const std::string raw = "ascii_" + database_;
  sql_.Execute("CREATE DATABASE " + raw + " ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'");
  const std::string uri = PostgresServer::Shared().Uri(raw);
  PostgresClient(uri).Execute(
      "CREATE TABLE t (id int, x text); INSERT INTO t VALUES (1, 'plain'), (2, 'grüß'),"
      "(3, convert_from('\\xff41', 'SQL_ASCII'))");
  TestJob strict(uri), replace(uri), where(uri);
  strict.Table("t");
  replace.Table("t").Option("invalid_utf8", "null");
  where.Table("t").Option("where", "id < 3");
  const auto refused = strict.Run();
  EXPECT_EQ(KindOf(refused.status()), ErrorKind::kUser) << refused.status();
  for (const char* part : {"row 3", "x", "invalid_utf8"}) {
    EXPECT_THAT(refused.status().ToString(), HasSubstr(part));
  }
  const auto replaced = replace.Run(), good = where.Run();
  ASSERT_TRUE(replaced.ok()) << replaced.status();
  EXPECT_EQ(Column(*replaced->table, "x"), (Texts{"plain", "grüß", "∅"}));
  ASSERT_TRUE(good.ok()) << good.status();
}

TEST_F(ReadingTest, OtherServerEncodingsArriveAsUtf8) {
  const std::string latin = "latin_" + database_;
  sql_.Execute("CREATE DATABASE " + latin + " ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'");
  TestJob job(PostgresServer::Shared().Uri(latin));
  PostgresClient(job.spec.source_uri + "?client_encoding=UTF8")
      .Execute("CREATE TABLE \"täble\" AS SELECT 'é'::text AS \"ç\"");
  job.Table("tä*");
  const auto result = job.Run();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(Column(*result->table, "ç"), ElementsAre("é"));
}

TEST_F(ReadingTest, AStatementTimeoutIsNoCancel) {
  sql_.Execute("CREATE VIEW slow AS SELECT pg_sleep(30)::text AS x");
  const auto result = Read("slow", {"statement_timeout", "100ms"});
  EXPECT_EQ(CodeOf(result.status()), "57014");
  EXPECT_EQ(KindOf(result.status()), ErrorKind::kTransient) << result.status();
  EXPECT_THAT(result.status().ToString(), HasSubstr("statement_timeout"));
}

TEST_F(ReadingTest, AnAdministratorsCancelIsNoCancelOfOurs) {
  sql_.Execute("CREATE VIEW slow AS SELECT pg_sleep(600)::text AS x");
  std::jthread administrator([&] {
    PostgresClient client(uri_);
    while (client.Value(
               "SELECT coalesce(bool_or(pg_cancel_backend(pid)), false) FROM pg_stat_activity "
               "WHERE query LIKE '%COPY%slow%' AND wait_event = 'PgSleep' AND datname = "
               "current_database()") != "t") {
    }
  });
  const auto result = Read("slow");
  EXPECT_EQ(KindOf(result.status()), ErrorKind::kTransient) << result.status();
}

TEST_F(ReadingTest, AStopCancelsTheServersQuery) {
  sql_.Execute(
      "CREATE VIEW slow AS SELECT pg_sleep(600)::text AS x; CREATE TABLE t AS SELECT 1 AS id");
  TestJob job(uri_);
  job.Table("slow").Table("t");
  ASSERT_TRUE(job.Pin().ok());
  auto session = job.Open();
  ASSERT_TRUE(session.ok());
  std::jthread stopper([&] {
    PostgresClient client(uri_);
    while (
        client.Value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query "
                     "LIKE '%COPY%' AND datname = current_database()") == "0") {
    }
    job.stop.request_stop();
  });
  const auto result = job.Read(*job.Find("slow"), session->get());
  stopper.join();
  EXPECT_EQ(KindOf(result.status()), ErrorKind::kCancelled) << result.status();
  EXPECT_EQ(sql_.Value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND "
                       "datname = current_database()"),
            "0");
  // The session goes on in its snapshot.
  job.stop = std::stop_source();
  EXPECT_TRUE((*session)->ok());
  const auto next = job.Read(*job.Find("t"), session->get());
  EXPECT_TRUE(next.ok()) << next.status();
}

TEST_F(ReadingTest, AUnitHasADeadline) {
  sql_.Execute("CREATE VIEW slow AS SELECT pg_sleep(60)::text AS x");
  TestJob job(uri_);
  job.Table("slow");
  job.timeout_ms = 150;
  const auto result = job.Run();
  EXPECT_EQ(KindOf(result.status()), ErrorKind::kTransient) << result.status();
  EXPECT_THAT(result.status().ToString(), HasSubstr("timed out"));
}

TEST_F(ReadingTest, AFailedUnitLeavesTheSessionUsable) {
  sql_.Execute(
      "CREATE TABLE bad AS SELECT i AS id, i AS v FROM generate_series(1, 5000) i;"
      "CREATE TABLE good AS SELECT generate_series(1, 10) AS id");
  TestJob job(uri_);
  job.Table("bad").Table("good").Option("where", "1 / (id - 4000) IS NOT NULL");
  ASSERT_TRUE(job.Pin().ok());
  auto session = job.Open();
  ASSERT_TRUE(session.ok());
  for (int i = 0; i < 3; ++i) {
    const auto failed = job.Read(*job.Find("bad"), session->get());
    EXPECT_EQ(CodeOf(failed.status()), "22012") << failed.status();
    EXPECT_THAT(failed.status().ToString(), HasSubstr("public.bad"));
    EXPECT_TRUE((*session)->ok());
    EXPECT_TRUE(job.Read(*job.Find("good"), session->get()).ok());
  }
}

TEST_F(ReadingTest, AReaderMayBeDroppedHalfWay) {
  sql_.Execute(
      "CREATE TABLE t AS SELECT i AS id, repeat('x', 1000) AS pad FROM generate_series(1, 50000) "
      "i");
  TestJob job(uri_);
  job.Table("t").Option("split", "none");
  ASSERT_TRUE(job.Pin().ok());
  auto session = job.Open();
  ASSERT_TRUE(session.ok());
  const auto units = job.Split(job.datasets[0]).ValueOrDie();
  for (int i = 0; i < 3; ++i) {
    UnitContext context;
    context.pool = arrow::default_memory_pool();
    auto reader = (*session)->Read(units[0], context);
    ASSERT_TRUE(reader.ok()) << reader.status();
    std::shared_ptr<arrow::RecordBatch> batch;
    ASSERT_TRUE((*reader)->ReadNext(&batch).ok());
    ASSERT_NE(batch, nullptr);
    reader->reset();
    ASSERT_TRUE((*session)->ok());
  }
  EXPECT_EQ(job.Read(job.datasets[0], session->get())->table->num_rows(), 50'000);
}

TEST_F(ReadingTest, BackendsThatDieAreTransient) {
  sql_.Execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS id");
  TestJob job(uri_);
  job.Table("t");
  ASSERT_TRUE(job.Pin().ok());
  auto session = job.Open();
  ASSERT_TRUE(session.ok());
  sql_.Execute(
      "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name LIKE "
      "'%worker%'");
  const auto result = job.Read(job.datasets[0], session->get());
  EXPECT_EQ(KindOf(result.status()), ErrorKind::kTransient) << result.status();
  EXPECT_FALSE((*session)->ok());
  auto again = job.Open();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(job.Read(job.datasets[0], again->get())->table->num_rows(), 1000);
}

TEST_F(ReadingTest, SessionsSayWhoTheyAreAndSettingsArrive) {
  sql_.Execute(
      "CREATE VIEW who AS SELECT current_setting('application_name') AS name, "
      "current_setting('work_mem') AS memory, current_setting('statement_timeout') AS timeout");
  const auto result = Read("who", {"session_settings", "work_mem=7MB", "statement_timeout", "90s"});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(Column(*result->table, "name"), ElementsAre("bulkhaul:testjob:0.0"));
  EXPECT_THAT(Column(*result->table, "memory"), ElementsAre("7MB"));
  EXPECT_THAT(Column(*result->table, "timeout"), ElementsAre("90s"));
  const auto injected = Read("who", {"session_settings", "work_mem; DROP TABLE x=1"});
  EXPECT_EQ(KindOf(injected.status()), ErrorKind::kUser);
}

TEST_F(ReadingTest, HugeValuesPass) {
  sql_.Execute(
      "CREATE TABLE t AS SELECT i AS id, repeat(chr(64 + i), 9000000) AS big, decode(repeat('ab', "
      "3000000), 'hex') AS bytes FROM generate_series(1, 4) i");
  const auto result = Read("t");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->table->num_rows(), 4);
  const auto big = Column(*result->table, "big");
  EXPECT_EQ(big[3], std::string(9'000'000, 'D'));
}

}  // namespace
}  // namespace bulkhaul::postgres
