#include "source/opensearch/opensearch_source.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <mutex>

#include <fmt/format.h>

#include "base/hash.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/units.h"
#include "source/opensearch/classify.h"
#include "source/opensearch/cluster.h"
#include "source/opensearch/discover.h"
#include "source/opensearch/host_health.h"
#include "source/opensearch/plan_units.h"
#include "source/opensearch/rate_limiter.h"
#include "source/opensearch/search_uri.h"
#include "source/opensearch/session.h"
#include "source/opensearch/table_state.h"

namespace bulkhaul {
namespace opensearch {
namespace {

constexpr int64_t kUnitDocumentsOfAuto = 500'000;
constexpr int64_t kPagesLeast = 20;  // of a unit

std::optional<std::string> Environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// What counts is the cluster and the way to it, not the cores here: the runner finds out.
constexpr int kWorkersStart = 4;
constexpr int kWorkersMax = 64;

ScrollSettings ScrollOf(const Options& options) {
  ScrollSettings scroll;
  scroll.page_documents_max = options.GetInt("page_documents");
  scroll.page_bytes_target = options.GetBytes("page_bytes");
  scroll.keep_alive_ms = options.GetDurationMs("scroll_keep_alive");
  return scroll;
}

// "logs-*" makes the folder "logs".
std::string OutputNameOf(std::string_view expression) {
  std::string name;
  for (size_t i = 0; i < expression.size(); ++i) {
    if (expression[i] == '%') {
      if (++i < expression.size() && expression[i] == '%') name += '%';
    } else if (expression[i] != '*') {
      name += expression[i] == ',' ? '_' : expression[i];
    }
  }
  while (!name.empty() && std::string_view("-_.").find(name.back()) != std::string_view::npos) {
    name.pop_back();
  }
  return name.empty() ? "indices" : SafeFileName(name);
}

class OpenSearchSource : public Source {
 public:
  OpenSearchSource(const JobSpec& spec, SearchUri uri)
      : spec_(spec),
        uri_(std::move(uri)),
        job_options_(uri_.options.With(spec.options)),
        limiter_(
            job_options_.GetInt("documents_per_second"), job_options_.GetBytes("bytes_per_second"),
            job_options_.GetInt("workers") > 0 ? job_options_.GetInt("workers") : kWorkersStart),
        health_(std::make_shared<HostHealth>(uri_.connection.hosts.size(),
                                             uri_.connection.host_pause_ms)) {
    uri_.connection.connect_timeout_ms = job_options_.GetDurationMs("connect_timeout");
    uri_.connection.request_timeout_ms = job_options_.GetDurationMs("request_timeout");
  }

  SourceTraits Traits() const override {
    return {.name = "opensearch",
            .consistent_snapshot = false,
            .kept_snapshot = false,
            .queries = true,
            .connections_max = -1,
            .workers_default = kWorkersStart,
            .workers_max = kWorkersMax,
            .checks_rows = true,
            .describes_content = true,
            .states_tell_rows = true,
            .retries_requests = true,
            .options = {"OpenSearch"}};
  }

  void StopOn(std::stop_token stop) override { stop_ = std::move(stop); }
  void RetryBy(Retry retry) override { retry_ = std::move(retry); }
  bool Overloaded(const Status& failure) const override { return IsOverload(failure); }

