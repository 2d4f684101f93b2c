// The questions that planning asks a cluster, each answered by a plain value.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "source/opensearch/host_health.h"
#include "source/opensearch/http_client.h"
#include "source/opensearch/names.h"
#include "source/source.h"
#include "wire/json/mapping.h"

namespace bulkhaul::opensearch {

struct IndexFacts {
  std::string uuid;
  int shards = 1;
  int64_t documents = -1;    // Lucene's: nested documents count too; -1: not allowed to know
  int64_t store_bytes = -1;  // of primaries
  // Changes with every write, delete and refresh: per primary shard its documents, deleted
  // documents and highest _seq_no. "" when the server does not say: then nothing is known about
  // changes.
  std::string fingerprint;
  // index.max_result_window: documents that one page may have; 0: what the servers have by default,
  // which is as many as are ever asked for.
  int64_t page_documents_max = 0;
  int64_t doc_value_fields_max = 100;  // index.max_docvalue_fields_search
  // Per primary shard the id of its history, which another one replaces when the shard's past is
  // lost: restored in place, or forced from a stale copy. "" when the server does not say.
  std::string history;
};

struct AliasEntry {
  std::string filter;          // query DSL; "" when the alias has none
  std::string search_routing;  // "" when it has none
};

// What a query finds in one index.
struct Probe {
  int64_t documents = 0;
  // Of the time field; nullopt where no document has it.
  std::optional<int64_t> min_ms, max_ms;
  int64_t without_time = 0;
  // Values of the time field beyond the first of each document: so many documents at most have
  // several. The servers keep equal values of one document apart.
  int64_t further_times = 0;
};

struct ProbeRequest {
  std::string index;
  std::string query;  // "" for all
};

struct TimeBucket {
  int64_t begin_ms = 0;
  int64_t documents = 0;
};

// Thread-safe: one connection, one request at a time. Every answer that lacks a part of the data
// (failed or missing shards, timed_out) is a kTransient error that names the index.
class Cluster {
 public:
  // `health` is of the settings' hosts. Calls end with kCancelled soon after a stop. Each question
  // by itself is asked again by `retry`; without one it is asked once.
  static Result<std::unique_ptr<Cluster>> Make(const ConnectionSettings& settings,
                                               std::shared_ptr<HostHealth> health,
                                               std::stop_token stop, Retry retry);

  Result<std::vector<ResolvedPattern>> Resolve(std::span<const NamePattern> patterns);
  // Indices, also closed ones, aliases and data streams, for selecting among them.
  Result<ResolvedPattern> ResolveAll();
  // The cluster's uuid; its addresses where the server does not say.
  Result<std::string> Identity();
  Result<std::map<std::string, IndexFacts>> Describe(std::span<const std::string> indices);
  Result<std::vector<search::IndexMapping>> Mappings(std::span<const std::string> indices);
  // By alias, then index; a data stream stands for its backing indices.
  Result<std::map<std::string, std::map<std::string, AliasEntry>>> Aliases(
      std::span<const std::string> aliases);
  // In the order of the requests; `time_field` may be "".
  Result<std::vector<Probe>> ProbeIndices(std::span<const ProbeRequest> requests,
                                          const std::string& time_field);
  Result<int64_t> Count(const std::string& index, const std::string& query);
  // Buckets with documents, in order.
  Result<std::vector<TimeBucket>> Histogram(const std::string& index, const std::string& query,
                                            const std::string& time_field, int64_t interval_ms);
  // kUser with the server's reason when it refuses the query.
  Status Validate(const std::string& index, const std::string& query);
  // The answer of one search, for samples; whole.
  Result<std::string> Search(const std::string& index, const std::string& body);

 private:
  // What is made of an answer; called again for the next one after it has failed.
  using Reading = std::function<Status(const std::string& answer)>;

  Cluster(std::unique_ptr<HttpClient> client, std::string addresses, std::stop_token stop,
          Retry retry)
      : client_(std::move(client)),
        addresses_(std::move(addresses)),
        stop_(std::move(stop)),
        retry_(std::move(retry)) {}
  Result<std::string> CallOnce(const HttpRequest& request);
  // Asks, and reads the answer, until both succeed or either fails for good.
  Status Ask(const HttpRequest& request, const Reading& reading);
  // All in one request.
  Status ProbeTogether(std::span<const ProbeRequest> requests, const std::string& time_field,
                       std::vector<Probe>* probes);
  Status ProbeAlone(const ProbeRequest& request, const std::string& time_field, Probe* probe);
  Status AskBuckets(const std::string& index, const std::string& body,
                    std::vector<TimeBucket>* buckets);
  Status ResolveLedTo(ResolvedPattern* found);
  Status ResolveHidden(const NamePattern& pattern, ResolvedPattern* found);

  std::mutex mutex_;  // guards client_
  const std::unique_ptr<HttpClient> client_;
  const std::string addresses_;
  const std::stop_token stop_;
  const Retry retry_;
  // The cluster takes no requests that name indices in their bodies.
  std::atomic<bool> one_by_one_ = false;
};

// What is missing in an answer's "_shards", or OK. Pure.
Status CheckWhole(std::string_view answer, const std::string& index);

}  // namespace bulkhaul::opensearch
