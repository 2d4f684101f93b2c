// Which jobs this user has: a folder a job under the state folder, each naming its workspace and
// destination.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "plan/job_spec.h"
#include "plan/values.h"

namespace bulkhaul {

// $XDG_STATE_HOME/bulkhaul, else ~/.local/state/bulkhaul. kUser when neither variable is set.
Result<std::string> StateFolder();
// <state>/jobs/<job>.
std::string JobFolder(const std::string& state_folder, const JobId& job);
// kUser when the id cannot be a folder's name: 1 to 64 of [A-Za-z0-9._-], not starting with '.'.
Status CheckJobId(const JobId& job);

// Who holds a job's lock.
struct LockOwner {
  int64_t pid = 0;
  std::string host;
  std::string since;  // UTC
};

// <job folder>/job.json; it outlives the ledger, which goes after success.
struct JobEntry {
  JobId id;
  std::string folder;       // <state>/jobs/<job>
  std::string source;       // redacted
  std::string destination;  // redacted
  std::string workspace;    // <destination>/.bulkhaul/<job>
  // "running" (its lock is held), "interrupted" (it is not, and nobody wrote an end), "done",
  // "failed", "partial", "cancelled".
  std::string state;
  std::string created_at, updated_at;  // JobTime()
  std::string error;
  bool left_nothing = false;  // it ended without having reached its destination
  int64_t tables = 0, tables_published = 0, rows = 0;
  std::optional<LockOwner> owner;  // while running

  std::string ToJson() const;
  static Result<JobEntry> FromJson(std::string_view json);
};

// A JobTime() for people: "2026-11-21T10:15:00Z".
std::string ToTheSecond(std::string job_time);

// Of the job whose folder it is.
Result<JobEntry> ReadJobEntry(const std::string& folder);
// Writes job.json by rename, so that a reader sees the old or the new one.
Status WriteJobEntry(const JobEntry& entry);
// Newest first. Folders that are not readable as jobs are left out.
Result<std::vector<JobEntry>> ListJobs(const std::string& state_folder);
// By id, by the job's folder or workspace, or by a destination that exactly one job names (of
// several: the newest unfinished one). kUser with the nearest id when there is none.
Result<JobEntry> FindJob(const std::string& state_folder, std::string_view id_or_path);
// The spec that the job was made from, without secrets. kUser when the ledger is gone: the job is
// done.
Result<JobSpec> LoadJobSpec(const JobEntry& entry);
// Removes the folders of jobs that ended before `older_than_ms` ago and are not running; gives
// their entries, so that the caller can remove the workspaces of unfinished ones. `give_up` is
// called for each first, while its lock is held; false keeps the job. `dry_run` only lists.
Result<std::vector<JobEntry>> CleanJobs(const std::string& state_folder, int64_t older_than_ms,
                                        bool dry_run,
                                        const std::function<bool(const JobEntry&)>& give_up);

// What a job knows of a file that it published without a folder, which would hold its metadata:
// kept with the job's records, and gone with them.
struct FileRecord {
  std::string path;
  std::string metadata;  // sink/export_metadata.h
};
// With the time of the call, by which FindFileRecord() tells the last of several.
Status WriteFileRecord(const std::string& job_folder, const FileRecord& record);
// Of the job that wrote to `path` last; nullopt where none is known.
Result<std::optional<FileRecord>> FindFileRecord(const std::string& state_folder,
                                                 std::string_view path);

// What `status` shows of one job.
struct UnitCounts {
  int64_t units = 0, done = 0, running = 0;
};
struct TableStatus {
  DatasetId dataset;
  std::string state;  // "planned", "read", "staged", "publishing", "published", "failed"
  UnitCounts units;
  int64_t rows = 0, stored_bytes = 0;
  std::string location, error;
  std::vector<ComesAfter> waits_for;  // tables that are published before it, and are not yet
};
struct JobStatus {
  JobEntry entry;
  std::vector<TableStatus> tables;  // from the ledger; empty when it is gone
  std::string report_json;          // of the last run that ended, "" when none did

  std::string ToJson() const;
  std::string ToText() const;
};
// Reads the ledger beside its owner; safe while the job runs.
Result<JobStatus> ReadJobStatus(const JobEntry& entry);

}  // namespace bulkhaul
