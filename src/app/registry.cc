#include "app/registry.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <functional>
#include <span>
#include <string_view>

#include <fmt/format.h>

#include "base/secret.h"
#include "base/text.h"
#include "sink/arrow/arrow_sink.h"
#include "sink/csv/csv_sink.h"
#include "sink/memory/memory_sink.h"
#include "sink/parquet/parquet_sink.h"
#include "sink/postgres/postgres_sink.h"
#include "source/duckdb/duckdb_source.h"
#include "source/files/data_file.h"
#include "source/files/files_source.h"
#include "source/generator/generator_source.h"
#include "source/opensearch/opensearch_source.h"
#include "source/postgres/hold_process.h"
#include "source/postgres/postgres_source.h"
#include "source/sqlite/sqlite_source.h"

namespace bulkhaul {
namespace {

using MakeSourceFunction = Result<std::unique_ptr<Source>> (*)(const JobSpec&, const JobId&);
using MakeSinkFunction = Result<std::unique_ptr<Sink>> (*)(const JobSpec&, const JobId&);

struct SourceEntry {
  const char* name;
  std::vector<std::string> schemes;     // before the first ':'
  std::vector<std::string> extensions;  // of a plain path
  MakeSourceFunction make;
};

struct SinkEntry {
  const char* name;                     // as `format` says it
  std::vector<std::string> schemes;     // before the first ':'
  std::vector<std::string> extensions;  // of the destination
  MakeSinkFunction make;
};

const std::vector<SourceEntry>& Sources() {
  static const auto* const entries = new std::vector<SourceEntry>{
      {"postgres", {"postgres", "postgresql"}, {}, MakePostgresSource},
      {"sqlite", {"sqlite", "sqlite3"}, {".db", ".sqlite", ".sqlite3"}, MakeSqliteSource},
      {"opensearch",
       {"opensearch", "opensearch+http", "opensearch+https", "elasticsearch", "elasticsearch+http",
        "elasticsearch+https"},
       {},
       MakeOpenSearchSource},
      {"duckdb", {"duckdb"}, {}, MakeDuckdbSource},
      {"files", {}, {}, MakeFilesSource},
      {"generator", {"generator"}, {}, MakeGeneratorSource},
  };
  return *entries;
}

const std::vector<SinkEntry>& Sinks() {
  static const auto* const entries = new std::vector<SinkEntry>{
      {"parquet", {}, {".parquet"}, MakeParquetSink},
      {"csv", {}, {".csv"}, MakeCsvSink},
      {"arrow", {}, {".arrow", ".feather", ".ipc"}, MakeArrowSink},
      {"memory", {"memory"}, {}, MakeMemorySink},
      {"postgres", {"postgres", "postgresql"}, {}, MakePostgresSink},
  };
  return *entries;
}

struct NamingEntry {
  const char* ending;
  FileNaming naming;
};

const std::vector<NamingEntry>& Namings() {
  static const auto* const entries = new std::vector<NamingEntry>{
      {".csv", {"csv", "none"}},
      {".csv.gz", {"csv", "gzip"}},
      {".csv.zst", {"csv", "zstd"}},
      {".tsv", {"csv", "none", "tab"}},
      {".tsv.gz", {"csv", "gzip", "tab"}},
      {".tsv.zst", {"csv", "zstd", "tab"}},
      {".parquet", {"parquet"}},
      {".arrow", {"arrow"}},
      {".feather", {"arrow"}},
      {".ipc", {"arrow"}},
  };
  return *entries;
}

// "postgres" of "postgres://…"; "" for a path, a file: URI too.
std::string SchemeOf(std::string_view uri) {
  const auto colon = uri.find(':');
  if (colon == std::string_view::npos || colon < 2) return {};
  const std::string_view scheme = uri.substr(0, colon);
  const bool plain = std::all_of(scheme.begin(), scheme.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '+' || c == '-' || c == '.';
  });
  return plain && scheme != "file" ? AsciiLower(scheme) : std::string();
}

bool Contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool HasExtension(std::string_view path, const std::vector<std::string>& extensions) {
  const std::string lower = AsciiLower(path);
  return std::any_of(extensions.begin(), extensions.end(),
                     [&](const std::string& extension) { return lower.ends_with(extension); });
}

template <typename Entry>
std::vector<std::string> NamesOf(const std::vector<Entry>& entries) {
  std::vector<std::string> names;
  for (const auto& entry : entries) names.emplace_back(entry.name);
  return names;
}

Status UnknownSource(const std::string& uri, const std::string& scheme) {
  std::vector<std::string> schemes;
  for (const auto& entry : Sources()) {
    schemes.insert(schemes.end(), entry.schemes.begin(), entry.schemes.end());
  }
  std::string message =
      scheme.empty() ? fmt::format("'{}' is not a source", Redact(uri))
                     : fmt::format("'{}' names no source: there is no '{}:'", Redact(uri), scheme);
  if (const auto nearest = scheme.empty() ? std::nullopt : NearestName(scheme, schemes)) {
    message += fmt::format("; did you mean '{}:'", *nearest);
  }
  return UserError(
      message +
      ". Use postgres://user@host/database, sqlite:///path/file.db, a path that ends in "
      ".db or .sqlite, a file, folder or glob of .csv, .parquet, .arrow or .jsonl, "
      "opensearch://host:9200/index, or generator:preset=orders" +
      (scheme.empty() ? "; source_format (csv, parquet, arrow or json) says what files hold whose "
                        "names do not"
                      : ""));
}

}  // namespace

