#include "source/opensearch/cluster.h"

#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "source/opensearch/classify.h"

namespace bulkhaul::opensearch {
namespace {

using Json = nlohmann::json;

// A request line longer than 4 KiB is refused (http.max_initial_line_length).
constexpr size_t kNamesBytesMax = 3000;
// Searches in one _msearch.
constexpr size_t kProbesPerCall = 50;

Result<Json> Parse(std::string_view text, const char* what) {
  Json value = Json::parse(text, nullptr, false);
  if (!value.is_object()) {
    return TransientError(fmt::format("the answer to {} is not JSON", what), "bad_answer");
  }
  return value;
}

// Lists of names that fit into a request line, encoded.
std::vector<std::string> NameLists(std::span<const std::string> names) {
  std::vector<std::string> lists;
  for (const auto& name : names) {
    const std::string encoded = PercentEncode(name);
    if (lists.empty() || lists.back().size() + encoded.size() > kNamesBytesMax) {
      lists.push_back(encoded);
    } else {
      lists.back() += "," + encoded;
    }
  }
  return lists;
}

int64_t IntAt(const Json& object, const char* name, int64_t otherwise) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number() ? found->get<int64_t>() : otherwise;
}

Status CheckWholeJson(const Json& answer, const std::string& index) {
  if (answer.value("timed_out", false)) {
    return TransientError(
        fmt::format("{}: the server gave a part of the answer (timed_out)", index), "timed_out");
  }
  const Json shards = answer.value("_shards", Json::object());
  const int64_t total = IntAt(shards, "total", 0), successful = IntAt(shards, "successful", 0);
  const int64_t failed = IntAt(shards, "failed", 0);
  if (failed == 0 && successful >= total) return Status::OK();
  std::string reason;
  for (const auto& failure : shards.value("failures", Json::array())) {
    const Json cause = failure.value("reason", Json::object());
    reason = fmt::format(": {}: {}", cause.value("type", ""), cause.value("reason", ""));
    break;
  }
  return TransientError(
      fmt::format("{}: {} of {} shards answered{}; an index with an unassigned primary shard is "
                  "not whole",
                  index, successful, total, reason),
      "shards_missing");
}

Json QueryOf(const std::string& query) {
  if (query.empty()) return Json{{"match_all", Json::object()}};
  return Json::parse(query);
}

std::optional<int64_t> Milliseconds(const Json& aggregations, const char* name) {
  const auto found = aggregations.find(name);
  if (found == aggregations.end() || !found->value("value", Json()).is_number()) {
    return std::nullopt;
  }
  return static_cast<int64_t>(std::floor((*found)["value"].get<double>()));
}

Probe ProbeOf(const Json& answer) {
  Probe probe;
  const Json total = answer.value("hits", Json::object()).value("total", Json());
  probe.documents = total.is_object()   ? IntAt(total, "value", 0)
                    : total.is_number() ? total.get<int64_t>()
                                        : 0;
  const Json aggregations = answer.value("aggregations", Json::object());
  probe.min_ms = Milliseconds(aggregations, "first");
  probe.max_ms = Milliseconds(aggregations, "last");
  if (aggregations.contains("times")) {
    const int64_t with = IntAt(aggregations["with"], "doc_count", 0);
    probe.without_time = probe.documents - with;
    probe.several_times = IntAt(aggregations["times"], "value", 0) > with;
  }
  return probe;
}

Json ProbeBody(const std::string& query, const std::string& time_field) {
  Json body{{"size", 0}, {"track_total_hits", true}, {"query", QueryOf(query)}};
  if (time_field.empty()) return body;
  const Json field{{"field", time_field}};
  body["aggs"] = {{"first", {{"min", field}}},
                  {"last", {{"max", field}}},
                  {"times", {{"value_count", field}}},
                  {"with", {{"filter", {{"exists", field}}}}}};
  return body;
}

void AddShard(const Json& shard, const std::string& number, IndexFacts* facts) {
  if (!shard.value("routing", Json::object()).value("primary", false)) return;
  const Json docs = shard.value("docs", Json::object());
  const int64_t documents = IntAt(docs, "count", 0);
  facts->documents = std::max<int64_t>(0, facts->documents) + documents;
  facts->store_bytes = std::max<int64_t>(0, facts->store_bytes) +
                       IntAt(shard.value("store", Json::object()), "size_in_bytes", 0);
  facts->fingerprint += fmt::format("{}:{}:{}:{};", number, documents, IntAt(docs, "deleted", 0),
                                    IntAt(shard.value("seq_no", Json::object()), "max_seq_no", -1));
  facts->history += shard.value("/commit/user_data/history_uuid"_json_pointer, "") + ";";
}

// The objects that are walked have names of their own: items() does not keep a temporary alive.
void AddStats(const Json& indices, std::map<std::string, IndexFacts>* facts) {
  for (const auto& [index, value] : indices.items()) {
    const Json shards = value.value("shards", Json::object());
    for (const auto& [number, copies] : shards.items()) {
      for (const auto& copy : copies) AddShard(copy, number, &(*facts)[index]);
    }
  }
}

void AddAliases(const std::string& index, const Json& aliases,
                std::map<std::string, std::map<std::string, AliasEntry>>* entries) {
  for (const auto& [alias, entry] : aliases.items()) {
    AliasEntry found;
    if (entry.contains("filter")) found.filter = entry["filter"].dump();
    found.search_routing = entry.value("search_routing", "");
    (*entries)[alias][index] = std::move(found);
  }
}

// Takes an answer apart. One of another form is an error of the answer, not of the program.
template <typename Read>
Status Understand(const char* what, const Read& read) {
  try {
    return read();
  } catch (const Json::exception& error) {
    return TransientError(fmt::format("the answer to {} is not understood: {}", what, error.what()),
                          "bad_answer");
  }
}

}  // namespace

