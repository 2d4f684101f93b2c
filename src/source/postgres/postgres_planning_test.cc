// Planning: every kind of table, how it is cut, and what is refused.
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plan/splitting.h"
#include "source/postgres/test_export.h"
#include "tests/support/postgres_server.h"

namespace bulkhaul::postgres {
namespace {

using test::PostgresClient;
using test::PostgresServer;
using testing::Contains;
using testing::HasSubstr;

class PlanningTest : public testing::Test {
 protected:
  PlanningTest()
      : database_(PostgresServer::Shared().NewDatabase()),
        uri_(PostgresServer::Shared().Uri(database_)),
        sql_(uri_) {}

  // Each row exactly once, whatever the units.
  void ExpectRows(const Result<Export>& result, int rows, const std::string& key = "id") {
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->table->num_rows(), rows);
    const auto keys = Column(*result->table, key);
    EXPECT_EQ(std::multiset(keys.begin(), keys.end()).size(),
              std::set(keys.begin(), keys.end()).size());
    std::vector<UnitRange> ranges;
    for (const auto& unit : result->units) ranges.push_back(unit.range);
    EXPECT_TRUE(CheckCovered(ranges, ranges).ok());
  }
  std::string RoleUri(const std::string& role) {
    return PostgresServer::Shared().Uri(database_, role);
  }
  std::string NewRole() {
    static int count = 0;
    const std::string name = "reader_" + std::to_string(count++);
    sql_.Execute("CREATE ROLE " + name + " LOGIN; GRANT USAGE ON SCHEMA public TO " + name);
    return name;
  }

