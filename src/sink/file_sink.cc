#include "sink/file_sink.h"

#include <chrono>
#include <filesystem>

#include <fmt/format.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "sink/export_assembly.h"
#include "sink/file_unit_writer.h"
#include "sink/row_stream.h"
#include "sink/single_file.h"
#include "store/durable_file.h"
#include "store/folders.h"

namespace bulkhaul {
namespace {

// "2026-11-21T10-15-00Z": RFC 3339 without the colons, which some file systems refuse.
std::string PathTime(std::string utc) {
  for (char& character : utc) {
    if (character == ':') character = '-';
  }
  return utc;
}

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

constexpr char kJobJournalFile[] = "job_publish.json";
constexpr char kJobDestinationFile[] = "job_destination";

}  // namespace

Status CheckReplaceableExport(const std::string& folder) {
  ARROW_ASSIGN_OR_RAISE(const bool empty, IsEmptyFolder(folder));
  if (empty || Exists(folder + "/" + kMetadataFile)) return Status::OK();
  return UserError(
      fmt::format("conflict: overwrite replaces only what bulkhaul has written, and "
                  "'{}' holds no {}; choose another destination or conflict: version",
                  folder, kMetadataFile));
}

Status CheckReplaceableJob(const std::string& folder) {
  ARROW_ASSIGN_OR_RAISE(const auto names, ListFolder(folder));
  if (names.empty()) return Status::OK();
  for (const auto& name : names) {
    if (name.starts_with("_bulkhaul_job_")) return Status::OK();
  }
  return UserError(
      fmt::format("conflict: overwrite replaces only what bulkhaul has written, and "
                  "'{}' holds no job manifest; choose another destination or "
                  "conflict: version",
                  folder));
}

Result<std::unique_ptr<Sink>> FileSink::Make(const JobSpec& spec, const JobId& job,
                                             std::unique_ptr<PartFormat> format) {
  ARROW_ASSIGN_OR_RAISE(auto layout, FileLayout::Make(spec, job));
  ARROW_ASSIGN_OR_RAISE(const auto conflict,
                        ConflictRuleFromName(spec.options.GetString("conflict")));
  return std::unique_ptr<Sink>(
      new FileSink(spec, job, std::move(format), std::move(layout), conflict));
}

FileSink::FileSink(const JobSpec& spec, JobId job, std::unique_ptr<PartFormat> format,
                   std::unique_ptr<FileLayout> layout, ConflictRule conflict)
    : options_(spec.options),
      job_(std::move(job)),
      format_(std::move(format)),
      layout_(std::move(layout)),
      conflict_(conflict) {}

SinkTraits FileSink::Traits() const {
  SinkTraits traits;
  traits.name = format_->name();
  traits.atomic_commit = true;
  traits.atomic_swap = true;  // Prepare() refuses overwrite where the file system cannot
  traits.job_commit = !layout_->direct() && !layout_->file();
  traits.duplicates_staged = true;
  traits.writer_bytes = format_->writer_bytes(options_);
  traits.options = {"Folders", "Format", format_->option_group()};
  if (layout_->file()) traits.options.emplace_back("if_exists");
  return traits;
}

// Nothing is made for a job that is refused here: no folder may be left beside the file.
Status FileSink::CheckFile(const DatasetPlan& plan, const std::string& path, SinkPlan* out) const {
  ARROW_ASSIGN_OR_RAISE(const auto rule, FileConflictRule(plan.dataset.options));
  std::error_code error;
  const auto found = std::filesystem::symlink_status(path, error).type();
  if (found == std::filesystem::file_type::not_found) return Status::OK();
  if (found != std::filesystem::file_type::regular || rule == ConflictRule::kOverwrite) {
    ARROW_RETURN_NOT_OK(CheckReplaceableFile(path));
  }
  if (rule == ConflictRule::kFail) return TakenError(path, /*file=*/true);
  out->notes.push_back(fmt::format("'{}' exists: will be replaced in one step", path));
  return Status::OK();
}

Status FileSink::CheckDestination(const std::string& folder, bool dry_run, SinkPlan* out) const {
  const bool whole_job = layout_->job_commit();
  const std::string& place = whole_job ? layout_->root() : folder;
  ARROW_ASSIGN_OR_RAISE(const auto there, FindFileId(place));
  if (!there) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const bool empty, IsEmptyFolder(place));
  if (empty && (whole_job || layout_->direct())) return Status::OK();
  switch (conflict_) {
    case ConflictRule::kVersion: {
      ARROW_ASSIGN_OR_RAISE(const auto next, NextVersion(place));
      out->notes.push_back(fmt::format("'{}' exists: will be published as '{}'", place, next));
      return Status::OK();
    }
    case ConflictRule::kTimestamp:
      out->notes.push_back(
          fmt::format("'{}' exists: will be published as '{}_<UTC time>'", place, place));
      return Status::OK();
    case ConflictRule::kFail:
      return UserError(fmt::format("'{}' exists and conflict is 'fail'; use conflict: version, "
                                   "timestamp or overwrite",
                                   place),
                       "EEXIST");
    case ConflictRule::kOverwrite:
      ARROW_RETURN_NOT_OK(whole_job ? CheckReplaceableJob(place) : CheckReplaceableExport(place));
      out->notes.push_back(fmt::format("'{}' exists: will be replaced by an atomic swap", place));
      if (dry_run) return Status::OK();
      ARROW_ASSIGN_OR_RAISE(const bool can, CanExchange(layout_->workspace()));
      if (can) return Status::OK();
      return UserError(fmt::format("conflict: overwrite needs a file system that can swap two "
                                   "folders in one step, and the one of '{}' cannot; use "
                                   "conflict: version",
                                   place),
                       "RENAME_EXCHANGE");
  }
  return BugError("unknown conflict rule");
}

