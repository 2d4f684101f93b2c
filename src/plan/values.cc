#include "plan/values.h"

#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/dictionary.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/util/base64.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace bulkhaul {
namespace {

using nlohmann::json;

// JSON texts are UTF-8; a value that is not goes as {"base64": …}, so that nothing is lost.
json Text(const std::string& text) {
  if (IsValidUtf8(text)) return text;
  return json{{"base64", arrow::util::base64_encode(text)}};
}

json Texts(const std::vector<std::string>& texts) {
  json array = json::array();
  for (const auto& text : texts) array.push_back(Text(text));
  return array;
}

// Reads members of one object; the first failure is kept and the rest gives empty values.
class Fields {
 public:
  Fields(const json& object, const char* what) : object_(object), what_(what) {
    if (!object.is_object()) Fail("", "not a JSON object");
  }

  void Read(const char* name, std::string* out) {
    if (const auto* node = Find(name)) *out = ToText(name, *node);
  }
  void Read(const char* name, std::vector<std::string>* out) {
    const auto* node = Find(name);
    if (node == nullptr) return;
    if (!node->is_array()) return Fail(name, "not a list");
    for (const auto& entry : *node) out->push_back(ToText(name, entry));
  }
  void Read(const char* name, int64_t* out) {
    const auto* node = Find(name);
    if (node == nullptr) return;
    if (!node->is_number_integer()) return Fail(name, "not a whole number");
    *out = node->get<int64_t>();
  }
  void Read(const char* name, bool* out) {
    const auto* node = Find(name);
    if (node == nullptr) return;
    if (!node->is_boolean()) return Fail(name, "not true or false");
    *out = node->get<bool>();
  }
  void ReadHex(const char* name, uint64_t* out) {
    std::string text;
    Read(name, &text);
    if (text.empty()) return;
    char* end = nullptr;
    *out = std::strtoull(text.c_str(), &end, 16);
    if (end != text.c_str() + text.size()) Fail(name, "not hexadecimal");
  }
  // nullptr when it is absent.
  const json* Find(const char* name) const {
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(name);
    return found == object_.end() ? nullptr : &*found;
  }
  void Fail(const char* name, const char* why) {
    if (status_.ok()) status_ = BugError(fmt::format("{} as JSON: '{}' is {}", what_, name, why));
  }
  void Keep(const Status& status) {
    if (status_.ok()) status_ = status;
  }
  const Status& status() const { return status_; }

 private:
  std::string ToText(const char* name, const json& node) {
    if (node.is_string()) return node.get<std::string>();
    if (node.is_object() && node.contains("base64") && node["base64"].is_string()) {
      auto bytes = arrow::util::base64_decode(node["base64"].get<std::string>());
      if (bytes.ok()) return *std::move(bytes);
    }
    Fail(name, "not text");
    return {};
  }

  const json& object_;
  const char* what_;
  Status status_;
};

json Parse(std::string_view text) { return json::parse(text, nullptr, /*allow_exceptions=*/false); }

// Object keys (counter and transform names) are ours and ASCII; anything else is replaced.
std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

json IdToJson(const DatasetId& id) {
  return {{"schema", Text(id.schema)}, {"name", Text(id.name)}};
}

void ReadId(Fields& fields, const char* name, DatasetId* id) {
  const auto* node = fields.Find(name);
  if (node == nullptr) return fields.Fail(name, "missing");
  Fields inner(*node, name);
  inner.Read("schema", &id->schema);
  inner.Read("name", &id->name);
  fields.Keep(inner.status());
}

json RangeToJson(const UnitRange& range) {
  return {{"axis", Text(range.axis)}, {"begin", Text(range.begin)}, {"end", Text(range.end)}};
}

Status ReadRange(const json& node, UnitRange* range) {
  Fields fields(node, "range");
  fields.Read("axis", &range->axis);
  fields.Read("begin", &range->begin);
  fields.Read("end", &range->end);
  return fields.status();
}

json PartToJson(const StagedPart& part) {
  return {{"path", Text(part.path)},
          {"rows", part.rows},
          {"bytes", part.bytes},
          {"xxh3", fmt::format("{:016x}", part.xxh3)},
          {"key_min", Text(part.key_min)},
          {"key_max", Text(part.key_max)},
          {"format_state", Text(part.format_state)}};
}

Status ReadPart(const json& node, StagedPart* part) {
  Fields fields(node, "part");
  fields.Read("path", &part->path);
  fields.Read("rows", &part->rows);
  fields.Read("bytes", &part->bytes);
  fields.ReadHex("xxh3", &part->xxh3);
  fields.Read("key_min", &part->key_min);
  fields.Read("key_max", &part->key_max);
  fields.Read("format_state", &part->format_state);
  return fields.status();
}

template <typename T>
void ReadList(Fields& fields, const char* name, std::vector<T>* out,
              Status (*read)(const json&, T*)) {
  const auto* node = fields.Find(name);
  if (node == nullptr) return;
  if (!node->is_array()) return fields.Fail(name, "not a list");
  for (const auto& entry : *node) {
    T value;
    fields.Keep(read(entry, &value));
    out->push_back(std::move(value));
  }
}

void ReadStates(Fields& fields, StagedResult* result) {
  if (const auto* node = fields.Find("counters"); node != nullptr && node->is_object()) {
    for (const auto& [key, count] : node->items()) {
      if (!count.is_number_integer()) return fields.Fail("counters", "not whole numbers");
      result->counters[key] = count.get<int64_t>();
    }
  }
  if (const auto* node = fields.Find("transform_states"); node != nullptr && node->is_object()) {
    Fields states(*node, "transform_states");
    for (const auto& [key, unused] : node->items()) {
      states.Read(key.c_str(), &result->transform_states[key]);
    }
    fields.Keep(states.status());
  }
}

}  // namespace

