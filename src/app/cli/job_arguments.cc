#include "app/cli/job_arguments.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "app/cli/file_destination.h"
#include "app/cli/terminal.h"
#include "app/registry.h"
#include "base/text.h"

namespace bulkhaul {
namespace {

// Set on the job, and wherever a single table or query has its own.
Status SetEverywhere(const std::string& name, const OptionValue& value, JobSpec* job) {
  ARROW_RETURN_NOT_OK(job->options.Set(name, value));
  for (auto& table : job->tables) {
    if (table.options.Has(name)) ARROW_RETURN_NOT_OK(table.options.Set(name, value));
  }
  for (auto& query : job->queries) {
    if (query.options.Has(name)) ARROW_RETURN_NOT_OK(query.options.Set(name, value));
  }
  return Status::OK();
}

// A path stays what it is wherever the job is resumed. What is not clearly a path is left alone.
void MakeAbsolute(std::string* uri, bool must_exist) {
  if (uri->empty() || HasScheme(*uri) || IsConnectionString(*uri) || uri->starts_with('/')) return;
  std::error_code error;
  // A glob of files is no name of one; "dbname=a*" is none of files.
  const auto glob = uri->find_first_of("*?[");
  const bool files = glob != std::string::npos && uri->find('=') > uri->find('/');
  if (must_exist && !files && !std::filesystem::exists(*uri, error)) return;
  const auto path = std::filesystem::absolute(*uri, error).lexically_normal();
  if (!error) *uri = path.string();
}

// Rows that are put aside go to the same place wherever the job is resumed.
Status MakeFoldersAbsolute(JobSpec* job) {
  const auto make = [](Options* options) -> Status {
    std::string folder = options->GetString("quarantine");
    if (folder.empty()) return Status::OK();
    MakeAbsolute(&folder, /*must_exist=*/false);
    return options->Set("quarantine", std::move(folder));
  };
  ARROW_RETURN_NOT_OK(make(&job->options));
  for (auto& table : job->tables) ARROW_RETURN_NOT_OK(make(&table.options));
  for (auto& query : job->queries) ARROW_RETURN_NOT_OK(make(&query.options));
  return Status::OK();
}

Status AddQueries(const JobArguments& arguments, JobSpec* job) {
  if (arguments.query_names.size() > arguments.queries.size()) {
    return UsageError("there are more --query-name than --query");
  }
  for (size_t i = 0; i < arguments.queries.size(); ++i) {
    QuerySpec query;
    query.sql = arguments.queries[i];
    query.name = i < arguments.query_names.size() ? arguments.query_names[i]
                 : i == 0                         ? "query"
                                                  : fmt::format("query_{}", i + 1);
    job->queries.push_back(std::move(query));
  }
  return Status::OK();
}

void SelectTables(const JobArguments& arguments, JobSpec* job) {
  const bool selects = arguments.all || !arguments.tables.empty() || !arguments.schemas.empty();
  const bool queries_only = !selects && !arguments.queries.empty() && arguments.job_file.empty();
  if (selects) {
    for (auto& table : job->tables) table.selects = false;
    job->schemas = arguments.schemas;
    job->all = arguments.all;
  }
  if (queries_only) job->all = false;
  for (const auto& table : arguments.tables) job->tables.push_back({table, {}});
  job->exclude.insert(job->exclude.end(), arguments.exclude.begin(), arguments.exclude.end());
}

// A file whose name does not say what it holds, but an option does.
bool IsFileOfNamedFormat(const JobSpec& job) {
  std::error_code error;
  return job.options.GetString("source_format") != "auto" &&
         std::filesystem::is_regular_file(job.source_uri, error);
}

// One file, or one glob of files, into a database: --table can only mean the table there.
Status NameTarget(const JobArguments& arguments, JobSpec* job) {
  if (arguments.tables.size() != 1 ||
      arguments.tables[0].find_first_of("*?[") != std::string::npos || job->tables.size() != 1 ||
      job->options.Has("target_table") || !IsPostgres(job->destination_uri) ||
      !(IsOneTableOfFiles(job->source_uri) || IsFileOfNamedFormat(*job))) {
    return Status::OK();
  }
  job->tables.clear();
  return job->options.SetFromText("target_table", arguments.tables[0]);
}

}  // namespace

bool HasScheme(std::string_view uri) {
  const auto colon = uri.find(':');
  if (colon == std::string_view::npos || colon < 2) return false;
  return std::all_of(uri.begin(), uri.begin() + static_cast<std::ptrdiff_t>(colon), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '-' || c == '.';
  });
}

