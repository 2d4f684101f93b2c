#include "commit/ledger.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "base/crash_point.h"
#include "base/text.h"
#include "base/units.h"

namespace bulkhaul {
namespace {

using nlohmann::json;

constexpr int64_t kVersion = 1;
constexpr char kOrderKey[] = "order";

constexpr char kTables[] = R"sql(
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE snapshots (epoch INTEGER PRIMARY KEY, snapshot TEXT NOT NULL);
CREATE TABLE datasets (
  idx INTEGER PRIMARY KEY, state INTEGER NOT NULL, dataset TEXT NOT NULL,
  output_schema TEXT NOT NULL, output_name TEXT NOT NULL, epoch INTEGER NOT NULL,
  intermediate INTEGER NOT NULL, decision TEXT NOT NULL, error TEXT NOT NULL,
  error_kind TEXT NOT NULL, journal TEXT, receipt TEXT, started_at TEXT NOT NULL,
  finished_at TEXT NOT NULL, failed_from INTEGER NOT NULL DEFAULT 0);
CREATE TABLE units (
  dataset INTEGER NOT NULL, stage INTEGER NOT NULL, ordinal INTEGER NOT NULL,
  epoch INTEGER NOT NULL, unit TEXT NOT NULL, attempt TEXT, failures INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (dataset, stage, ordinal)) WITHOUT ROWID;
CREATE TABLE attempts (
  id TEXT PRIMARY KEY, dataset INTEGER NOT NULL, stage INTEGER NOT NULL, ordinal INTEGER NOT NULL,
  epoch INTEGER NOT NULL, worker INTEGER NOT NULL, state TEXT NOT NULL, started_at TEXT NOT NULL,
  finished_at TEXT NOT NULL, paths TEXT NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL,
  source_bytes INTEGER NOT NULL, elapsed_ms INTEGER NOT NULL, error TEXT NOT NULL,
  error_kind TEXT NOT NULL, result TEXT) WITHOUT ROWID;
CREATE INDEX attempts_by_dataset ON attempts (dataset);
)sql";

Status SyncFolder(const std::string& folder) {
  const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return ErrnoError(errno, "open", folder);
  const int failed = fsync(descriptor) != 0 ? errno : 0;
  close(descriptor);
  return failed ? ErrnoError(failed, "sync", folder) : Status::OK();
}

std::string LedgerPath(const std::string& folder) { return folder + "/ledger.db"; }

}  // namespace

std::string JobTime() {
  const auto now = std::chrono::system_clock::now();
  const auto microseconds =
      std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count();
  std::string text = FormatUtc(now);
  text.insert(text.size() - 1, fmt::format(".{:06}", microseconds % 1'000'000));
  return text;
}

const char* DatasetStateName(DatasetState state) {
  switch (state) {
    case DatasetState::kPlanned:
      return "planned";
    case DatasetState::kRead:
      return "read";
    case DatasetState::kStaged:
      return "staged";
    case DatasetState::kPublishing:
      return "publishing";
    case DatasetState::kPublished:
      return "published";
    case DatasetState::kFailed:
      return "failed";
  }
  return "failed";
}

Ledger::~Ledger() = default;

