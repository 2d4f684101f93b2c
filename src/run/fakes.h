// A server with tables and snapshots, a source that reads it, and a sink that can fail: real
// implementations of the doors, for tests.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "sink/sink.h"
#include "source/source.h"

namespace bulkhaul::fakes {

// What outlives the programs that connect to it. Thread-safe.
class Server {
 public:
  using Rows = std::vector<int64_t>;
  void Put(const std::string& table, Rows rows) {
    std::lock_guard lock(mutex_);
    tables_[table] = std::move(rows);
  }
  // Moves `amount` from one row to another: the sum stays, and a mix of two moments shows.
  void Move(const std::string& table, size_t from, size_t to, int64_t amount) {
    std::lock_guard lock(mutex_);
    tables_[table][from] -= amount;
    tables_[table][to] += amount;
  }
  // Every snapshot is gone, as after a restart.
  void LoseSnapshots() {
    std::lock_guard lock(mutex_);
    snapshots_.clear();
  }
  void Drop(const std::string& snapshot) {
    std::lock_guard lock(mutex_);
    snapshots_.erase(snapshot);
  }
  size_t snapshots_held() const {
    std::lock_guard lock(mutex_);
    return snapshots_.size();
  }

  // Called before each batch of each read, with the unit and the batch's number; what it returns is
  // the read's outcome. May be empty. Set before the run.
  std::function<Status(const WorkUnit&, int batch)> on_read;
  std::function<Status()> on_open, on_pin;
  // ChangedAxes() and CheckRows() of the source; without the latter it has nothing to say.
  std::function<std::vector<std::string>(const Dataset&)> on_changed_axes;
  std::function<Status(const std::map<std::string, int64_t>&, RowFindings*)> on_check_rows;
  bool retries_requests = false;  // of the source's traits
  // Content() of the sessions; without it they have nothing to say.
  std::function<Result<UnitContent>(const WorkUnit&)> on_content;
  // The type that sessions deliver instead of the planned one.
  std::shared_ptr<arrow::DataType> altered_type;
  std::atomic<int> opens{0}, pins{0}, reads{0}, sessions{0}, sessions_peak{0};

 private:
  friend class ServerSource;
  friend class ServerSession;
  mutable std::mutex mutex_;
  using Tables = std::map<std::string, Rows>;
  Tables tables_;  // guarded by mutex_, as below
  std::map<std::string, std::shared_ptr<const Tables>> snapshots_;
  int snapshot_number_ = 0;
};

struct SourceSettings {
  int64_t rows_per_unit = 10;
  int64_t rows_per_batch = 4;
  bool consistent = true;
  bool kept = false;  // snapshots outlive the source
  int64_t connections_max = -1;
};
std::unique_ptr<Source> MakeSource(std::shared_ptr<Server> server, SourceSettings settings);

// Passes everything on to another sink, unless a hook says otherwise.
class FaultySink : public Sink {
 public:
  explicit FaultySink(std::unique_ptr<Sink> sink) : sink_(std::move(sink)) {}
  std::function<Status(const WorkUnit&)> on_begin, on_finish;
  std::function<Status(const CommitRequest&)> on_commit, after_commit;
  std::function<Status()> on_commit_job;
  std::function<SinkTraits(SinkTraits)> traits;
  std::function<Result<SinkPlace>(const DatasetPlan&)> place;
  int units_at_once_max = 0;

  SinkTraits Traits() const override { return traits ? traits(sink_->Traits()) : sink_->Traits(); }
  Result<SinkPlan> Prepare(const DatasetPlan& plan, bool dry_run) override;
  Result<SinkPlace> PlaceOf(const DatasetPlan& plan) override;
  int UnitsAtOnceMax(const Dataset& dataset) const override {
    return units_at_once_max > 0 ? units_at_once_max : sink_->UnitsAtOnceMax(dataset);
  }
  Result<std::unique_ptr<UnitWriter>> Begin(const DatasetPlan& plan, const WorkUnit& unit,
                                            const AttemptId& attempt,
                                            const std::shared_ptr<arrow::Schema>& schema,
                                            WriteStage stage, UnitContext& context) override;
  Result<std::unique_ptr<arrow::RecordBatchReader>> OpenStaged(const DatasetPlan& plan,
                                                               const StagedResult& staged,
                                                               UnitContext& context) override;
  Result<std::vector<StagedResult>> Recover(const JobId& job,
                                            std::span<const StagedResult> staged) override;
  Result<CommitReceipt> Commit(const CommitRequest& request, CommitContext& context) override;
  Result<bool> LeftNothing(const CommitRequest& request, const std::string& journal) override {
    return sink_->LeftNothing(request, journal);
  }
  Status CommitJob(const JobManifest& manifest) override;
  Status Discard(const JobId& job, std::span<const AttemptId> attempts) override;

 private:
  const std::unique_ptr<Sink> sink_;
};

}  // namespace bulkhaul::fakes
