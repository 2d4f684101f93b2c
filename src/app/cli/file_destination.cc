#include "app/cli/file_destination.h"

#include <filesystem>
#include <vector>

#include <fmt/format.h>

#include "app/cli/job_arguments.h"
#include "app/cli/terminal.h"
#include "app/registry.h"

namespace bulkhaul {
namespace {

namespace fs = std::filesystem;

// "" for what is no path.
std::string PathOf(const std::string& destination) {
  if (destination.starts_with("file://")) return destination.substr(7);
  return HasScheme(destination) || IsConnectionString(destination) ? "" : destination;
}

// The job's, and those of its tables and queries, each as it was written.
std::vector<Options*> Levels(JobSpec* job) {
  std::vector<Options*> levels = {&job->options};
  for (auto& table : job->tables) levels.push_back(&table.options);
  for (auto& query : job->queries) levels.push_back(&query.options);
  return levels;
}

// Settings about folders, or about several parts.
Status CheckMeaning(const Options& options, const std::string& file) {
  const auto refuse = [&](const std::string& setting, const std::string& why) {
    return UsageError(
        fmt::format("the destination '{}' is one file, and {}: {}", file, setting, why));
  };
  if (options.Has("conflict")) {
    return refuse("conflict is about folders", "set if_exists: fail or replace instead");
  }
  const std::string& rule = options.GetString("if_exists");
  if (rule != "fail" && rule != "replace") {
    return refuse("if_exists says " + rule, "a file is written whole; set fail or replace");
  }
  if (options.GetBool("archive")) {
    return refuse("archive is about folders", "leave it out");
  }
  if (options.Has("single_file") && !options.GetBool("single_file")) {
    return refuse("single_file says false", "leave it out, or name a folder as destination");
  }
  for (const char* name : {"max_file_size", "merge_small_parts"}) {
    if (options.GetBytes(name) == 0) continue;
    return refuse(std::string(name) + " is about parts",
                  "leave it out, or name a folder as destination");
  }
  return Status::OK();
}

Status CheckAgrees(const Options& options, const std::string& file, const FileNaming& naming) {
  const auto differ = [&](const std::string& by_name, const char* setting,
                          const std::string& value) {
    return UsageError(fmt::format(
        "the destination '{}' is {} by its name, and {} says {}; leave {} out, or rename the file",
        file, by_name, setting, value, setting));
  };
  const std::string& format = options.GetString("format");
  if (format != "auto" && format != naming.format) return differ(naming.format, "format", format);
  const std::string& compression = options.GetString("compression");
  const std::string codec = compression.substr(0, compression.find(':'));
  if (!naming.compression.empty() && !codec.empty() && codec != naming.compression) {
    return differ(naming.compression == "none" ? "not compressed" : naming.compression,
                  "compression", compression);
  }
  const std::string& delimiter = options.GetString("csv_delimiter");
  if (!naming.delimiter.empty() && options.Has("csv_delimiter") && delimiter != naming.delimiter &&
      delimiter != "\t" && delimiter != "\\t") {
    return differ("separated by tabs", "csv_delimiter", fmt::format("'{}'", delimiter));
  }
  return Status::OK();
}

Status TakeFromName(const FileNaming& naming, JobSpec* job) {
  Options& options = job->options;
  ARROW_RETURN_NOT_OK(options.Set("format", naming.format));
  if (!naming.compression.empty() && options.GetString("compression").empty()) {
    ARROW_RETURN_NOT_OK(options.Set("compression", naming.compression));
  }
  if (!naming.delimiter.empty()) {
    ARROW_RETURN_NOT_OK(options.Set("csv_delimiter", naming.delimiter));
  }
  return Status::OK();
}

}  // namespace

Status UnderstandDestination(JobSpec* job) {
  const std::string path = PathOf(job->destination_uri);
  const std::string& layout = job->options.GetString("layout");
  std::error_code error;
  const bool named = !path.empty() && IsNamedLikeAFile(path) && !fs::is_directory(path, error);
  if (path.empty() || (layout != "file" && !named)) return Status::OK();
  const std::string& file = job->destination_uri;
  if (job->options.Has("layout") && layout != "file") {
    return UsageError(fmt::format(
        "the destination '{}' is named like a file, and layout: {} makes folders; leave "
        "layout out for one file, or write '{}/' for a folder of that name",
        file, layout, file));
  }
  const auto naming = NamingOfFile(path);
  if (named && !naming) {
    return UsageError(fmt::format(
        "the destination '{}' is named like a file that cannot be written. Files end in {}; for a "
        "folder of that name write '{}/'",
        file, WritableEndings(), file));
  }
  if (!naming && job->options.GetString("format") == "auto") {
    return UsageError(
        fmt::format("the name of '{}' does not say what the file is to hold: set "
                    "format, or let it end in one of {}",
                    file, WritableEndings()));
  }
  for (const Options* options : Levels(job)) {
    ARROW_RETURN_NOT_OK(CheckMeaning(*options, file));
    if (naming) ARROW_RETURN_NOT_OK(CheckAgrees(*options, file, *naming));
  }
  if (naming) ARROW_RETURN_NOT_OK(TakeFromName(*naming, job));
  ARROW_RETURN_NOT_OK(job->options.Set("layout", std::string("file")));
  return job->options.Set("single_file", true);
}

Status CheckNotOwnSource(const JobSpec& job) {
  const std::string path = PathOf(job.destination_uri);
  std::error_code error;
  if (job.options.GetString("layout") != "file" || !IsFilesSource(job) ||
      !fs::is_regular_file(path, error)) {
    return Status::OK();
  }
  const auto tables = FileTablesOf(job);
  if (!tables.ok()) return Status::OK();  // the source says it better
  for (const auto& table : *tables) {
    for (const auto& file : table.files) {
      if (!fs::equivalent(file, path, error)) continue;
      return UsageError(fmt::format(
          "the destination '{}' is one of the files that the job reads ('{}'); write to "
          "another folder, or name the source without it",
          job.destination_uri, job.source_uri));
    }
  }
  return Status::OK();
}

}  // namespace bulkhaul