Result<std::unique_ptr<Source>> MakeSource(const JobSpec& spec, const JobId& job) {
  const std::string scheme = SchemeOf(spec.source_uri);
  for (const auto& entry : Sources()) {
    if (Contains(entry.schemes, scheme)) return entry.make(spec, job);
  }
  if (IsConnectionString(spec.source_uri)) return MakePostgresSource(spec, job);
  if (!scheme.empty()) return UnknownSource(spec.source_uri, scheme);
  for (const auto& entry : Sources()) {
    if (HasExtension(spec.source_uri, entry.extensions)) return entry.make(spec, job);
  }
  if (IsFilesSource(spec)) return MakeFilesSource(spec, job);
  return UnknownSource(spec.source_uri, "");
}

bool IsFilesSource(const JobSpec& spec) {
  const std::string& uri = spec.source_uri;
  if (!SchemeOf(uri).empty() || IsConnectionString(uri)) return false;
  for (const auto& entry : Sources()) {
    if (HasExtension(uri, entry.extensions)) return false;
  }
  return IsFilesPath(uri) || spec.options.GetString("source_format") != "auto";
}

Result<std::unique_ptr<Sink>> MakeSink(const JobSpec& spec, const JobId& job) {
  const std::string scheme = SchemeOf(spec.destination_uri);
  const std::string& format = spec.options.GetString("format");
  for (const auto& entry : Sinks()) {
    if (!scheme.empty() && Contains(entry.schemes, scheme)) return entry.make(spec, job);
  }
  if (!scheme.empty()) {
    return UserError(
        fmt::format("'{}' is not a destination: write a path of a local folder, or "
                    "postgres://user@host/database",
                    Redact(spec.destination_uri)));
  }
  if (IsConnectionString(spec.destination_uri)) return MakePostgresSink(spec, job);
  for (const auto& entry : Sinks()) {
    const bool named = format == entry.name;
    if (named || (format == "auto" && HasExtension(spec.destination_uri, entry.extensions))) {
      return entry.make(spec, job);
    }
  }
  return MakeParquetSink(spec, job);
}

Result<std::vector<duckdb::FileTable>> FileTablesOf(const JobSpec& spec) {
  ARROW_ASSIGN_OR_RAISE(auto tables, TablesOfFiles(spec));
  std::vector<duckdb::FileTable> all;
  for (auto& table : tables) {
    all.push_back({table.name, table.format, std::move(table.files), table.hive_partitions});
  }
  return all;
}

bool IsOneTableOfFiles(const std::string& source_uri) {
  std::error_code error;
  return SchemeOf(source_uri).empty() && !IsConnectionString(source_uri) &&
         IsFilesPath(source_uri) && !std::filesystem::is_directory(source_uri, error);
}

bool IsNamedLikeAFile(const std::string& path) { return files::HasDataExtension(path); }

std::optional<FileNaming> NamingOfFile(std::string_view path) {
  const std::string lower = AsciiLower(path);
  for (const auto& entry : Namings()) {
    if (lower.ends_with(entry.ending)) return entry.naming;
  }
  return std::nullopt;
}

std::string WritableEndings() {
  std::vector<std::string> endings;
  for (const auto& entry : Namings()) endings.emplace_back(entry.ending);
  return fmt::format("{}", fmt::join(endings, ", "));
}

bool IsPostgres(const std::string& uri) {
  const std::string scheme = SchemeOf(uri);
  return scheme == "postgres" || scheme == "postgresql" || IsConnectionString(uri);
}

std::vector<std::string> SourceNames() { return NamesOf(Sources()); }
std::vector<std::string> SinkNames() { return NamesOf(Sinks()); }

Result<std::unique_ptr<PartFormat>> MakePartFormat(std::string_view name) {
  if (name == "parquet") return MakeParquetFormat();
  if (name == "csv") return MakeCsvFormat();
  if (name == "arrow") return MakeArrowFormat();
  return UserError(fmt::format("this program cannot read the format '{}'", name));
}

std::optional<int> RunChildVerb(std::string_view verb) {
  if (verb == postgres::kHoldVerb) return postgres::RunSnapshotHolder();
  return std::nullopt;
}

}  // namespace bulkhaul