  const std::string database_;
  const std::string uri_;
  PostgresClient sql_;
};

TEST_F(PlanningTest, PartitionedTablesWithLeavesOfOtherShapes) {
  sql_.Execute(
      "CREATE TABLE p (id int, part int, note text) PARTITION BY LIST (part);"
      "CREATE TABLE a PARTITION OF p FOR VALUES IN (1);"
      "CREATE TABLE b (note text, gone int, part int, id int); ALTER TABLE b DROP COLUMN gone;"
      "ALTER TABLE p ATTACH PARTITION b FOR VALUES IN (2);"
      "CREATE TABLE c PARTITION OF p FOR VALUES IN (3) PARTITION BY RANGE (id);"
      "CREATE TABLE c1 PARTITION OF c FOR VALUES FROM (0) TO (100000);"
      "INSERT INTO p SELECT i, 1 + i % 3, 'n' || i FROM generate_series(1, 30000) i; ANALYZE");
  TestJob job(uri_);
  job.Table("p");
  job.hint.unit_bytes = 128 << 10;
  const auto result = job.Run();
  ExpectRows(result, 30'000);
  std::set<std::string> axes;
  for (const auto& unit : result->units) axes.insert(unit.range.axis);
  EXPECT_EQ(axes, (std::set<std::string>{"public.a", "public.b", "public.c1"}));
  const auto ids = Column(*result->table, "id"), notes = Column(*result->table, "note");
  for (size_t i = 0; i < ids.size(); i += 997) EXPECT_EQ(notes[i], "n" + ids[i]);
  EXPECT_EQ(job.datasets[0].kind, "partitioned table");
  EXPECT_GT(job.datasets[0].estimated_bytes, 1 << 20);
}

TEST_F(PlanningTest, LeavesAreNotExportedTwice) {
  sql_.Execute(
      "CREATE TABLE p (id int) PARTITION BY RANGE (id); CREATE TABLE p_1 PARTITION OF p FOR "
      "VALUES FROM (0) TO (10); CREATE TABLE other (id int)");
  TestJob all(uri_);
  all.spec.all = true;
  ASSERT_TRUE(all.Discover().ok());
  EXPECT_EQ(all.datasets.size(), 2u);
  TestJob leaf(uri_);
  leaf.Table("public.p_1");
  ASSERT_TRUE(leaf.Discover().ok());
  EXPECT_EQ(leaf.datasets.size(), 1u);
}

TEST_F(PlanningTest, InheritanceWithAndWithoutChildren) {
  sql_.Execute(
      "CREATE TABLE parent (id int); CREATE TABLE child (extra int) INHERITS (parent);"
      "INSERT INTO parent VALUES (1), (2); INSERT INTO child VALUES (3, 0)");
  TestJob with(uri_), without(uri_);
  with.Table("parent");
  without.Table("parent").Option("include_children", "false");
  ExpectRows(with.Run(), 3);
  ExpectRows(without.Run(), 2);
  EXPECT_THAT(with.datasets[0].warnings,
              Contains(HasSubstr("1 inheritance children are included")));
  EXPECT_THAT(without.datasets[0].warnings, Contains(HasSubstr("not included")));
}

TEST_F(PlanningTest, TheLastPageRangeIsOpenEnded) {
  sql_.Execute(
      "CREATE TABLE t AS SELECT i AS id, repeat('x', 200) AS pad FROM generate_series(1, 2000) i");
  TestJob job(uri_);
  job.Table("t");
  job.hint.unit_bytes = 64 << 10;
  ASSERT_TRUE(job.Discover().ok());
  sql_.Execute("INSERT INTO t SELECT i, repeat('x', 200) FROM generate_series(2001, 6000) i");
  ASSERT_TRUE(job.Pin().ok());
  ExpectRows(job.Read(job.datasets[0]), 6000);
}

TEST_F(PlanningTest, SizesAreThoseOfNowNotOfTheLastAnalyze) {
  sql_.Execute(
      "CREATE TABLE t (id int, pad text) WITH (autovacuum_enabled = off);"
      "INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(1, 20000) i");
  ASSERT_EQ(sql_.Value("SELECT relpages FROM pg_class WHERE relname = 't'"), "0");
  TestJob job(uri_);
  job.Table("t");
  job.hint.unit_bytes = 1 << 20;
  const auto result = job.Run();
  ExpectRows(result, 20'000);
  EXPECT_GE(result->units.size(), 8u);
}

TEST_F(PlanningTest, ToastMakesMoreUnits) {
  sql_.Execute(
      "CREATE TABLE t (id int, big text); ALTER TABLE t ALTER big SET STORAGE EXTERNAL;"
      "INSERT INTO t SELECT i, repeat('x', 20000) FROM generate_series(1, 2000) i");
  TestJob job(uri_);
  job.Table("t");
  job.hint.unit_bytes = 4 << 20;
  const auto result = job.Run();
  ExpectRows(result, 2000);
  EXPECT_GE(result->units.size(), 8u) << "the heap alone would be one unit";
}

TEST_F(PlanningTest, MaterialisedViewsByPages) {
  sql_.Execute(
      "CREATE MATERIALIZED VIEW m AS SELECT i AS id, repeat('x', 100) AS pad FROM "
      "generate_series(1, 10000) i");
  TestJob job(uri_);
  job.Table("m");
  job.hint.unit_bytes = 128 << 10;
  const auto result = job.Run();
  ExpectRows(result, 10'000);
  EXPECT_GT(result->units.size(), 4u);
}

TEST_F(PlanningTest, ForeignTablesNeverByPages) {
  sql_.Execute(
      "CREATE EXTENSION postgres_fdw; CREATE TABLE local AS SELECT generate_series(1, 500) AS id;"
      "CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '" +
      std::to_string(PostgresServer::Shared().port()) + "', dbname '" + database_ +
      "');"
      "CREATE USER MAPPING FOR postgres SERVER here OPTIONS (user 'postgres');"
      "CREATE FOREIGN TABLE f (id int) SERVER here OPTIONS (table_name 'local');"
      "CREATE TABLE p (id int) PARTITION BY RANGE (id);"
      "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1000) TO (2000);"
      "CREATE FOREIGN TABLE p2 PARTITION OF p FOR VALUES FROM (0) TO (1000) SERVER here "
      "OPTIONS (table_name 'local'); INSERT INTO p1 SELECT generate_series(1000, 1009)");
  for (const auto& [table, rows] : {std::pair("f", 500), std::pair("p", 510)}) {
    TestJob job(uri_);
    job.Table(table);
    ExpectRows(job.Run(), rows);
    EXPECT_THAT(job.datasets[0].warnings, Contains(HasSubstr("foreign")));
  }
  TestJob pages(uri_), key(uri_);
  pages.Table("f").Option("split", "pages");
  EXPECT_EQ(KindOf(pages.Run().status()), ErrorKind::kUser);
  key.Table("f").Option("split_by", "id");
  key.hint.unit_rows = 100;
  ExpectRows(key.Run(), 500);
}

TEST_F(PlanningTest, ColumnGrants) {
  const std::string role = NewRole();
  sql_.Execute(
      "CREATE TABLE t (id int PRIMARY KEY, secret text, note text);"
      "INSERT INTO t SELECT i, 's', 'n' FROM generate_series(1, 5000) i; ANALYZE t;"
      "GRANT SELECT (id, note) ON t TO " +
      role);
  TestJob job(RoleUri(role));
  job.Table("t");
  job.hint.unit_rows = 1000;
  const auto result = job.Run();
  ExpectRows(result, 5000);
  EXPECT_EQ(result->table->schema()->field_names(), (std::vector<std::string>{"id", "note"}));
  EXPECT_EQ(result->units[0].range.axis, "key");
  EXPECT_GT(result->units.size(), 3u);
  EXPECT_THAT(job.datasets[0].warnings, Contains(HasSubstr("2 of 3 columns")));
  // Locked, though LOCK is not allowed.
  EXPECT_THROW(sql_.Execute("SET lock_timeout = '50ms'; TRUNCATE t"), std::runtime_error);
}

TEST_F(PlanningTest, ATableThatMayNotBeReadDoesNotStopTheOthers) {
  const std::string role = NewRole();
  sql_.Execute(
      "CREATE TABLE open AS SELECT 1 AS id; CREATE TABLE closed AS SELECT 2 AS id;"
      "GRANT SELECT ON open TO " +
      role);
  TestJob job(RoleUri(role));
  job.spec.schemas = {"public"};
  ASSERT_TRUE(job.Pin().ok());
  ExpectRows(job.Read(*job.Find("open")), 1);
  const auto denied = job.Read(*job.Find("closed"));
  EXPECT_EQ(CodeOf(denied.status()), "42501");
  EXPECT_EQ(KindOf(denied.status()), ErrorKind::kUser);
  EXPECT_THAT(job.Find("closed")->warnings, Contains(HasSubstr("permission denied")));
}

TEST_F(PlanningTest, PartitionsReadableThroughTheParentAlone) {
  const std::string role = NewRole();
  sql_.Execute(
      "CREATE TABLE p (id int) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p FOR "
      "VALUES FROM (0) TO (100000); INSERT INTO p SELECT generate_series(1, 1000);"
      "GRANT SELECT ON p TO " +
      role);
  TestJob job(RoleUri(role));
  job.Table("p");
  ExpectRows(job.Run(), 1000);
}

TEST_F(PlanningTest, KeysOfEveryTypeCoverAllRowsOnce) {
  sql_.Execute(
      "CREATE TABLE t (id int, i8 bigint, n numeric, f float8, d date, ts timestamp, tz "
      "timestamptz,"
      " u uuid, x text, vc varchar(20), c \"char\", bp char(8), b bytea, e inet);"
      "INSERT INTO t SELECT i, i * 1000003::bigint, (i * 7 % 1000) / 3.0, sqrt(i), "
      " date '2000-01-01' + i % 5000, timestamp '2020-01-01' + i * interval '13 minutes',"
      " timestamptz '1999-12-31 23:00+00' + i * interval '7 hours', md5(i::text)::uuid,"
      " md5(i::text), 'v' || i % 97, 'z', 'p' || i % 50, decode(md5(i::text), 'hex'),"
      " ('10.0.' || i % 256 || '.1')::inet FROM generate_series(1, 6000) i;"
      "INSERT INTO t (id) SELECT i FROM generate_series(6001, 6100) i;"
      "INSERT INTO t (id, n, f, d, ts) VALUES (6101, 'NaN', 'NaN', 'infinity', '-infinity'),"
      " (6102, 'Infinity', '-Infinity', '-infinity', 'infinity')");
  for (const bool analysed : {false, true}) {
    if (analysed) sql_.Execute("ANALYZE t");
    for (const char* key :
         {"id", "i8", "n", "f", "d", "ts", "tz", "u", "x", "vc", "bp", "b", "e"}) {
      TestJob job(uri_);
      job.Table("t").Option("split_by", key).Option("columns", "id");
      job.hint.unit_rows = 500;
      const auto result = job.Run();
      SCOPED_TRACE(std::string(key) + (analysed ? " with" : " without") + " statistics");
      ExpectRows(result, 6102);
      ASSERT_TRUE(result.ok());
      EXPECT_GE(result->units.size(), 8u);
      EXPECT_EQ(result->units.back().range.axis, "null");
    }
  }
}

TEST_F(PlanningTest, SkewedKeysGiveEvenUnits) {
  sql_.Execute(
      "CREATE TABLE t (id bigint); INSERT INTO t SELECT i FROM generate_series(1, 18000) i;"
      "INSERT INTO t SELECT i * 1000000000::bigint FROM generate_series(1, 2000) i; ANALYZE t");
  TestJob job(uri_);
  job.Table("t").Option("split_by", "id");
  job.hint.unit_rows = 2000;
  const auto result = job.Run();
  ExpectRows(result, 20'000);
  for (size_t i = 0; i + 1 < result->unit_rows.size(); ++i) {
    EXPECT_LT(result->unit_rows[i], 4000) << "unit " << i;
  }
}

TEST_F(PlanningTest, AnEmptyTextIsAKeyToo) {
  sql_.Execute(
      "CREATE TABLE t AS SELECT i AS id, CASE WHEN i % 2 = 0 THEN '' ELSE 'k' || i END AS k "
      "FROM generate_series(1, 3000) i; INSERT INTO t VALUES (0, NULL); ANALYZE t");
  TestJob job(uri_);
  job.Table("t").Option("split_by", "k");
  job.hint.unit_rows = 300;
  ExpectRows(job.Run(), 3001);
}

TEST_F(PlanningTest, HashUnitsCoverAllRowsOnce) {
  sql_.Execute(
      "CREATE TABLE t AS SELECT nullif(i, 7) AS id, repeat('x', 100) AS pad FROM "
      "generate_series(1, 5000) i; CREATE VIEW v AS SELECT * FROM t");
  for (const char* table : {"t", "v"}) {
    for (const char* key : {"", "id"}) {
      TestJob job(uri_);
      job.Table(table).Option("split", "hash");
      if (*key != 0) job.Option("split_by", key);
      job.hint.unit_rows = 1000;
      const auto result = job.Run();
      ExpectRows(result, 5000);
      ASSERT_TRUE(result.ok());
      EXPECT_GE(result->units.size(), 3u) << table << key;
    }
  }
}

TEST_F(PlanningTest, ViewsAndQueriesSplitByKey) {
  sql_.Execute(
      "CREATE TABLE t AS SELECT i AS id, i % 10 AS g FROM generate_series(1, 8000) i; ANALYZE t;"
      "CREATE VIEW v AS SELECT * FROM t WHERE g <> 3");
  TestJob view(uri_), query(uri_);
  view.Table("v").Option("split_by", "id");
  query.Query("SELECT id, g FROM t WHERE g = 5 -- the fifth;").Option("split_by", "id");
  view.hint.unit_rows = 1000;
  query.hint.unit_rows = 100;
  auto from_view = view.Run(), from_query = query.Run();
  ExpectRows(from_view, 7200);
  ExpectRows(from_query, 800);
  EXPECT_GT(from_view->units.size(), 3u);
  EXPECT_GT(from_query->units.size(), 3u);
  EXPECT_EQ(query.datasets[0].kind, "query");
}

TEST_F(PlanningTest, QueriesThatCannotBeSplitAreRefused) {
  sql_.Execute(
      "CREATE TABLE t AS SELECT generate_series(1, 100) AS id;"
      "CREATE VIEW shaky AS SELECT id, random() AS r FROM t; CREATE VIEW over AS SELECT * FROM "
      "shaky;"
      "CREATE FUNCTION mine(int) RETURNS int LANGUAGE sql AS 'SELECT $1'");
  for (const auto& [sql, why] : std::vector<std::pair<std::string, std::string>>{
           {"SELECT id, random() AS r FROM t", "random"},
           {"SELECT id, mine(id) FROM t", "mine"},
           {"SELECT * FROM over", "random"},
           {"SELECT id FROM t LIMIT 10", "limit"},
           {"SELECT id FROM t TABLESAMPLE BERNOULLI (50)", "tablesample"},
           {"SELECT id, id FROM t", "named 'id'"}}) {
    TestJob job(uri_);
    job.Query(sql).Option("split_by", "id");
    const auto result = job.Run();
    EXPECT_EQ(KindOf(result.status()), ErrorKind::kUser) << sql;
    EXPECT_THAT(result.status().ToString(), HasSubstr(why)) << sql;
    TestJob whole(uri_);
    whole.Query(sql);
    EXPECT_TRUE(whole.Run().ok()) << sql << " in one stream";
  }
  TestJob view(uri_);
  view.Table("over").Option("split_by", "id");
  EXPECT_EQ(KindOf(view.Run().status()), ErrorKind::kUser);
}

TEST_F(PlanningTest, BadQueriesAreTheUsersError) {
  for (const char* sql : {"SELEC 1", "SELECT 1; SELECT 2", "DELETE FROM pg_class",
                          "SELECT * FROM nowhere", "SELECT (1", "SELECT 1) AS q, (SELECT 2"}) {
    TestJob job(uri_);
    job.Query(sql);
    const Status status = job.Run().status();
    if (std::string_view(sql).find(") AS q") != std::string_view::npos) continue;
    EXPECT_EQ(KindOf(status), ErrorKind::kUser) << sql << status;
  }
}

TEST_F(PlanningTest, WhatIsNotThereIsNamedWithTheNearest) {
  sql_.Execute("CREATE TABLE customers (id int, name text)");
  TestJob table(uri_), column(uri_), key(uri_), glob(uri_);
  table.Table("custmers");
  EXPECT_THAT(table.Discover().ToString(), HasSubstr("customers"));
  EXPECT_EQ(KindOf(table.Discover()), ErrorKind::kUser);
  column.Table("customers").Option("columns", "id,nam");
  EXPECT_THAT(column.Discover().ToString(), HasSubstr("'name'"));
  key.Table("customers").Option("split_by", "idd");
  EXPECT_EQ(KindOf(key.Run().status()), ErrorKind::kUser);
  glob.Table("nothing*");
  ASSERT_TRUE(glob.Discover().ok());
  EXPECT_TRUE(glob.datasets.empty());
}

TEST_F(PlanningTest, WhereColumnsAndLimit) {
  sql_.Execute(
      "CREATE TABLE t AS SELECT i AS id, i % 2 AS odd, repeat('x', 100) AS pad FROM "
      "generate_series(1, 10000) i");
  TestJob job(uri_);
  job.Table("t").Option("where", "t.odd = 1 -- only these").Option("columns", "pad,id");
  job.hint.unit_bytes = 128 << 10;
  const auto result = job.Run();
  ExpectRows(result, 5000);
  EXPECT_EQ(result->table->schema()->field_names(), (std::vector<std::string>{"pad", "id"}));
  TestJob limited(uri_);
  limited.Table("t").Option("limit", "7");
  limited.hint.unit_bytes = 64 << 10;
  const auto few = limited.Run();
  ExpectRows(few, 7);
  EXPECT_EQ(few->units.size(), 1u);
}

TEST_F(PlanningTest, GentleReadsBySequentialScans) {
  sql_.Execute(
      "CREATE TABLE t AS SELECT i AS id, repeat('x', 500) AS pad FROM generate_series(1, 20000) i");
  TestJob job(uri_);
  job.Table("t").Option("gentle", "true");
  job.hint.unit_bytes = 64 << 10;
  const auto result = job.Run();
  ExpectRows(result, 20'000);
  EXPECT_EQ(result->units.size(), 1u);
}

TEST_F(PlanningTest, AllSaysWhatItDoesNotCarry) {
  sql_.Execute("CREATE TABLE t (id serial); CREATE SEQUENCE other; SELECT lo_create(0)");
  TestJob job(uri_);
  job.spec.all = true;
  ASSERT_TRUE(job.Discover().ok());
  EXPECT_THAT(job.datasets[0].warnings, Contains(HasSubstr("2 sequences")));
  EXPECT_THAT(job.datasets[0].warnings, Contains(HasSubstr("1 large objects")));
}

TEST_F(PlanningTest, FreeConnectionsCountReservedSlotsRolesAndDatabases) {
  const std::string role = NewRole();
  sql_.Execute("CREATE TABLE t (id int); GRANT SELECT ON t TO " + role + "; ALTER ROLE " + role +
               " CONNECTION LIMIT 5");
  TestJob limited(RoleUri(role));
  limited.Table("t");
  ASSERT_TRUE(limited.Discover().ok());
  EXPECT_EQ(limited.source->Traits().connections_max, 4) << "one of five is the discovery's own";
  sql_.Execute("ALTER ROLE " + role + " CONNECTION LIMIT -1; ALTER DATABASE " + database_ +
               " CONNECTION LIMIT 7");
  ASSERT_TRUE(limited.Discover().ok());
  EXPECT_EQ(limited.source->Traits().connections_max, 5) << "of seven, this test has one too";
  sql_.Execute("ALTER DATABASE " + database_ + " CONNECTION LIMIT -1");
  ASSERT_TRUE(limited.Discover().ok());
  const auto max_connections = std::stoll(sql_.Value("SHOW max_connections"));
  EXPECT_LE(limited.source->Traits().connections_max, max_connections - 3 - 2);
  EXPECT_GT(limited.source->Traits().connections_max, max_connections / 2);
}

TEST_F(PlanningTest, TooManyConnectionsIsTransient) {
  const std::string role = NewRole();
  sql_.Execute("CREATE TABLE t (id int); GRANT SELECT ON t TO " + role + "; ALTER ROLE " + role +
               " CONNECTION LIMIT 2");
  TestJob job(RoleUri(role));
  job.Table("t");
  ASSERT_TRUE(job.Pin().ok());
  auto first = job.Open();
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = job.Open();
  EXPECT_EQ(CodeOf(second.status()), "53300") << second.status();
  EXPECT_EQ(KindOf(second.status()), ErrorKind::kTransient);
}

TEST_F(PlanningTest, OddNamesAndShapes) {
  const std::string long_name(63, 'n');
  const std::vector<std::string> names = {
      "a \"quoted\" one", "new\nline", "émoji 🐘", "select", "../x", "a/b",
      "Back\\slash",      "it's",      long_name, "dot.ted"};
  for (const auto& name : names) {
    std::string quoted;
    for (const char c : name) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    sql_.Execute("CREATE TABLE \"" + quoted + "\" (id int, \"" + quoted +
                 "\" text); INSERT INTO \"" + quoted + "\" VALUES (1, 'x')");
  }
  sql_.Execute(
      "CREATE TABLE none (); INSERT INTO none DEFAULT VALUES; INSERT INTO none DEFAULT VALUES;"
      "CREATE TABLE empty (id int)");
  std::string wide = "CREATE TABLE wide (id int";
  for (int i = 1; i < 1600; ++i) wide += ", c" + std::to_string(i) + " bool";
  sql_.Execute(wide + "); INSERT INTO wide (id) VALUES (1)");
  TestJob job(uri_);
  job.spec.all = true;
  ASSERT_TRUE(job.Pin().ok());
  auto session = job.Open();
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_EQ(job.datasets.size(), names.size() + 3);
  for (const auto& dataset : job.datasets) {
    const auto result = job.Read(dataset, session->get());
    ASSERT_TRUE(result.ok()) << dataset.id.name << ": " << result.status();
    const int64_t rows = dataset.id.name == "none" ? 2 : dataset.id.name == "empty" ? 0 : 1;
    EXPECT_EQ(result->unit_rows, std::vector<int64_t>{rows}) << dataset.id.name;
    if (dataset.id.name == "wide") {
      EXPECT_EQ(result->table->num_columns(), 1600);
    }
  }
}

TEST_F(PlanningTest, ThousandsOfTablesInOneGo) {
  sql_.Execute(
      "DO $$ BEGIN FOR i IN 1..1200 LOOP EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, "
      "note text)', i); END LOOP; END $$");
  TestJob job(uri_);
  job.spec.all = true;
  ASSERT_TRUE(job.Pin().ok());
  EXPECT_EQ(job.datasets.size(), 1200u);
  // Four workers that read everything: their locks must not add up.
  std::vector<std::unique_ptr<Session>> sessions;
  for (int worker = 0; worker < 4; ++worker) {
    auto session = job.Open();
    ASSERT_TRUE(session.ok()) << session.status();
    sessions.push_back(*std::move(session));
  }
  for (auto& session : sessions) {
    for (const auto& dataset : job.datasets) {
      const auto result = job.Read(dataset, session.get());
      ASSERT_TRUE(result.ok()) << dataset.id.name << ": " << result.status();
    }
  }
}

}  // namespace
}  // namespace bulkhaul::postgres
