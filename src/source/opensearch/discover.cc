#include "source/opensearch/discover.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/text.h"
#include "base/units.h"
#include "plan/job_spec.h"
#include "source/opensearch/alias_filters.h"
#include "source/opensearch/column_wishes.h"
#include "source/opensearch/index_limits.h"
#include "source/opensearch/odd_times.h"
#include "source/opensearch/plan_units.h"
#include "source/opensearch/query_fields.h"
#include "source/opensearch/table_state.h"
#include "source/opensearch/time_field.h"
#include "source/opensearch/time_range.h"
#include "wire/json/page_layout.h"
#include "wire/json/search_page.h"

namespace bulkhaul::opensearch {
namespace {

using Json = nlohmann::json;

constexpr char kDefaultTimeField[] = "@timestamp";
// Looked at to find out which fields hold arrays and how large a document is.
constexpr size_t kIndicesSampled = 8;
constexpr int64_t kDocumentsSampled = 200;
constexpr int64_t kSampleBytesMax = 4 << 20;
// As the option `fetch` says.
constexpr size_t kDocValueFieldsMaxOfAuto = 8;

class TableDescriber {
 public:
  TableDescriber(Cluster& cluster, const TableRequest& request, int64_t now_ms)
      : cluster_(cluster), request_(request), options_(request.options), now_ms_(now_ms) {}

  Result<Dataset> Run() {
    dataset_.id = request_.id;
    dataset_.kind = request_.kind;
    dataset_.options = options_;
    if (!options_.GetString("where").empty()) {
      return OptionError(
          "a search index knows no SQL: write `query` (query DSL) or `q` (Lucene "
          "text) instead of `where`");
    }
    ARROW_ASSIGN_OR_RAISE(state_.query, UserQuery(options_, request_.query));
    ARROW_RETURN_NOT_OK(CheckMetadataNames(options_));
    CutWishes slices;
    ARROW_RETURN_NOT_OK(SetSlices(options_, &slices));
    ARROW_RETURN_NOT_OK(ResolveRanges());
    ARROW_RETURN_NOT_OK(ResolveIndices());
    ARROW_RETURN_NOT_OK(ReadMappings());
    ARROW_RETURN_NOT_OK(NameContents());
    ARROW_RETURN_NOT_OK(CheckTimeField());
    if (!state_.query.empty()) {
      ARROW_RETURN_NOT_OK(
          CheckQueryFields(state_.query, search::MergeMappings(mappings_), request_.id.ToString()));
      ARROW_RETURN_NOT_OK(cluster_.Validate(state_.indices.front().index, state_.query));
    }
    ARROW_RETURN_NOT_OK(CountDocuments());
    ARROW_RETURN_NOT_OK(CheckSlices(slices));
    ARROW_RETURN_NOT_OK(MakeColumns());
    Summarise();
    return std::move(dataset_);
  }

 private:
  Status ResolveRanges() {
    ARROW_ASSIGN_OR_RAISE(const auto zone, TimeZone::Parse(options_.GetString("time_zone")));
    std::vector<TimeRange> ranges;
    for (const auto& text : options_.GetList("time_ranges")) {
      ARROW_ASSIGN_OR_RAISE(const auto range, ResolveSpan(text, zone, now_ms_));
      ranges.push_back(range);
    }
    for (const char* name : {"gte", "gt", "lte", "lt"}) {
      if (options_.Has(name) && options_.GetString(name).empty()) {
        return OptionError(fmt::format("{} is empty: give a time, or leave it out", name));
      }
    }
    const TimeBounds bounds{options_.GetString("gte"), options_.GetString("gt"),
                            options_.GetString("lte"), options_.GetString("lt")};
    if (!bounds.gte.empty() || !bounds.gt.empty() || !bounds.lte.empty() || !bounds.lt.empty()) {
      ARROW_ASSIGN_OR_RAISE(const auto range, ResolveBounds(bounds, zone, now_ms_));
      ranges.push_back(range);
    }
    auto merged = MergeRanges(std::move(ranges));
    if (merged.overlaps > 0) {
      std::string text;
      for (const auto& range : ToWholeMs(merged.ranges)) {
        text += (text.empty() ? "" : "; ") + FormatRange(range);
      }
      Warn(fmt::format("time ranges overlapped and were joined: {}", text));
    }
    state_.ranges = std::move(merged.ranges);
    state_.include_missing = options_.GetString("time_missing") == "include";
    if (!state_.ranges.empty()) state_.time_of = TimeOfOption(options_);
    return Status::OK();
  }