Result<SinkPlan> FileSink::Prepare(const DatasetPlan& plan, bool dry_run) {
  const std::string name = plan.dataset.id.ToString();
  if (plan.schema->num_fields() == 0) {
    return UserError(
        fmt::format("'{}' has no columns, and a file without columns cannot be read "
                    "back; leave it out with exclude",
                    name));
  }
  ARROW_RETURN_NOT_OK(format_->Check(plan, *plan.schema));
  SinkPlan out;
  ARROW_ASSIGN_OR_RAISE(out.location, layout_->DatasetFolder(plan));
  if (layout_->file()) ARROW_RETURN_NOT_OK(CheckFile(plan, out.location, &out));
  if (!dry_run) {
    const Status made = MakeFolders(layout_->staged());
    if (!made.ok()) return WithContext(made, "the destination cannot be written");
    if (access(layout_->staged().c_str(), W_OK | X_OK) != 0) {
      return WithContext(ErrnoError(errno, "write into", layout_->staged()),
                         "the destination cannot be written");
    }
  }
  if (layout_->file()) return out;
  ARROW_RETURN_NOT_OK(CheckDestination(out.location, dry_run, &out));
  if (layout_->job_commit()) {
    out.location = layout_->root() + out.location.substr(layout_->job_folder().size());
  }
  return out;
}

Result<std::unique_ptr<UnitWriter>> FileSink::Begin(const DatasetPlan& plan, const WorkUnit& unit,
                                                    const AttemptId& attempt,
                                                    const std::shared_ptr<arrow::Schema>& schema,
                                                    WriteStage stage, UnitContext& context) {
  ARROW_RETURN_NOT_OK(MakeFolders(layout_->staged()));
  return std::make_unique<FileUnitWriter>(stage.intermediate ? nullptr : format_.get(),
                                          layout_->staged(), plan, unit, attempt, schema, context);
}

Result<std::unique_ptr<arrow::RecordBatchReader>> FileSink::OpenStaged(const DatasetPlan& plan,
                                                                       const StagedResult& staged,
                                                                       UnitContext& context) {
  std::vector<std::string> paths;
  for (const auto& part : staged.parts) paths.push_back(layout_->staged() + "/" + part.path);
  return OpenRowStreams(std::move(paths), plan.schema,
                        context.pool ? context.pool : arrow::default_memory_pool());
}

