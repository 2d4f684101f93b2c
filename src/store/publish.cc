#include "store/publish.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "base/crash_point.h"
#include "store/folders.h"

namespace bulkhaul {
namespace {

// Other jobs may take the name between looking and renaming; each lost race means that one of them
// has published, so this many in a row is no longer a race.
constexpr int kNameTriesMax = 10'000;

std::string NameOf(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

nlohmann::json ToJson(const FileId& id) { return {id.device, id.inode}; }
FileId FileIdFromJson(const nlohmann::json& json) {
  return {json.at(0).get<uint64_t>(), json.at(1).get<uint64_t>()};
}

// How the chosen name is to be taken.
enum class Move { kNoReplace, kOverEmpty, kOverFile, kExchange };

struct Choice {
  std::string destination;
  Move move = Move::kNoReplace;
};

Result<bool> Exists(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::symlink_status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) return false;
  if (error) return ErrnoError(error.value(), "look at", path);
  return true;
}

Result<Choice> Choose(const PublishRequest& request, int tries) {
  const std::string& wished = request.destination;
  ARROW_ASSIGN_OR_RAISE(const bool taken, Exists(wished));
  if (!taken) return Choice{wished};
  if (request.replace_empty) {
    ARROW_ASSIGN_OR_RAISE(const bool empty, IsEmptyFolder(wished));
    if (empty) return Choice{wished, Move::kOverEmpty};
  }
  switch (request.conflict) {
    case ConflictRule::kVersion: {
      ARROW_ASSIGN_OR_RAISE(auto next, NextVersion(wished));
      return Choice{std::move(next)};
    }
    case ConflictRule::kTimestamp: {
      std::string name = wished + "_" + request.timestamp;
      if (tries > 0) name += "_" + std::to_string(tries + 1);
      return Choice{std::move(name)};
    }
    case ConflictRule::kFail:
      return TakenError(wished, request.file);
    case ConflictRule::kOverwrite:
      if (request.check_replaceable) ARROW_RETURN_NOT_OK(request.check_replaceable(wished));
      return Choice{wished, request.file ? Move::kOverFile : Move::kExchange};
  }
  return BugError("unknown conflict rule");
}

Result<RenameOutcome> Apply(const Choice& choice, const std::string& source) {
  switch (choice.move) {
    case Move::kNoReplace:
      return RenameNoReplace(source, choice.destination);
    case Move::kOverEmpty:
      return RenameOverEmpty(source, choice.destination);
    case Move::kOverFile:
      return RenameOverFile(source, choice.destination);
    case Move::kExchange:
      return RenameExchange(source, choice.destination);
  }
  return BugError("unknown move");
}

Status SyncParents(const PublishJournal& journal) {
  const std::string destination = ParentOf(journal.destination);
  const std::string source = ParentOf(journal.source);
  ARROW_RETURN_NOT_OK(SyncFolder(destination));
  // Of the source's parent only what is still there matters: resume may have lost the workspace.
  ARROW_ASSIGN_OR_RAISE(const bool there, Exists(source));
  if (there && source != destination) ARROW_RETURN_NOT_OK(SyncFolder(source));
  return Status::OK();
}

// After a swap the replaced folder is at the source's name, and nothing else ever is.
Status FinishOld(const PublishJournal& journal) {
  if (!journal.old_folder) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const auto at_source, FindFileId(journal.source));
  if (!at_source || *at_source == journal.new_folder) return Status::OK();
  if (journal.archived_to.empty()) return RemoveTree(journal.source);
  const std::string parent = ParentOf(journal.archived_to);
  ARROW_RETURN_NOT_OK(MakeFolders(parent));
  ARROW_ASSIGN_OR_RAISE(const auto outcome, RenameNoReplace(journal.source, journal.archived_to));
  if (outcome != RenameOutcome::kDone) {
    return UserError("cannot archive the replaced export: '" + journal.archived_to + "' exists",
                     "EEXIST");
  }
  ARROW_RETURN_NOT_OK(SyncFolder(parent));
  return SyncFolder(ParentOf(journal.source));
}

Result<PublishJournal> FinishRenamed(PublishJournal journal, const RecordJournal& record) {
  ARROW_RETURN_NOT_OK(SyncParents(journal));
  CrashPoint("publish.parents_synced");
  journal.step = PublishJournal::Step::kPublished;
  ARROW_RETURN_NOT_OK(record(journal));
  CrashPoint("publish.recorded");
  ARROW_RETURN_NOT_OK(FinishOld(journal));
  CrashPoint("publish.old_removed");
  return journal;
}

Result<std::string> ArchiveName(const PublishRequest& request) {
  std::string name =
      request.archive_folder + "/" + NameOf(request.destination) + "_" + request.timestamp;
  return NextVersion(name);
}

}  // namespace

