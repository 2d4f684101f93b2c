// A worker's connection to the cluster, and the reader of one unit: one scroll.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "plan/context.h"
#include "source/opensearch/connection_settings.h"
#include "source/opensearch/host_health.h"
#include "source/opensearch/rate_limiter.h"
#include "source/source.h"
#include "wire/json/search_page.h"

namespace bulkhaul::opensearch {

// How pages are asked for.
struct ScrollSettings {
  int64_t page_documents_max = 5000;    // the server's index.max_result_window is 10,000 by default
  int64_t page_bytes_target = 3 << 19;  // a page has about this many bytes of JSON
  int64_t keep_alive_ms = 300'000;      // of the search context, renewed with every page
  bool pipelined = true;  // the next page is asked for before the one at hand is decoded
};

// What every unit of one dataset is read with.
struct DatasetReading {
  // Members of the search body beside query, sort, size and slice, as a JSON object:
  // {"_source":{"includes":[…]},"seq_no_primary_term":true,"runtime_mappings":{…}}. "": none.
  std::string body;
  int64_t documents_max = 0;  // of each unit; 0: all
  // A decoder of its own for each reader.
  std::function<Result<std::unique_ptr<search::SearchPageDecoder>>(UnitContext&)> make_decoder;
};

// Thread-safe; gives what a dataset of the session needs. kBug for a dataset that it does not know.
using ReadingOf = std::function<Result<DatasetReading>(const Dataset&)>;

// Opens no connection before the first unit. `limiter` may be null; else it is shared by the
// sessions of a job and outlives them, as the datasets do. `health` is of the connection's hosts.
//
// A unit is one scroll over one index, sorted by _doc. It fails, and never gives fewer documents
// silently, when a page says timed_out, terminated_early, failed shards or successful < total; when
// the documents do not add up to the total that the same context reported; when the index is not
// the one that was planned (uuid); when an answer is not JSON or is cut short. A lost page is never
// asked for again: the error is kTransient, and the unit starts again from its beginning. The
// context is closed on every way out.
Result<std::unique_ptr<Session>> OpenSession(const ConnectionSettings& connection,
                                             const ScrollSettings& scroll, ReadingOf reading_of,
                                             std::span<const Dataset> datasets,
                                             RateLimiter* limiter,
                                             std::shared_ptr<HostHealth> health,
                                             WorkerContext& context);

}  // namespace bulkhaul::opensearch