Result<std::vector<StagedResult>> FileSink::Recover(const JobId& job,
                                                    std::span<const StagedResult> staged) {
  const std::string folder = layout_->Workspace(job) + "/staged";
  std::vector<StagedResult> whole;
  for (const auto& result : staged) {
    bool kept = true;
    for (const auto& part : result.parts) {
      const std::string path = folder + "/" + part.path;
      std::error_code error;
      const auto bytes = std::filesystem::file_size(path, error);
      kept = !error && static_cast<int64_t>(bytes) == part.bytes;
      if (!kept) break;
      ARROW_ASSIGN_OR_RAISE(const uint64_t hash, Xxh3OfFile(path));
      kept = hash == part.xxh3;
      if (!kept) break;
    }
    if (kept) whole.push_back(result);
  }
  return whole;
}

Result<PublishRequest> FileSink::PublishRequestFor(const CommitRequest& request) const {
  PublishRequest publish;
  ARROW_ASSIGN_OR_RAISE(publish.destination, layout_->DatasetFolder(request.plan));
  publish.timestamp = PathTime(FormatUtc(std::chrono::system_clock::now()));
  if (layout_->file()) {
    ARROW_ASSIGN_OR_RAISE(publish.conflict, FileConflictRule(request.plan.dataset.options));
    publish.file = true;
    publish.check_replaceable = CheckReplaceableFile;
    return publish;
  }
  publish.check_replaceable = CheckReplaceableExport;
  if (layout_->job_commit()) {
    // The folder is this job's own: what an earlier epoch left there is replaced.
    publish.conflict = ConflictRule::kOverwrite;
    return publish;
  }
  publish.conflict = conflict_;
  publish.replace_empty = layout_->direct();
  if (options_.GetBool("archive")) publish.archive_folder = layout_->archive();
  return publish;
}

Result<CommitReceipt> FileSink::ReceiptFor(const CommitRequest& request,
                                           const PublishJournal& journal) const {
  CommitReceipt receipt;
  receipt.dataset = request.plan.dataset.id;
  receipt.location = journal.destination;
  receipt.rows = request.rows;
  receipt.archived_to = journal.archived_to;
  for (const auto& staged : request.staged) {
    receipt.files += static_cast<int64_t>(staged.parts.size());
    for (const auto& part : staged.parts) receipt.bytes += part.bytes;
  }
  receipt.files = std::max<int64_t>(receipt.files, 1);
  if (layout_->file()) {
    ARROW_ASSIGN_OR_RAISE(receipt.metadata, FileMetadataText(request, *format_, receipt.location));
  }
  return receipt;
}

Result<std::optional<CommitReceipt>> FileSink::RecoverCommit(const CommitRequest& request,
                                                             const PublishRequest& publish,
                                                             const std::string& recovered,
                                                             const RecordJournal& record) const {
  ARROW_ASSIGN_OR_RAISE(const auto earlier, PublishJournal::FromJson(recovered));
  ARROW_ASSIGN_OR_RAISE(const auto at_destination, FindFileId(earlier.destination));
  if (at_destination && *at_destination == earlier.new_folder) {
    // After a power cut an inode that was never durable may be another export's by now.
    if (layout_->file()) {
      ARROW_ASSIGN_OR_RAISE(const bool ours, IsFileOf(request, *format_, earlier.destination));
      if (!ours) return std::nullopt;
    } else {
      const auto metadata = ReadExportMetadata(earlier.destination);
      if (!metadata.ok() || metadata->job_id != request.job_id) return std::nullopt;
    }
  }
  ARROW_ASSIGN_OR_RAISE(const auto journal, RecoverPublish(earlier, publish, record));
  if (!journal) return std::nullopt;
  ARROW_ASSIGN_OR_RAISE(CommitReceipt receipt, ReceiptFor(request, *journal));
  receipt.already_committed = earlier.step == PublishJournal::Step::kPublished ||
                              (at_destination && *at_destination == earlier.new_folder);
  return receipt;
}

void FileSink::RemoveStaged(const CommitRequest& request) const noexcept {
  for (const auto& staged : request.staged) {
    for (const auto& part : staged.parts) {
      unlink((layout_->staged() + "/" + part.path).c_str());
    }
  }
}

