// Reading tables of a real server.
#include "source/postgres/postgres_source.h"

#include <set>

#include <arrow/util/key_value_metadata.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "source/postgres/test_export.h"
#include "tests/support/postgres_server.h"

namespace bulkhaul::postgres {
namespace {

using test::PostgresClient;
using test::PostgresServer;

class PostgresSourceTest : public testing::Test {
 protected:
  PostgresSourceTest()
      : uri_(PostgresServer::Shared().Uri(PostgresServer::Shared().NewDatabase())), sql_(uri_) {}
  const std::string uri_;
  PostgresClient sql_;
};

TEST_F(PostgresSourceTest, ReadsAPlainTableInPageRanges) {
  sql_.Execute(
      "CREATE TABLE orders (id int PRIMARY KEY, note text); "
      "INSERT INTO orders SELECT i, repeat('x', 100) || i FROM generate_series(1, 20000) i; "
      "ANALYZE orders");
  TestJob job(uri_);
  job.Table("public.orders");
  job.hint.unit_bytes = 256 << 10;
  auto result = job.Run();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_GT(result->units.size(), 5u);
  EXPECT_EQ(result->table->num_rows(), 20000);
  auto ids = Column(*result->table, "id");
  EXPECT_EQ(std::set(ids.begin(), ids.end()).size(), 20000u);
  EXPECT_EQ(job.datasets[0].primary_key, std::vector<std::string>{"id"});
  EXPECT_FALSE(job.datasets[0].schema->field(0)->nullable());
  EXPECT_NEAR(job.datasets[0].estimated_rows, 20000, 200);
  EXPECT_TRUE(job.source->CheckPin(job.snapshot).ok());
  job.source->Release(job.snapshot);
  EXPECT_EQ(KindOf(job.source->CheckPin(job.snapshot)), ErrorKind::kSnapshotLost);
}

TEST_F(PostgresSourceTest, CommentsKeysAndTypesAreDiscovered) {
  sql_.Execute(
      "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN many AS int[];"
      "CREATE TYPE pair AS (a int, b mood); CREATE DOMAIN pairs AS pair;"
      "CREATE TABLE t (a int, b text, m mood, l many, p pair, d pairs, g int GENERATED ALWAYS AS "
      "(a * 2) STORED, gone int, PRIMARY KEY (b, a)); ALTER TABLE t DROP COLUMN gone;"
      "COMMENT ON TABLE t IS 'the table'; COMMENT ON COLUMN t.b IS 'the b';"
      "INSERT INTO t VALUES (1, 'x', 'ok', '{1,2}', '(1,sad)', '(2,ok)')");
  TestJob job(uri_);
  job.Table("t");
  const auto result = job.Run();
  ASSERT_TRUE(result.ok()) << result.status();
  const auto& dataset = job.datasets[0];
  EXPECT_EQ(dataset.comment, "the table");
  EXPECT_EQ(dataset.primary_key, (std::vector<std::string>{"b", "a"}));
  EXPECT_EQ(dataset.schema->field_names(),
            (std::vector<std::string>{"a", "b", "m", "l", "p", "d", "g"}));
  EXPECT_EQ(dataset.schema->field(1)->metadata()->Get(kCommentKey).ValueOrDie(), "the b");
  EXPECT_EQ(dataset.schema->field(2)->metadata()->Get(kSourceTypeKey).ValueOrDie(), "mood");
  EXPECT_EQ(Column(*result->table, "g"), std::vector<std::string>{"2"});
  EXPECT_EQ(dataset.schema->GetFieldByName("l")->type()->id(), arrow::Type::LIST);
}

}  // namespace
}  // namespace bulkhaul::postgres
