#include "sink/export_metadata.h"

#include <charconv>

#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/version.h"
#include "store/durable_file.h"

namespace bulkhaul {
namespace {

using nlohmann::json;

json FieldToJson(const arrow::Field& field) {
  json out = {
      {"name", field.name()}, {"type", field.type()->ToString()}, {"nullable", field.nullable()}};
  if (const auto metadata = field.metadata()) {
    if (auto type = metadata->Get(kSourceTypeKey); type.ok()) out["source_type"] = *type;
    if (auto comment = metadata->Get(kCommentKey); comment.ok()) out["comment"] = *comment;
  }
  return out;
}

json PartsToJson(const std::vector<ExportedPart>& parts) {
  json out = json::array();
  for (const auto& part : parts) {
    json entry = {{"name", part.name},
                  {"rows", part.rows},
                  {"bytes", part.bytes},
                  {"xxh3", HashText(part.xxh3)}};
    if (!part.key_min.empty() || !part.key_max.empty()) {
      entry["key_min"] = part.key_min;
      entry["key_max"] = part.key_max;
    }
    out.push_back(std::move(entry));
  }
  return out;
}

struct Totals {
  int64_t read = 0, written = 0, filtered = 0, rejected = 0, merged = 0, source_bytes = 0,
          unit_ms = 0;
  std::map<std::string, int64_t> counters;
};

Totals AddUp(const CommitRequest& request) {
  Totals totals;
  for (const auto& staged : request.staged) {
    totals.read += staged.rows_read;
    totals.written += staged.rows_written;
    totals.filtered += staged.rows_filtered;
    totals.rejected += staged.rows_rejected;
    totals.merged += staged.rows_merged;
    totals.source_bytes += staged.source_bytes;
    totals.unit_ms += staged.elapsed_ms;
    for (const auto& [name, count] : staged.counters) totals.counters[name] += count;
  }
  return totals;
}

Result<uint64_t> ParseHash(const std::string& text) {
  uint64_t hash = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, hash, 16);
  if (parsed.ec != std::errc() || parsed.ptr != end) {
    return PermanentError("'" + text + "' is not a checksum");
  }
  return hash;
}

Result<ExportMetadata> Parse(const std::string& text) {
  const auto root = json::parse(text);
  const int version = root.at("format_version").get<int>();
  if (version != kMetadataFormatVersion) {
    return PermanentError(fmt::format("its format version {} is not {}, the one this program knows",
                                      version, kMetadataFormatVersion));
  }
  ExportMetadata metadata;
  metadata.export_id = root.at("export_id").get<std::string>();
  metadata.job_id = root.at("job_id").get<std::string>();
  const auto& dataset = root.at("dataset");
  metadata.dataset =
      DatasetId{dataset.at("schema").get<std::string>(), dataset.at("name").get<std::string>()}
          .ToString();
  metadata.format = root.at("format").get<std::string>();
  metadata.format_options = root.at("format_options").dump();
  metadata.rows = root.at("totals").at("rows").get<int64_t>();
  ARROW_ASSIGN_OR_RAISE(metadata.schema, SchemaFromJson(root.at("arrow_schema").dump()));
  for (const auto& entry : root.at("parts")) {
    ExportedPart part;
    part.name = entry.at("name").get<std::string>();
    part.rows = entry.at("rows").get<int64_t>();
    part.bytes = entry.at("bytes").get<int64_t>();
    ARROW_ASSIGN_OR_RAISE(part.xxh3, ParseHash(entry.at("xxh3").get<std::string>()));
    part.key_min = entry.value("key_min", "");
    part.key_max = entry.value("key_max", "");
    metadata.parts.push_back(std::move(part));
  }
  return metadata;
}

}  // namespace

std::string ExportMetadataText(const CommitRequest& request, const ExportDescription& description) {
  const Dataset& dataset = request.plan.dataset;
  const Totals totals = AddUp(request);
  json columns = json::array();
  for (const auto& field : request.schema->fields()) columns.push_back(FieldToJson(*field));
  const json root = {
      {"format_version", kMetadataFormatVersion},
      {"program", {{"name", "bulkhaul"}, {"version", kVersion}}},
      {"export_id", description.export_id},
      {"job_id", request.job_id},
      {"idempotency_key", request.idempotency_key},
      {"dataset",
       {{"schema", dataset.id.schema},
        {"name", dataset.id.name},
        {"kind", dataset.kind},
        {"comment", dataset.comment},
        {"primary_key", dataset.primary_key}}},
      {"source", request.source_description},
      {"snapshot",
       {{"id", request.snapshot.id},
        {"consistent", request.snapshot.consistent},
        {"epoch", request.plan.epoch},
        {"taken_at", request.snapshot.taken_at},
        {"description", request.snapshot.description}}},
      {"format", description.format},
      {"format_options", json::parse(description.format_options)},
      {"compression", description.compression},
      {"columns", columns},
      {"arrow_schema", json::parse(SchemaToJson(*request.schema))},
      {"split_key", request.plan.split_key},
      {"totals",
       {{"rows", request.rows},
        {"bytes", request.bytes},
        {"parts", description.parts.size()},
        {"rows_read", totals.read},
        {"rows_filtered", totals.filtered},
        {"rows_rejected", totals.rejected},
        {"rows_merged", totals.merged},
        {"source_bytes", totals.source_bytes}}},
      {"counters", totals.counters},
      {"timings",
       {{"started_at", request.started_at},
        {"finished_at", request.finished_at},
        {"unit_ms", totals.unit_ms}}},
      {"parts", PartsToJson(description.parts)},
  };
  // Names and keys of a source without encoding (SQL_ASCII) may not be UTF-8.
  return root.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<ExportMetadata> ParseExportMetadata(const std::string& text) {
  try {
    return Parse(text);
  } catch (const json::exception& error) {
    return PermanentError(std::string("it is not an export's metadata: ") + error.what());
  }
}

Result<ExportMetadata> ReadExportMetadata(const std::string& folder) {
  const std::string path = folder + "/" + kMetadataFile;
  ARROW_ASSIGN_OR_RAISE(const std::string text, ReadSmallFile(path));
  auto metadata = ParseExportMetadata(text);
  if (!metadata.ok()) return WithContext(metadata.status(), "'" + path + "' cannot be used");
  return metadata;
}

}  // namespace bulkhaul
