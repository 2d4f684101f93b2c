#include "source/opensearch/cluster.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

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
    probe.further_times = std::max<int64_t>(0, IntAt(aggregations["times"], "value", 0) - with);
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

// Settings are texts, and there only where the index has its own.
void SetLimits(const Json& settings, IndexFacts* facts) {
  const auto set = [&](const char* name, int64_t* limit) {
    const std::string own = settings.value(name, "");
    if (!own.empty()) *limit = std::strtoll(own.c_str(), nullptr, 10);
  };
  set("max_result_window", &facts->page_documents_max);
  set("max_docvalue_fields_search", &facts->doc_value_fields_max);
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

Status ReadProbes(std::string_view text, std::span<const ProbeRequest> requests,
                  std::vector<Probe>* probes) {
  ARROW_ASSIGN_OR_RAISE(const Json answer, Parse(text, "_msearch"));
  const Json answers = answer.value("responses", Json::array());
  if (answers.size() != requests.size()) {
    return TransientError("_msearch gave another number of answers than it was asked");
  }
  for (size_t i = 0; i < requests.size(); ++i) {
    const int status = static_cast<int>(IntAt(answers[i], "status", 200));
    if (status != 200) {
      return ClassifyHttp(status, answers[i].dump(), "application/json",
                          "_msearch on " + requests[i].index);
    }
    ARROW_RETURN_NOT_OK(CheckWholeJson(answers[i], requests[i].index));
    probes->push_back(ProbeOf(answers[i]));
  }
  return Status::OK();
}

// rest.action.multi.allow_explicit_index: false, so that what stands before the cluster can tell by
// the path alone which index is asked for.
bool RefusesIndicesInBodies(const Status& status) {
  return MessageOf(status).find("explicit index in multi search is not allowed") !=
         std::string::npos;
}

// Takes an answer apart. One of another form is an error of the answer, not of the program.
template <typename Read>
Status Understand(std::string_view what, const Read& read) {
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

Result<std::unique_ptr<Cluster>> Cluster::Make(const ConnectionSettings& settings,
                                               std::shared_ptr<HostHealth> health,
                                               std::stop_token stop, Retry retry) {
  ARROW_ASSIGN_OR_RAISE(auto client, HttpClient::Make(settings, 0, std::move(health)));
  std::string addresses;
  for (const auto& host : settings.hosts) addresses += fmt::format("{}:{},", host.host, host.port);
  return std::unique_ptr<Cluster>(
      new Cluster(std::move(client), std::move(addresses), std::move(stop), std::move(retry)));
}

Result<std::string> Cluster::CallOnce(const HttpRequest& request) {
  std::lock_guard lock(mutex_);
  ARROW_ASSIGN_OR_RAISE(const auto response, client_->Request(request, stop_));
  return std::string(response.body);
}

Status Cluster::Ask(const HttpRequest& request, const Reading& reading) {
  const auto once = [&]() -> Status {
    ARROW_ASSIGN_OR_RAISE(const auto answer, CallOnce(request));
    return Understand(std::string_view(request.path).substr(0, request.path.find('?')),
                      [&] { return reading(answer); });
  };
  return retry_ ? retry_("ask the cluster", once) : once();
}

Result<std::vector<ResolvedPattern>> Cluster::Resolve(std::span<const NamePattern> patterns) {
  std::vector<ResolvedPattern> resolved;
  for (const auto& pattern : patterns) {
    ResolvedPattern one;
    const Status status =
        Ask({.path = "/_resolve/index/" + PercentEncode(pattern.wildcard) +
                     "?expand_wildcards=open,closed"},
            [&](const std::string& answer) { return ParseResolved(answer).Value(&one); });
    // Elasticsearch says so by an error, OpenSearch by an empty answer.
    if (!status.ok() && CodeOf(status) != "index_not_found_exception") {
      return WithContext(status, fmt::format("'{}'", pattern.written));
    }
    ARROW_RETURN_NOT_OK(ResolveLedTo(&one));
    if (pattern.has_wildcard()) ARROW_RETURN_NOT_OK(ResolveHidden(pattern, &one));
    resolved.push_back(std::move(one));
  }
  return resolved;
}

Status Cluster::ResolveLedTo(ResolvedPattern* found) {
  for (const auto& list : NameLists(found->NamesLedTo())) {
    ResolvedPattern some;
    ARROW_RETURN_NOT_OK(Ask({.path = "/_resolve/index/" + list}, [&](const std::string& answer) {
      return ParseResolved(answer).Value(&some);
    }));
    for (auto& index : some.indices) {
      const std::string name = index.name;
      found->led_to[name] = std::move(index);
    }
  }
  return Status::OK();
}

Status Cluster::ResolveHidden(const NamePattern& pattern, ResolvedPattern* found) {
  ResolvedPattern all;
  const Status status =
      Ask({.path = "/_resolve/index/" + PercentEncode(pattern.wildcard) + "?expand_wildcards=all"},
          [&](const std::string& answer) { return ParseResolved(answer).Value(&all); });
  // It is for a note alone, and who may read what is visible need not be allowed more.
  if (!status.ok()) return KindOf(status) == ErrorKind::kUser ? Status::OK() : status;
  FindHidden(all, found);
  return Status::OK();
}

Result<ResolvedPattern> Cluster::ResolveAll() {
  ResolvedPattern all;
  ARROW_RETURN_NOT_OK(
      Ask({.path = "/_resolve/index/*?expand_wildcards=open,closed"},
          [&](const std::string& answer) { return ParseResolved(answer).Value(&all); }));
  return all;
}

Result<std::string> Cluster::Identity() {
  std::string identity = addresses_;
  const Status status =
      Ask({.path = "/_cluster/state/version?local=true"}, [&](const std::string& text) -> Status {
        ARROW_ASSIGN_OR_RAISE(const Json answer, Parse(text, "_cluster/state"));
        const auto uuid = answer.find("cluster_uuid");
        if (uuid != answer.end() && uuid->is_string()) identity = uuid->get<std::string>();
        return Status::OK();
      });
  // Whoever may read need not be allowed to monitor.
  if (!status.ok() && KindOf(status) != ErrorKind::kUser) return status;
  return identity;
}

Result<std::map<std::string, IndexFacts>> Cluster::Describe(std::span<const std::string> indices) {
  std::map<std::string, IndexFacts> facts;
  for (const auto& list : NameLists(indices)) {
    ARROW_RETURN_NOT_OK(
        Ask({.path = "/" + list + "/_settings"}, [&](const std::string& text) -> Status {
          ARROW_ASSIGN_OR_RAISE(const Json settings, Parse(text, "_settings"));
          for (const auto& [index, value] : settings.items()) {
            const Json own = value.value("settings", Json::object()).value("index", Json::object());
            facts[index].uuid = own.value("uuid", "");
            facts[index].shards =
                std::max(1, std::atoi(own.value("number_of_shards", "1").c_str()));
            SetLimits(own, &facts[index]);
          }
          return Status::OK();
        }));
    std::map<std::string, IndexFacts> counted;
    const Status status = Ask({.path = "/" + list + "/_stats/docs,store?level=shards"},
                              [&](const std::string& text) -> Status {
                                ARROW_ASSIGN_OR_RAISE(const Json stats, Parse(text, "_stats"));
                                counted = facts;
                                AddStats(stats.value("indices", Json::object()), &counted);
                                return Status::OK();
                              });
    // Whoever may read need not be allowed to monitor.
    if (!status.ok() && KindOf(status) != ErrorKind::kUser) return status;
    if (status.ok()) facts = std::move(counted);
  }
  return facts;
}

Result<std::vector<search::IndexMapping>> Cluster::Mappings(std::span<const std::string> indices) {
  std::vector<search::IndexMapping> mappings;
  for (const auto& list : NameLists(indices)) {
    std::vector<search::IndexMapping> some;
    ARROW_RETURN_NOT_OK(Ask({.path = "/" + list + "/_mapping"}, [&](const std::string& text) {
      return search::ParseMappings(text).Value(&some);
    }));
    for (auto& one : some) mappings.push_back(std::move(one));
  }
  return mappings;
}

Result<std::map<std::string, std::map<std::string, AliasEntry>>> Cluster::Aliases(
    std::span<const std::string> aliases) {
  std::map<std::string, std::map<std::string, AliasEntry>> entries;
  for (const auto& list : NameLists(aliases)) {
    ARROW_RETURN_NOT_OK(Ask({.path = "/_alias/" + list}, [&](const std::string& text) -> Status {
      ARROW_ASSIGN_OR_RAISE(const Json answer, Parse(text, "_alias"));
      for (const auto& [index, value] : answer.items()) {
        AddAliases(index, value.value("aliases", Json::object()), &entries);
      }
      return Status::OK();
    }));
  }
  return entries;
}

Result<std::vector<Probe>> Cluster::ProbeIndices(std::span<const ProbeRequest> requests,
                                                 const std::string& time_field) {
  std::vector<Probe> probes;
  while (probes.size() < requests.size()) {
    const auto part = requests.subspan(probes.size())
                          .first(std::min(kProbesPerCall, requests.size() - probes.size()));
    std::vector<Probe> found;
    if (!one_by_one_) {
      const Status asked = ProbeTogether(part, time_field, &found);
      if (RefusesIndicesInBodies(asked)) {
        one_by_one_ = true;
      } else {
        ARROW_RETURN_NOT_OK(asked);
      }
    }
    if (one_by_one_) {
      found.resize(part.size());
      for (size_t i = 0; i < part.size(); ++i) {
        ARROW_RETURN_NOT_OK(ProbeAlone(part[i], time_field, &found[i]));
      }
    }
    probes.insert(probes.end(), found.begin(), found.end());
  }
  return probes;
}

Status Cluster::ProbeTogether(std::span<const ProbeRequest> requests, const std::string& time_field,
                              std::vector<Probe>* probes) {
  std::string body;
  for (const auto& request : requests) {
    body += Json{{"index", request.index}}.dump() + "\n" +
            ProbeBody(request.query, time_field).dump() + "\n";
  }
  return Ask({.method = "POST", .path = "/_msearch", .body = body}, [&](const std::string& text) {
    probes->clear();
    return ReadProbes(text, requests, probes);
  });
}

Status Cluster::ProbeAlone(const ProbeRequest& request, const std::string& time_field,
                           Probe* probe) {
  return Ask({.method = "POST",
              .path = "/" + PercentEncode(request.index) + "/_search",
              .body = ProbeBody(request.query, time_field).dump()},
             [&](const std::string& text) -> Status {
               ARROW_ASSIGN_OR_RAISE(const Json answer, Parse(text, "_search"));
               ARROW_RETURN_NOT_OK(CheckWholeJson(answer, request.index));
               *probe = ProbeOf(answer);
               return Status::OK();
             });
}

Result<int64_t> Cluster::Count(const std::string& index, const std::string& query) {
  int64_t count = -1;
  ARROW_RETURN_NOT_OK(Ask({.method = "POST",
                           .path = "/" + PercentEncode(index) + "/_count",
                           .body = Json{{"query", QueryOf(query)}}.dump()},
                          [&](const std::string& text) -> Status {
                            ARROW_ASSIGN_OR_RAISE(const Json answer, Parse(text, "_count"));
                            ARROW_RETURN_NOT_OK(CheckWholeJson(answer, index));
                            count = IntAt(answer, "count", -1);
                            return Status::OK();
                          }));
  return count;
}

Result<std::vector<TimeBucket>> Cluster::Histogram(const std::string& index,
                                                   const std::string& query,
                                                   const std::string& time_field,
                                                   int64_t interval_ms) {
  const Json slices{{"slices",
                     {{"date_histogram",
                       {{"field", time_field},
                        {"fixed_interval", fmt::format("{}ms", interval_ms)},
                        {"min_doc_count", 1}}}}}};
  const Json body{{"size", 0}, {"query", QueryOf(query)}, {"aggs", slices}};
  std::vector<TimeBucket> buckets;
  const Status asked = AskBuckets(index, body.dump(), &buckets);
  // Elasticsearch 8.19.21 takes bounds for the histogram from the query, and fails where a
  // date_nanos, or the alias of a date, has only an upper one. It does not look into a filter.
  if (CodeOf(asked) == "illegal_argument_exception") {
    const Json behind{{"size", 0},
                      {"aggs", {{"found", {{"filter", QueryOf(query)}, {"aggs", slices}}}}}};
    ARROW_RETURN_NOT_OK(AskBuckets(index, behind.dump(), &buckets));
  } else {
    ARROW_RETURN_NOT_OK(asked);
  }
  return buckets;
}

Status Cluster::AskBuckets(const std::string& index, const std::string& body,
                           std::vector<TimeBucket>* buckets) {
  return Ask({.method = "POST", .path = "/" + PercentEncode(index) + "/_search", .body = body},
             [&](const std::string& text) -> Status {
               ARROW_ASSIGN_OR_RAISE(const Json answer, Parse(text, "_search"));
               ARROW_RETURN_NOT_OK(CheckWholeJson(answer, index));
               buckets->clear();
               Json aggregations = answer.value("aggregations", Json::object());
               if (aggregations.contains("found")) aggregations = Json(aggregations["found"]);
               const Json slices = aggregations.value("slices", Json::object());
               for (const auto& bucket : slices.value("buckets", Json::array())) {
                 buckets->push_back({IntAt(bucket, "key", 0), IntAt(bucket, "doc_count", 0)});
               }
               return Status::OK();
             });
}

Status Cluster::Validate(const std::string& index, const std::string& query) {
  bool valid = false;
  std::string reason;
  const Status asked =
      Ask({.method = "POST",
           .path = "/" + PercentEncode(index) + "/_validate/query?explain=true",
           .body = Json{{"query", QueryOf(query)}}.dump()},
          [&](const std::string& text) -> Status {
            ARROW_ASSIGN_OR_RAISE(const Json answer, Parse(text, "_validate/query"));
            valid = answer.value("valid", false);
            reason = answer.value("error", "");
            for (const auto& explanation : answer.value("explanations", Json::array())) {
              if (reason.empty()) reason = explanation.value("error", "");
            }
            return Status::OK();
          });
  if (!asked.ok()) return WithContext(asked, "the query");
  if (valid) return Status::OK();
  return UserError(fmt::format("the server refuses the query: {}", reason), "bad_query");
}

Result<std::string> Cluster::Search(const std::string& index, const std::string& body) {
  std::string answer;
  ARROW_RETURN_NOT_OK(
      Ask({.method = "POST", .path = "/" + PercentEncode(index) + "/_search", .body = body},
          [&](const std::string& text) {
            answer = text;
            return CheckWhole(text, index);
          }));
  return answer;
}

}  // namespace bulkhaul::opensearch
