#include "source/sqlite/sqlite_source.h"

#include <sys/stat.h>
#include <unistd.h>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <thread>

#include <arrow/api.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "source/sqlite/btree.h"
#include "source/sqlite/connection.h"

namespace bulkhaul {
namespace {

// A database that the tests write with SQLite itself.
class Writer {
 public:
  explicit Writer(const std::string& path) {
    EXPECT_EQ(sqlite3_open(path.c_str(), &database_), SQLITE_OK);
    sqlite3_busy_timeout(database_, 10'000);
    Run("PRAGMA synchronous = off");
  }
  ~Writer() { sqlite3_close(database_); }
  int Try(const std::string& sql) {
    return sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr);
  }
  void Run(const std::string& sql) {
    EXPECT_EQ(Try(sql), SQLITE_OK) << sql << sqlite3_errmsg(database_);
  }

 private:
  sqlite3* database_ = nullptr;
};

class SqliteSourceTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "bulkhaul-sqlite-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    path_ = folder_ + "/a.db";
    worker_.job_id = "test";
    worker_.options = &job_.options;
    job_.source_uri = path_;
    ASSERT_TRUE(job_.options.SetFromText("lock_timeout", "200ms").ok());
  }
  void TearDown() override {
    source_.reset();
    std::filesystem::permissions(folder_, std::filesystem::perms::owner_all);
    std::filesystem::remove_all(folder_);
  }

  void Open() { source_ = MakeSqliteSource(job_, "test").ValueOrDie(); }

  void Set(const char* name, const char* text) {
    const Status status = job_.options.SetFromText(name, text);
    EXPECT_TRUE(status.ok()) << status;
  }

  Result<Dataset> Find(const std::string& table) {
    Open();
    Selector selector;
    selector.tables.push_back({ExactPattern({"", table}), {}});
    selector.options = job_.options;
    ARROW_ASSIGN_OR_RAISE(auto datasets, source_->Discover(selector));
    return datasets.at(0);
  }

  Result<std::shared_ptr<arrow::Table>> ReadIn(const Snapshot& snapshot, const Dataset& dataset,
                                               int64_t unit_rows = 0) {
    SplitHint hint;
    hint.unit_rows = unit_rows;
    ARROW_ASSIGN_OR_RAISE(const auto page, source_->Split(snapshot, dataset, hint, ""));
    ARROW_ASSIGN_OR_RAISE(auto session, source_->Open(snapshot, {&dataset, 1}, worker_));
    arrow::RecordBatchVector batches;
    for (const auto& unit : page.units) {
      UnitContext context;
      context.pool = arrow::default_memory_pool();
      context.batch_rows_max = 1000;
      ARROW_ASSIGN_OR_RAISE(auto reader, session->Read(unit, context));
      for (std::shared_ptr<arrow::RecordBatch> batch;;) {
        ARROW_RETURN_NOT_OK(reader->ReadNext(&batch));
        if (batch == nullptr) break;
        ARROW_RETURN_NOT_OK(batch->ValidateFull());
        batches.push_back(std::move(batch));
      }
      for (const auto& [name, count] : reader->counters()) counters_[name] += count;
    }
    return arrow::Table::FromRecordBatches(dataset.schema, batches);
  }

  Result<std::shared_ptr<arrow::Table>> ReadTable(const std::string& table, int64_t rows = 0) {
    ARROW_ASSIGN_OR_RAISE(const auto dataset, Find(table));
    ARROW_ASSIGN_OR_RAISE(const auto snapshot, source_->Pin({&dataset, 1}));
    return ReadIn(snapshot, dataset, rows);
  }

  // Of a table with the one column c: its type, and its values as text.
  std::string Column(const std::string& declared, const std::string& values) {
    source_.reset();  // its view would keep the writer out
    {
      Writer writer(path_);
      writer.Run("DROP TABLE IF EXISTS t; CREATE TABLE t (c " + declared +
                 "); INSERT INTO t VALUES " + values);
    }
    const auto table = ReadTable("t");
    if (!table.ok()) {
      EXPECT_EQ(KindOf(table.status()), ErrorKind::kUser) << table.status();
      return "error " + CodeOf(table.status());
    }
    std::string text = (*table)->schema()->field(0)->type()->ToString() + ":";
    for (int64_t i = 0; i < (*table)->num_rows(); ++i) {
      text += " " + (*table)->column(0)->GetScalar(i).ValueOrDie()->ToString();
    }
    return text;
  }