  Result<std::vector<Dataset>> Discover(const Selector& selector) override {
    ARROW_ASSIGN_OR_RAISE(const auto cluster, Connected());
    ARROW_ASSIGN_OR_RAISE(const auto requests, Requests(*cluster, selector));
    const int64_t now_ms = NowMs();
    std::vector<Dataset> datasets;
    std::vector<std::string> left_out;
    std::vector<std::string> closed;
    for (const auto& request : requests) {
      auto dataset = DescribeTable(*cluster, request, now_ms);
      // Of a whole cluster one that is closed is left out where that was asked for; one that was
      // named leaves nothing to read.
      if (!dataset.ok() && request.literal && CodeOf(dataset.status()) == "index_closed" &&
          request.options.GetString("closed_indices") == "skip") {
        closed.push_back(request.id.ToString());
        continue;
      }
      if (!dataset.ok()) return WithContext(dataset.status(), request.id.ToString());
      if (request.literal && dataset->schema->num_fields() == 0) {
        if (dataset->estimated_rows > 0) {
          return UserError(
              fmt::format("{} has documents, but no mapping of a field that could be a column: "
                          "leave it out with exclude, or choose extra: true",
                          request.id.ToString()),
              "no_columns");
        }
        left_out.push_back(request.id.ToString());
      } else {
        datasets.push_back(*std::move(dataset));
      }
    }
    if (!left_out.empty() && datasets.empty()) {
      return UserError("no index has a mapping of a field that could be a column", "no_columns");
    }
    if (!closed.empty() && datasets.empty()) {
      return UserError(
          fmt::format("every index is closed, and closed_indices: skip leaves nothing to read: {}",
                      ShownNames(closed)),
          "index_closed");
    }
    if (!closed.empty()) {
      datasets.front().warnings.push_back(
          fmt::format("left out because closed: {}", ShownNames(closed)));
    }
    for (const auto& name : left_out) {
      datasets.front().warnings.push_back(
          fmt::format("left out because empty and without a mapping: {}", name));
    }
    std::sort(datasets.begin(), datasets.end(),
              [](const Dataset& a, const Dataset& b) { return a.id < b.id; });
    return datasets;
  }

  Result<Snapshot> Pin(std::span<const Dataset>) override {
    Snapshot snapshot;
    snapshot.taken_at = FormatUtc(std::chrono::system_clock::now());
    snapshot.description = "none: each unit sees its index as it was when the unit began";
    return snapshot;
  }
  Status CheckPin(const Snapshot&) override { return Status::OK(); }
  void Release(const Snapshot&) noexcept override {}

  Result<std::vector<std::string>> ChangedAxes(const Snapshot&, const Dataset& dataset) override {
    ARROW_ASSIGN_OR_RAISE(const auto state, TableState::FromJson(dataset.source_state));
    ARROW_ASSIGN_OR_RAISE(const auto settled, Settled(state));
    std::vector<std::string> changed;
    for (size_t i = 0; i < settled.size(); ++i) {
      if (!settled[i]) changed.push_back(state.indices[i].index);
    }
    return changed;
  }

  Status CheckRows(const Snapshot&, const Dataset& dataset,
                   const std::map<std::string, int64_t>& rows, RowFindings* findings) override {
    ARROW_ASSIGN_OR_RAISE(const auto cluster, Connected());
    ARROW_ASSIGN_OR_RAISE(const auto state, TableState::FromJson(dataset.source_state));
    Status status;
    for (const auto& index : state.indices) {
      const auto found = rows.find(index.index);
      const int64_t read = found == rows.end() ? 0 : found->second;
      ARROW_ASSIGN_OR_RAISE(const int64_t count,
                            cluster->Count(index.index, IndexQuery(state, index)));
      if (count == read) continue;
      // Only an index that is still what it was can be held to its count.
      TableState one;
      one.indices = {index};
      ARROW_ASSIGN_OR_RAISE(const auto settled, Settled(one));
      if (!settled[0]) {
        findings->notes.push_back(fmt::format(
            "{} documents of index {} were read, the server counts {} now; {}, so that it was not "
            "held to the count",
            FormatCount(read), index.index, FormatCount(count),
            index.fingerprint.empty() ? "the server does not say whether it was written to (_stats)"
                                      : "it was written to meanwhile"));
        continue;
      }
      findings->wrong.push_back(index.index);
      if (status.ok()) {
        status = PermanentError(
            fmt::format("{} documents of index {} were read, but the server counts {} and nothing "
                        "was written to it since: the export would not be complete",
                        FormatCount(read), index.index, FormatCount(count)),
            "incomplete");
      }
    }
    return status;
  }

