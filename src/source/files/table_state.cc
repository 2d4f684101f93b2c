#include "source/files/table_state.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace bulkhaul::files {
namespace {

using Json = nlohmann::json;

Result<int> ColumnNamed(const arrow::Schema& schema, const std::string& name) {
  const int index = schema.GetFieldIndex(name);
  if (index >= 0) return index;
  const auto nearest = NearestName(name, schema.field_names());
  return UserError(fmt::format("there is no column '{}'{}", name,
                               nearest ? "; did you mean '" + *nearest + "'?" : ""));
}

}  // namespace

std::string TableState::ToJson() const {
  Json list = Json::array();
  for (const auto& file : files) {
    Json one = {file.path, file.bytes, static_cast<int>(file.codec), file.fingerprint};
    for (const auto& [key, value] : file.partitions) one.push_back({key, value});
    list.push_back(std::move(one));
  }
  return Json{{"format", FileFormatName(format)}, {"schema", SchemaToJson(*full_schema)},
              {"file_columns", file_columns},     {"files", std::move(list)},
              {"group_ends", group_ends},         {"layout", layout}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<TableState> TableState::FromJson(std::string_view text) {
  const Json value = Json::parse(text, nullptr, false);
  if (!value.is_object()) return BugError("a table of files has no state");
  try {
    TableState state;
    ARROW_ASSIGN_OR_RAISE(state.format, FileFormatFromName(value.at("format").get<std::string>()));
    ARROW_ASSIGN_OR_RAISE(state.full_schema, SchemaFromJson(value.at("schema").get<std::string>()));
    state.file_columns = value.at("file_columns").get<int>();
    state.group_ends = value.at("group_ends").get<std::vector<size_t>>();
    state.layout = value.at("layout").get<std::string>();
    for (const auto& one : value.at("files")) {
      DataFile file;
      file.path = one.at(0).get<std::string>();
      file.bytes = one.at(1).get<int64_t>();
      file.codec = static_cast<FileCodec>(one.at(2).get<int>());
      file.fingerprint = one.at(3).get<std::string>();
      for (size_t i = 4; i < one.size(); ++i) {
        file.partitions.emplace_back(one[i].at(0).get<std::string>(),
                                     one[i].at(1).get<std::string>());
      }
      state.files.push_back(std::move(file));
    }
    return state;
  } catch (const Json::exception& error) {
    return BugError(fmt::format("the state of a table of files cannot be read: {}", error.what()));
  }
}

std::string TableState::AxisOf(size_t group) const {
  const size_t begin = group_begin(group), end = group_ends[group];
  if (end - begin == 1) return files[begin].path;
  return fmt::format("{} and the {} files after it", files[begin].path, end - begin - 1);
}

std::string ReadPlan::larger_sample() const {
  const int64_t files = options.GetInt("sample_files");
  const bool all_files = files == 0 || files >= static_cast<int64_t>(state.files.size());
  const bool all_rows = options.GetInt("sample_rows") == 0;
  if (all_rows) return all_files ? "" : "sample_files";
  return all_files ? "sample_rows" : "sample_rows and sample_files";
}

Result<std::shared_ptr<const ReadPlan>> ReadPlan::Make(TableState state, const Options& options) {
  auto plan = std::make_shared<ReadPlan>();
  plan->options = options;
  plan->limit = options.GetInt("limit");
  plan->missing_as_null = options.GetString("missing_columns") == "null";
  plan->row_bytes_max = options.GetBytes("row_bytes_max");
  const arrow::Schema& full = *state.full_schema;
  std::vector<int> wanted;
  for (const auto& name : options.GetList("columns")) {
    ARROW_ASSIGN_OR_RAISE(const int index, ColumnNamed(full, name));
    wanted.push_back(index);
  }
  if (options.GetList("columns").empty()) {
    for (int i = 0; i < full.num_fields(); ++i) wanted.push_back(i);
  }
  std::set<int> needed(wanted.begin(), wanted.end());
  const std::string& condition = options.GetString("where");
  if (!condition.empty()) {
    ARROW_ASSIGN_OR_RAISE(const auto where, Where::Parse(condition, state.full_schema));
    for (const auto& name : where.columns()) needed.insert(full.GetFieldIndex(name));
  }
  // A file's rows are counted by a column: one at least is read.
  if (needed.empty() || *needed.begin() >= state.file_columns) {
    if (state.file_columns > 0) needed.insert(0);
  }
  arrow::FieldVector output, read, from_files;
  std::vector<int> place(static_cast<size_t>(full.num_fields()), -1);
  for (const int index : needed) {
    place[static_cast<size_t>(index)] = static_cast<int>(read.size());
    read.push_back(full.field(index));
    if (index < state.file_columns) from_files.push_back(full.field(index));
  }
  for (const int index : wanted) {
    output.push_back(full.field(index));
    plan->outputs.push_back(place[static_cast<size_t>(index)]);
  }
  plan->schema = arrow::schema(std::move(output));
  plan->read_schema = arrow::schema(std::move(read));
  plan->file_schema = arrow::schema(std::move(from_files));
  if (!condition.empty()) {
    ARROW_ASSIGN_OR_RAISE(auto where, Where::Parse(condition, plan->read_schema));
    plan->where.emplace(std::move(where));
  }
  plan->state = std::move(state);
  return plan;
}

}  // namespace bulkhaul::files
