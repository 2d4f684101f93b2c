#include "sink/export_assembly.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include <fmt/format.h>
#include <sys/stat.h>

#include "base/crash_point.h"
#include "base/hash.h"
#include "base/text.h"
#include "sink/export_metadata.h"
#include "store/durable_file.h"
#include "store/folders.h"

namespace bulkhaul {
namespace {

Status CheckPart(const StagedPart& part, const std::string& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  if (error) {
    return PermanentError(
        fmt::format("staged part '{}' is gone ({}); resume the job, which reads "
                    "its unit again",
                    path, error.message()));
  }
  if (static_cast<int64_t>(bytes) != part.bytes) {
    return PermanentError(
        fmt::format("staged part '{}' has {} bytes and not the {} that were "
                    "written; resume the job, which reads its unit again",
                    path, bytes, part.bytes));
  }
  return Status::OK();
}

Status ValidatePart(const StagedPart& part, const std::string& path, const PartFormat& format,
                    const std::string& described_options) {
  ARROW_ASSIGN_OR_RAISE(const uint64_t hash, Xxh3OfFile(path));
  if (hash != part.xxh3) {
    return PermanentError(fmt::format("validate: staged part '{}' has checksum {} and not {}", path,
                                      HashText(hash), HashText(part.xxh3)));
  }
  ARROW_ASSIGN_OR_RAISE(const auto content, format.Inspect(path, described_options));
  if (content.rows != part.rows) {
    return PermanentError(fmt::format("validate: staged part '{}' has {} rows and not {}", path,
                                      content.rows, part.rows));
  }
  return Status::OK();
}

Result<ExportedPart> WriteEmptyPart(const CommitRequest& request, const PartFormat& format,
                                    const std::string& folder, const std::string& name) {
  ARROW_ASSIGN_OR_RAISE(auto file, DurableFile::Create(folder + "/" + name));
  ARROW_ASSIGN_OR_RAISE(
      auto encoder, format.Begin(request.plan, request.schema, file, arrow::default_memory_pool()));
  ARROW_RETURN_NOT_OK(encoder->Finish());
  ARROW_RETURN_NOT_OK(file->Close());
  ExportedPart part;
  part.name = name;
  part.bytes = file->bytes();
  part.xxh3 = file->xxh3();
  return part;
}

}  // namespace

std::string PartName(int64_t ordinal, int64_t parts, const std::string& extension) {
  const int digits = std::max<int>(4, static_cast<int>(std::to_string(parts).size()));
  return fmt::format("part_{:0{}}.{}", ordinal, digits, extension);
}

Result<std::string> AssembleExport(const CommitRequest& request, const PartFormat& format,
                                   const AssemblyPlace& place, bool validate) {
  const Options& options = request.plan.dataset.options;
  ExportDescription description;
  description.export_id = NewId();
  description.format = format.name();
  description.format_options = format.DescribeOptions(options);
  description.compression = options.GetString("compression");
  const std::string extension = format.Extension(options);

  ARROW_RETURN_NOT_OK(MakeFolders(place.assembly));
  const std::string folder = fmt::format(
      "{}/{}-{}", place.assembly, SafeFileName(request.plan.output_name), description.export_id);
  // Its name is made durable with everything else, below.
  if (mkdir(folder.c_str(), 0777) != 0) return ErrnoError(errno, "make folder", folder);
  CrashPoint("publish.folder_made");

  int64_t parts = 0;
  for (const auto& staged : request.staged) parts += static_cast<int64_t>(staged.parts.size());
  int64_t rows = 0;
  for (const auto& staged : request.staged) {
    for (const auto& part : staged.parts) {
      const std::string path = place.staged + "/" + part.path;
      ARROW_RETURN_NOT_OK(CheckPart(part, path));
      if (validate) {
        ARROW_RETURN_NOT_OK(ValidatePart(part, path, format, description.format_options));
      }
      const std::string name =
          PartName(static_cast<int64_t>(description.parts.size()) + 1, parts, extension);
      ARROW_RETURN_NOT_OK(LinkOrMove(path, folder + "/" + name));
      description.parts.push_back(
          {name, part.rows, part.bytes, part.xxh3, part.key_min, part.key_max});
      rows += part.rows;
    }
  }
  if (rows != request.rows) {
    return BugError(fmt::format("'{}': the parts hold {} rows and the job counted {}",
                                request.plan.dataset.id.ToString(), rows, request.rows));
  }
  if (parts == 0) {
    ARROW_ASSIGN_OR_RAISE(auto part,
                          WriteEmptyPart(request, format, folder, PartName(1, 1, extension)));
    description.parts.push_back(std::move(part));
  }
  CrashPoint("publish.parts_linked");
  ARROW_ASSIGN_OR_RAISE(auto metadata, DurableFile::Create(folder + "/" + kMetadataFile));
  ARROW_RETURN_NOT_OK(metadata->Write(ExportMetadataText(request, description)));
  ARROW_RETURN_NOT_OK(metadata->Close());  // syncs the folder too
  CrashPoint("publish.metadata_written");
  ARROW_RETURN_NOT_OK(SyncFolder(place.assembly));
  CrashPoint("publish.assembled");
  return folder;
}

Result<std::string> AssembleFile(const CommitRequest& request, const PartFormat& format,
                                 const AssemblyPlace& place, bool validate) {
  std::vector<const StagedPart*> parts;
  for (const auto& staged : request.staged) {
    for (const auto& part : staged.parts) parts.push_back(&part);
  }
  const std::string dataset = request.plan.dataset.id.ToString();
  if (parts.size() > 1) {
    return UserError(
        fmt::format("'{}' was written in {} parts, and layout: file takes one; set "
                    "single_file, and leave out max_file_size",
                    dataset, parts.size()));
  }
  const int64_t rows = parts.empty() ? 0 : parts[0]->rows;
  if (rows != request.rows) {
    return BugError(fmt::format("'{}': the part holds {} rows and the job counted {}", dataset,
                                rows, request.rows));
  }
  ARROW_RETURN_NOT_OK(MakeFolders(place.assembly));
  const std::string name =
      fmt::format("{}-{}.part", SafeFileName(request.plan.output_name), NewId());
  const std::string path = place.assembly + "/" + name;
  if (parts.empty()) {
    ARROW_RETURN_NOT_OK(WriteEmptyPart(request, format, place.assembly, name).status());
  } else {
    const std::string staged = place.staged + "/" + parts[0]->path;
    ARROW_RETURN_NOT_OK(CheckPart(*parts[0], staged));
    if (validate) {
      const std::string options = format.DescribeOptions(request.plan.dataset.options);
      ARROW_RETURN_NOT_OK(ValidatePart(*parts[0], staged, format, options));
    }
    ARROW_RETURN_NOT_OK(LinkOrMove(staged, path));
  }
  CrashPoint("publish.parts_linked");
  ARROW_RETURN_NOT_OK(SyncFolder(place.assembly));
  CrashPoint("publish.assembled");
  return path;
}

}  // namespace bulkhaul