  Status ResolveIndices() {
    std::vector<NamePattern> patterns = {
        {.written = request_.expression, .wildcard = request_.expression}};
    if (!request_.literal) {
      ARROW_ASSIGN_OR_RAISE(patterns, ParseExpression(request_.expression));
    }
    ARROW_ASSIGN_OR_RAISE(auto resolved, cluster_.Resolve(patterns));
    auto joined = JoinNames(patterns, resolved, ToWholeMs(state_.ranges), request_.exclude);
    if (!joined.ok()) return WithNearest(joined.status(), patterns, resolved);
    ResolvedNames names = *std::move(joined);
    for (auto& note : names.notes) Warn(std::move(note));
    const bool skip = options_.GetString("closed_indices") == "skip";
    if (!names.closed.empty() && skip && names.spans.empty()) {
      return UserError(
          fmt::format("all indices that '{}' names are closed, and closed_indices: skip leaves "
                      "nothing to read: {}",
                      request_.expression, ShownNames(names.closed)),
          "index_closed");
    }
    if (!names.closed.empty() && !skip) {
      return UserError(
          fmt::format("{} {} closed and cannot be read: {}; open {}, or leave {} out with "
                      "closed_indices: skip",
                      names.closed.size(), names.closed.size() == 1 ? "index is" : "indices are",
                      ShownNames(names.closed), names.closed.size() == 1 ? "it" : "them",
                      names.closed.size() == 1 ? "it" : "them"),
          "index_closed");
    }
    if (!names.closed.empty()) {
      Warn(fmt::format("left out because closed: {}", ShownNames(names.closed)));
    }
    for (const auto& span : names.spans) names_.push_back(span.index);
    ARROW_ASSIGN_OR_RAISE(facts_, cluster_.Describe(names_));
    for (const auto& span : names.spans) {
      PlannedIndex index;
      index.index = span.index;
      const auto known = facts_.find(span.index);
      if (known == facts_.end()) {
        return TransientError(
            fmt::format("index {} went away while the job was planned", span.index), "index_gone");
      }
      index.uuid = known->second.uuid;
      index.shards = known->second.shards;
      index.fingerprint = known->second.fingerprint;
      index.page_documents_max = known->second.page_documents_max;
      store_bytes_ += std::max<int64_t>(0, known->second.store_bytes);
      state_.indices.push_back(std::move(index));
    }
    ARROW_ASSIGN_OR_RAISE(const auto filters, FiltersOf(cluster_, names.spans));
    for (size_t i = 0; i < filters.size(); ++i) state_.indices[i].filter = filters[i];
    return Status::OK();
  }

  // The names of the cluster that are like one that is not there.
  Status WithNearest(const Status& status, const std::vector<NamePattern>& patterns,
                     const std::vector<ResolvedPattern>& resolved) {
    const auto all = cluster_.ResolveAll();
    if (!all.ok()) return status;
    std::vector<std::string> names;
    for (const auto& index : all->indices) names.push_back(index.name);
    for (const auto& [alias, indices] : all->aliases) names.push_back(alias);
    for (const auto& [stream, indices] : all->data_streams) names.push_back(stream);
    for (size_t i = 0; i < patterns.size(); ++i) {
      const bool found = !resolved[i].indices.empty() || !resolved[i].aliases.empty() ||
                         !resolved[i].data_streams.empty();
      if (found || patterns[i].has_wildcard()) continue;
      if (const auto nearest = NearestName(patterns[i].written, names)) {
        return MakeError(KindOf(status),
                         fmt::format("{}; did you mean '{}'?", MessageOf(status), *nearest),
                         CodeOf(status));
      }
    }
    return status;
  }

  Status ReadMappings() {
    ARROW_ASSIGN_OR_RAISE(mappings_, cluster_.Mappings(names_));
    for (const auto& mapping : mappings_) {
      if (!mapping.source_enabled) {
        return UserError(fmt::format("index {} keeps no _source (\"_source\": {{\"enabled\": "
                                     "false}}), so that its documents cannot be had back",
                                     mapping.index),
                         "no_source");
      }
      if (!mapping.source_includes.empty() || !mapping.source_excludes.empty()) {
        Warn(fmt::format("index {} does not keep all fields in _source: those are null",
                         mapping.index));
      }
    }
    return Status::OK();
  }