Result<ConflictRule> ConflictRuleFromName(const std::string& name) {
  if (name == "version") return ConflictRule::kVersion;
  if (name == "timestamp") return ConflictRule::kTimestamp;
  if (name == "fail") return ConflictRule::kFail;
  if (name == "overwrite") return ConflictRule::kOverwrite;
  return UserError("conflict: '" + name + "' is none of version, timestamp, fail, overwrite");
}

std::string PublishJournal::ToJson() const {
  nlohmann::json json = {
      {"step", step == Step::kPublishing ? "publishing" : "published"},
      {"source", source},
      {"destination", destination},
      {"new", bulkhaul::ToJson(new_folder)},
      {"archived_to", archived_to},
  };
  if (old_folder) json["old"] = bulkhaul::ToJson(*old_folder);
  return json.dump();
}

Result<PublishJournal> PublishJournal::FromJson(const std::string& text) {
  try {
    const auto json = nlohmann::json::parse(text);
    PublishJournal journal;
    const auto step = json.at("step").get<std::string>();
    if (step != "publishing" && step != "published") {
      return BugError("commit journal: unknown step '" + step + "'");
    }
    journal.step = step == "publishing" ? Step::kPublishing : Step::kPublished;
    journal.source = json.at("source").get<std::string>();
    journal.destination = json.at("destination").get<std::string>();
    journal.new_folder = FileIdFromJson(json.at("new"));
    if (json.contains("old")) journal.old_folder = FileIdFromJson(json.at("old"));
    journal.archived_to = json.at("archived_to").get<std::string>();
    return journal;
  } catch (const nlohmann::json::exception& error) {
    return PermanentError(std::string("commit journal cannot be read: ") + error.what());
  }
}

Status TakenError(const std::string& destination, bool file) {
  return UserError(
      "'" + destination +
          (file ? "' exists and if_exists is 'fail'; set if_exists: replace to replace "
                  "it, or name another file"
                : "' exists and conflict is 'fail'; use conflict: version, timestamp "
                  "or overwrite"),
      "EEXIST");
}

Result<std::string> NextVersion(const std::string& destination) {
  ARROW_ASSIGN_OR_RAISE(const bool taken, Exists(destination));
  if (!taken) return destination;
  const std::string prefix = NameOf(destination) + "_v";
  ARROW_ASSIGN_OR_RAISE(const auto names, ListFolder(ParentOf(destination)));
  int64_t highest = 1;
  for (const auto& name : names) {
    if (!name.starts_with(prefix)) continue;
    int64_t number = 0;
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + prefix.size(), end, number);
    if (parsed.ec == std::errc() && parsed.ptr == end) highest = std::max(highest, number);
  }
  return destination + "_v" + std::to_string(highest + 1);
}

Result<PublishJournal> Publish(const PublishRequest& request, const RecordJournal& record) {
  ARROW_ASSIGN_OR_RAISE(const auto source, FindFileId(request.source));
  if (!source) return ErrnoError(ENOENT, "publish", request.source);
  for (int tries = 0; tries < kNameTriesMax; ++tries) {
    ARROW_ASSIGN_OR_RAISE(const auto choice, Choose(request, tries));
    PublishJournal journal;
    journal.source = request.source;
    journal.destination = choice.destination;
    journal.new_folder = *source;
    if (choice.move == Move::kExchange) {
      ARROW_ASSIGN_OR_RAISE(journal.old_folder, FindFileId(choice.destination));
      if (!request.archive_folder.empty()) {
        ARROW_ASSIGN_OR_RAISE(journal.archived_to, ArchiveName(request));
      }
    }
    ARROW_RETURN_NOT_OK(record(journal));
    CrashPoint("publish.journaled");
    ARROW_ASSIGN_OR_RAISE(const auto outcome, Apply(choice, request.source));
    if (outcome != RenameOutcome::kDone) continue;  // another job was faster
    CrashPoint("publish.renamed");
    return FinishRenamed(std::move(journal), record);
  }
  return TransientError("no free name beside '" + request.destination + "' after " +
                        std::to_string(kNameTriesMax) + " tries");
}

Result<std::optional<PublishJournal>> RecoverPublish(const PublishJournal& journal,
                                                     const PublishRequest& request,
                                                     const RecordJournal& record) {
  if (journal.step == PublishJournal::Step::kPublished) {
    ARROW_RETURN_NOT_OK(FinishOld(journal));
    return journal;
  }
  ARROW_ASSIGN_OR_RAISE(const auto at_destination, FindFileId(journal.destination));
  if (at_destination && *at_destination == journal.new_folder) {
    ARROW_ASSIGN_OR_RAISE(auto finished, FinishRenamed(journal, record));
    return finished;
  }
  ARROW_ASSIGN_OR_RAISE(const auto at_source, FindFileId(journal.source));
  if (!at_source || *at_source != journal.new_folder) return std::nullopt;
  PublishRequest again = request;
  again.source = journal.source;
  ARROW_ASSIGN_OR_RAISE(auto published, Publish(again, record));
  return published;
}

}  // namespace bulkhaul