std::string DatasetId::ToString() const { return schema.empty() ? name : schema + "." + name; }

std::string ComesAfter::ToString() const {
  return reason.empty() ? table : table + " (" + reason + ")";
}

std::string SchemaToJson(const arrow::Schema& schema) {
  auto buffer = arrow::ipc::SerializeSchema(schema);
  // Fails only when memory is exhausted or the schema holds a type that IPC cannot carry.
  if (!buffer.ok()) return "null";
  return Dump(arrow::util::base64_encode((*buffer)->ToString()));
}

Result<std::shared_ptr<arrow::Schema>> SchemaFromJson(std::string_view text) {
  const json node = Parse(text);
  if (!node.is_string()) return BugError("schema as JSON: not a text");
  ARROW_ASSIGN_OR_RAISE(const auto bytes, arrow::util::base64_decode(node.get<std::string>()));
  arrow::io::BufferReader reader(arrow::Buffer::FromString(bytes));
  arrow::ipc::DictionaryMemo memo;
  auto schema = arrow::ipc::ReadSchema(&reader, &memo);
  if (!schema.ok()) return WithContext(schema.status(), "schema as JSON");
  return schema;
}

std::string Dataset::ToJson() const {
  return Dump({{"id", IdToJson(id)},
               {"kind", kind},
               {"schema", schema ? Parse(SchemaToJson(*schema)) : json()},
               {"primary_key", Texts(primary_key)},
               {"estimated_rows", estimated_rows},
               {"estimated_bytes", estimated_bytes},
               {"estimated_memory_bytes", estimated_memory_bytes},
               {"comment", Text(comment)},
               {"options", Parse(options.ToJson())},
               {"source_state", Text(source_state)},
               {"contract", Text(contract)},
               {"refuses_rows", refuses_rows},
               {"warnings", Texts(warnings)}});
}

Result<Dataset> Dataset::FromJson(std::string_view text) {
  const json node = Parse(text);
  Dataset dataset;
  Fields fields(node, "dataset");
  ReadId(fields, "id", &dataset.id);
  fields.Read("kind", &dataset.kind);
  fields.Read("primary_key", &dataset.primary_key);
  fields.Read("estimated_rows", &dataset.estimated_rows);
  fields.Read("estimated_bytes", &dataset.estimated_bytes);
  fields.Read("estimated_memory_bytes", &dataset.estimated_memory_bytes);
  fields.Read("comment", &dataset.comment);
  fields.Read("source_state", &dataset.source_state);
  fields.Read("contract", &dataset.contract);
  fields.Read("refuses_rows", &dataset.refuses_rows);
  fields.Read("warnings", &dataset.warnings);
  ARROW_RETURN_NOT_OK(fields.status());
  if (const auto* schema = fields.Find("schema"); schema != nullptr && !schema->is_null()) {
    ARROW_ASSIGN_OR_RAISE(dataset.schema, SchemaFromJson(schema->dump()));
  }
  if (const auto* options = fields.Find("options")) {
    ARROW_ASSIGN_OR_RAISE(dataset.options, Options::FromJson(Dump(*options)));
  }
  return dataset;
}

std::string Snapshot::ToJson() const {
  return Dump({{"id", Text(id)},
               {"consistent", consistent},
               {"epoch", epoch},
               {"taken_at", taken_at},
               {"description", Text(description)},
               {"source_state", Text(source_state)}});
}

Result<Snapshot> Snapshot::FromJson(std::string_view text) {
  const json node = Parse(text);
  Snapshot snapshot;
  Fields fields(node, "snapshot");
  fields.Read("id", &snapshot.id);
  fields.Read("consistent", &snapshot.consistent);
  fields.Read("epoch", &snapshot.epoch);
  fields.Read("taken_at", &snapshot.taken_at);
  fields.Read("description", &snapshot.description);
  fields.Read("source_state", &snapshot.source_state);
  ARROW_RETURN_NOT_OK(fields.status());
  return snapshot;
}

