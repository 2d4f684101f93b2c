// status, jobs, cancel, clean, stats.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <set>
#include <span>
#include <sstream>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/cli/terminal.h"
#include "app/cli/verbs.h"
#include "app/registry.h"
#include "base/units.h"
#include "commit/job_index.h"
#include "commit/job_lock.h"
#include "commit/ledger.h"
#include "plan/job_spec.h"
#include "plan/references.h"
#include "run/report.h"
#include "sink/sink.h"
#include "store/folders.h"

namespace bulkhaul {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// A screen's.
constexpr size_t kNewestJobs = 20;

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "";
}

Result<JobEntry> FindOrNewest(const std::string& state_folder, const std::string& job) {
  if (!job.empty()) return FindJob(state_folder, job);
  ARROW_ASSIGN_OR_RAISE(const auto entries, ListJobs(state_folder));
  if (entries.empty()) return UsageError("there are no jobs yet");
  const auto running = std::find_if(entries.begin(), entries.end(),
                                    [](const auto& entry) { return entry.owner.has_value(); });
  return running == entries.end() ? entries.front() : *running;
}

// Only a folder that is a job's workspace by its name is ever removed.
bool IsWorkspaceOf(const JobEntry& entry) {
  const fs::path path(entry.workspace);
  return path.is_absolute() && path.filename() == entry.id &&
         path.parent_path().filename() == ".bulkhaul";
}

// What an unfinished job staged in a database goes with it; its files are its workspace.
Status GiveUp(const JobEntry& entry) {
  if (entry.state == "done" || fs::path(entry.workspace).is_absolute()) return Status::OK();
  if (entry.left_nothing) return Status::OK();
  auto spec = LoadJobSpec(entry);
  if (!spec.ok()) return Status::OK();  // it was not a job yet and staged nothing
  // Before the first view of the source nothing is asked of the sink but what is there.
  ARROW_ASSIGN_OR_RAISE(auto ledger, Ledger::OpenReadOnly(entry.folder));
  ARROW_ASSIGN_OR_RAISE(const auto views, ledger->Snapshots());
  if (views.empty()) return Status::OK();
  ARROW_RETURN_NOT_OK(ResolveJobReferences(&*spec, ProcessEnvironment()));
  ARROW_ASSIGN_OR_RAISE(const auto sink, MakeSink(*spec, entry.id));
  return sink->Discard(entry.id, {});
}

// Entries of `folder` that came there before `limit`, in seconds since 1970: the time of the
// inode's last change, because a rename into the archive leaves the time of the content alone. None
// when there is no such folder.
std::vector<fs::path> OlderEntries(const fs::path& folder, int64_t limit) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    struct stat status = {};
    if (lstat(entry.path().c_str(), &status) == 0 && status.st_ctim.tv_sec < limit) {
      found.push_back(entry.path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

// Old exports and job records under `destination`/.archive.
std::vector<fs::path> OldArchives(const std::string& destination, int64_t older_than_ms) {
  const int64_t limit = static_cast<int64_t>(std::time(nullptr)) - older_than_ms / 1000;
  const fs::path archive = fs::path(destination) / ".archive";
  auto found = OlderEntries(archive / "jobs", limit);
  for (auto& path : OlderEntries(archive, limit)) {
    if (path.filename() != "jobs") found.push_back(std::move(path));
  }
  return found;
}

// Where job records of these destinations may lie: the archive stands in the destination, or beside
// it when the destination as a whole is what is published.
std::set<std::string> RecordFolders(const std::vector<std::string>& destinations) {
  std::set<std::string> folders;
  for (const auto& destination : destinations) {
    const fs::path path = fs::absolute(destination).lexically_normal();
    folders.insert((path / ".archive" / "jobs").string());
    folders.insert((path.parent_path() / ".archive" / "jobs").string());
  }
  return folders;
}

std::vector<std::string> ReadRecords(const std::set<std::string>& folders) {
  std::vector<std::string> records;
  for (const auto& folder : folders) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      const auto name = entry.path().filename().string();
      if (!name.starts_with("job_") || !name.ends_with(".json")) continue;
      std::ifstream file(entry.path());
      std::ostringstream text;
      text << file.rdbuf();
      records.push_back(text.str());
    }
  }
  return records;
}

}  // namespace

Result<int> RunStatus(const std::string& job, OutputForm form) {
  ARROW_ASSIGN_OR_RAISE(const auto state_folder, StateFolder());
  ARROW_ASSIGN_OR_RAISE(const auto entry, FindOrNewest(state_folder, job));
  ARROW_ASSIGN_OR_RAISE(const auto status, ReadJobStatus(entry));
  fmt::print("{}", form == OutputForm::kJson ? status.ToJson() + "\n" : status.ToText());
  return kExitDone;
}

Result<int> RunJobs(OutputForm form, bool all) {
  ARROW_ASSIGN_OR_RAISE(const auto state_folder, StateFolder());
  ARROW_ASSIGN_OR_RAISE(const auto entries, ListJobs(state_folder));
  if (form == OutputForm::kJson) {
    auto list = json::array();
    for (const auto& entry : entries) list.push_back(json::parse(entry.ToJson()));
    fmt::print("{}\n", list.dump(2));
    return kExitDone;
  }
  if (entries.empty()) {
    fmt::print("no jobs\n");
    return kExitDone;
  }
  const size_t shown = all ? entries.size() : std::min(entries.size(), kNewestJobs);
  std::vector<std::vector<std::string>> rows;
  for (const auto& entry : std::span(entries).first(shown)) {
    rows.push_back({entry.id, entry.state, ToTheSecond(entry.created_at),
                    fmt::format("{} of {}", entry.tables_published, entry.tables),
                    FormatCount(entry.rows), entry.source, entry.destination});
  }
  fmt::print("{}", AlignedTable({{"job"},
                                 {"state"},
                                 {"started"},
                                 {"tables", true},
                                 {"rows", true},
                                 {"source"},
                                 {"destination"}},
                                rows));
  if (shown < entries.size()) {
    fmt::print(
        "and {} older: 'bulkhaul jobs --all' lists them, 'bulkhaul clean' removes what ended long "
        "ago\n",
        FormatCount(static_cast<int64_t>(entries.size() - shown)));
  }
  return kExitDone;
}