Result<CommitReceipt> FileSink::Commit(const CommitRequest& request, CommitContext& context) {
  {
    std::lock_guard lock(mutex_);
    if (const auto done = committed_.find(request.idempotency_key); done != committed_.end()) {
      CommitReceipt receipt = done->second;
      receipt.already_committed = true;
      return receipt;
    }
  }
  ARROW_ASSIGN_OR_RAISE(PublishRequest publish, PublishRequestFor(request));
  const RecordJournal record = [&](const PublishJournal& journal) {
    return context.record ? context.record(journal.ToJson()) : Status::OK();
  };
  std::optional<CommitReceipt> receipt;
  if (context.recovered && !context.recovered->empty()) {
    ARROW_ASSIGN_OR_RAISE(receipt, RecoverCommit(request, publish, *context.recovered, record));
  }
  if (!receipt) {
    const AssemblyPlace place{layout_->staged(), layout_->assembly()};
    const auto assemble = layout_->file() ? AssembleFile : AssembleExport;
    ARROW_ASSIGN_OR_RAISE(publish.source,
                          assemble(request, *format_, place, options_.GetBool("validate")));
    ARROW_RETURN_NOT_OK(MakeFolders(ParentOf(publish.destination)));
    if (layout_->file()) {
      ARROW_RETURN_NOT_OK(TakeOverPermissions(publish.destination, publish.source));
    }
    ARROW_ASSIGN_OR_RAISE(const auto assembled, FindFileId(publish.source));
    const auto journal = Publish(publish, record);
    if (!journal.ok()) {
      // Not left under names that other programs' globs take for data; the staged parts stay.
      const auto at_source = FindFileId(publish.source);
      if (at_source.ok() && *at_source && *at_source == assembled) {
        (void)RemoveTree(publish.source);
      }
      return journal.status();
    }
    ARROW_ASSIGN_OR_RAISE(receipt, ReceiptFor(request, *journal));
  }
  if (layout_->job_commit()) {
    ARROW_ASSIGN_OR_RAISE(const auto destination, JobDestination());
    receipt->location = destination + receipt->location.substr(layout_->job_folder().size());
  }
  RemoveStaged(request);
  std::lock_guard lock(mutex_);
  committed_.emplace(request.idempotency_key, *receipt);
  return *receipt;
}

// Chosen once a job, so that receipts, manifest and rename agree also after a crash.
Result<std::string> FileSink::JobDestination() const {
  std::lock_guard lock(mutex_);
  const std::string path = layout_->workspace() + "/" + kJobDestinationFile;
  if (Exists(path)) return ReadSmallFile(path);
  std::string destination = layout_->root();
  ARROW_ASSIGN_OR_RAISE(const auto there, FindFileId(destination));
  ARROW_ASSIGN_OR_RAISE(const bool empty, IsEmptyFolder(destination));
  if (there && !empty && conflict_ == ConflictRule::kVersion) {
    ARROW_ASSIGN_OR_RAISE(destination, NextVersion(destination));
  } else if (there && !empty && conflict_ == ConflictRule::kTimestamp) {
    destination += "_" + PathTime(FormatUtc(std::chrono::system_clock::now()));
  }
  ARROW_RETURN_NOT_OK(WriteFileDurably(path, layout_->workspace(), destination));
  return destination;
}

Status FileSink::PublishJobFolder(const JobManifest& manifest) const {
  const std::string journal_path = layout_->workspace() + "/" + kJobJournalFile;
  const RecordJournal record = [&](const PublishJournal& journal) {
    return WriteFileDurably(journal_path, layout_->workspace(), journal.ToJson());
  };
  PublishRequest publish;
  publish.source = layout_->job_folder();
  ARROW_RETURN_NOT_OK(MakeFolders(layout_->workspace()));
  ARROW_ASSIGN_OR_RAISE(publish.destination, JobDestination());
  // Under version and timestamp the name is chosen already; who takes it meanwhile wins.
  publish.conflict = conflict_ == ConflictRule::kOverwrite ? conflict_ : ConflictRule::kFail;
  publish.timestamp = PathTime(FormatUtc(std::chrono::system_clock::now()));
  publish.replace_empty = true;
  publish.check_replaceable = CheckReplaceableJob;
  if (options_.GetBool("archive")) publish.archive_folder = layout_->archive();
  if (Exists(journal_path)) {
    ARROW_ASSIGN_OR_RAISE(const auto text, ReadSmallFile(journal_path));
    ARROW_ASSIGN_OR_RAISE(const auto journal, PublishJournal::FromJson(text));
    ARROW_ASSIGN_OR_RAISE(const auto recovered, RecoverPublish(journal, publish, record));
    if (recovered) return Status::OK();
  }
  ARROW_RETURN_NOT_OK(MakeFolders(publish.source));
  ARROW_RETURN_NOT_OK(WriteFileDurably(publish.source + "/" + layout_->manifest_name(),
                                       layout_->workspace(), manifest.json));
  return Publish(publish, record).status();
}

