#include "commit/job_index.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "base/secret.h"
#include "base/text.h"
#include "base/units.h"
#include "commit/job_lock.h"
#include "commit/ledger.h"
#include "store/durable_file.h"

namespace bulkhaul {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr char kFileRecordName[] = "/file.json";

std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<std::string> ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::ostringstream text;
  text << in.rdbuf();
  return std::move(text).str();
}

// A process that died between making its ledger and writing its entry.
Result<JobEntry> EntryFromLedger(const std::string& folder) {
  ARROW_ASSIGN_OR_RAISE(const auto ledger, Ledger::OpenReadOnly(folder));
  ARROW_ASSIGN_OR_RAISE(const JobSpec spec, JobSpec::FromJson(ledger->spec_json()));
  JobEntry entry;
  entry.id = ledger->job();
  entry.source = Redact(spec.source_uri);
  entry.destination = Redact(spec.destination_uri);
  entry.state = "running";
  entry.created_at = entry.updated_at = ledger->created_at();
  return entry;
}

// The same place has many spellings: relative, with a trailing slash, through links.
std::string Normal(std::string_view path) {
  if (path.starts_with("file://")) path.remove_prefix(7);
  if (path.find("://") != std::string_view::npos) return std::string(path);
  std::error_code error;
  auto normal = fs::weakly_canonical(fs::absolute(fs::path(path), error), error).string();
  while (normal.size() > 1 && normal.back() == '/') normal.pop_back();
  return normal;
}

}  // namespace

std::string ToTheSecond(std::string job_time) {
  if (const auto point = job_time.find('.'); point != std::string::npos) {
    job_time.replace(point, std::string::npos, "Z");
  }
  return job_time;
}

Result<JobEntry> ReadJobEntry(const std::string& folder) {
  const auto text = ReadFile(folder + "/job.json");
  ARROW_ASSIGN_OR_RAISE(JobEntry entry, text ? JobEntry::FromJson(*text) : EntryFromLedger(folder));
  entry.folder = folder;
  ARROW_ASSIGN_OR_RAISE(entry.owner, LockOwnerOf(folder));
  if (entry.owner) {
    entry.state = "running";
  } else if (entry.state == "running") {
    entry.state = "interrupted";
  }
  return entry;
}

Result<std::string> StateFolder() {
  const char* state = std::getenv("XDG_STATE_HOME");
  // The XDG base directory specification: relative paths are to be ignored.
  if (state && *state == '/') return std::string(state) + "/bulkhaul";
  const char* home = std::getenv("HOME");
  if (!home || !*home) {
    return UserError("neither XDG_STATE_HOME nor HOME is set: the job's ledger has no place");
  }
  return std::string(home) + "/.local/state/bulkhaul";
}

std::string JobFolder(const std::string& state_folder, const JobId& job) {
  return state_folder + "/jobs/" + job;
}

Status CheckJobId(const JobId& job) {
  const bool fits = !job.empty() && job.size() <= 64 && job[0] != '.' && job[0] != '-' &&
                    std::all_of(job.begin(), job.end(), [](unsigned char c) {
                      return c < 0x80 && (std::isalnum(c) || c == '.' || c == '_' || c == '-');
                    });
  if (fits) return Status::OK();
  return UserError(
      fmt::format("job_id '{}' does not fit: 1 to 64 of A-Z a-z 0-9 . _ -, not "
                  "starting with '.' or '-'",
                  job));
}

std::string JobEntry::ToJson() const {
  json value = {{"job_id", id},
                {"source", source},
                {"destination", destination},
                {"workspace", workspace},
                {"folder", folder},
                {"state", state},
                {"created_at", created_at},
                {"updated_at", updated_at},
                {"error", error},
                {"left_nothing", left_nothing},
                {"tables", tables},
                {"tables_published", tables_published},
                {"rows", rows}};
  if (owner) {
    value["owner"] = {{"pid", owner->pid}, {"host", owner->host}, {"since", owner->since}};
  }
  return Dump(value);
}

Result<JobEntry> JobEntry::FromJson(std::string_view text) {
  const auto value = json::parse(text, nullptr, false);
  if (!value.is_object()) return UserError("a job's entry is not JSON");
  try {
    JobEntry entry;
    entry.id = value.at("job_id").get<std::string>();
    entry.source = value.value("source", "");
    entry.destination = value.value("destination", "");
    entry.workspace = value.value("workspace", "");
    entry.folder = value.value("folder", "");
    entry.state = value.value("state", "");
    entry.created_at = value.value("created_at", "");
    entry.updated_at = value.value("updated_at", "");
    entry.error = value.value("error", "");
    entry.left_nothing = value.value("left_nothing", false);
    entry.tables = value.value("tables", int64_t{0});
    entry.tables_published = value.value("tables_published", int64_t{0});
    entry.rows = value.value("rows", int64_t{0});
    return entry;
  } catch (const json::exception& error) {
    return UserError(fmt::format("a job's entry cannot be read: {}", error.what()));
  }
}