  std::string folder_, path_;
  JobSpec job_;
  WorkerContext worker_;
  std::map<std::string, int64_t> counters_;
  std::unique_ptr<Source> source_;
};

TEST(SqlitePath, OfUris) {
  EXPECT_EQ(SqlitePath("sqlite:///a/b.db").ValueOrDie(), "/a/b.db");
  EXPECT_EQ(SqlitePath("sqlite://b.db").ValueOrDie(), "b.db");
  EXPECT_EQ(SqlitePath("sqlite:b%20c%25.db").ValueOrDie(), "b c%.db");
  EXPECT_EQ(SqlitePath("b%20c.db").ValueOrDie(), "b%20c.db");
  EXPECT_FALSE(SqlitePath("sqlite:").ok());
}

TEST(SqliteCodes, AreClassified) {
  EXPECT_EQ(KindOfSqliteCode(SQLITE_BUSY), ErrorKind::kTransient);
  EXPECT_EQ(KindOfSqliteCode(SQLITE_BUSY_SNAPSHOT), ErrorKind::kTransient);
  EXPECT_EQ(KindOfSqliteCode(SQLITE_LOCKED_SHAREDCACHE), ErrorKind::kTransient);
  EXPECT_EQ(KindOfSqliteCode(SQLITE_IOERR_SHORT_READ), ErrorKind::kTransient);
  EXPECT_EQ(KindOfSqliteCode(SQLITE_IOERR_READ), ErrorKind::kPermanent);
  EXPECT_EQ(KindOfSqliteCode(SQLITE_CORRUPT), ErrorKind::kPermanent);
  EXPECT_EQ(KindOfSqliteCode(SQLITE_CORRUPT_SEQUENCE), ErrorKind::kPermanent);
  EXPECT_EQ(KindOfSqliteCode(SQLITE_NOMEM), ErrorKind::kPermanent);
  EXPECT_EQ(KindOfSqliteCode(SQLITE_FULL), ErrorKind::kPermanent);
  EXPECT_EQ(KindOfSqliteCode(SQLITE_CANTOPEN_ISDIR), ErrorKind::kUser);
  EXPECT_EQ(KindOfSqliteCode(SQLITE_NOTADB), ErrorKind::kUser);
  EXPECT_EQ(KindOfSqliteCode(SQLITE_ERROR), ErrorKind::kUser);
  EXPECT_EQ(KindOfSqliteCode(SQLITE_INTERRUPT), ErrorKind::kCancelled);
  EXPECT_EQ(KindOfSqliteCode(SQLITE_MISUSE), ErrorKind::kBug);
}

TEST_F(SqliteSourceTest, DeclaredTypes) {
  EXPECT_EQ(Column("INTEGER", "(1), (NULL), (-9223372036854775808)"),
            "int64: 1 null -9223372036854775808");
  EXPECT_EQ(Column("bigint unsigned", "('12')"), "int64: 12");
  EXPECT_EQ(Column("REAL", "(1), (2.5), (9e999)"), "double: 1 2.5 inf");
  EXPECT_EQ(Column("VARCHAR(10)", "('x'), (5), ('')"), "string: x 5 ");
  EXPECT_EQ(Column("BLOB", "(x'00ff'), (x'')"), std::string("binary: \0\xff ", 11));
  EXPECT_EQ(Column("BOOLEAN", "(0), (1), ('true'), ('F')"), "bool: false true true false");
  EXPECT_EQ(Column("DECIMAL(10,2)", "(1), (12.34), ('-0.10'), ('99999999.99')"),
            "decimal128(10, 2): 1.00 12.34 -0.10 99999999.99");
  EXPECT_EQ(Column("NUMERIC(38,0)", "('12345678901234567890123456789012345678')"),
            "error type_mismatch");  // NUMERIC affinity has made a REAL of it
  EXPECT_EQ(Column("DATE", "('2024-02-29'), (86400)"), "date32[day]: 2024-02-29 1970-01-02");
  EXPECT_EQ(Column("DATETIME", "('2024-02-29 10:15'), (0), (2440587.5)"),
            "timestamp[us]: 2024-02-29 10:15:00.000000 1970-01-01 00:00:00.000000 1970-01-01 "
            "00:00:00.000000");
  EXPECT_EQ(Column("TIMESTAMP WITH TIME ZONE", "('2024-01-01 02:00:00+02:00')"),
            "timestamp[us, tz=UTC]: 2024-01-01 00:00:00.000000Z");
  EXPECT_EQ(Column("TIME", "('10:15:30.5')"), "time64[us]: 10:15:30.500000");
  EXPECT_EQ(Column("JSON", "('{\"a\":1}'), (5)"), "string: {\"a\":1} 5");
}

