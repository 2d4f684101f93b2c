#include "sink/file_layout.h"

#include <filesystem>

#include <fmt/format.h>

#include "base/hash.h"
#include "base/secret.h"
#include "base/text.h"

namespace bulkhaul {
namespace {

Result<std::string> LocalPath(const std::string& uri) {
  std::string path = uri;
  if (path.starts_with("file://")) {
    path = path.substr(7);
    if (!path.starts_with("/")) {
      return UserError("destination '" + uri +
                       "': a file URI needs an absolute path, file:///path");
    }
  } else if (const auto scheme = path.find("://"); scheme != std::string::npos) {
    return UserError(
        fmt::format("destination '{}': files are written to local paths only, not to {}",
                    Redact(uri), path.substr(0, scheme + 3)));
  }
  if (path.empty()) return UserError("the destination is empty; give a folder");
  if (!IsValidUtf8(path)) return UserError("the destination's name is not valid UTF-8");
  std::error_code error;
  auto absolute = std::filesystem::absolute(path, error).lexically_normal();
  if (error) return ErrnoError(error.value(), "resolve", path);
  std::string text = absolute.string();
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

}  // namespace

Result<std::unique_ptr<FileLayout>> FileLayout::Make(const JobSpec& spec, const JobId& job) {
  auto layout = std::unique_ptr<FileLayout>(new FileLayout());
  layout->job_ = job;
  ARROW_ASSIGN_OR_RAISE(layout->root_, LocalPath(spec.destination_uri));
  const std::string& name = spec.options.GetString("layout");
  layout->direct_ = name == "direct";
  layout->file_ = name == "file";
  layout->by_schema_ = name == "by-schema";
  layout->job_commit_ = spec.options.GetString("commit") == "job";
  if ((layout->direct_ || layout->file_) && layout->job_commit_) {
    return UserError(fmt::format(
        "layout: {} publishes one table's {} and has no use for commit: job; leave out one of them",
        name, layout->file_ ? "file" : "folder"));
  }
  if (layout->file_ && spec.destination_uri.ends_with('/')) {
    return UserError(
        fmt::format("the destination '{}' is a folder by its name, and layout: file "
                    "writes a file; leave out the slash or the layout",
                    spec.destination_uri));
  }
  const bool beside = DestinationAppears(spec.options);
  if (beside && layout->root_ == "/") return UserError("the destination '/' cannot be replaced");
  layout->base_ =
      beside ? std::filesystem::path(layout->root_).parent_path().string() : layout->root_;
  return layout;
}

std::string FileLayout::Workspace(const JobId& job) const {
  return (base_ == "/" ? "" : base_) + "/.bulkhaul/" + SafeFileName(job);
}

std::string FileLayout::manifest_name() const {
  return "_bulkhaul_job_" + SafeFileName(job_) + ".json";
}

Result<std::string> FileLayout::WishedFolder(const DatasetPlan& plan) const {
  if (direct_ || file_) return root_;
  const std::string name = SafeFileName(plan.output_name);
  const std::string root = job_commit_ ? job_folder() : root_;
  if (by_schema_ && !plan.dataset.id.schema.empty()) {
    return root + "/" + SafeFileName(plan.dataset.id.schema) + "/" + name;
  }
  return root + "/" + name;
}

Result<std::string> FileLayout::DatasetFolder(const DatasetPlan& plan) const {
  // Unambiguous for any names: the first is given with its length.
  const std::string owner = fmt::format("{}:{}{}", plan.dataset.id.schema.size(),
                                        plan.dataset.id.schema, plan.dataset.id.name);
  std::lock_guard lock(mutex_);
  if (const auto known = folders_.find(owner); known != folders_.end()) return known->second;
  ARROW_ASSIGN_OR_RAISE(std::string folder, WishedFolder(plan));
  const auto [place, free] = owners_.emplace(AsciiLower(folder), owner);
  if (!free && place->second != owner) {
    if (direct_ || file_) {
      return UserError(
          fmt::format("layout: {} takes one table only, and '{}' is a second one; {}",
                      file_ ? "file" : "direct", plan.dataset.id.ToString(),
                      file_ ? "name a folder as destination" : "use layout: organized"));
    }
    folder += "_" + HashText(Xxh3Of(owner)).substr(0, 8);
    owners_.emplace(AsciiLower(folder), owner);
  }
  folders_.emplace(owner, folder);
  return folder;
}

}  // namespace bulkhaul