Status FileSink::WriteHistory(const JobManifest& manifest) const {
  if (manifest.history_json.empty() || !options_.GetBool("job_history")) return Status::OK();
  const std::string folder = layout_->archive() + "/jobs";
  ARROW_RETURN_NOT_OK(MakeFolders(folder));
  const std::string name =
      fmt::format("job_{}_{}.json", SafeFileName(manifest.job_id), PathTime(manifest.finished_at));
  return WriteFileDurably(folder + "/" + name, layout_->workspace(), manifest.history_json);
}

Status FileSink::CommitJob(const JobManifest& manifest) {
  ARROW_RETURN_NOT_OK(MakeFolders(layout_->workspace()));
  if (layout_->file()) {
    // Nothing but the file, unless it was asked for.
    return options_.Has("job_history") ? WriteHistory(manifest) : Status::OK();
  }
  if (layout_->job_commit()) {
    ARROW_RETURN_NOT_OK(PublishJobFolder(manifest));
    return WriteHistory(manifest);
  }
  ARROW_RETURN_NOT_OK(WriteHistory(manifest));
  std::string folder = layout_->root();
  if (layout_->direct()) {
    if (manifest.receipts.empty()) return Status::OK();
    folder = manifest.receipts.front().location;
  }
  return WriteFileDurably(folder + "/" + layout_->manifest_name(), layout_->workspace(),
                          manifest.json);
}

Status FileSink::SaveReplaced(const JobId& job) const {
  const std::string folder = layout_->Workspace(job) + "/publish";
  if (!options_.GetBool("archive") || !Exists(folder)) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const auto names, ListFolder(folder));
  for (const auto& name : names) {
    const auto metadata = ReadExportMetadata(folder + "/" + name);
    if (!metadata.ok() || metadata->job_id == job) continue;
    ARROW_RETURN_NOT_OK(MakeFolders(layout_->archive()));
    ARROW_ASSIGN_OR_RAISE(const auto place, NextVersion(layout_->archive() + "/" + name));
    ARROW_RETURN_NOT_OK(RenameNoReplace(folder + "/" + name, place).status());
    ARROW_RETURN_NOT_OK(SyncFolder(layout_->archive()));
  }
  return Status::OK();
}

Result<StagedResult> FileSink::Duplicate(const StagedResult& staged, const AttemptId& attempt) {
  StagedResult result = staged;
  const std::string folder = layout_->staged() + "/";
  for (size_t i = 0; i < result.parts.size(); ++i) {
    std::string& path = result.parts[i].path;
    const std::string from = folder + path;
    path = StagedPartName(attempt, static_cast<int64_t>(i));
    if (link(from.c_str(), (folder + path).c_str()) != 0) {
      return ErrnoError(errno, "link '" + from + "' to", folder + path);
    }
  }
  ARROW_RETURN_NOT_OK(SyncFolder(layout_->staged()));
  return result;
}

Status FileSink::Discard(const JobId& job, std::span<const AttemptId> attempts) {
  const std::string workspace = layout_->Workspace(job);
  if (attempts.empty()) {
    ARROW_RETURN_NOT_OK(SaveReplaced(job));
    ARROW_RETURN_NOT_OK(RemoveTree(workspace));
    // Succeeds only when no other job works here.
    rmdir(ParentOf(workspace).c_str());
    return Status::OK();
  }
  for (const auto& attempt : attempts) {
    for (int64_t part = 0;; ++part) {
      const std::string path = workspace + "/staged/" + StagedPartName(attempt, part);
      if (unlink(path.c_str()) == 0) continue;
      if (errno == ENOENT) break;
      return ErrnoError(errno, "remove", path);
    }
  }
  return Status::OK();
}

}  // namespace bulkhaul