TEST_F(SqliteSourceTest, UnconstrainedNumeric) {
  const std::string values = "(1), (0.5), ('x1')";
  EXPECT_EQ(Column("NUMERIC", values), "string: 1 0.5 x1");
  Set("numeric", "double");
  EXPECT_EQ(Column("NUMERIC", "(1), (0.5)"), "double: 1 0.5");
  EXPECT_EQ(Column("NUMERIC", values), "error type_mismatch");
  Set("numeric", "decimal(20,3)");
  EXPECT_EQ(Column("NUMERIC", "(1), (0.5)"), "decimal128(20, 3): 1.000 0.500");
  Set("numeric", "decimal(99,3)");
  EXPECT_EQ(Column("NUMERIC", "(1)"), "error ");
}

TEST_F(SqliteSourceTest, ColumnsThatSayNothingTakeTheTypeOfTheirValues) {
  EXPECT_EQ(Column("", "(1), (NULL)"), "int64: 1 null");
  EXPECT_EQ(Column("", "(1), (1.5)"), "double: 1 1.5");
  EXPECT_EQ(Column("", "(9007199254740993), (1.5)"), "string: 9007199254740993 1.5");
  EXPECT_EQ(Column("UUID", "('a'), ('b')"), "string: a b");
  EXPECT_EQ(Column("", "(x'01')"), "binary: \x01");
  EXPECT_EQ(Column("", "(NULL)"), "string: null");
  EXPECT_EQ(Column("STRING", "('abc'), ('123')"), "error type_mismatch");
  Set("type_mismatch", "string");
  EXPECT_EQ(Column("STRING", "('abc'), ('123')"), "string: abc 123");
}

TEST_F(SqliteSourceTest, ValuesThatBreakTheType) {
  const std::pair<const char*, const char*> broken[] = {
      {"INTEGER", "(1), ('two')"},
      {"INTEGER", "(1), (1.5)"},
      {"INTEGER", "(1), (x'00')"},
      {"REAL", "(1.0), ('x')"},
      {"TEXT", "('a'), (x'61')"},
      {"BLOB", "(x'00'), ('text')"},
      {"BOOLEAN", "(1), (2)"},
      {"DECIMAL(5,2)", "(1), (1.005)"},
      {"DECIMAL(5,2)", "(1), (1000)"},
      {"DATE", "('2024-01-01'), ('soon')"},
      {"DATE", "('2024-01-01'), (86401)"},
      {"DATETIME", "(0), (1700000000000)"},
      {"TIME", "('10:00'), (5)"},
      {"DATETIME", "(0), ('2024-01-01 00:00+02:00')"},
  };
  for (const auto& [declared, values] : broken) {
    EXPECT_EQ(Column(declared, values), "error type_mismatch") << declared << values;
  }
  Set("type_mismatch", "null");
  EXPECT_EQ(Column("INTEGER", "(1), ('two'), (3)"), "int64: 1 null 3");
  EXPECT_EQ(counters_["type_mismatch_null"], 1);
  EXPECT_EQ(Column("INTEGER NOT NULL", "(1), ('two')"), "int64: 1 null");
  Set("type_mismatch", "string");
  EXPECT_EQ(Column("INTEGER", "(1), ('two'), (1.5), (x'0aff'), (NULL)"),
            "string: 1 two 1.5 X'0AFF' null");
  EXPECT_EQ(Column("INTEGER", "(1), (2)"), "int64: 1 2");
}

TEST_F(SqliteSourceTest, AMismatchNamesTableColumnAndOption) {
  Writer(path_).Run("CREATE TABLE t (a, \"the col\" INTEGER); INSERT INTO t VALUES (1, 'oops')");
  const std::string message = MessageOf(ReadTable("t").status());
  for (const char* part : {"table t", "'the col'", "INTEGER", "TEXT", "'oops'", "type_mismatch"}) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
}