Status CheckWhole(std::string_view answer, const std::string& index) {
  ARROW_ASSIGN_OR_RAISE(const Json value, Parse(answer, "a search"));
  return Understand("a search", [&] { return CheckWholeJson(value, index); });
}

Result<std::unique_ptr<Cluster>> Cluster::Make(const ConnectionSettings& settings) {
  ARROW_ASSIGN_OR_RAISE(auto client, HttpClient::Make(settings));
  std::string addresses;
  for (const auto& host : settings.hosts) addresses += fmt::format("{}:{},", host.host, host.port);
  return std::unique_ptr<Cluster>(new Cluster(std::move(client), std::move(addresses)));
}

void Cluster::StopOn(std::stop_token stop) {
  std::lock_guard lock(mutex_);
  stop_ = std::move(stop);
}

Result<std::string> Cluster::Call(const std::string& method, const std::string& path,
                                  const std::string& body) {
  std::lock_guard lock(mutex_);
  HttpRequest request;
  request.method = method;
  request.path = path;
  request.body = body;
  ARROW_ASSIGN_OR_RAISE(const auto response, client_->Request(request, stop_));
  return std::string(response.body);
}

Result<std::vector<ResolvedPattern>> Cluster::Resolve(std::span<const NamePattern> patterns) {
  std::vector<ResolvedPattern> resolved;
  for (const auto& pattern : patterns) {
    auto answer = Call("GET", "/_resolve/index/" + PercentEncode(pattern.wildcard) +
                                  "?expand_wildcards=open,closed");
    // Elasticsearch says so by an error, OpenSearch by an empty answer.
    if (!answer.ok() && CodeOf(answer.status()) == "index_not_found_exception") {
      resolved.emplace_back();
      continue;
    }
    if (!answer.ok()) {
      return WithContext(answer.status(), fmt::format("'{}'", pattern.written));
    }
    ARROW_ASSIGN_OR_RAISE(auto one, ParseResolved(*answer));
    resolved.push_back(std::move(one));
  }
  return resolved;
}

Result<ResolvedPattern> Cluster::ResolveAll() {
  ARROW_ASSIGN_OR_RAISE(const auto answer, Call("GET", "/_resolve/index/*?expand_wildcards=open"));
  return ParseResolved(answer);
}

