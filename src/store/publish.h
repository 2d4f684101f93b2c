// One assembled folder appears under its final name, whole, once, whatever crashes in between.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/error.h"
#include "store/folders.h"

namespace bulkhaul {

// What happens when the destination exists.
enum class ConflictRule { kVersion, kTimestamp, kFail, kOverwrite };
Result<ConflictRule> ConflictRuleFromName(const std::string& name);

// Instants at which a test may kill the process during a commit (base/crash_point.h), in order.
// Those of assembling are passed by the sink, those from "publish.journaled" on by Publish().
inline constexpr const char* kPublishCrashPoints[] = {
    "publish.folder_made",       // the assembly folder exists, empty
    "publish.parts_linked",      // it holds the parts
    "publish.metadata_written",  // and the metadata file, durable
    "publish.assembled",         // the folders are synced bottom up
    "publish.journaled",         // the journal says "publishing"
    "publish.renamed",           // the new name is visible
    "publish.parents_synced",    // and durable
    "publish.recorded",          // the journal says "published"
    "publish.old_removed",       // what was replaced is archived or gone
};

struct PublishRequest {
  std::string source;  // the assembled folder, synced bottom up, on the destination's file system
  std::string destination;  // as wished; `version` and `timestamp` may add to it
  ConflictRule conflict = ConflictRule::kVersion;
  std::string timestamp;       // for kTimestamp and archived names: "2026-11-21T10-15-00Z"
  std::string archive_folder;  // where a replaced folder goes; "": it is removed
  // An empty folder at the destination counts as nothing there.
  bool replace_empty = false;
  // The source is a file: kOverwrite is one rename over what is there, and nothing is archived.
  bool file = false;
  // Whether kOverwrite may take this existing folder away; kUser with the reason when not.
  std::function<Status(const std::string& path)> check_replaceable;
};

// What the ledger keeps between the steps.
struct PublishJournal {
  enum class Step { kPublishing, kPublished };
  Step step = Step::kPublishing;
  std::string source;
  std::string destination;  // the one chosen
  FileId new_folder;
  std::optional<FileId> old_folder;  // what was at the destination, when it is to be swapped
  std::string archived_to;           // where the old folder goes, "" when it is removed

  std::string ToJson() const;
  static Result<PublishJournal> FromJson(const std::string& json);
};

using RecordJournal = std::function<Status(const PublishJournal&)>;

// Journal "publishing" → rename without replacing, or swap → fsync of both parents → journal
// "published" → archive or remove the old one. Each `record` call returns when the ledger is
// durable. Gives the last journal. Several jobs may publish to one destination at once: each rename
// happens whole, and none takes away what another has published except by kOverwrite. kUser when
// kFail finds the destination taken.
Result<PublishJournal> Publish(const PublishRequest& request, const RecordJournal& record);

// Goes on where an earlier try stopped, by asking which name holds the new folder's inode: never
// repeats a swap. nullopt when the new folder is neither at the destination nor at the source any
// more: then nothing was published and the folder must be assembled again.
Result<std::optional<PublishJournal>> RecoverPublish(const PublishJournal& journal,
                                                     const PublishRequest& request,
                                                     const RecordJournal& record);

// What kFail says. kUser, EEXIST.
Status TakenError(const std::string& destination, bool file);

// The name that kVersion would choose now: the path itself, or the next free "<path>_v<n>", n ≥ 2.
Result<std::string> NextVersion(const std::string& destination);

}  // namespace bulkhaul