Status ApplySettings(const std::vector<std::pair<std::string, std::string>>& settings,
                     Options* options) {
  Options given;
  for (const auto& [name, text] : settings) {
    const auto* spec = FindOption(name);
    Options one;
    const Status status = one.SetFromText(name, text);
    if (!status.ok()) return UsageError(FlagNameOf(name) + ": " + status.message());
    if (spec->type == OptionType::kList && given.Has(name)) {
      auto list = given.GetList(name);
      const auto& more = one.GetList(name);
      list.insert(list.end(), more.begin(), more.end());
      ARROW_RETURN_NOT_OK(given.Set(name, std::move(list)));
    } else if (spec->type == OptionType::kPairs && given.Has(name)) {
      auto pairs = given.GetPairs(name);
      const auto& more = one.GetPairs(name);
      pairs.insert(pairs.end(), more.begin(), more.end());
      ARROW_RETURN_NOT_OK(given.Set(name, std::move(pairs)));
    } else {
      given = given.With(one);
    }
  }
  *options = options->With(given);
  return Status::OK();
}

Result<JobSpec> AssembleJob(const JobArguments& arguments, const EnvironmentLookup& environment) {
  JobSpec job;
  if (!arguments.job_file.empty()) {
    ARROW_ASSIGN_OR_RAISE(job, LoadJobFile(arguments.job_file, environment));
  }
  JobSpec from_environment;
  ARROW_RETURN_NOT_OK(ApplyEnvironment(environment, &from_environment));
  Options given = from_environment.options;
  ARROW_RETURN_NOT_OK(ApplySettings(arguments.settings, &given));
  for (const auto& [name, value] : given.values()) {
    ARROW_RETURN_NOT_OK(SetEverywhere(name, value, &job));
  }
  if (!from_environment.source_uri.empty()) {
    job.source_uri = from_environment.source_uri;
    job.source_reference = from_environment.source_reference;
  }
  if (!from_environment.destination_uri.empty()) {
    job.destination_uri = from_environment.destination_uri;
    job.destination_reference.clear();
  }
  if (!arguments.source.empty()) {
    job.source_uri = arguments.source;
    job.source_reference.clear();
  }
  if (!arguments.destination.empty()) {
    job.destination_uri = arguments.destination;
    job.destination_reference.clear();
  }
  ARROW_RETURN_NOT_OK(UnderstandDestination(&job));
  SelectTables(arguments, &job);
  ARROW_RETURN_NOT_OK(AddQueries(arguments, &job));
  ARROW_RETURN_NOT_OK(NameTarget(arguments, &job));
  MakeAbsolute(&job.source_uri, /*must_exist=*/true);
  MakeAbsolute(&job.destination_uri, /*must_exist=*/false);
  ARROW_RETURN_NOT_OK(MakeFoldersAbsolute(&job));
  return job;
}

bool IsRuntimeOption(const OptionSpec& option) {
  const std::string_view group = option.group, name = option.name;
  if (name == "job_id" || name == "batch_bytes" || name == "batch_rows") return false;
  return group == "Parallelism" || group == "Memory" || group == "Errors" || group == "Job" ||
         name == "keep_snapshot" || name == "strict" || name == "statement_timeout" ||
         name == "lock_timeout" || name == "keep_workspace" || name == "page_documents" ||
         name == "page_bytes" || name == "scroll_keep_alive" || name == "request_timeout" ||
         name == "documents_per_second" || name == "bytes_per_second";
}

std::vector<std::string> UnknownVariables(const char* const* environment) {
  constexpr std::string_view kPrefix = "BULKHAUL_";
  // Read by tests, fault injection and build scripts.
  constexpr std::string_view kOthers[] = {
      "BULKHAUL_CRASH_AT", "BULKHAUL_TEST_",  "BULKHAUL_BENCH_", "BULKHAUL_FUZZ_",
      "BULKHAUL_BIN",      "BULKHAUL_FAULT_", "BULKHAUL_DRIFT_", "BULKHAUL_SLOWNESS",
      "BULKHAUL_DEMO_",    "BULKHAUL_UPDATE_"};
  std::vector<std::string> known = {"BULKHAUL_SOURCE", "BULKHAUL_DESTINATION", "BULKHAUL_LIBDUCKDB",
                                    "BULKHAUL_DUCKDB_EXTENSIONS"};
  for (const auto& option : OptionTable()) known.push_back(EnvironmentNameOf(option.name));
  std::vector<std::string> sentences;
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    const std::string_view entry(*environment);
    const auto name = entry.substr(0, entry.find('='));
    if (!name.starts_with(kPrefix)) continue;
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    if (std::any_of(std::begin(kOthers), std::end(kOthers),
                    [&](std::string_view other) { return name.starts_with(other); })) {
      continue;
    }
    const auto nearest = NearestName(name, known);
    sentences.push_back(fmt::format("the environment variable {} is not a setting{}", name,
                                    nearest ? fmt::format("; did you mean {}?", *nearest) : ""));
  }
  return sentences;
}

}  // namespace bulkhaul
