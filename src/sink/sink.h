// Room 4: where rows go. One folder a sink; registry.cc names them all.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <arrow/record_batch.h>

#include "base/error.h"
#include "plan/context.h"
#include "plan/values.h"

namespace bulkhaul {

struct SinkTraits {
  std::string name;            // "parquet"
  bool atomic_commit = false;  // a dataset appears whole or not at all
  bool atomic_swap = false;    // overwrite exchanges old and new in one step
  bool job_commit = false;     // commit: job can publish all datasets in one step
  bool unit_commit = false;    // commit: unit lets each unit's rows appear when they are in
  // Staged rows can be read back and written again (OpenStaged), as shrink, single_file and
  // merge_small_parts need.
  bool second_stage = true;
  bool duplicates_staged = false;  // Duplicate()
  // Each unit stays a part that readers of the result meet, so that many small ones cost them.
  bool units_visible = true;
  int64_t connections_max = -1;
  // False: nobody has answered at the destination since the sink was made, so that it left nothing.
  bool reached = true;
  // Memory that one open UnitWriter holds beside the batch it was given, for the planner. Bytes.
  int64_t writer_bytes = 0;
  // What it looks at of those options that not everyone does (SubjectOf, plan/option_table.h):
  // groups or single names.
  std::vector<std::string> options;
};

// What Prepare() promises for a dataset.
struct SinkPlan {
  std::string location;  // where it will appear, as far as is known before the conflict rule runs
  std::vector<std::string> notes;  // "exports/public_t exists: will be published as public_t_v2"
};

// Where a dataset goes, and what must be there before it.
struct SinkPlace {
  struct Predecessor {
    std::string place;   // of another dataset, which need not be one of the job's
    std::string reason;  // what refers to it: "foreign key orders_customer_fkey"
  };
  std::string place;               // "" : of no concern to others
  std::vector<Predecessor> after;  // these are published first; the place itself does not count
  // Rows appear with their units: none may begin before those datasets are published.
  bool units_appear = false;
};

// How Begin() is to write.
struct WriteStage {
  // True: rows that will be read back by OpenStaged() and written again (shrink, single_file,
  // merge_small_parts); the sink picks a fast form. False: final form.
  bool intermediate = false;
};

// Not thread-safe; one a unit attempt.
class UnitWriter {
 public:
  virtual ~UnitWriter() = default;
  // Has copied what it needs when it returns.
  virtual Status Write(const arrow::RecordBatch& batch) = 0;
  // Everything durable (fsync). Fills parts, rows_written and stored_bytes; the runner fills the
  // rest. After a failed Finish only Abort is legal.
  virtual Result<StagedResult> Finish() = 0;
  // After a failed Write or Finish: which of the rows given so far is at fault, from 1; -1 where
  // that is not known.
  virtual int64_t row_at_fault() const { return -1; }
  // Removes what was staged.
  virtual void Abort() noexcept = 0;
  // Memory held now beside the caller's batch. Bytes.
  virtual int64_t buffered_bytes() const { return 0; }
};

// What a commit leaves in the ledger between its steps, so that a crash can be recovered.
struct CommitContext {
  // Makes `state` (JSON) durable as this dataset's commit journal before the next step is taken.
  std::function<Status(const std::string& state)> record;
  // The journal of an earlier try that did not finish.
  std::optional<std::string> recovered;
};

// A value that a commit could not bring into its column.
struct FaultyValue {
  int64_t ordinal = -1;  // of the unit that its row came with; -1: not known
  std::string column;    // of the destination
  int field = -1;        // of the published schema
  std::string value;     // as it was staged
};

// The job's own record, published when every dataset is.
struct JobManifest {
  JobId job_id;
  std::string json;          // what readers of the destination see
  std::string history_json;  // the record for .archive/jobs
  std::string finished_at;   // UTC
  std::vector<CommitReceipt> receipts;
};

// Thread-safe after it is made. Never retries, never sleeps: run/ does.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual SinkTraits Traits() const = 0;
  // The columns that the dataset's rows will go into, where such are there already; nullptr: none
  // are, or the job does not want them. Only those whose type says how a text is to be read. What
  // is wrong with the destination is for Prepare() to say.
  virtual Result<std::shared_ptr<arrow::Schema>> ColumnsThere(const DatasetId& id,
                                                              const Options& options) {
    return nullptr;
  }
  // Once a dataset, before a row is read: the schema fits the format, the destination can be
  // written, the conflict rule allows it. Creates nothing that readers see. With `dry_run` (plan)
  // it creates nothing at all.
  virtual Result<SinkPlan> Prepare(const DatasetPlan& plan, bool dry_run) = 0;
  // Looks only. Not part of Prepare(), because it is also asked of datasets that Prepare() refuses
  // and of those whose commit has begun: others wait for them. kUser: nobody can say.
  virtual Result<SinkPlace> PlaceOf(const DatasetPlan& plan) { return SinkPlace{}; }
  // Units of one dataset that may be written at the same time; 0: any number.
  virtual int UnitsAtOnceMax(const Dataset& dataset) const { return 0; }
  virtual Result<std::unique_ptr<UnitWriter>> Begin(const DatasetPlan& plan, const WorkUnit& unit,
                                                    const AttemptId& attempt,
                                                    const std::shared_ptr<arrow::Schema>& schema,
                                                    WriteStage stage, UnitContext& context) = 0;
  // Rows of an intermediate result, in order.
  virtual Result<std::unique_ptr<arrow::RecordBatchReader>> OpenStaged(const DatasetPlan& plan,
                                                                       const StagedResult& staged,
                                                                       UnitContext& context) = 0;
  // The staged rows once more, for another dataset with the same rows: under `attempt`, and
  // independent of the first from then on. Only with traits.duplicates_staged.
  virtual Result<StagedResult> Duplicate(const StagedResult& staged, const AttemptId& attempt) {
    return BugError("this sink duplicates nothing");
  }
  // Which of these staged results the destination still holds whole (size and checksum).
  virtual Result<std::vector<StagedResult>> Recover(const JobId& job,
                                                    std::span<const StagedResult> staged) = 0;
  // Publishes the dataset, whole. Idempotent by request.idempotency_key.
  virtual Result<CommitReceipt> Commit(const CommitRequest& request, CommitContext& context) = 0;
  // After a Commit() that failed: the value that it failed for, given out once; none where it was
  // not for a single one.
  virtual std::optional<FaultyValue> TakeFault(const DatasetId& id) { return std::nullopt; }
  // Whether a commit that had begun, as `journal` says, has left nothing: it may begin anew with
  // what Recover() still finds. False: the next Commit() needs the journal.
  virtual Result<bool> LeftNothing(const CommitRequest& request, const std::string& journal) {
    return false;
  }
  // The job's manifest, last. Idempotent.
  virtual Status CommitJob(const JobManifest& manifest) = 0;
  // Removes these attempts' staged bytes; with none named, the job's whole staging area.
  virtual Status Discard(const JobId& job, std::span<const AttemptId> attempts) = 0;
};

}  // namespace bulkhaul