TEST_F(SqliteSourceTest, NulBytesStay) {
  EXPECT_EQ(Column("TEXT", "('a' || char(0) || 'b')"), std::string("string: a\0b", 11));
}

TEST_F(SqliteSourceTest, InvalidUtf8) {
  const std::string values = "('ok'), (CAST(x'61ff62' AS TEXT)), (NULL), ('ä')";
  EXPECT_EQ(Column("TEXT", values), "error invalid_utf8");
  Set("invalid_utf8", "replace");
  EXPECT_EQ(Column("TEXT", values),
            "string: ok a\xEF\xBF\xBD"
            "b null ä");
  EXPECT_EQ(counters_["invalid_utf8_replaced"], 1);
  Set("invalid_utf8", "null");
  EXPECT_EQ(Column("TEXT", values), "string: ok null null ä");
  EXPECT_EQ(counters_["invalid_utf8_null"], 1);
  // Two values that are valid only together.
  Set("invalid_utf8", "error");
  EXPECT_EQ(Column("TEXT", "(CAST(x'c3' AS TEXT)), (CAST(x'a4' AS TEXT))"), "error invalid_utf8");
}

TEST_F(SqliteSourceTest, Utf16Database) {
  Writer(path_).Run(
      "PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (c TEXT); INSERT INTO t VALUES "
      "('aä🚚')");
  EXPECT_EQ(ReadTable("t").ValueOrDie()->column(0)->GetScalar(0).ValueOrDie()->ToString(), "aä🚚");
}

TEST_F(SqliteSourceTest, HugeValuesEndTheBatch) {
  Writer(path_).Run(
      "CREATE TABLE t (c BLOB); INSERT INTO t SELECT randomblob(3000000) FROM (SELECT "
      "1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4)");
  const auto dataset = Find("t").ValueOrDie();
  const auto snapshot = source_->Pin({&dataset, 1}).ValueOrDie();
  auto session = source_->Open(snapshot, {&dataset, 1}, worker_).ValueOrDie();
  const auto page = source_->Split(snapshot, dataset, {}, "").ValueOrDie();
  UnitContext context;
  context.pool = arrow::default_memory_pool();
  context.batch_bytes_max = 1 << 20;
  MemoryBudget budget(8 << 20);
  Reservation reservation = budget.Reserve(1 << 20).ValueOrDie();
  context.reservation = &reservation;
  auto reader = session->Read(page.units[0], context).ValueOrDie();
  for (int i = 0; i < 4; ++i) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ASSERT_TRUE(reader->ReadNext(&batch).ok());
    EXPECT_EQ(batch->num_rows(), 1);
  }
  EXPECT_GE(reservation.bytes(), 3'000'000);
}

TEST_F(SqliteSourceTest, DiscoverSaysWhatIsKnown) {
  Writer(path_).Run(
      "CREATE TABLE a (id INTEGER PRIMARY KEY, b TEXT NOT NULL, c AS (b || 'x') STORED, d INT);"
      "CREATE TABLE w (k1 TEXT, k2 INT, v, PRIMARY KEY (k2, k1)) WITHOUT ROWID;"
      "CREATE TABLE d (id INTEGER PRIMARY KEY DESC);"
      "CREATE VIEW v AS SELECT b, id + 1 AS n FROM a; CREATE VIRTUAL TABLE f USING fts5(body);"
      "INSERT INTO a (b) VALUES ('x'), ('y')");
  Open();
  Selector selector;
  selector.all = true;
  const auto datasets = source_->Discover(selector).ValueOrDie();
  std::vector<std::string> names;
  for (const auto& dataset : datasets) names.push_back(dataset.id.name + " " + dataset.kind);
  EXPECT_EQ(names, (std::vector<std::string>{"a table", "d table", "f virtual table", "v view",
                                             "w table"}));
  const auto& a = datasets[0];
  EXPECT_EQ(a.primary_key, std::vector<std::string>{"id"});
  EXPECT_EQ(a.schema->field_names(), (std::vector<std::string>{"id", "b", "c", "d"}));
  EXPECT_FALSE(a.schema->field(0)->nullable());
  EXPECT_FALSE(a.schema->field(1)->nullable());
  EXPECT_TRUE(a.schema->field(3)->nullable());
  EXPECT_EQ(a.estimated_rows, 2);
  EXPECT_EQ(a.schema->field(3)->metadata()->Get(kSourceTypeKey).ValueOrDie(), "INT");
  EXPECT_TRUE(datasets[1].schema->field(0)->nullable());  // not the rowid: it may hold NULL
  EXPECT_TRUE(datasets[3].schema->field(0)->type()->Equals(arrow::utf8()));
  EXPECT_TRUE(datasets[3].schema->field(1)->type()->Equals(arrow::int64()));
  EXPECT_EQ(datasets[4].primary_key, (std::vector<std::string>{"k2", "k1"}));
  EXPECT_FALSE(datasets[4].schema->field(0)->nullable());
}