Result<std::string> Cluster::Identity() {
  const auto text = Call("GET", "/_cluster/state/version?local=true");
  // Whoever may read need not be allowed to monitor.
  if (!text.ok() && KindOf(text.status()) == ErrorKind::kUser) return addresses_;
  ARROW_RETURN_NOT_OK(text);
  ARROW_ASSIGN_OR_RAISE(const Json answer, Parse(*text, "_cluster/state"));
  const auto uuid = answer.find("cluster_uuid");
  return uuid != answer.end() && uuid->is_string() ? uuid->get<std::string>() : addresses_;
}

Result<std::map<std::string, IndexFacts>> Cluster::Describe(std::span<const std::string> indices) {
  std::map<std::string, IndexFacts> result{};
  ARROW_RETURN_NOT_OK(Understand("_settings or _stats", [&]() -> Status {
    std::map<std::string, IndexFacts> facts;
    for (const auto& list : NameLists(indices)) {
      ARROW_ASSIGN_OR_RAISE(const auto text, Call("GET", "/" + list + "/_settings"));
      ARROW_ASSIGN_OR_RAISE(const Json settings, Parse(text, "_settings"));
      for (const auto& [index, value] : settings.items()) {
        const Json own = value.value("settings", Json::object()).value("index", Json::object());
        facts[index].uuid = own.value("uuid", "");
        facts[index].shards = std::max(1, std::atoi(own.value("number_of_shards", "1").c_str()));
      }
      auto stats_text = Call("GET", "/" + list + "/_stats/docs,store?level=shards");
      // Whoever may read need not be allowed to monitor.
      if (!stats_text.ok() && KindOf(stats_text.status()) == ErrorKind::kUser) continue;
      ARROW_RETURN_NOT_OK(stats_text);
      ARROW_ASSIGN_OR_RAISE(const Json stats, Parse(*stats_text, "_stats"));
      AddStats(stats.value("indices", Json::object()), &facts);
    }
    result = facts;
    return Status::OK();
  }));
  return result;
}

Result<std::vector<search::IndexMapping>> Cluster::Mappings(std::span<const std::string> indices) {
  std::vector<search::IndexMapping> mappings;
  for (const auto& list : NameLists(indices)) {
    ARROW_ASSIGN_OR_RAISE(const auto text, Call("GET", "/" + list + "/_mapping"));
    ARROW_ASSIGN_OR_RAISE(auto some, search::ParseMappings(text));
    for (auto& one : some) mappings.push_back(std::move(one));
  }
  return mappings;
}

Result<std::map<std::string, std::map<std::string, AliasEntry>>> Cluster::Aliases(
    std::span<const std::string> aliases) {
  std::map<std::string, std::map<std::string, AliasEntry>> result{};
  ARROW_RETURN_NOT_OK(Understand("_alias", [&]() -> Status {
    std::map<std::string, std::map<std::string, AliasEntry>> entries;
    for (const auto& list : NameLists(aliases)) {
      ARROW_ASSIGN_OR_RAISE(const auto text, Call("GET", "/_alias/" + list));
      ARROW_ASSIGN_OR_RAISE(const Json answer, Parse(text, "_alias"));
      for (const auto& [index, value] : answer.items()) {
        AddAliases(index, value.value("aliases", Json::object()), &entries);
      }
    }
    result = entries;
    return Status::OK();
  }));
  return result;
}

