// The hits of search and scroll answers to Arrow record batches: one pass, no DOM, no I/O.
// Source of the format: Elasticsearch guide, "Search API"; OpenSearch documentation, "Search".
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>

#include "base/error.h"
#include "wire/json/page_layout.h"

namespace bulkhaul::search {

// What one answer says beside its documents. Nothing here is judged: a page with timed_out or
// failed shards is decoded like any other.
struct PageSummary {
  std::string scroll_id;
  std::string pit_id;
  int64_t hits = 0;            // in this page
  int64_t total = -1;          // -1: not said (track_total_hits: false)
  std::string total_relation;  // "eq", or "gte": a lower bound
  bool timed_out = false;
  bool terminated_early = false;
  int64_t took_ms = -1;
  int64_t shards_total = -1, shards_successful = -1, shards_skipped = 0, shards_failed = 0;
  std::string failure;    // the first failed shard: "index [shard]: type: reason"
  std::string last_sort;  // JSON of the last hit's sort values, for search_after; "" without
};

// Not thread-safe. The usual loop:
//
//   ARROW_ASSIGN_OR_RAISE(PageSummary page, decoder->Append(bytes));
//   if (decoder->bytes() >= batch_bytes_max || page.hits == 0) batch = decoder->Flush();
//
// Errors: kTransient for text that is not a search answer (truncated, HTML, an "error" object: the
// unit starts again); kUser, naming _index, _id and field, for a value that does not fit its
// column. After an error only Reset() and the destructor may be called.
class SearchPageDecoder {
 public:
  static Result<std::unique_ptr<SearchPageDecoder>> Make(PageLayout layout,
                                                         arrow::MemoryPool* pool);
  ~SearchPageDecoder();
  SearchPageDecoder(const SearchPageDecoder&) = delete;
  SearchPageDecoder& operator=(const SearchPageDecoder&) = delete;

  const std::shared_ptr<arrow::Schema>& schema() const;
  // The body of one answer, whole. The bytes are not needed afterwards.
  Result<PageSummary> Append(std::string_view page);
  int64_t rows() const;   // waiting for Flush()
  int64_t bytes() const;  // of Arrow data in them
  // The rows so far; nullptr when there are none.
  Result<std::shared_ptr<arrow::RecordBatch>> Flush();
  // Forgets the waiting rows and counters, for another unit with the same layout.
  void Reset();
  // Memory held: parser and column buffers. A parser takes about 6 bytes a byte of the largest
  // page.
  int64_t buffered_bytes() const;
  // What was changed or left out, by name, zero counts left out: misfit_nulled,
  // array_values_dropped, excess_digits_truncated, unmapped_values (without _extra),
  // geo_third_value_dropped.
  std::map<std::string, int64_t> counters() const;

 private:
  class Impl;
  explicit SearchPageDecoder(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Finds out which fields hold arrays, from sample pages; for LayoutOptions::array_fields. Slow:
// reads a DOM. Not thread-safe.
class FieldSampler {
 public:
  explicit FieldSampler(const MergedMapping& mapping);
  ~FieldSampler();
  // kTransient as SearchPageDecoder.
  Status Append(std::string_view page);
  // Paths of fields that held more than one value in a document.
  const std::set<std::string>& array_fields() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bulkhaul::search