  // For the cache: what tells each index apart from all others, of any cluster and of its own past.
  Status NameContents() {
    if (!options_.GetBool("cache")) return Status::OK();
    ARROW_ASSIGN_OR_RAISE(const auto cluster, cluster_.Identity());
    for (auto& index : state_.indices) {
      const auto mapping = std::find_if(mappings_.begin(), mappings_.end(),
                                        [&](const auto& one) { return one.index == index.index; });
      if (mapping == mappings_.end()) continue;
      index.identity = HashName(fmt::format("{}\n{}\n{}\n{}\n{}", cluster, index.index, index.uuid,
                                            facts_[index.index].history, mapping->hash));
    }
    return Status::OK();
  }

  // Finds the time field, or an empty name where nobody asked for times and there is none.
  Status CheckTimeField() {
    const auto merged = search::MergeMappings(mappings_);
    const bool asked = options_.Has("time");
    const std::string name = asked ? options_.GetString("time") : kDefaultTimeField;
    const bool needed = asked || !state_.ranges.empty();
    ARROW_ASSIGN_OR_RAISE(const bool found,
                          FindTimeField(merged, name, needed, request_.id.ToString()));
    if (!found) return Status::OK();
    state_.time_field = name;
    return JudgePrecision();
  }

  // Which indices tell parts of a millisecond apart; bounds that need it must find it everywhere.
  Status JudgePrecision() {
    std::vector<std::string> coarse;
    for (auto& index : state_.indices) {
      for (const auto& mapping : mappings_) {
        if (mapping.index != index.index) continue;
        for (const auto& field : mapping.fields) {
          if (field.path != state_.time_field) continue;
          index.time_nanos = field.type == "date_nanos";
          if (!index.time_nanos) coarse.push_back(index.index);
        }
      }
    }
    if (!coarse.empty()) {
      std::vector<std::string> texts = options_.GetList("time_ranges");
      for (const char* name : {"gte", "gt", "lte", "lt"}) texts.push_back(options_.GetString(name));
      for (const auto& text : texts) {
        if (!IsFinerThanMs(text)) continue;
        return OptionError(fmt::format(
            "'{}' is finer than a millisecond, but {} is a date in {}: bounds of a date "
            "are exact to the millisecond, those of a date_nanos to the nanosecond",
            text, state_.time_field, ShownNames(coarse)));
      }
    }
    if (coarse.size() == state_.indices.size()) state_.ranges = ToWholeMs(state_.ranges);
    return Status::OK();
  }

  Status CountDocuments() {
    std::vector<ProbeRequest> requests;
    for (const auto& index : state_.indices) {
      requests.push_back({index.index, QueryWithoutTime(state_, index)});
    }
    ARROW_ASSIGN_OR_RAISE(const auto probes, cluster_.ProbeIndices(requests, state_.time_field));
    std::vector<OddTimes> odd;
    std::vector<size_t> partly;
    bool several = false;
    for (size_t i = 0; i < probes.size(); ++i) {
      PlannedIndex& index = state_.indices[i];
      index.min_ms = probes[i].min_ms;
      index.max_ms = probes[i].max_ms;
      index.several_times = probes[i].further_times > 0;
      index.without_time = probes[i].without_time;
      index.documents = probes[i].documents;
      if (state_.ranges.empty()) continue;
      odd.push_back({index.index, index.without_time, probes[i].further_times});
      if (!state_.include_missing) index.documents -= index.without_time;
      if (!index.min_ms) continue;
      if (AnyContains(RangesIn(state_, index), {*index.min_ms, *index.max_ms + 1})) continue;
      partly.push_back(i);
      several |= index.several_times;
    }
    TableState any = state_;
    any.time_of = TimeOf::kAny;
    ARROW_ASSIGN_OR_RAISE(const auto inside,
                          ProbeSome(any, partly, several ? state_.time_field : ""));
    for (size_t i = 0; i < partly.size(); ++i) {
      state_.indices[partly[i]].documents = inside[i].documents;
      odd[partly[i]].further_times = inside[i].further_times;
    }
    if (state_.time_of != TimeOf::kAny) {
      std::erase_if(partly, [&](size_t at) { return !state_.indices[at].several_times; });
      ARROW_ASSIGN_OR_RAISE(const auto counted, ProbeSome(state_, partly, ""));
      for (size_t i = 0; i < partly.size(); ++i) {
        PlannedIndex& index = state_.indices[partly[i]];
        odd[partly[i]].left_out = index.documents - counted[i].documents;
        index.documents = counted[i].documents;
      }
    }
    ARROW_RETURN_NOT_OK(JudgeOddTimes(odd, state_.time_field, options_, &dataset_.warnings));
    DropEmpty();
    return Status::OK();
  }