Result<std::vector<Probe>> Cluster::ProbeIndices(std::span<const ProbeRequest> requests,
                                                 const std::string& time_field) {
  std::vector<Probe> result{};
  ARROW_RETURN_NOT_OK(Understand("_msearch", [&]() -> Status {
    std::vector<Probe> probes;
    while (probes.size() < requests.size()) {
      const auto part = requests.subspan(probes.size())
                            .first(std::min(kProbesPerCall, requests.size() - probes.size()));
      std::string body;
      for (const auto& request : part) {
        body += Json{{"index", request.index}}.dump() + "\n" +
                ProbeBody(request.query, time_field).dump() + "\n";
      }
      ARROW_ASSIGN_OR_RAISE(const auto text, Call("POST", "/_msearch", body));
      ARROW_ASSIGN_OR_RAISE(const Json answer, Parse(text, "_msearch"));
      const Json answers = answer.value("responses", Json::array());
      if (answers.size() != part.size()) {
        return TransientError("_msearch gave another number of answers than it was asked");
      }
      for (size_t i = 0; i < part.size(); ++i) {
        const int status = static_cast<int>(IntAt(answers[i], "status", 200));
        if (status != 200) {
          return ClassifyHttp(status, answers[i].dump(), "application/json",
                              "_msearch on " + part[i].index);
        }
        ARROW_RETURN_NOT_OK(CheckWholeJson(answers[i], part[i].index));
        probes.push_back(ProbeOf(answers[i]));
      }
    }
    result = probes;
    return Status::OK();
  }));
  return result;
}

Result<int64_t> Cluster::Count(const std::string& index, const std::string& query) {
  int64_t result{};
  ARROW_RETURN_NOT_OK(Understand("_count", [&]() -> Status {
    ARROW_ASSIGN_OR_RAISE(const auto text, Call("POST", "/" + PercentEncode(index) + "/_count",
                                                Json{{"query", QueryOf(query)}}.dump()));
    ARROW_ASSIGN_OR_RAISE(const Json answer, Parse(text, "_count"));
    ARROW_RETURN_NOT_OK(CheckWholeJson(answer, index));
    result = IntAt(answer, "count", -1);
    return Status::OK();
  }));
  return result;
}

Result<std::vector<TimeBucket>> Cluster::Histogram(const std::string& index,
                                                   const std::string& query,
                                                   const std::string& time_field,
                                                   int64_t interval_ms) {
  std::vector<TimeBucket> result{};
  ARROW_RETURN_NOT_OK(Understand("_search", [&]() -> Status {
    const Json body{{"size", 0},
                    {"query", QueryOf(query)},
                    {"aggs",
                     {{"slices",
                       {{"date_histogram",
                         {{"field", time_field},
                          {"fixed_interval", fmt::format("{}ms", interval_ms)},
                          {"min_doc_count", 1}}}}}}}};
    ARROW_ASSIGN_OR_RAISE(const auto text,
                          Call("POST", "/" + PercentEncode(index) + "/_search", body.dump()));
    ARROW_ASSIGN_OR_RAISE(const Json answer, Parse(text, "_search"));
    ARROW_RETURN_NOT_OK(CheckWholeJson(answer, index));
    std::vector<TimeBucket> buckets;
    const Json aggregations = answer.value("aggregations", Json::object());
    for (const auto& bucket :
         aggregations.value("slices", Json::object()).value("buckets", Json::array())) {
      buckets.push_back({IntAt(bucket, "key", 0), IntAt(bucket, "doc_count", 0)});
    }
    result = buckets;
    return Status::OK();
  }));
  return result;
}

Status Cluster::Validate(const std::string& index, const std::string& query) {
  auto text = Call("POST", "/" + PercentEncode(index) + "/_validate/query?explain=true",
                   Json{{"query", QueryOf(query)}}.dump());
  if (!text.ok()) return WithContext(text.status(), "the query");
  ARROW_ASSIGN_OR_RAISE(const Json answer, Parse(*text, "_validate/query"));
  return Understand("_validate/query", [&] {
    if (answer.value("valid", false)) return Status::OK();
    std::string reason = answer.value("error", "");
    for (const auto& explanation : answer.value("explanations", Json::array())) {
      if (reason.empty()) reason = explanation.value("error", "");
    }
    return UserError(fmt::format("the server refuses the query: {}", reason), "bad_query");
  });
}

Result<std::string> Cluster::Search(const std::string& index, const std::string& body) {
  return Call("POST", "/" + PercentEncode(index) + "/_search", body);
}

}  // namespace bulkhaul::opensearch