TEST_F(SqliteSourceTest, ColumnsThatHideTheRowid) {
  Writer(path_).Run(
      "CREATE TABLE two (rowid TEXT, _rowid_ TEXT); CREATE TABLE all3 (rowid, _rowid_, oid);"
      "INSERT INTO two VALUES ('a', 'b'), ('a', 'b'), ('a', 'c'); INSERT INTO all3 SELECT 1, 2, 3");
  EXPECT_EQ(ReadTable("two", 1).ValueOrDie()->num_rows(), 3);
  EXPECT_EQ(ReadTable("all3", 1).ValueOrDie()->num_rows(), 1);
}

TEST_F(SqliteSourceTest, QueriesAreDatasets) {
  Writer(path_).Run(
      "CREATE TABLE t (a INTEGER, b TEXT); INSERT INTO t VALUES (1, 'x'), (2, NULL), "
      "(NULL, 'z')");
  Open();
  const auto query = [&](const std::string& sql, const Options& options = {}) {
    Selector selector;
    selector.queries.push_back({"q", sql, options});
    return source_->Discover(selector);
  };
  const auto found = query("WITH c AS (SELECT * FROM t) SELECT a, b, a * 2.0 AS d FROM c; -- end");
  ASSERT_TRUE(found.ok()) << found.status();
  const Dataset& dataset = found->at(0);
  EXPECT_EQ(dataset.kind, "query");
  EXPECT_EQ(dataset.schema->field(2)->type()->id(), arrow::Type::DOUBLE);
  const auto snapshot = source_->Pin({&dataset, 1}).ValueOrDie();
  EXPECT_EQ(ReadIn(snapshot, dataset).ValueOrDie()->num_rows(), 3);
  Options by_a;
  ASSERT_TRUE(by_a.Set("split_by", std::string("a")).ok());
  const auto split = query("SELECT * FROM t", by_a).ValueOrDie();
  EXPECT_EQ(ReadIn(snapshot, split[0], 1).ValueOrDie()->num_rows(), 3);
  for (const char* bad : {"DELETE FROM t", "SELECT 1; SELECT 2", "SELECT nope FROM t", "", "-- x",
                          "PRAGMA table_list"}) {
    const auto refused = query(bad);
    ASSERT_FALSE(refused.ok()) << bad;
    EXPECT_EQ(KindOf(refused.status()), ErrorKind::kUser) << refused.status();
  }
}

TEST_F(SqliteSourceTest, SplitByAnyColumn) {
  Writer(path_).Run(
      "CREATE TABLE t (mixed, name TEXT COLLATE NOCASE, real REAL, data BLOB);"
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
      "INSERT INTO t SELECT CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN i WHEN 2 THEN i / 7.0 WHEN 3 "
      "THEN 'k' || i ELSE randomblob(5) END, CASE i % 3 WHEN 0 THEN 'Abc' ELSE 'aBC' || (i % 50) "
      "END,"
      " sqrt(i % 40), CASE WHEN i % 2 THEN randomblob(3) END FROM n");
  Set("type_mismatch", "string");
  for (const char* column : {"mixed", "name", "real", "data"}) {
    Set("split_by", column);
    const auto dataset = Find("t").ValueOrDie();
    const auto snapshot = source_->Pin({&dataset, 1}).ValueOrDie();
    const auto table = ReadIn(snapshot, dataset, 100).ValueOrDie();
    EXPECT_EQ(table->num_rows(), 2000) << column;
    SplitHint hint;
    hint.unit_rows = 100;
    EXPECT_GE(source_->Split(snapshot, dataset, hint, "")->units.size(), 10u) << column;
  }
  Set("split_by", "nope");
  const auto dataset = Find("t").ValueOrDie();
  const auto snapshot = source_->Pin({&dataset, 1}).ValueOrDie();
  EXPECT_FALSE(ReadIn(snapshot, dataset, 100).ok());
}

