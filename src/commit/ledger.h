// The job's memory on disk: what is planned, what is staged, what is published. Everything that a
// crash must not forget is here before the next step is taken.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "commit/database.h"
#include "commit/job_lock.h"
#include "plan/values.h"

namespace bulkhaul {

// Crash points that the ledger passes (base/crash_point.h). "begun" is after the attempt is durable
// and before it has a file; "done" is after its result is durable.
inline constexpr const char* kLedgerCrashPoints[] = {
    "ledger.created",        "ledger.datasets_saved", "ledger.epoch_saved",
    "ledger.units_saved",    "ledger.attempt_begun",  "ledger.before_unit_done",
    "ledger.unit_done",      "ledger.dataset_read",   "ledger.dataset_staged",
    "ledger.before_journal", "ledger.journal_saved",  "ledger.before_published",
    "ledger.published",
};

// Now, in UTC to the microsecond, "2026-11-21T10:15:00.123456Z": of jobs in one second, text order
// is the order of time.
std::string JobTime();

// A dataset's way. It never goes back but through BeginEpoch() or Reopen().
enum class DatasetState {
  kPlanned = 0,     // its units are being read
  kRead = 1,        // all read units are staged, and the view was still there when the last one was
  kStaged = 2,      // the final parts are all staged
  kPublishing = 3,  // a commit has begun: `journal` says how far it is
  kPublished = 4,
  kFailed = 5,
};
const char* DatasetStateName(DatasetState state);

// Units of stage 0 read the source; those of stage 1 put staged rows together again.
enum class UnitStage { kRead = 0, kAssemble = 1 };

struct DatasetRecord {
  int64_t index = 0;  // from 0; the first half of its units' ids
  DatasetState state = DatasetState::kPlanned;
  Dataset dataset;
  std::shared_ptr<arrow::Schema> output_schema;  // after the transforms of the read stage
  std::string output_name;
  int64_t epoch = 0;          // 0: not pinned yet
  bool intermediate = false;  // the read stage writes rows that the assemble stage reads back
  std::string decision;       // JSON: job-wide transforms' decisions by name, once made
  std::string error, error_kind;
  std::optional<std::string> journal;  // the sink's, from kPublishing on
  std::optional<CommitReceipt> receipt;
  std::string started_at, finished_at;  // UTC: first unit begun, published
};

// A dataset that is published before another one.
struct EarlierDataset {
  int64_t index = 0;
  ComesAfter named;
};

struct UnitRecord {
  WorkUnit unit;
  UnitStage stage = UnitStage::kRead;
  bool done = false;
  int64_t failures = 0;  // attempts that failed, over all runs
};

struct AttemptRecord {
  AttemptId id;
  int64_t dataset_index = 0;
  int64_t epoch = 0;
  UnitStage stage = UnitStage::kRead;
  int64_t ordinal = 0;
  int worker = 0;
};

// Per dataset, for reports and status.
struct DatasetTotals {
  int64_t units = 0, units_done = 0, units_running = 0;  // of the read stage
  int64_t rows = 0, stored_bytes = 0, source_bytes = 0, unit_ms = 0, failures = 0;
};

// Thread-safe. Each change is one transaction that is on disk (synchronous=FULL) when the call
// returns, but for the two that say otherwise; calls that arrive together share a transaction, and
// so an fsync.
class Ledger {
 public:
  // Takes the lock first, then makes an empty ledger in the folder. `spec_json` is redacted.
  // kUser when the job has a ledger already or is owned by another process.
  static Result<std::unique_ptr<Ledger>> Create(const std::string& job_folder, const JobId& job,
                                                const std::string& spec_json);
  // Takes the lock first. kUser when there is none, or another process owns the job.
  static Result<std::unique_ptr<Ledger>> Open(const std::string& job_folder);
  // To look at, beside the owner; every change fails.
  static Result<std::unique_ptr<Ledger>> OpenReadOnly(const std::string& job_folder);
  ~Ledger();

  const JobId& job() const { return job_; }
  const std::string& spec_json() const { return spec_json_; }
  // Random, made with the ledger: tells this job from an earlier one with the same id.
  const std::string& instance() const { return instance_; }
  const std::string& created_at() const { return created_at_; }  // JobTime()
  const std::string& folder() const { return folder_; }

  Status SaveDatasets(std::span<const DatasetRecord> datasets);
  Result<std::vector<DatasetRecord>> Datasets();
  Status SaveSnapshot(const Snapshot& snapshot);
  Result<std::vector<Snapshot>> Snapshots();  // by epoch
  // These datasets' older units and attempts no longer count; they are planned again in `epoch`.
  Status BeginEpoch(const Snapshot& snapshot, std::span<const int64_t> dataset_indexes);

