#include "duckdb/attachments.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/secret.h"
#include "duckdb/csv_columns.h"

namespace bulkhaul::duckdb {
namespace {

namespace fs = std::filesystem;
using Kind = Attachment::Kind;

constexpr char kMetadataFile[] = "_export_metadata.json";
// direct, organized and by-schema layouts, with room for one more folder.
constexpr int kDepthMax = 4;

bool IsName(std::string_view text) {
  return !text.empty() && std::isdigit(static_cast<unsigned char>(text[0])) == 0 &&
         std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

Kind KindOf(std::string_view target) {
  for (const char* begin : {"postgres:", "postgresql:", "host=", "dbname=", "service="}) {
    if (target.starts_with(begin)) return Kind::kPostgres;
  }
  if (target.starts_with("sqlite:") || target.starts_with("sqlite3:")) return Kind::kSqlite;
  for (const char* end : {".db", ".sqlite", ".sqlite3"}) {
    if (target.ends_with(end)) return Kind::kSqlite;
  }
  return target.ends_with(".duckdb") ? Kind::kDuckdb : Kind::kExports;
}

std::string ViewName(const fs::path& root, const fs::path& folder) {
  const fs::path below = folder.lexically_relative(root);
  if (below == ".") return (folder.has_filename() ? folder : folder.parent_path()).filename();
  std::string name;
  for (const auto& part : below) name += (name.empty() ? "" : "_") + part.string();
  return name;
}

std::string ListOf(const std::vector<std::string>& files) {
  std::string list;
  for (const auto& file : files) list += (list.empty() ? "" : ", ") + QuotedText(file);
  return list;
}

// ", delim = ';'": how the export's CSV files are written.
std::string Dialect(const nlohmann::json& format_options) {
  std::string text;
  const auto add = [&](const char* option, const char* key) {
    const auto found = format_options.find(key);
    if (found == format_options.end()) return;
    text +=
        fmt::format(", {} = {}", option,
                    found->is_boolean() ? found->dump() : QuotedText(found->get<std::string>()));
  };
  add("delim", "delimiter");
  add("header", "header");
  add("nullstr", "null");
  return text;
}

// "SELECT * FROM …" with what the metadata says; "" for a format that DuckDB does not read.
std::string SelectFrom(const fs::path& folder, const nlohmann::json& metadata) {
  std::vector<std::string> parts;
  for (const auto& part : metadata.at("parts")) {
    parts.push_back((folder / part.at("name").get<std::string>()).string());
  }
  const std::string files = ListOf(parts);
  const std::string format = metadata.at("format");
  if (format == "parquet") return fmt::format("SELECT * FROM read_parquet([{}])", files);
  if (format != "csv") return {};
  std::vector<CsvColumn> columns;
  for (const auto& column : metadata.at("columns")) {
    columns.push_back({column.at("name"), column.at("type")});
  }
  return SelectFromCsv(files, columns, Dialect(metadata.at("format_options")));
}

Status AddView(const std::string& schema, const fs::path& root, const fs::path& folder,
               std::vector<std::string>* statements, std::vector<std::string>* notes) {
  std::ifstream file(folder / kMetadataFile);
  const auto metadata = nlohmann::json::parse(file, nullptr, false);
  if (!metadata.is_object() || !metadata.contains("parts") || !metadata.contains("format") ||
      !metadata.contains("format_options") || !metadata.contains("columns")) {
    return UserError(fmt::format("{} cannot be understood", (folder / kMetadataFile).string()));
  }
  const std::string name = ViewName(root, folder);
  if (metadata["parts"].empty()) {
    notes->push_back(fmt::format("{}: has no files, so that there is no view of it", name));
    return Status::OK();
  }
  const std::string select = SelectFrom(folder, metadata);
  if (select.empty()) {
    notes->push_back(fmt::format("{}: DuckDB does not read the format {}", name,
                                 metadata["format"].get<std::string>()));
    return Status::OK();
  }
  statements->push_back(
      fmt::format("CREATE VIEW {}.{} AS {}", QuotedName(schema), QuotedName(name), select));
  return Status::OK();
}

}  // namespace

const char* DefaultName(Kind kind) {
  switch (kind) {
    case Kind::kPostgres:
      return "pg_main";
    case Kind::kSqlite:
      return "sqlite_main";
    case Kind::kDuckdb:
      return "duckdb_main";
    case Kind::kFiles:
      return "files";
    default:
      return "exports";
  }
}

std::string QuotedName(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) quoted.append(c == '"' ? 2 : 1, c);
  return quoted + '"';
}

std::string QuotedText(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) quoted.append(c == '\'' ? 2 : 1, c);
  return quoted + '\'';
}