  // What the state takes of these of its indices.
  Result<std::vector<Probe>> ProbeSome(const TableState& state, const std::vector<size_t>& which,
                                       const std::string& time_field) {
    std::vector<ProbeRequest> requests;
    for (const size_t at : which) {
      requests.push_back({state.indices[at].index, IndexQuery(state, state.indices[at])});
    }
    return cluster_.ProbeIndices(requests, time_field);
  }

  // Not more slices with documents than a job may have units.
  Status CheckSlices(const CutWishes& wishes) {
    if (wishes.slice_ms == 0 || state_.time_field.empty()) return Status::OK();
    int64_t spanned = 0, filled = 0;
    for (const auto& index : state_.indices) {
      if (index.min_ms) spanned += (*index.max_ms - *index.min_ms) / wishes.slice_ms + 1;
    }
    if (spanned <= wishes.units_max) return Status::OK();
    for (const auto& index : state_.indices) {
      if (!index.min_ms) continue;
      const auto buckets = cluster_.Histogram(index.index, IndexQuery(state_, index),
                                              state_.time_field, wishes.slice_ms);
      // More than the server counts (search.max_buckets) are too many here too.
      const bool too_many =
          !buckets.ok() && CodeOf(buckets.status()) == "too_many_buckets_exception";
      if (!buckets.ok() && !too_many) return buckets.status();
      filled += too_many ? wishes.units_max + 1 : static_cast<int64_t>(buckets->size());
      if (filled > wishes.units_max) {
        return UserError(
            fmt::format("slices of {} would make more than {} units; use longer slices or slice: "
                        "auto",
                        FormatDurationMs(wishes.slice_ms), wishes.units_max),
            "too_many_slices");
      }
    }
    return Status::OK();
  }

  // Indices without a document of the dataset are not asked again, but one stays, so that a dataset
  // without rows has a schema.
  void DropEmpty() {
    const auto has_rows = [](const PlannedIndex& index) { return index.documents > 0; };
    if (std::none_of(state_.indices.begin(), state_.indices.end(), has_rows)) {
      state_.indices.resize(1);
    } else {
      std::erase_if(state_.indices, [&](const PlannedIndex& index) { return !has_rows(index); });
    }
    std::set<std::string> kept;
    for (const auto& index : state_.indices) kept.insert(index.index);
    std::erase_if(mappings_, [&](const auto& mapping) { return !kept.contains(mapping.index); });
  }

  Status MakeColumns() {
    const auto merged = search::MergeMappings(mappings_);
    search::LayoutOptions layout_options = LayoutWishes(options_, merged);
    ARROW_ASSIGN_OR_RAISE(const auto draft, search::MakeLayout(merged, layout_options));
    ARROW_RETURN_NOT_OK(Sample(merged, FieldsBody(draft), &layout_options));
    ARROW_ASSIGN_OR_RAISE(auto layout, FinalLayout(merged, layout_options));
    const auto& order = options_.GetList("columns");
    const auto place = [&](const search::ColumnSpec& column) {
      return std::find(order.begin(), order.end(), column.path) - order.begin();
    };
    std::stable_sort(layout.columns.begin(), layout.columns.end(),
                     [&](const auto& a, const auto& b) { return place(a) < place(b); });
    ARROW_ASSIGN_OR_RAISE(dataset_.schema, layout.Schema());
    // In "every index" it may be left out.
    if (layout.columns.empty() && !request_.literal) {
      return UserError(
          fmt::format("no mapping of {} has a field that could be a column{}; extra: true gives "
                      "documents without a mapping",
                      ShownNames(names_),
                      options_.GetList("exclude_fields").empty() ? "" : " after exclude_fields"),
          "no_columns");
    }
    state_.body = SearchBody(layout, layout_options);
    state_.layout = layout.ToJson();
    return Status::OK();
  }

  // From doc values where they are asked for, or are the same and few: the server reads each field
  // by itself then, and not the whole document.
  Result<search::PageLayout> FinalLayout(const search::MergedMapping& merged,
                                         search::LayoutOptions wishes) {
    const std::string& fetch = options_.GetString("fetch");
    if (fetch != "source") {
      wishes.doc_values = true;
      auto layout = search::MakeLayout(merged, wishes);
      const Status allowed =
          layout.ok() ? CheckDocValueFields(*layout, state_.indices, facts_) : layout.status();
      if (fetch == "doc_values") return allowed.ok() ? layout : allowed;
      if (allowed.ok() && layout->RequestedFields().size() <= kDocValueFieldsMaxOfAuto) {
        return layout;
      }
      wishes.doc_values = false;
    }
    return search::MakeLayout(merged, wishes);
  }