TEST_F(SqliteSourceTest, WhereIsOneCondition) {
  Writer(path_).Run(
      "CREATE TABLE t (id INTEGER PRIMARY KEY); WITH RECURSIVE n(i) AS (SELECT 1 UNION "
      "ALL SELECT i + 1 FROM n WHERE i < 1000) INSERT INTO t SELECT i FROM n");
  Set("where", "id <= 100 OR id > 990 -- comment");
  EXPECT_EQ(ReadTable("t", 50).ValueOrDie()->num_rows(), 110);
}

TEST_F(SqliteSourceTest, OneViewWhileAWriterCommitsInWalMode) {
  Writer(path_).Run(
      "PRAGMA journal_mode = wal; CREATE TABLE t (id INTEGER PRIMARY KEY, v INT);"
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) "
      "INSERT INTO t SELECT i, 10 FROM n");
  std::atomic<int64_t> commits = 0;
  // Each commit keeps the sum and moves rows between the units.
  std::jthread writing([&](std::stop_token stop) {
    Writer writer(path_);
    for (int64_t i = 1; !stop.stop_requested(); ++i) {
      const auto a = std::to_string(i % 1000 + 1), b = std::to_string(i % 1000 + 2001);
      if (writer.Try("BEGIN IMMEDIATE; UPDATE t SET v = v - 1 WHERE id = " + a +
                     "; UPDATE t SET v = v + 1 WHERE id = " + b + "; COMMIT") == SQLITE_OK) {
        ++commits;
      } else {
        writer.Try("ROLLBACK");
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));  // a gap for the pin's lock
    }
  });
  Set("lock_timeout", "20s");
  for (int round = 0; round < 5; ++round) {
    const auto dataset = Find("t").ValueOrDie();
    const auto snapshot = source_->Pin({&dataset, 1}).ValueOrDie();
    const int64_t before = commits;
    while (commits < before + 20) std::this_thread::yield();
    // A second session begins long after the pin, and must see the same.
    for (int session = 0; session < 2; ++session) {
      const auto table = ReadIn(snapshot, dataset, 100).ValueOrDie();
      ASSERT_EQ(table->num_rows(), 3000);
      int64_t sum = 0;
      for (const auto& chunk : table->column(1)->chunks()) {
        const auto& values = static_cast<const arrow::Int64Array&>(*chunk);
        for (int64_t i = 0; i < values.length(); ++i) sum += values.Value(i);
      }
      EXPECT_EQ(sum, 30'000);
    }
    source_->Release(snapshot);
  }
}

TEST_F(SqliteSourceTest, MoreSessionsThanTheViewHasAreRefusedOnceItMovedOn) {
  Set("workers", "1");
  Writer writer(path_);
  writer.Run("PRAGMA journal_mode = wal; CREATE TABLE t (id INTEGER PRIMARY KEY)");
  const auto dataset = Find("t").ValueOrDie();
  const auto snapshot = source_->Pin({&dataset, 1}).ValueOrDie();
  std::vector<std::unique_ptr<Session>> sessions;
  // Nothing was committed: any number can join.
  for (int i = 0; i < 4; ++i) {
    sessions.push_back(source_->Open(snapshot, {&dataset, 1}, worker_).ValueOrDie());
  }
  writer.Run("INSERT INTO t VALUES (1)");
  const auto late = source_->Open(snapshot, {&dataset, 1}, worker_);
  ASSERT_FALSE(late.ok());
  EXPECT_NE(MessageOf(late.status()).find("workers"), std::string::npos);
  sessions.pop_back();
  EXPECT_TRUE(source_->Open(snapshot, {&dataset, 1}, worker_).ok());
}