Result<std::unique_ptr<Ledger>> Ledger::Create(const std::string& job_folder, const JobId& job,
                                               const std::string& spec_json) {
  ARROW_ASSIGN_OR_RAISE(auto lock, JobLock::Take(job_folder));
  const std::string path = LedgerPath(job_folder);
  if (std::filesystem::exists(path)) {
    return UserError(
        fmt::format("job '{}' has begun before: go on with 'bulkhaul resume {}', "
                    "remove it with 'bulkhaul clean', or choose another job_id",
                    job, job));
  }
  // Made under another name, so that a crash here leaves no ledger without its tables, and in WAL
  // mode already: a crash while an old ledger changed to it left a journal that no reader can play
  // back, so that the job was there for `copy` and not for `resume`.
  const std::string fresh = path + ".new";
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(fresh + suffix);
  {
    ARROW_ASSIGN_OR_RAISE(auto database, Database::Open(fresh, false));
    ARROW_RETURN_NOT_OK(
        database->Execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; BEGIN IMMEDIATE;"));
    ARROW_RETURN_NOT_OK(database->Execute(kTables));
    const std::pair<const char*, std::string> meta[] = {{"version", std::to_string(kVersion)},
                                                        {"job", job},
                                                        {"spec", spec_json},
                                                        {"instance", NewId()},
                                                        {"created_at", JobTime()}};
    for (const auto& [key, value] : meta) {
      ARROW_RETURN_NOT_OK(
          database->Change("INSERT INTO meta VALUES (?, ?)", {std::string(key), value}).status());
    }
    ARROW_RETURN_NOT_OK(database->Execute("COMMIT"));
  }
  std::error_code error;
  std::filesystem::rename(fresh, path, error);
  if (error) return ErrnoError(error.value(), "rename", fresh);
  ARROW_RETURN_NOT_OK(SyncFolder(job_folder));
  CrashPoint("ledger.created");
  return Load(job_folder, std::move(lock), false);
}

Result<std::unique_ptr<Ledger>> Ledger::Open(const std::string& job_folder) {
  if (!std::filesystem::exists(LedgerPath(job_folder))) {
    return UserError(
        fmt::format("there is no ledger in '{}': the job is done or never began", job_folder));
  }
  ARROW_ASSIGN_OR_RAISE(auto lock, JobLock::Take(job_folder));
  ARROW_ASSIGN_OR_RAISE(auto ledger, Load(job_folder, std::move(lock), false));
  // Their process is gone: the lock proves it.
  ARROW_RETURN_NOT_OK(ledger->Change([](Database& database) {
    return database.Change("UPDATE attempts SET state='interrupted' WHERE state='running'", {})
        .status();
  }));
  return ledger;
}

Result<std::unique_ptr<Ledger>> Ledger::OpenReadOnly(const std::string& job_folder) {
  if (!std::filesystem::exists(LedgerPath(job_folder))) {
    return UserError(
        fmt::format("there is no ledger in '{}': the job is done or never began", job_folder));
  }
  return Load(job_folder, nullptr, true);
}

Result<std::unique_ptr<Ledger>> Ledger::Load(const std::string& folder,
                                             std::unique_ptr<JobLock> lock, bool read_only) {
  ARROW_ASSIGN_OR_RAISE(auto database, Database::Open(LedgerPath(folder), read_only));
  if (!read_only) {
    ARROW_RETURN_NOT_OK(
        database->Execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA "
                          "wal_autocheckpoint=500;"));
  }
  std::unique_ptr<Ledger> ledger(new Ledger(folder, std::move(lock), std::move(database)));
  ARROW_ASSIGN_OR_RAISE(const std::string version, ledger->Meta("version"));
  if (version != std::to_string(kVersion)) {
    return UserError(
        fmt::format("the ledger in '{}' has version '{}', this program knows {}: use "
                    "the program that made it",
                    folder, version, kVersion));
  }
  ARROW_ASSIGN_OR_RAISE(ledger->job_, ledger->Meta("job"));
  ARROW_ASSIGN_OR_RAISE(ledger->spec_json_, ledger->Meta("spec"));
  ARROW_ASSIGN_OR_RAISE(ledger->instance_, ledger->Meta("instance"));
  ARROW_ASSIGN_OR_RAISE(ledger->created_at_, ledger->Meta("created_at"));
  return ledger;
}

Status Ledger::Change(const Body& body, bool durable) {
  Pending mine{&body, durable, Status::OK()};
  std::unique_lock lock(queue_mutex_);
  queue_.push_back(&mine);
  queue_changed_.wait(lock, [&] { return mine.finished || !leading_; });
  if (mine.finished) return mine.status;
  leading_ = true;
  std::vector<Pending*> group(queue_.begin(), queue_.end());
  queue_.clear();
  lock.unlock();
  RunGroup(group);
  lock.lock();
  for (Pending* pending : group) pending->finished = true;
  leading_ = false;
  queue_changed_.notify_all();
  return mine.status;
}

void Ledger::RunGroup(const std::vector<Pending*>& group) {
  std::lock_guard lock(database_mutex_);
  if (RunTransaction(group).ok()) return;
  // One of them failed and took the others with it: each on its own, so that only it fails.
  for (Pending* pending : group) {
    pending->status = RunTransaction(std::span<Pending* const>(&pending, 1));
  }
}

