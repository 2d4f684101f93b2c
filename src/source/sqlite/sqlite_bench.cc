// Reading a SQLite table of orders (9 columns of all common types) into Arrow batches.
#include <filesystem>

#include <arrow/record_batch.h>
#include <benchmark/benchmark.h>
#include <sqlite3.h>
#include <unistd.h>

#include "source/sqlite/sqlite_source.h"

namespace bulkhaul {
namespace {

constexpr int64_t kRows = 300'000;

// Made once and left to the system's temporary folder's owner: removed at exit.
class OrdersFile {
 public:
  OrdersFile() {
    path_ = (std::filesystem::temp_directory_path() /
             ("bulkhaul-bench-" + std::to_string(getpid()) + ".db"))
                .string();
    sqlite3* database = nullptr;
    sqlite3_open(path_.c_str(), &database);
    const std::string sql =
        "PRAGMA synchronous = off; PRAGMA journal_mode = off;"
        "CREATE TABLE orders (o_orderkey INTEGER PRIMARY KEY, o_custkey INTEGER, o_orderstatus "
        "TEXT, o_totalprice REAL, o_orderdate TEXT, o_orderpriority TEXT, o_clerk TEXT, "
        "o_shippriority INTEGER, o_comment TEXT);"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
        std::to_string(kRows) +
        ") INSERT INTO orders SELECT i * 4, abs(random()) % 150000, substr('FOP', 1 + i % 3, 1), "
        "abs(random()) % 50000000 / 100.0, date(i % 2500 * 86400 + 700000000, 'unixepoch'), "
        "(i % 5) || '-PRIORITY', printf('Clerk#%09d', i % 1000), 0, "
        "substr('carefully final deposits sleep furiously among the ironic accounts haggle', 1, "
        "20 + abs(random()) % 50) FROM n";
    sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr);
    sqlite3_close(database);
  }
  ~OrdersFile() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

const std::string& OrdersPath() {
  static const OrdersFile file;
  return file.path();
}

// The floor: SQLite's own stepping, every value touched once.
void BM_StepOnly(benchmark::State& state) {
  for ([[maybe_unused]] auto _ : state) {
    sqlite3* database = nullptr;
    sqlite3_open_v2(OrdersPath().c_str(), &database, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX,
                    nullptr);
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(database, "SELECT * FROM orders", -1, &statement, nullptr);
    int64_t sum = 0;
    while (sqlite3_step(statement) == SQLITE_ROW) {
      for (int i = 0; i < 9; ++i) sum += sqlite3_column_bytes(statement, i) > 0;
    }
    benchmark::DoNotOptimize(sum);
    sqlite3_finalize(statement);
    sqlite3_close(database);
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}
BENCHMARK(BM_StepOnly)->Unit(benchmark::kMillisecond);

void BM_ReadOrders(benchmark::State& state) {
  JobSpec job;
  job.source_uri = OrdersPath();
  auto source = MakeSqliteSource(job, "bench").ValueOrDie();
  Selector selector;
  selector.all = true;
  const auto datasets = source->Discover(selector).ValueOrDie();
  const auto snapshot = source->Pin(datasets).ValueOrDie();
  WorkerContext worker;
  auto session = source->Open(snapshot, datasets, worker).ValueOrDie();
  const auto units = source->Split(snapshot, datasets[0], {}, "").ValueOrDie().units;
  int64_t bytes = 0;
  for ([[maybe_unused]] auto _ : state) {
    for (const auto& unit : units) {
      UnitContext context;
      context.pool = arrow::default_memory_pool();
      auto reader = session->Read(unit, context).ValueOrDie();
      std::shared_ptr<arrow::RecordBatch> batch;
      do {
        if (!reader->ReadNext(&batch).ok()) state.SkipWithError("read");
      } while (batch != nullptr);
      bytes += reader->bytes_read();
    }
  }
  state.SetItemsProcessed(state.iterations() * kRows);
  state.SetBytesProcessed(bytes);
}
BENCHMARK(BM_ReadOrders)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace bulkhaul