TEST_F(SqliteSourceTest, ARollbackJournalWriterIsWaitedForAndThenRefused) {
  Writer writer(path_);
  writer.Run("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
  const auto dataset = Find("t").ValueOrDie();
  writer.Run("BEGIN EXCLUSIVE");
  const auto refused = source_->Pin({&dataset, 1});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(KindOf(refused.status()), ErrorKind::kTransient) << refused.status();
  writer.Run("COMMIT");
  // While the view is held, nobody commits under it.
  const auto snapshot = source_->Pin({&dataset, 1}).ValueOrDie();
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &other), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(other, "INSERT INTO t VALUES (2)", nullptr, nullptr, nullptr),
            SQLITE_BUSY);
  EXPECT_EQ(ReadIn(snapshot, dataset).ValueOrDie()->num_rows(), 1);
  source_->Release(snapshot);
  EXPECT_EQ(sqlite3_exec(other, "INSERT INTO t VALUES (2)", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
}

TEST_F(SqliteSourceTest, AViewIsAdoptedOnlyWhenNothingWasWritten) {
  for (const char* mode : {"delete", "wal"}) {
    std::filesystem::remove(path_);
    Writer writer(path_);
    writer.Run(std::string("PRAGMA journal_mode = ") + mode +
               "; CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
    const auto dataset = Find("t").ValueOrDie();
    const auto snapshot = source_->Pin({&dataset, 1}).ValueOrDie();
    source_->Release(snapshot);
    Open();  // as another process would
    EXPECT_FALSE(source_->CheckPin(snapshot).ok());
    ASSERT_TRUE(source_->Adopt(snapshot).ok()) << mode << source_->Adopt(snapshot);
    EXPECT_TRUE(source_->CheckPin(snapshot).ok());
    EXPECT_EQ(ReadIn(snapshot, dataset).ValueOrDie()->num_rows(), 1);
    source_->Release(snapshot);
    writer.Run("INSERT INTO t VALUES (2)");
    const Status lost = source_->Adopt(snapshot);
    ASSERT_FALSE(lost.ok()) << mode;
    EXPECT_EQ(KindOf(lost), ErrorKind::kSnapshotLost);
  }
}

TEST_F(SqliteSourceTest, AChangedDefinitionIsRefused) {
  Writer writer(path_);
  writer.Run("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1)");
  const auto dataset = Find("t").ValueOrDie();
  writer.Run("DROP TABLE t; CREATE TABLE t (a TEXT)");
  const auto changed = source_->Pin({&dataset, 1});
  ASSERT_FALSE(changed.ok());
  EXPECT_EQ(CodeOf(changed.status()), "definition_changed");
  writer.Run("DROP TABLE t");
  EXPECT_NE(MessageOf(source_->Pin({&dataset, 1}).status()).find("dropped"), std::string::npos);
}

TEST_F(SqliteSourceTest, ConsistencyNoneReadsTheLatest) {
  Writer writer(path_);
  writer.Run("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1)");
  Set("consistency", "none");
  const auto dataset = Find("t").ValueOrDie();
  const auto snapshot = source_->Pin({&dataset, 1}).ValueOrDie();
  EXPECT_FALSE(snapshot.consistent);
  writer.Run("INSERT INTO t VALUES (2)");
  EXPECT_EQ(ReadIn(snapshot, dataset).ValueOrDie()->num_rows(), 2);
}

// Root may write everywhere: the test goes on as nobody.
class AsOrdinaryUser {
 public:
  AsOrdinaryUser() : user_(geteuid()) { EXPECT_TRUE(user_ != 0 || seteuid(65534) == 0); }
  ~AsOrdinaryUser() { EXPECT_EQ(seteuid(user_), 0); }

 private:
  const uid_t user_;
};

TEST_F(SqliteSourceTest, AFileAndFolderThatNobodyMayWrite) {
  for (const char* mode : {"wal", "delete"}) {
    std::filesystem::permissions(folder_, std::filesystem::perms::owner_all);
    std::filesystem::remove(path_);
    Writer(path_).Run(std::string("PRAGMA journal_mode = ") + mode +
                      "; CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1)");
    ASSERT_EQ(chmod(path_.c_str(), 0444), 0);
    ASSERT_EQ(chmod(folder_.c_str(), 0555), 0);
    const AsOrdinaryUser as_ordinary_user;
    const auto dataset = Find("t");
    ASSERT_TRUE(dataset.ok()) << mode << dataset.status();
    const auto snapshot = source_->Pin({&*dataset, 1}).ValueOrDie();
    EXPECT_EQ(ReadIn(snapshot, *dataset).ValueOrDie()->num_rows(), 1);
    EXPECT_TRUE(source_->CheckPin(snapshot).ok());
    source_.reset();
  }
}

TEST_F(SqliteSourceTest, AChangeUnderAViewWithoutLocksIsSeen) {
  Writer(path_).Run("PRAGMA journal_mode = wal; CREATE TABLE t (a INTEGER)");
  ASSERT_EQ(chmod(path_.c_str(), 0444), 0);
  ASSERT_EQ(chmod(folder_.c_str(), 0555), 0);
  Snapshot snapshot;
  {
    const AsOrdinaryUser as_ordinary_user;
    const auto dataset = Find("t").ValueOrDie();
    snapshot = source_->Pin({&dataset, 1}).ValueOrDie();
    EXPECT_NE(snapshot.description.find("immutable"), std::string::npos) << snapshot.description;
  }
  ASSERT_EQ(chmod(path_.c_str(), 0644), 0);
  ASSERT_EQ(truncate(path_.c_str(), static_cast<off_t>(std::filesystem::file_size(path_)) + 4096),
            0);
  const Status lost = source_->CheckPin(snapshot);
  ASSERT_FALSE(lost.ok());
  EXPECT_EQ(KindOf(lost), ErrorKind::kSnapshotLost);
}

TEST_F(SqliteSourceTest, WhatIsNoDatabaseIsTheUsersError) {
  const auto kind = [&] {
    const auto result = Find("t");
    return result.ok() ? "ok" : ErrorKindName(KindOf(result.status()));
  };
  EXPECT_STREQ(kind(), "user");  // no file
  std::filesystem::create_directory(path_);
  EXPECT_STREQ(kind(), "user");
  std::filesystem::remove(path_);
  std::FILE* file = std::fopen(path_.c_str(), "w");
  for (int i = 0; i < 1000; ++i) std::fputs("this is not a database ", file);
  std::fclose(file);
  EXPECT_STREQ(kind(), "user");
}

TEST_F(SqliteSourceTest, ADamagedPageIsPermanent) {
  Writer(path_).Run(
      "CREATE TABLE t (a INTEGER, b TEXT); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
      "SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO t SELECT i, 'some text' FROM n");
  std::FILE* file = std::fopen(path_.c_str(), "r+");
  std::fseek(file, 4096 * 5, SEEK_SET);
  for (int i = 0; i < 4096; ++i) std::fputc(0xee, file);
  std::fclose(file);
  const auto table = ReadTable("t");
  ASSERT_FALSE(table.ok());
  EXPECT_EQ(KindOf(table.status()), ErrorKind::kPermanent) << table.status();
  EXPECT_NE(MessageOf(table.status()).find("integrity_check"), std::string::npos);
}

TEST_F(SqliteSourceTest, BtreeBoundsAndEstimates) {
  Writer(path_).Run(
      "CREATE TABLE t (id INTEGER PRIMARY KEY, b TEXT); WITH RECURSIVE n(i) AS (SELECT "
      "1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) INSERT INTO t SELECT i * i, "
      "'some text of a row' FROM n");
  const auto connection = Connection::Open(path_, OpenMode::kReadOnly, 0).ValueOrDie();
  const int64_t root =
      connection->QueryInt("SELECT rootpage FROM sqlite_schema WHERE name = 't'").ValueOrDie();
  const auto estimate = EstimateBtree(*connection, root);
  ASSERT_TRUE(estimate.has_value());
  EXPECT_NEAR(static_cast<double>(estimate->rows), 200'000, 20'000);
  EXPECT_NEAR(static_cast<double>(estimate->bytes),
              static_cast<double>(std::filesystem::file_size(path_)), 600'000);
  const auto bounds = RowidBounds(*connection, root, 20);
  ASSERT_GE(bounds.size(), 100u);
  int64_t before = 0;
  for (size_t i = 19; i < bounds.size(); i += 20) {
    const auto row = static_cast<int64_t>(std::sqrt(static_cast<double>(bounds[i])));
    EXPECT_NEAR(static_cast<double>(row - before),
                20 * 200'000.0 / static_cast<double>(bounds.size()), 600);
    before = row;
  }
  EXPECT_FALSE(EstimateBtree(*connection, 1'000'000).has_value());
  EXPECT_TRUE(RowidBounds(*connection, 1'000'000, 20).empty());
}

}  // namespace
}  // namespace bulkhaul