Result<int> RunCancel(const std::string& job, int64_t wait_ms) {
  ARROW_ASSIGN_OR_RAISE(const auto state_folder, StateFolder());
  ARROW_ASSIGN_OR_RAISE(const auto entry, FindJob(state_folder, job));
  ARROW_ASSIGN_OR_RAISE(const auto owner, LockOwnerOf(entry.folder));
  if (!owner) {
    return UsageError(fmt::format("job '{}' is not running: it is {}", entry.id, entry.state));
  }
  if (owner->host != HostName()) {
    return UsageError(fmt::format("job '{}' runs on host {} as process {}: cancel it there",
                                  entry.id, owner->host, owner->pid));
  }
  if (kill(static_cast<pid_t>(owner->pid), SIGTERM) != 0 && errno != ESRCH) {
    return ErrnoError(errno, "stop the process", std::to_string(owner->pid));
  }
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(wait_ms);
  while (std::chrono::steady_clock::now() < deadline) {
    ARROW_ASSIGN_OR_RAISE(const auto still, LockOwnerOf(entry.folder));
    if (!still || still->pid != owner->pid) {
      fmt::print("job {} is cancelled; go on with: bulkhaul resume {}\n", entry.id, entry.id);
      return kExitDone;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return PermanentError(
      fmt::format("process {} was told to stop but runs on after {}; kill -9 loses "
                  "nothing",
                  owner->pid, FormatDurationMs(wait_ms)));
}

Result<int> RunClean(const CleanRequest& request) {
  auto older_than_ms = ParseDurationMs(request.older_than);
  if (!older_than_ms.ok()) return UsageError("--older-than: " + older_than_ms.status().message());
  ARROW_ASSIGN_OR_RAISE(const auto state_folder, StateFolder());
  bool all_given_up = true;
  const auto give_up = [&](const JobEntry& entry) {
    const Status given_up = GiveUp(entry);
    if (given_up.ok()) return true;
    all_given_up = false;
    fmt::print(stderr,
               "job {} is kept, because what it staged at {} cannot be removed: {}\n"
               "  {}\n",
               entry.id, entry.destination, MessageOf(given_up),
               "drop the tables named _bulkhaul_… there, and remove the folder " + entry.folder);
    return false;
  };
  ARROW_ASSIGN_OR_RAISE(const auto jobs,
                        CleanJobs(state_folder, *older_than_ms, request.dry_run, give_up));
  json removed = {{"jobs", json::array()},
                  {"workspaces", json::array()},
                  {"archives", json::array()},
                  {"dry_run", request.dry_run}};
  for (const auto& entry : jobs) {
    removed["jobs"].push_back(entry.id);
    std::error_code error;
    if (!IsWorkspaceOf(entry) || !fs::exists(entry.workspace, error)) continue;
    if (!request.dry_run) ARROW_RETURN_NOT_OK(RemoveTree(entry.workspace));
    removed["workspaces"].push_back(entry.workspace);
  }
  for (const auto& destination : request.destinations) {
    for (const auto& path : OldArchives(destination, *older_than_ms)) {
      if (!request.dry_run) ARROW_RETURN_NOT_OK(RemoveTree(path.string()));
      removed["archives"].push_back(path.string());
    }
  }
  if (request.form == OutputForm::kJson) {
    fmt::print("{}\n", removed.dump(2, ' ', false, json::error_handler_t::replace));
    return all_given_up ? kExitDone : kExitFailed;
  }
  const char* verb = request.dry_run ? "would remove" : "removed";
  for (const char* kind : {"jobs", "workspaces", "archives"}) {
    for (const auto& name : removed[kind]) {
      fmt::print("{} {} {}\n", verb, std::string(kind, std::string_view(kind).size() - 1),
                 name.get<std::string>());
    }
  }
  fmt::print("{} {} jobs, {} workspaces, {} archives older than {}\n", verb, removed["jobs"].size(),
             removed["workspaces"].size(), removed["archives"].size(), request.older_than);
  return all_given_up ? kExitDone : kExitFailed;
}

Result<int> RunStats(const StatsRequest& request) {
  auto destinations = request.destinations;
  if (destinations.empty()) {
    ARROW_ASSIGN_OR_RAISE(const auto state_folder, StateFolder());
    ARROW_ASSIGN_OR_RAISE(const auto entries, ListJobs(state_folder));
    for (const auto& entry : entries) destinations.push_back(entry.destination);
  }
  const auto records = ReadRecords(RecordFolders(destinations));
  const auto since =
      FormatUtc(std::chrono::system_clock::now() - std::chrono::hours(24) * request.days);
  const auto statistics = AddUpJobRecords(records, since);
  fmt::print("{}",
             request.form == OutputForm::kJson ? statistics.ToJson() + "\n" : statistics.ToText());
  return kExitDone;
}

}  // namespace bulkhaul
