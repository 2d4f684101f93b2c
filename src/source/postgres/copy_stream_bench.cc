// CPU a byte of receiving a binary COPY: by the class CopyStream and by PQgetCopyData. Needs a
// server: BULKHAUL_BENCH_POSTGRES is its URI; the table bench_copy is made there.
#include <sys/resource.h>

#include <cstdlib>

#include <benchmark/benchmark.h>

#include "source/postgres/copy_stream.h"

namespace bulkhaul::postgres {
namespace {

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void Receive(benchmark::State& state, bool by_libpq) {
  const char* uri = std::getenv("BULKHAUL_BENCH_POSTGRES");
  if (uri == nullptr) return state.SkipWithError("BULKHAUL_BENCH_POSTGRES is not set");
  auto connection = Connection::Open({.conninfo = Secret(uri),
                                      .application_name = "bulkhaul:bench",
                                      .connect_timeout_ms = 10'000,
                                      .address = {}},
                                     {});
  if (!connection.ok()) return state.SkipWithError(connection.status().ToString().c_str());
  (void)(*connection)
      ->Execute(
          "CREATE TABLE IF NOT EXISTS bench_copy AS SELECT i AS a, i * 7 AS b, i / 3.0::float8 AS "
          "c, "
          "'1998-01-01'::date + i % 2000 AS d, 'some text of forty characters, more or less' AS e "
          "FROM "
          "generate_series(1, 2000000) i",
          {}, "bench");
  int64_t bytes = 0;
  double cpu = 0;
  CopyStream stream(connection->get(), by_libpq);
  for ([[maybe_unused]] auto _ : state) {
    const double before = CpuSeconds();
    if (!stream.Begin("COPY (TABLE bench_copy) TO STDOUT (FORMAT binary)", {}, "bench").ok())
      return;
    while (true) {
      const auto next = stream.Next({});
      if (!next.ok()) return state.SkipWithError(next.status().ToString().c_str());
      if (next->empty()) break;
      benchmark::DoNotOptimize(next->data());
    }
    bytes += stream.bytes_received();
    cpu += CpuSeconds() - before;
  }
  state.SetBytesProcessed(bytes);
  state.counters["cpu_ns_a_byte"] = cpu * 1e9 / static_cast<double>(bytes);
}

void OwnProtocol(benchmark::State& state) { Receive(state, false); }
void Libpq(benchmark::State& state) { Receive(state, true); }
BENCHMARK(OwnProtocol)->Unit(benchmark::kMillisecond);
BENCHMARK(Libpq)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace bulkhaul::postgres