Status WriteJobEntry(const JobEntry& entry) {
  const std::string path = entry.folder + "/job.json";
  const std::string fresh = path + ".new";
  const std::string text = entry.ToJson();
  const int descriptor = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (descriptor < 0) return ErrnoError(errno, "create", fresh);
  int failed = 0;
  if (write(descriptor, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    failed = errno ? errno : ENOSPC;
  } else if (fsync(descriptor) != 0) {
    failed = errno;
  }
  if (close(descriptor) != 0 && !failed) failed = errno;
  if (failed) return ErrnoError(failed, "write", fresh);
  if (rename(fresh.c_str(), path.c_str()) != 0) return ErrnoError(errno, "rename", fresh);
  return Status::OK();
}

Result<std::vector<JobEntry>> ListJobs(const std::string& state_folder) {
  std::vector<JobEntry> entries;
  std::error_code error;
  for (const auto& item : fs::directory_iterator(state_folder + "/jobs", error)) {
    auto entry = ReadJobEntry(item.path().string());
    if (entry.ok()) entries.push_back(entry.MoveValueUnsafe());
  }
  if (error && error.value() != ENOENT) {
    return ErrnoError(error.value(), "list", state_folder + "/jobs");
  }
  std::sort(entries.begin(), entries.end(), [](const JobEntry& a, const JobEntry& b) {
    return std::tie(b.created_at, b.id) < std::tie(a.created_at, a.id);
  });
  return entries;
}

Result<JobEntry> FindJob(const std::string& state_folder, std::string_view id_or_path) {
  const std::string name(id_or_path);
  if (CheckJobId(name).ok()) {
    auto entry = ReadJobEntry(JobFolder(state_folder, name));
    if (entry.ok()) return entry;
  }
  ARROW_ASSIGN_OR_RAISE(const auto entries, ListJobs(state_folder));
  const std::string path = Normal(name);
  const JobEntry* found = nullptr;
  for (const auto& entry : entries) {
    if (Normal(entry.folder) == path) return entry;
    if (!entry.workspace.empty() && Normal(entry.workspace) == path) return entry;
    if (Normal(entry.destination) != path) continue;
    if (!found || (found->state == "done" && entry.state != "done")) found = &entry;
  }
  if (found) return *found;
  std::vector<std::string> ids;
  for (const auto& entry : entries) ids.push_back(entry.id);
  std::string message = fmt::format("there is no job '{}'", name);
  if (const auto nearest = NearestName(name, ids)) {
    message += fmt::format("; did you mean '{}'?", *nearest);
  } else {
    message += "; 'bulkhaul jobs' lists them";
  }
  return UserError(message);
}

Result<JobSpec> LoadJobSpec(const JobEntry& entry) {
  ARROW_ASSIGN_OR_RAISE(auto ledger, Ledger::OpenReadOnly(entry.folder));
  return JobSpec::FromJson(ledger->spec_json());
}

Result<std::vector<JobEntry>> CleanJobs(const std::string& state_folder, int64_t older_than_ms,
                                        bool dry_run,
                                        const std::function<bool(const JobEntry&)>& give_up) {
  const std::string limit =
      FormatUtc(std::chrono::system_clock::now() - std::chrono::milliseconds(older_than_ms));
  ARROW_ASSIGN_OR_RAISE(const auto entries, ListJobs(state_folder));
  std::vector<JobEntry> removed;
  for (const auto& entry : entries) {
    const std::string& last = entry.updated_at.empty() ? entry.created_at : entry.updated_at;
    if (entry.owner || last > limit) continue;
    if (!dry_run) {
      // The lock keeps a resume that starts now from a folder that goes away under it.
      auto lock = JobLock::Take(entry.folder);
      if (!lock.ok() || !give_up(entry)) continue;
      std::error_code error;
      fs::remove_all(entry.folder, error);
      if (error) return ErrnoError(error.value(), "remove", entry.folder);
    }
    removed.push_back(entry);
  }
  return removed;
}

Status WriteFileRecord(const std::string& job_folder, const FileRecord& record) {
  return WriteFileDurably(
      job_folder + kFileRecordName, job_folder,
      Dump({{"path", record.path}, {"metadata", record.metadata}, {"written_at", JobTime()}}));
}

Result<std::optional<FileRecord>> FindFileRecord(const std::string& state_folder,
                                                 std::string_view path) {
  ARROW_ASSIGN_OR_RAISE(const auto entries, ListJobs(state_folder));
  const std::string wanted = Normal(path);
  std::optional<FileRecord> found;
  std::string found_at;
  for (const auto& entry : entries) {
    const auto text = ReadFile(entry.folder + kFileRecordName);
    if (!text) continue;
    const auto value = json::parse(*text, nullptr, false);
    if (!value.is_object()) continue;
    FileRecord record{value.value("path", ""), value.value("metadata", "")};
    const std::string written_at = value.value("written_at", entry.updated_at);
    if (Normal(record.path) != wanted || (found && written_at <= found_at)) continue;
    found = std::move(record);
    found_at = written_at;
  }
  return found;
}

Result<JobStatus> ReadJobStatus(const JobEntry& entry) {
  JobStatus status;
  status.entry = entry;
  status.report_json = ReadFile(entry.folder + "/report.json").value_or("");
  if (!fs::exists(entry.folder + "/ledger.db")) return status;
  ARROW_ASSIGN_OR_RAISE(auto ledger, Ledger::OpenReadOnly(entry.folder));
  ARROW_ASSIGN_OR_RAISE(const auto records, ledger->Datasets());
  ARROW_ASSIGN_OR_RAISE(const auto order, ledger->ReadOrder());
  for (const auto& record : records) {
    TableStatus table;
    table.dataset = record.dataset.id;
    table.state = DatasetStateName(record.state);
    table.error = record.error;
    ARROW_ASSIGN_OR_RAISE(const auto totals, ledger->Totals(record.index));
    table.units.units = totals.units;
    table.units.done = totals.units_done;
    if (entry.owner) table.units.running = totals.units_running;
    table.rows = record.receipt ? record.receipt->rows : totals.rows;
    table.stored_bytes = record.receipt ? record.receipt->bytes : totals.stored_bytes;
    if (record.receipt) table.location = record.receipt->location;
    if (const auto before = order.find(record.index); before != order.end()) {
      for (const auto& [index, named] : before->second) {
        if (records[static_cast<size_t>(index)].state == DatasetState::kPublished) continue;
        table.waits_for.push_back(named);
      }
    }
    status.tables.push_back(std::move(table));
  }
  return status;
}

std::string JobStatus::ToJson() const {
  json value = json::parse(entry.ToJson());
  auto list = json::array();
  for (const auto& table : tables) {
    auto waits_for = json::array();
    for (const auto& earlier : table.waits_for) {
      waits_for.push_back({{"table", earlier.table}, {"reason", earlier.reason}});
    }
    list.push_back({{"schema", table.dataset.schema},
                    {"name", table.dataset.name},
                    {"state", table.state},
                    {"units", table.units.units},
                    {"units_done", table.units.done},
                    {"units_running", table.units.running},
                    {"rows", table.rows},
                    {"stored_bytes", table.stored_bytes},
                    {"location", table.location},
                    {"waits_for", std::move(waits_for)},
                    {"error", table.error}});
  }
  value["table_states"] = std::move(list);
  const auto report = json::parse(report_json, nullptr, false);
  if (report.is_object()) value["report"] = report;
  return Dump(value);
}

std::string JobStatus::ToText() const {
  std::string text = fmt::format(
      "job          {}\nstate        {}\nsource       {}\n"
      "destination  {}\ncreated      {}\nupdated      {}\n",
      entry.id, entry.state, entry.source, entry.destination, ToTheSecond(entry.created_at),
      ToTheSecond(entry.updated_at));
  if (entry.owner) {
    text += fmt::format("process      {} on {}\n", entry.owner->pid, entry.owner->host);
  }
  if (!entry.error.empty()) text += fmt::format("error        {}\n", entry.error);
  for (const auto& table : tables) {
    text += fmt::format("  {:<40} {:<10} {}/{} units  {} rows  {}\n", table.dataset.ToString(),
                        table.state, table.units.done, table.units.units, FormatCount(table.rows),
                        FormatBytes(table.stored_bytes));
    if (!table.error.empty()) text += fmt::format("    {}\n", table.error);
    for (const auto& earlier : table.waits_for) {
      text +=
          fmt::format("    {} {}\n", table.state == "staged" ? "waits for" : "is published after",
                      earlier.ToString());
    }
  }
  return text;
}

}  // namespace bulkhaul
