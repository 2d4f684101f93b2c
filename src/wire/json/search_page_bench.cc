// Decoding speed for pages of log documents of about 330 bytes and 13 fields.
#include <random>

#include <benchmark/benchmark.h>

#include "wire/json/testing.h"

namespace bulkhaul::search {
namespace {

constexpr int kDocuments = 5000;

std::string LogPage() {
  std::mt19937 random(1);
  const char* const levels[] = {"INFO", "WARN", "ERROR"};
  const char* const services[] = {"checkout", "search", "auth", "catalog", "gateway"};
  std::vector<std::string> hits;
  for (int number = 0; number < kDocuments; ++number) {
    const std::string source = fmt::format(
        R"({{"@timestamp":"2024-03-{:02}T{:02}:{:02}:{:02}.{:03}Z","seq":{},"level":"{}",)"
        R"("service":"{}","host":"web-{:03}","status":{},"bytes":{},"latency_ms":{:.3f},)"
        R"("user_id":{},"client_ip":"10.{}.{}.{}","http":{{"method":"GET","path":"/api/v1/items",)"
        R"("version":"1.1"}},"message":"GET /api/v1/items {} upstream timeout retry cache hit miss"}})",
        1 + number % 30, random() % 24, random() % 60, random() % 60, random() % 1000, number,
        levels[random() % 3], services[random() % 5], random() % 50, 200 + random() % 300,
        random() % 100'000, static_cast<double>(random() % 1'000'000) / 1000, random() % 500'000,
        random() % 4, random() % 256, random() % 256, random() % 600);
    hits.push_back(fmt::format(
        R"({{"_index":"logs-2024.03.01","_id":"aXk{:017}","_score":null,"_source":{},"sort":[{}]}})",
        number, source, number));
  }
  return testing::PageOfHits(hits);
}

void DecodeLogs(benchmark::State& state, const LayoutOptions& options) {
  const std::string page = LogPage();
  auto decoder =
      SearchPageDecoder::Make(testing::LayoutOf(testing::kLogProperties, options).ValueOrDie(),
                              arrow::default_memory_pool())
          .ValueOrDie();
  for ([[maybe_unused]] auto _ : state) {
    decoder->Append(page).ValueOrDie();
    benchmark::DoNotOptimize(decoder->Flush().ValueOrDie());
  }
  state.SetItemsProcessed(state.iterations() * kDocuments);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(page.size()));
}

void AllColumns(benchmark::State& state) { DecodeLogs(state, {}); }
BENCHMARK(AllColumns);

void WithIdentity(benchmark::State& state) {
  LayoutOptions options;
  options.id = options.index = true;
  DecodeLogs(state, options);
}
BENCHMARK(WithIdentity);

void ThreeColumns(benchmark::State& state) {
  LayoutOptions options;
  options.include = {"@timestamp", "status", "http.path"};
  DecodeLogs(state, options);
}
BENCHMARK(ThreeColumns);

}  // namespace
}  // namespace bulkhaul::search