  // Sizes of documents, and which fields hold arrays. Indices are taken evenly over the names, so
  // that old and new ones are among them. The first sample is one document, which says how many the
  // others may have: documents may be as large as the server takes them.
  Status Sample(const search::MergedMapping& merged, const Json& fields,
                search::LayoutOptions* layout_options) {
    search::FieldSampler sampler(merged);
    int64_t bytes = 0, documents = 0, wanted = 1;
    const size_t count = state_.indices.size(), samples = std::min(count, kIndicesSampled);
    for (size_t i = 0; i < samples;) {
      const PlannedIndex& index =
          state_.indices[samples == 1 ? 0 : i * (count - 1) / (samples - 1)];
      const bool first = documents == 0;
      if (!first || index.documents <= 1) ++i;
      if (index.documents == 0) continue;
      if (index.page_documents_max > 0) wanted = std::min(wanted, index.page_documents_max);
      const auto query = IndexQuery(state_, index);
      Json body{
          {"size", wanted},
          {"sort", {"_doc"}},
          {"query", query.empty() ? Json{{"match_all", Json::object()}} : Json::parse(query)}};
      if (!fields.empty()) body["fields"] = fields;
      ARROW_ASSIGN_OR_RAISE(const auto page, cluster_.Search(index.index, body.dump()));
      ARROW_RETURN_NOT_OK(sampler.Append(page));
      bytes += static_cast<int64_t>(page.size());
      documents += std::min(index.documents, wanted);
      wanted = std::clamp<int64_t>(kSampleBytesMax / (bytes / documents + 1), 1, kDocumentsSampled);
    }
    if (documents > 0) {
      for (auto& index : state_.indices) {
        index.document_bytes = std::max<int64_t>(1, bytes / documents);
      }
    }
    layout_options->array_fields = sampler.array_fields();
    return Status::OK();
  }

  static Json FieldsBody(const search::PageLayout& layout) {
    Json fields = Json::array();
    for (const auto& [path, format] : layout.RequestedFields()) {
      Json field{{"field", path}};
      if (!format.empty()) field["format"] = format;
      fields.push_back(std::move(field));
    }
    return fields;
  }

  static std::string SearchBody(const search::PageLayout& layout,
                                const search::LayoutOptions& wishes) {
    Json body = Json::object();
    if (layout.doc_values) {
      // Without stored fields not even the document's id is looked up.
      const bool identity = wishes.id || wishes.routing;
      body[identity ? "_source" : "stored_fields"] = identity ? Json(false) : Json("_none_");
    } else if ((!wishes.include.empty() || !wishes.exclude.empty()) &&
               layout.bears_source_filter()) {
      Json source = Json::object();
      if (!wishes.include.empty()) source["includes"] = wishes.include;
      const auto excludes = layout.ServerExcludes(wishes.exclude);
      if (!excludes.empty()) source["excludes"] = excludes;
      if (!source.empty()) body["_source"] = std::move(source);
    }
    const Json fields = FieldsBody(layout);
    if (!fields.empty()) body[layout.doc_values ? "docvalue_fields" : "fields"] = fields;
    if (layout.needs_seq_no()) body["seq_no_primary_term"] = true;
    return body.empty() ? std::string() : body.dump();
  }

  void Summarise() {
    dataset_.estimated_rows = 0;
    dataset_.estimated_bytes = 0;
    for (const auto& index : state_.indices) {
      dataset_.estimated_rows += index.documents;
      dataset_.estimated_bytes += index.documents * index.document_bytes;
    }
    if (names_.size() > 1) {
      dataset_.comment = fmt::format("{} of {} indices hold documents of it", state_.indices.size(),
                                     names_.size());
    }
    for (auto& note : PageNotes(state_.indices, options_.GetInt("page_documents"))) {
      Warn(std::move(note));
    }
    dataset_.source_state = state_.ToJson();
  }

  void Warn(std::string text) { dataset_.warnings.push_back(std::move(text)); }

  Cluster& cluster_;
  const TableRequest& request_;
  const Options& options_;
  const int64_t now_ms_;
  Dataset dataset_;
  TableState state_;
  std::vector<std::string> names_;
  std::map<std::string, IndexFacts> facts_;  // by index
  std::vector<search::IndexMapping> mappings_;
  int64_t store_bytes_ = 0;
};

}  // namespace

Result<Dataset> DescribeTable(Cluster& cluster, const TableRequest& request, int64_t now_ms) {
  return TableDescriber(cluster, request, now_ms).Run();
}

}  // namespace bulkhaul::opensearch
