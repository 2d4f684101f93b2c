// For tests, the fuzzer and the micro-benchmark: pages and layouts.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/api.h>
#include <fmt/format.h>

#include "wire/json/search_page.h"

namespace bulkhaul::search::testing {

// An answer with these hits, as OpenSearch writes one to a scroll.
inline std::string PageOfHits(const std::vector<std::string>& hits) {
  std::string page = fmt::format(
      R"({{"_scroll_id":"c2Nyb2xs","took":3,"timed_out":false,"_shards":{{"total":1,"successful":1,)"
      R"("skipped":0,"failed":0}},"hits":{{"total":{{"value":{},"relation":"eq"}},"max_score":null,)"
      R"("hits":[)",
      hits.size());
  for (size_t hit = 0; hit < hits.size(); ++hit) page += (hit == 0 ? "" : ",") + hits[hit];
  return page + "]}}";
}

inline std::string HitOf(std::string_view source, int number = 0) {
  return fmt::format(R"({{"_index":"logs","_id":"d{}","_score":null,"_source":{},"sort":[{}]}})",
                     number, source, number);
}

inline std::string PageOf(const std::vector<std::string>& sources) {
  std::vector<std::string> hits;
  for (size_t number = 0; number < sources.size(); ++number) {
    hits.push_back(HitOf(sources[number], static_cast<int>(number)));
  }
  return PageOfHits(hits);
}

// The mapping of one index "logs" with these properties.
inline std::string MappingOf(std::string_view properties) {
  return fmt::format(R"({{"logs":{{"mappings":{{"properties":{}}}}}}})", properties);
}

inline Result<PageLayout> LayoutOf(std::string_view properties, const LayoutOptions& options = {}) {
  ARROW_ASSIGN_OR_RAISE(const auto mappings, ParseMappings(MappingOf(properties)));
  return MakeLayout(MergeMappings(mappings), options);
}

// On the heap at its exact size, so that each byte read beyond is seen.
inline Result<PageSummary> AppendPage(SearchPageDecoder& decoder, std::string_view page) {
  const auto bytes = std::make_unique<char[]>(page.size());
  std::copy(page.begin(), page.end(), bytes.get());
  return decoder.Append(std::string_view(bytes.get(), page.size()));
}

inline Result<std::shared_ptr<arrow::RecordBatch>> Decode(const PageLayout& layout,
                                                          std::string_view page) {
  ARROW_ASSIGN_OR_RAISE(auto decoder,
                        SearchPageDecoder::Make(layout, arrow::default_memory_pool()));
  ARROW_RETURN_NOT_OK(AppendPage(*decoder, page));
  ARROW_ASSIGN_OR_RAISE(auto batch, decoder->Flush());
  if (batch != nullptr) ARROW_RETURN_NOT_OK(batch->ValidateFull());
  return batch;
}

// The fields of the log documents that speed is measured with.
inline constexpr char kLogProperties[] = R"({
  "@timestamp": {"type": "date"}, "seq": {"type": "long"}, "level": {"type": "keyword"},
  "service": {"type": "keyword"}, "host": {"type": "keyword"}, "status": {"type": "short"},
  "bytes": {"type": "integer"}, "latency_ms": {"type": "float"}, "user_id": {"type": "integer"},
  "client_ip": {"type": "ip"}, "message": {"type": "text"},
  "http": {"properties": {"method": {"type": "keyword"}, "path": {"type": "keyword"},
                          "version": {"type": "keyword"}}}})";

}  // namespace bulkhaul::search::testing
