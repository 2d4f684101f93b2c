#include "app/verify.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <set>
#include <thread>

#include <fmt/format.h>

#include "app/registry.h"
#include "base/hash.h"
#include "commit/job_index.h"
#include "sink/export_metadata.h"
#include "sink/part_format.h"

namespace bulkhaul {
namespace {

namespace fs = std::filesystem;

struct PartCheck {
  int64_t rows = 0;
  int64_t bytes = 0;
  std::string problem;
};

std::string SchemaProblem(const ExportMetadata& metadata, const PartFormat& format,
                          const PartContent& content) {
  if (content.schema) {
    const auto stored = format.StoredSchema(*metadata.schema);
    if (content.schema->Equals(*stored, /*check_metadata=*/false)) return {};
    return fmt::format("its schema is not the one in the metadata: {}",
                       content.schema->ToString(/*show_metadata=*/false));
  }
  if (!content.columns.empty() && content.columns != metadata.schema->field_names()) {
    return fmt::format("its columns are {}", fmt::join(content.columns, ", "));
  }
  return {};
}

PartCheck CheckPart(const std::string& folder, const ExportMetadata& metadata,
                    const ExportedPart& part, const PartFormat& format) {
  PartCheck check;
  const std::string path = folder + "/" + part.name;
  std::error_code error;
  check.bytes = static_cast<int64_t>(fs::file_size(path, error));
  if (error) {
    check.bytes = 0;
    check.problem = fmt::format("{}: {}", part.name, error.message());
    return check;
  }
  const auto hash = Xxh3OfFile(path);
  const auto fail = [&](const std::string& problem) {
    check.problem = part.name + ": " + problem;
    return check;
  };
  if (!hash.ok()) return fail(MessageOf(hash.status()));
  if (check.bytes != part.bytes) {
    return fail(fmt::format("it has {} bytes, not {}", check.bytes, part.bytes));
  }
  if (*hash != part.xxh3) {
    return fail(fmt::format("its checksum is {}, not {}", HashText(*hash), HashText(part.xxh3)));
  }
  const auto content = format.Inspect(path, metadata.format_options);
  if (!content.ok()) return fail(MessageOf(content.status()));
  check.rows = content->rows;
  if (content->rows != part.rows) {
    return fail(fmt::format("it has {} rows, not {}", content->rows, part.rows));
  }
  const auto problem = SchemaProblem(metadata, format, *content);
  return problem.empty() ? check : fail(problem);
}

// Files that a reader of the folder would take for parts of the table.
std::vector<std::string> Strangers(const std::string& folder, const ExportMetadata& metadata) {
  std::set<std::string> known;
  std::set<std::string> extensions;
  for (const auto& part : metadata.parts) {
    known.insert(part.name);
    extensions.insert(fs::path(part.name).extension().string());
  }
  std::vector<std::string> strangers;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const auto name = entry.path().filename().string();
    if (name.starts_with('.') || known.count(name) != 0) continue;
    if (extensions.count(entry.path().extension().string()) == 0) continue;
    strangers.push_back(name);
  }
  std::sort(strangers.begin(), strangers.end());
  return strangers;
}

}  // namespace

Result<std::vector<std::string>> FindExports(const std::string& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    return UserError(fmt::format("'{}' is not a folder", folder));
  }
  std::vector<std::string> found;
  if (fs::exists(fs::path(folder) / kMetadataFile, error)) found.push_back(folder);
  auto walk = fs::recursive_directory_iterator(
      folder, fs::directory_options::skip_permission_denied, error);
  for (const auto end = fs::recursive_directory_iterator(); !error && walk != end;
       walk.increment(error)) {
    if (!walk->is_directory(error)) continue;
    if (walk->path().filename().string().starts_with('.')) {
      walk.disable_recursion_pending();
    } else if (fs::exists(walk->path() / kMetadataFile, error)) {
      found.push_back(walk->path().string());
    }
  }
  if (error) return ErrnoError(error.value(), "list", folder);
  std::sort(found.begin(), found.end());
  return found;
}

namespace {

Result<VerifiedExport> VerifyParts(const std::string& folder, const ExportMetadata& metadata,
                                   int threads) {
  ARROW_ASSIGN_OR_RAISE(const auto format, MakePartFormat(metadata.format));
  std::vector<PartCheck> checks(metadata.parts.size());
  std::atomic<size_t> next{0};
  {
    std::vector<std::jthread> readers;
    const auto wanted = std::min(static_cast<size_t>(std::max(1, threads)), checks.size());
    for (size_t i = 0; i < wanted; ++i) {
      readers.emplace_back([&] {
        for (size_t at; (at = next.fetch_add(1)) < checks.size();) {
          checks[at] = CheckPart(folder, metadata, metadata.parts[at], *format);
        }
      });
    }
  }
  VerifiedExport result;
  result.folder = folder;
  result.dataset = metadata.dataset;
  result.format = metadata.format;
  result.parts = static_cast<int64_t>(checks.size());
  for (auto& check : checks) {
    result.rows += check.rows;
    result.bytes += check.bytes;
    if (!check.problem.empty()) result.problems.push_back(std::move(check.problem));
  }
  return result;
}

}  // namespace

Result<VerifiedExport> VerifyExport(const std::string& folder, int threads) {
  ARROW_ASSIGN_OR_RAISE(const auto metadata, ReadExportMetadata(folder));
  ARROW_ASSIGN_OR_RAISE(auto result, VerifyParts(folder, metadata, threads));
  for (const auto& name : Strangers(folder, metadata)) {
    result.problems.push_back(name + ": it is not in the metadata");
  }
  if (result.problems.empty() && result.rows != metadata.rows) {
    result.problems.push_back(
        fmt::format("the parts have {} rows, the metadata says {}", result.rows, metadata.rows));
  }
  return result;
}

Result<VerifiedExport> VerifyFile(const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(const auto state_folder, StateFolder());
  ARROW_ASSIGN_OR_RAISE(const auto record, FindFileRecord(state_folder, path));
  if (!record) {
    return UserError(fmt::format(
        "no job says what '{}' must hold: that is kept in {} by the job that wrote the file, for "
        "its user on its machine, until 'bulkhaul clean' removes it. A folder carries it along, in "
        "{}",
        path, state_folder, kMetadataFile));
  }
  auto metadata = ParseExportMetadata(record->metadata);
  if (!metadata.ok()) return WithContext(metadata.status(), "the record of '" + path + "'");
  const fs::path absolute = fs::absolute(path).lexically_normal();
  for (auto& part : metadata->parts) part.name = absolute.filename().string();
  ARROW_ASSIGN_OR_RAISE(auto result, VerifyParts(absolute.parent_path().string(), *metadata, 1));
  result.file = absolute.filename().string();
  return result;
}

}  // namespace bulkhaul