Status Ledger::RunTransaction(std::span<Pending* const> group) {
  if (!database_) return BugError("the ledger is closed");
  const bool durable = std::any_of(group.begin(), group.end(),
                                   [](const Pending* pending) { return pending->durable; });
  // With NORMAL a commit is in the WAL file but not synced; the next one with FULL syncs both.
  // Source: SQLite, "PRAGMA synchronous".
  if (durable != durable_) {
    ARROW_RETURN_NOT_OK(
        database_->Execute(durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL"));
    durable_ = durable;
  }
  ARROW_RETURN_NOT_OK(database_->Change("BEGIN IMMEDIATE", {}).status());
  Status status;
  for (Pending* pending : group) {
    status = (*pending->body)(*database_);
    if (!status.ok()) break;
  }
  if (status.ok()) status = database_->Change("COMMIT", {}).status();
  if (!status.ok()) (void)database_->Execute("ROLLBACK");
  return status;
}

Result<std::vector<DatabaseRow>> Ledger::Query(std::string_view sql,
                                               const std::vector<DatabaseValue>& values) {
  std::lock_guard lock(database_mutex_);
  if (!database_) return BugError("the ledger is closed");
  return database_->Query(sql, values);
}

Status Ledger::SaveDatasets(std::span<const DatasetRecord> datasets) {
  ARROW_RETURN_NOT_OK(Change([&](Database& database) -> Status {
    for (const auto& record : datasets) {
      ARROW_RETURN_NOT_OK(
          database
              .Change("INSERT OR REPLACE INTO datasets VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,0)",
                      {record.index, static_cast<int64_t>(record.state), record.dataset.ToJson(),
                       record.output_schema ? SchemaToJson(*record.output_schema) : "",
                       record.output_name, record.epoch, record.intermediate ? 1 : 0,
                       record.decision, record.error, record.error_kind,
                       record.journal ? DatabaseValue(*record.journal) : DatabaseValue(),
                       record.receipt ? DatabaseValue(record.receipt->ToJson()) : DatabaseValue(),
                       record.started_at, record.finished_at})
              .status());
    }
    return Status::OK();
  }));
  CrashPoint("ledger.datasets_saved");
  return Status::OK();
}

Result<std::vector<DatasetRecord>> Ledger::Datasets() {
  ARROW_ASSIGN_OR_RAISE(auto rows, Query("SELECT * FROM datasets ORDER BY idx", {}));
  std::vector<DatasetRecord> records;
  records.reserve(rows.size());
  for (auto& row : rows) {
    DatasetRecord record;
    record.index = row[0].number;
    record.state = static_cast<DatasetState>(row[1].number);
    ARROW_ASSIGN_OR_RAISE(record.dataset, Dataset::FromJson(row[2].text));
    if (!row[3].text.empty()) {
      ARROW_ASSIGN_OR_RAISE(record.output_schema, SchemaFromJson(row[3].text));
    }
    record.output_name = row[4].text;
    record.epoch = row[5].number;
    record.intermediate = row[6].number != 0;
    record.decision = row[7].text;
    record.error = row[8].text;
    record.error_kind = row[9].text;
    if (row[10].kind != DatabaseValue::Kind::kNull) record.journal = row[10].text;
    if (row[11].kind != DatabaseValue::Kind::kNull) {
      ARROW_ASSIGN_OR_RAISE(record.receipt, CommitReceipt::FromJson(row[11].text));
    }
    record.started_at = row[12].text;
    record.finished_at = row[13].text;
    records.push_back(std::move(record));
  }
  return records;
}

Status Ledger::SaveSnapshot(const Snapshot& snapshot) {
  return Change([&](Database& database) {
    return database
        .Change("INSERT OR REPLACE INTO snapshots VALUES (?, ?)",
                {snapshot.epoch, snapshot.ToJson()})
        .status();
  });
}

Result<std::vector<Snapshot>> Ledger::Snapshots() {
  ARROW_ASSIGN_OR_RAISE(auto rows, Query("SELECT snapshot FROM snapshots ORDER BY epoch", {}));
  std::vector<Snapshot> snapshots;
  for (const auto& row : rows) {
    ARROW_ASSIGN_OR_RAISE(auto snapshot, Snapshot::FromJson(row[0].text));
    snapshots.push_back(std::move(snapshot));
  }
  return snapshots;
}

Status Ledger::BeginEpoch(const Snapshot& snapshot, std::span<const int64_t> dataset_indexes) {
  ARROW_RETURN_NOT_OK(Change([&](Database& database) -> Status {
    ARROW_RETURN_NOT_OK(database
                            .Change("INSERT OR REPLACE INTO snapshots VALUES (?, ?)",
                                    {snapshot.epoch, snapshot.ToJson()})
                            .status());
    for (const int64_t index : dataset_indexes) {
      ARROW_RETURN_NOT_OK(
          database
              .Change("UPDATE datasets SET epoch=?, state=0, decision='', error='', "
                      "error_kind='', journal=NULL WHERE idx=? AND state<>4",
                      {snapshot.epoch, index})
              .status());
      ARROW_RETURN_NOT_OK(database.Change("DELETE FROM units WHERE dataset=?", {index}).status());
    }
    return Status::OK();
  }));
  CrashPoint("ledger.epoch_saved");
  return Status::OK();
}

Status Ledger::SaveUnits(int64_t epoch, std::span<const PlannedUnits> planned) {
  ARROW_RETURN_NOT_OK(Change([&](Database& database) -> Status {
    for (const auto& dataset : planned) {
      for (const auto& unit : dataset.units) {
        ARROW_RETURN_NOT_OK(database
                                .Change("INSERT INTO units (dataset, stage, ordinal, epoch, unit) "
                                        "VALUES (?,?,?,?,?)",
                                        {dataset.dataset_index, static_cast<int64_t>(dataset.stage),
                                         unit.ordinal, epoch, unit.ToJson()})
                                .status());
      }
    }
    return Status::OK();
  }));
  CrashPoint("ledger.units_saved");
  return Status::OK();
}

Result<std::vector<UnitRecord>> Ledger::Units(int64_t dataset_index, UnitStage stage) {
  ARROW_ASSIGN_OR_RAISE(
      auto rows, Query("SELECT unit, attempt IS NOT NULL, failures FROM units WHERE dataset=? AND "
                       "stage=? ORDER BY ordinal",
                       {dataset_index, static_cast<int64_t>(stage)}));
  std::vector<UnitRecord> units;
  units.reserve(rows.size());
  for (const auto& row : rows) {
    UnitRecord record;
    ARROW_ASSIGN_OR_RAISE(record.unit, WorkUnit::FromJson(row[0].text));
    record.stage = stage;
    record.done = row[1].number != 0;
    record.failures = row[2].number;
    units.push_back(std::move(record));
  }
  return units;
}

Result<int64_t> Ledger::UnitCount(int64_t dataset_index, UnitStage stage) {
  ARROW_ASSIGN_OR_RAISE(auto rows, Query("SELECT count(*) FROM units WHERE dataset=? AND stage=?",
                                         {dataset_index, static_cast<int64_t>(stage)}));
  return rows[0][0].number;
}

Result<std::string> Ledger::Meta(const std::string& key) {
  ARROW_ASSIGN_OR_RAISE(auto rows, Query("SELECT value FROM meta WHERE key=?", {key}));
  return rows.empty() ? std::string() : rows[0][0].text;
}

Status Ledger::SetMeta(const std::string& key, const std::string& value) {
  return Change([&](Database& database) {
    return database.Change("INSERT OR REPLACE INTO meta VALUES (?, ?)", {key, value}).status();
  });
}

Status Ledger::SaveOrder(const Order& order) {
  json value = json::object();
  for (const auto& [index, before] : order) {
    json& list = value[std::to_string(index)] = json::array();
    for (const auto& [earlier, named] : before) {
      list.push_back({{"index", earlier}, {"table", named.table}, {"reason", named.reason}});
    }
  }
  return SetMeta(kOrderKey, value.dump(-1, ' ', false, json::error_handler_t::replace));
}

Result<Ledger::Order> Ledger::ReadOrder() {
  ARROW_ASSIGN_OR_RAISE(const std::string text, Meta(kOrderKey));
  Order order;
  if (text.empty()) return order;
  try {
    const json saved = json::parse(text);
    for (const auto& [index, before] : saved.items()) {
      for (const auto& one : before) {
        order[std::stoll(index)].push_back(
            {one.at("index").get<int64_t>(),
             {one.at("table").get<std::string>(), one.at("reason").get<std::string>()}});
      }
    }
  } catch (const std::exception& error) {
    return BugError(fmt::format("the order of tables in the ledger is damaged: {}", error.what()));
  }
  return order;
}

Status Ledger::Remove() {
  std::lock_guard lock(database_mutex_);
  database_.reset();
  std::error_code error;
  for (const char* suffix : {"", "-wal", "-shm"}) {
    std::filesystem::remove(LedgerPath(folder_) + suffix, error);
    if (error) return ErrnoError(error.value(), "remove", LedgerPath(folder_) + suffix);
  }
  return Status::OK();
}

}  // namespace bulkhaul