Result<Attachment> ParseAttachment(std::string_view text) {
  Attachment attachment;
  const size_t equals = text.find('=');
  // "dbname=shop" is a connection string, not a name.
  const std::string_view name = text.substr(0, equals);
  const bool named = equals != text.npos && IsName(name) && name != "host" && name != "dbname" &&
                     name != "service";
  attachment.target = named ? text.substr(equals + 1) : text;
  attachment.kind = KindOf(attachment.target);
  attachment.name = named ? name : DefaultName(attachment.kind);
  if (attachment.target.empty()) {
    return UserError(
        fmt::format("'{}' names nothing to attach: write NAME=TARGET, where the target "
                    "is a postgres:// URI, a database file or a folder of exports",
                    Redact(text)));
  }
  return attachment;
}

Result<std::vector<Attachment>> ParseAttachments(std::string_view text) {
  std::vector<Attachment> attachments;
  std::set<std::string> names;
  while (!text.empty()) {
    const size_t end = text.find(';');
    const std::string_view one = text.substr(0, end);
    text = end == text.npos ? std::string_view() : text.substr(end + 1);
    if (one.empty()) continue;
    ARROW_ASSIGN_OR_RAISE(auto attachment, ParseAttachment(one));
    if (!names.insert(attachment.name).second) {
      return UserError(
          fmt::format("two attachments are called '{}'; name them: NAME=TARGET", attachment.name));
    }
    attachments.push_back(std::move(attachment));
  }
  return attachments;
}

Result<std::vector<std::string>> ExportViews(const std::string& name, const std::string& folder,
                                             std::vector<std::string>* notes) {
  std::error_code error;
  const fs::path root = fs::canonical(folder, error);
  if (error) return UserError(fmt::format("'{}': {}", folder, error.message()));
  std::vector<fs::path> exports;
  if (fs::exists(root / kMetadataFile)) exports.push_back(root);
  fs::recursive_directory_iterator each(root, fs::directory_options::skip_permission_denied, error);
  for (; !error && each != fs::recursive_directory_iterator(); each.increment(error)) {
    if (!each->is_directory()) continue;
    const bool hidden = each->path().filename().string().starts_with('.');
    if (hidden || each.depth() + 1 >= kDepthMax) each.disable_recursion_pending();
    if (!hidden && fs::exists(each->path() / kMetadataFile)) exports.push_back(each->path());
  }
  if (error) return UserError(fmt::format("'{}': {}", folder, error.message()));
  if (exports.empty()) {
    return UserError(
        fmt::format("'{}' holds no export: no folder in it has {}", folder, kMetadataFile));
  }
  std::sort(exports.begin(), exports.end());
  std::vector<std::string> statements = {fmt::format("CREATE SCHEMA {}", QuotedName(name))};
  for (const auto& path : exports) {
    ARROW_RETURN_NOT_OK(AddView(name, root, path, &statements, notes));
  }
  return statements;
}

std::string FileView(const std::string& name, const FileTable& table) {
  std::string reader;
  if (table.format == "parquet") reader = "read_parquet([{}], {})";
  if (table.format == "csv") reader = "read_csv([{}], {})";
  if (table.format == "json") reader = "read_json([{}], format = 'newline_delimited', {})";
  if (reader.empty()) return {};
  // Files of one table have the same columns, in any order.
  const std::string options =
      fmt::format("union_by_name = true, hive_partitioning = {}", table.hive_partitions);
  return fmt::format("CREATE VIEW {}.{} AS SELECT * FROM {}", QuotedName(name),
                     QuotedName(table.name),
                     fmt::format(fmt::runtime(reader), ListOf(table.files), options));
}

}  // namespace bulkhaul::duckdb