  struct PlannedUnits {
    int64_t dataset_index;
    UnitStage stage;
    std::vector<WorkUnit> units;
  };
  // All in one transaction, so that a plan is there whole or not at all.
  Status SaveUnits(int64_t epoch, std::span<const PlannedUnits> planned);
  Result<std::vector<UnitRecord>> Units(int64_t dataset_index, UnitStage stage);
  Result<int64_t> UnitCount(int64_t dataset_index, UnitStage stage);

  // Survives the process at once, a power failure only with the next change: what an attempt stages
  // counts when it is finished, and what it left behind without a trace goes with the job's staging
  // area.
  Status BeginAttempt(const AttemptRecord& attempt);
  // The first attempt to finish a unit of the dataset's epoch wins: false for every other, whose
  // staged bytes the caller discards. `then_staged`: the same transaction marks the dataset as
  // staged if this was its last unit.
  Result<bool> FinishAttempt(const AttemptRecord& attempt, const StagedResult& result,
                             bool then_staged = false);
  // As durable as BeginAttempt().
  Status FailAttempt(const AttemptRecord& attempt, const Status& error);
  // Results of the units that are done, in order; of ordinals `first` to `last`.
  Result<std::vector<StagedResult>> Staged(int64_t dataset_index, UnitStage stage,
                                           int64_t first = 0, int64_t last = INT64_MAX);
  // The destination does not hold this result any more: its unit is to be done again.
  Status ForgetResult(int64_t dataset_index, UnitStage stage, int64_t ordinal);
  // Attempts of the dataset that no done unit names: what may lie in staging and is not needed.
  Result<std::vector<AttemptId>> LooseAttempts(int64_t dataset_index);
  // Those attempts' staged bytes are gone.
  Status ForgetAttempts(std::span<const AttemptId> attempts);

  // kPlanned → kRead: the decision of the job-wide transforms and the units that put the staged
  // rows together. Refused (false) unless each unit of the read stage is done.
  Result<bool> BeginAssembly(int64_t dataset_index, const std::string& decision,
                             std::span<const WorkUnit> units);
  // → kStaged. Refused (false) unless each unit of both stages is done.
  Result<bool> MarkStaged(int64_t dataset_index);
  Status FailDataset(int64_t dataset_index, const Status& error);
  // A failed dataset is where it was before it failed.
  Status Reopen(int64_t dataset_index);
  // When the first attempt of a unit began; "" before that.
  Result<std::string> StartedAt(int64_t dataset_index);
  Result<std::optional<std::string>> Journal(int64_t dataset_index);
  Status SaveJournal(int64_t dataset_index, const std::string& journal);
  // → kStaged.
  Status ForgetJournal(int64_t dataset_index);
  Status Publish(int64_t dataset_index, const CommitReceipt& receipt,
                 const std::string& finished_at);

  Result<DatasetTotals> Totals(int64_t dataset_index);
  // The job's own journal: "manifest" once every dataset is published, "done" at the end.
  Status SetMeta(const std::string& key, const std::string& value);
  Result<std::string> Meta(const std::string& key);  // "" when there is none
  // By dataset, those that are published before it; for `status`.
  using Order = std::map<int64_t, std::vector<EarlierDataset>>;
  Status SaveOrder(const Order& order);
  Result<Order> ReadOrder();
  // Closes and removes the ledger's files; the lock is held until this object goes.
  Status Remove();

 private:
  Ledger(std::string folder, std::unique_ptr<JobLock> lock, std::unique_ptr<Database> database)
      : folder_(std::move(folder)), lock_(std::move(lock)), database_(std::move(database)) {}
  static Result<std::unique_ptr<Ledger>> Load(const std::string& folder,
                                              std::unique_ptr<JobLock> lock, bool read_only);

  using Body = std::function<Status(Database&)>;
  struct Pending {
    const Body* body;
    bool durable;
    Status status;
    bool finished = false;
  };
  // Runs `body` in a transaction with those of other threads that wait.
  Status Change(const Body& body, bool durable = true);
  void RunGroup(const std::vector<Pending*>& group);
  Status RunTransaction(std::span<Pending* const> group);
  Result<std::vector<DatabaseRow>> Query(std::string_view sql,
                                         const std::vector<DatabaseValue>& values);

  const std::string folder_;
  const std::unique_ptr<JobLock> lock_;
  JobId job_;  // constant after Create or Load, as the three below
  std::string instance_;
  std::string spec_json_;
  std::string created_at_;

  std::mutex queue_mutex_;
  std::condition_variable queue_changed_;  // guarded by queue_mutex_, as the two below
  std::deque<Pending*> queue_;
  bool leading_ = false;

  std::mutex database_mutex_;
  std::unique_ptr<Database> database_;  // guarded by database_mutex_, as below
  bool durable_ = true;                 // what the connection is set to
};

}  // namespace bulkhaul
