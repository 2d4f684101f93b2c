#include <set>

#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/cli/terminal.h"
#include "app/cli/verbs.h"
#include "app/registry.h"
#include "base/secret.h"
#include "base/units.h"

namespace bulkhaul {
namespace {

using nlohmann::ordered_json;

// More tables than this are shown a line each.
constexpr size_t kDetailedTablesMax = 20;

std::string MetadataOf(const arrow::Field& field, const char* key) {
  if (!field.HasMetadata()) return {};
  return field.metadata()->Get(key).ValueOr("");
}

ordered_json ColumnsJson(const Dataset& dataset) {
  auto columns = ordered_json::array();
  for (const auto& field : dataset.schema->fields()) {
    ordered_json column = {{"name", field->name()},
                           {"type", field->type()->ToString()},
                           {"source_type", MetadataOf(*field, kSourceTypeKey)},
                           {"nullable", field->nullable()}};
    const auto comment = MetadataOf(*field, kCommentKey);
    if (!comment.empty()) column["comment"] = comment;
    columns.push_back(std::move(column));
  }
  return columns;
}

std::string DiscoveryJson(const std::string& source, const std::vector<Dataset>& datasets) {
  std::set<std::string> schemas;
  auto tables = ordered_json::array();
  const auto known = [](int64_t value) { return value < 0 ? ordered_json() : ordered_json(value); };
  for (const auto& dataset : datasets) {
    schemas.insert(dataset.id.schema);
    ordered_json table = {{"schema", dataset.id.schema},
                          {"name", dataset.id.name},
                          {"kind", dataset.kind},
                          {"estimated_rows", known(dataset.estimated_rows)},
                          {"estimated_bytes", known(dataset.estimated_bytes)},
                          {"primary_key", dataset.primary_key},
                          {"columns", ColumnsJson(dataset)}};
    if (!dataset.comment.empty()) table["comment"] = dataset.comment;
    if (!dataset.warnings.empty()) table["warnings"] = dataset.warnings;
    tables.push_back(std::move(table));
  }
  const ordered_json all = {
      {"source", Redact(source)}, {"schemas", schemas}, {"tables", std::move(tables)}};
  return all.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

std::string TablesText(const std::vector<Dataset>& datasets) {
  const std::vector<TextColumn> columns = {
      {"schema"}, {"table"}, {"kind"}, {"rows", true}, {"size", true}, {"columns", true}, {"key"}};
  std::vector<std::vector<std::string>> rows;
  for (const auto& dataset : datasets) {
    rows.push_back({dataset.id.schema, dataset.id.name, dataset.kind,
                    dataset.estimated_rows < 0 ? "?" : "~" + FormatCount(dataset.estimated_rows),
                    BytesOrUnknown(dataset.estimated_bytes),
                    std::to_string(dataset.schema->num_fields()),
                    fmt::format("{}", fmt::join(dataset.primary_key, ", "))});
  }
  return AlignedTable(columns, rows);
}

std::string ColumnsText(const Dataset& dataset) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& field : dataset.schema->fields()) {
    rows.push_back({"  " + field->name(), MetadataOf(*field, kSourceTypeKey),
                    field->type()->ToString(), field->nullable() ? "" : "not null",
                    MetadataOf(*field, kCommentKey)});
  }
  std::string text = fmt::format("\n{}\n", dataset.id.ToString());
  text += AlignedTable({{"  column"}, {"source type"}, {"Arrow type"}, {""}, {""}}, rows);
  for (const auto& warning : dataset.warnings) text += fmt::format("  note: {}\n", warning);
  return text;
}

}  // namespace

Result<int> RunDiscover(const DiscoverRequest& request) {
  const auto& options = request.job.options;
  ARROW_RETURN_NOT_OK(StartLog(options, /*to_stderr=*/true));
  ARROW_ASSIGN_OR_RAISE(auto source, MakeSource(request.job, "discover"));
  ARROW_ASSIGN_OR_RAISE(const auto datasets, source->Discover(Selector::FromJob(request.job)));
  if (OutputFormOf(options) == OutputForm::kJson) {
    fmt::print("{}", DiscoveryJson(request.job.source_uri, datasets));
    return kExitDone;
  }
  if (datasets.empty()) {
    fmt::print("no tables\n");
    return kExitDone;
  }
  fmt::print("{}", TablesText(datasets));
  if (request.brief) return kExitDone;
  if (datasets.size() > kDetailedTablesMax) {
    fmt::print("\n{} tables; --table NAME shows the columns of one\n", datasets.size());
    return kExitDone;
  }
  for (const auto& dataset : datasets) fmt::print("{}", ColumnsText(dataset));
  return kExitDone;
}

}  // namespace bulkhaul