  Result<UnitPage> Split(const Snapshot&, const Dataset& dataset, const SplitHint& hint,
                         std::string_view cursor) override {
    // Asked again, a histogram of an index that is written to would cut elsewhere.
    if (cursor.empty()) {
      ARROW_ASSIGN_OR_RAISE(auto units, PlanUnits(dataset, hint));
      const std::lock_guard lock(mutex_);
      planned_[dataset.id] = std::move(units);
    }
    const std::lock_guard lock(mutex_);
    const auto planned = planned_.find(dataset.id);
    if (planned == planned_.end()) return BugError("Split() was not begun for this dataset");
    auto& units = planned->second;
    const size_t begin = cursor.empty() ? 0 : std::stoull(std::string(cursor));
    const size_t end = std::min(units.size(), begin + static_cast<size_t>(hint.page_units_max));
    UnitPage page;
    for (size_t i = begin; i < end; ++i) page.units.push_back(std::move(units[i]));
    if (end < units.size()) {
      page.next_cursor = std::to_string(end);
    } else {
      planned_.erase(planned);
    }
    return page;
  }

  Result<std::unique_ptr<Session>> Open(const Snapshot&, std::span<const Dataset> datasets,
                                        WorkerContext& context) override {
    return OpenSession(
        uri_.connection, ScrollOf(job_options_),
        [](const Dataset& dataset) { return ReadingOfDataset(dataset); }, datasets,
        limiter_.limited() ? &limiter_ : nullptr, health_, context);
  }

 private:
  Result<std::vector<WorkUnit>> PlanUnits(const Dataset& dataset, const SplitHint& hint) {
    ARROW_ASSIGN_OR_RAISE(const auto cluster, Connected());
    ARROW_ASSIGN_OR_RAISE(const auto state, TableState::FromJson(dataset.source_state));
    const Options& options = dataset.options;
    CutWishes wishes;
    wishes.unit_documents = hint.unit_rows;
    wishes.units_max = hint.units_max;
    // Two a worker, so that the last ones do not wait long for each other. For workers that nobody
    // asked for only where what a unit reads outweighs the filter that cutting costs the server.
    const int64_t workers = job_options_.GetInt("workers");
    wishes.workers = workers > 0 ? workers : kWorkersMax;
    wishes.units_wanted = 2 * wishes.workers;
    if (workers == 0) {
      wishes.unit_documents_least = kUnitDocumentsOfAuto;
    } else if (const int64_t page = options.GetInt("page_documents"); page > 0) {
      // Small pages are many waits for the server, which more units have at the same time.
      wishes.unit_documents_least = std::min(wishes.unit_documents_least, kPagesLeast * page);
    }
    ARROW_RETURN_NOT_OK(SetSlices(options, &wishes));
    return PlanIndexUnits(state, dataset.id, wishes,
                          [&](const PlannedIndex& index, int64_t interval_ms) {
                            return cluster->Histogram(index.index, IndexQuery(state, index),
                                                      state.time_field, interval_ms);
                          });
  }

  static Result<DatasetReading> ReadingOfDataset(const Dataset& dataset) {
    ARROW_ASSIGN_OR_RAISE(auto state, TableState::FromJson(dataset.source_state));
    ARROW_ASSIGN_OR_RAISE(auto layout, search::PageLayout::FromJson(state.layout));
    DatasetReading reading;
    reading.body = std::move(state.body);
    reading.documents_max = dataset.options.GetInt("limit");
    reading.make_decoder = [layout = std::move(layout)](UnitContext& unit) {
      return search::SearchPageDecoder::Make(layout, unit.pool);
    };
    return reading;
  }

  // Made with the first question, kept for the others.
  Result<std::shared_ptr<Cluster>> Connected() {
    std::lock_guard lock(mutex_);
    if (cluster_ == nullptr) {
      ARROW_ASSIGN_OR_RAISE(cluster_, Cluster::Make(uri_.connection, health_, stop_, retry_));
    }
    return cluster_;
  }

  // Whether each index is what it was when the table was planned, as far as the server says.
  Result<std::vector<bool>> Settled(const TableState& state) {
    ARROW_ASSIGN_OR_RAISE(const auto cluster, Connected());
    std::vector<std::string> names;
    for (const auto& index : state.indices) names.push_back(index.index);
    ARROW_ASSIGN_OR_RAISE(const auto facts, cluster->Describe(names));
    std::vector<bool> settled;
    for (const auto& index : state.indices) {
      const auto now = facts.find(index.index);
      settled.push_back(now != facts.end() && !index.fingerprint.empty() &&
                        now->second.uuid == index.uuid &&
                        now->second.fingerprint == index.fingerprint);
    }
    return settled;
  }