std::string WorkUnit::ToJson() const {
  return Dump({{"id", id},
               {"dataset", IdToJson(dataset)},
               {"ordinal", ordinal},
               {"range", RangeToJson(range)},
               {"source_state", Text(source_state)},
               {"estimated_rows", estimated_rows},
               {"estimated_bytes", estimated_bytes},
               {"row_bytes", row_bytes}});
}

Result<WorkUnit> WorkUnit::FromJson(std::string_view text) {
  const json node = Parse(text);
  WorkUnit unit;
  Fields fields(node, "work unit");
  fields.Read("id", &unit.id);
  ReadId(fields, "dataset", &unit.dataset);
  fields.Read("ordinal", &unit.ordinal);
  if (const auto* range = fields.Find("range")) fields.Keep(ReadRange(*range, &unit.range));
  fields.Read("source_state", &unit.source_state);
  fields.Read("estimated_rows", &unit.estimated_rows);
  fields.Read("estimated_bytes", &unit.estimated_bytes);
  fields.Read("row_bytes", &unit.row_bytes);
  ARROW_RETURN_NOT_OK(fields.status());
  return unit;
}

std::string StagedResult::ToJson() const {
  json range_list = json::array(), part_list = json::array(), states = json::object();
  for (const auto& range : ranges) range_list.push_back(RangeToJson(range));
  for (const auto& part : parts) part_list.push_back(PartToJson(part));
  for (const auto& [name, state] : transform_states) states[name] = Text(state);
  return Dump({{"unit_id", unit_id},
               {"attempt_id", attempt_id},
               {"dataset", IdToJson(dataset)},
               {"epoch", epoch},
               {"ordinal", ordinal},
               {"ranges", range_list},
               {"parts", part_list},
               {"rows_read", rows_read},
               {"rows_written", rows_written},
               {"rows_filtered", rows_filtered},
               {"rows_merged", rows_merged},
               {"rows_rejected", rows_rejected},
               {"source_bytes", source_bytes},
               {"stored_bytes", stored_bytes},
               {"elapsed_ms", elapsed_ms},
               {"counters", json(counters)},
               {"transform_states", states}});
}

Result<StagedResult> StagedResult::FromJson(std::string_view text) {
  const json node = Parse(text);
  StagedResult result;
  Fields fields(node, "staged result");
  fields.Read("unit_id", &result.unit_id);
  fields.Read("attempt_id", &result.attempt_id);
  ReadId(fields, "dataset", &result.dataset);
  fields.Read("epoch", &result.epoch);
  fields.Read("ordinal", &result.ordinal);
  ReadList(fields, "ranges", &result.ranges, ReadRange);
  ReadList(fields, "parts", &result.parts, ReadPart);
  fields.Read("rows_read", &result.rows_read);
  fields.Read("rows_written", &result.rows_written);
  fields.Read("rows_filtered", &result.rows_filtered);
  fields.Read("rows_rejected", &result.rows_rejected);
  fields.Read("rows_merged", &result.rows_merged);
  fields.Read("source_bytes", &result.source_bytes);
  fields.Read("stored_bytes", &result.stored_bytes);
  fields.Read("elapsed_ms", &result.elapsed_ms);
  ReadStates(fields, &result);
  ARROW_RETURN_NOT_OK(fields.status());
  return result;
}

std::string CommitReceipt::ToJson() const {
  return Dump({{"dataset", IdToJson(dataset)},
               {"location", Text(location)},
               {"rows", rows},
               {"rows_left_out", rows_left_out},
               {"bytes", bytes},
               {"files", files},
               {"already_committed", already_committed},
               {"archived_to", Text(archived_to)},
               {"counters", json(counters)},
               {"metadata", Text(metadata)}});
}

Result<CommitReceipt> CommitReceipt::FromJson(std::string_view text) {
  const json node = Parse(text);
  CommitReceipt receipt;
  Fields fields(node, "commit receipt");
  ReadId(fields, "dataset", &receipt.dataset);
  fields.Read("location", &receipt.location);
  fields.Read("rows", &receipt.rows);
  fields.Read("bytes", &receipt.bytes);
  fields.Read("files", &receipt.files);
  fields.Read("already_committed", &receipt.already_committed);
  fields.Read("archived_to", &receipt.archived_to);
  // Receipts of earlier versions have none.
  receipt.rows_left_out = node.value("rows_left_out", int64_t{0});
  receipt.counters = node.value("counters", receipt.counters);
  receipt.metadata = node.value("metadata", "");
  ARROW_RETURN_NOT_OK(fields.status());
  return receipt;
}

}  // namespace bulkhaul