  // What the job is about. With an expression in the URI: that; with `tables`: each entry is an
  // expression of its own; with neither: every index and data stream.
  Result<std::vector<TableRequest>> Requests(Cluster& cluster, const Selector& selector) {
    const Selector job = Selector::FromJob(spec_);
    if (!spec_.schemas.empty()) return UserError("a search cluster has no schemas: name indices");
    std::vector<std::pair<std::string, std::string>> names;  // expression, kind
    bool literal = false;
    const bool tables = std::any_of(spec_.tables.begin(), spec_.tables.end(),
                                    [](const TableSpec& table) { return table.selects; });
    if (!uri_.expression.empty() && tables) {
      return UserError(fmt::format(
          "name the indices in the URI ('{}') or under tables, not in both", uri_.expression));
    }
    if (!uri_.expression.empty()) {
      names.emplace_back(uri_.expression, "indices");
    } else if (tables) {
      for (const auto& table : spec_.tables) {
        if (table.selects) names.emplace_back(table.pattern, "indices");
      }
    } else if (spec_.queries.empty()) {
      ARROW_ASSIGN_OR_RAISE(names, Everything(cluster));
      literal = true;
      std::vector<DatasetId> available;
      for (const auto& [name, kind] : names) available.push_back({"", name});
      ARROW_RETURN_NOT_OK(selector.CheckNamed(available));
    }
    std::vector<TableRequest> requests;
    for (auto& [expression, kind] : names) {
      const DatasetId id{"", expression};
      if (!job.Selects(id) || !selector.Selects(id)) continue;
      TableRequest request{id,           kind, expression,
                           literal,      "",   uri_.options.With(selector.OptionsFor(id)),
                           spec_.exclude};
      if (names.size() == 1 && !request.options.Has("output_name")) {
        ARROW_RETURN_NOT_OK(request.options.Set("output_name", OutputNameOf(expression)));
      }
      requests.push_back(std::move(request));
    }
    for (const auto& query : selector.queries) {
      if (uri_.expression.empty()) {
        return UserError(
            "queries are asked of the indices that the source's URI names: "
            "opensearch://host:9200/logs-*");
      }
      requests.push_back({{"", query.name.empty() ? "query" : query.name},
                          "query",
                          uri_.expression,
                          false,
                          query.sql,
                          job_options_.With(query.options),
                          spec_.exclude});
    }
    return requests;
  }

  static Result<std::vector<std::pair<std::string, std::string>>> Everything(Cluster& cluster) {
    ARROW_ASSIGN_OR_RAISE(const auto found, cluster.ResolveAll());
    std::vector<std::pair<std::string, std::string>> names;
    for (const auto& index : found.indices) {
      if (!index.system && !index.name.starts_with('.')) names.emplace_back(index.name, "index");
    }
    for (const auto& [stream, indices] : found.data_streams) {
      if (!stream.starts_with('.')) names.emplace_back(stream, "data stream");
    }
    return names;
  }

  const JobSpec spec_;
  SearchUri uri_;              // constant after construction
  const Options job_options_;  // the job's over the URI's
  RateLimiter limiter_;
  const std::shared_ptr<HostHealth> health_;
  std::stop_token stop_;  // constant after StopOn()
  Retry retry_;           // constant after RetryBy()
  std::mutex mutex_;      // guards what follows
  std::shared_ptr<Cluster> cluster_;
  std::map<DatasetId, std::vector<WorkUnit>> planned_;  // units that Split() has yet to give out
};

}  // namespace
}  // namespace opensearch

Result<std::unique_ptr<Source>> MakeOpenSearchSource(const JobSpec& spec, const JobId&) {
  ARROW_ASSIGN_OR_RAISE(auto uri,
                        opensearch::ParseSearchUri(spec.source_uri, opensearch::Environment));
  return std::make_unique<opensearch::OpenSearchSource>(spec, std::move(uri));
}

}  // namespace bulkhaul
