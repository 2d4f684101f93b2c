// The fakes themselves; named so that it is compiled into the test program only.
#include <algorithm>
#include <charconv>

#include <arrow/api.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "run/fakes.h"

namespace bulkhaul::fakes {
namespace {

std::shared_ptr<arrow::Schema> RowSchema(std::shared_ptr<arrow::DataType> type = arrow::int64()) {
  return arrow::schema({arrow::field("id", arrow::int64()), arrow::field("v", std::move(type))});
}

int64_t Number(const std::string& text, int64_t otherwise) {
  int64_t value = otherwise;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

class ServerReader : public UnitReader {
 public:
  ServerReader(std::shared_ptr<Server> server, WorkUnit unit, Server::Rows rows, int64_t first,
               int64_t batch_rows, UnitContext& context)
      : server_(std::move(server)),
        unit_(std::move(unit)),
        rows_(std::move(rows)),
        first_(first),
        batch_rows_(batch_rows),
        context_(context),
        schema_(RowSchema(server_->altered_type ? server_->altered_type : arrow::int64())) {}
  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    if (context_.stop.stop_requested()) return CancelledError();
    if (server_->on_read) ARROW_RETURN_NOT_OK(server_->on_read(unit_, batches_++));
    if (at_ == rows_.size()) {
      *batch = nullptr;
      return Status::OK();
    }
    arrow::Int64Builder ids, values;
    const size_t end = std::min(rows_.size(), at_ + static_cast<size_t>(batch_rows_));
    const auto rows = static_cast<int64_t>(end - at_);
    for (; at_ < end; ++at_) {
      ARROW_RETURN_NOT_OK(ids.Append(first_ + static_cast<int64_t>(at_)));
      ARROW_RETURN_NOT_OK(values.Append(rows_[at_]));
    }
    ARROW_ASSIGN_OR_RAISE(auto id, ids.Finish());
    ARROW_ASSIGN_OR_RAISE(auto value, values.Finish());
    *batch = arrow::RecordBatch::Make(schema_, rows, {id, value});
    return Status::OK();
  }
  UnitRange covered() const override { return unit_.range; }
  int64_t bytes_read() const override { return static_cast<int64_t>(at_) * 16; }

 private:
  const std::shared_ptr<Server> server_;
  const WorkUnit unit_;
  const Server::Rows rows_;
  const int64_t first_;
  const int64_t batch_rows_;
  UnitContext& context_;
  const std::shared_ptr<arrow::Schema> schema_;
  size_t at_ = 0;
  int batches_ = 0;
};

class ServerSession : public Session {
 public:
  // `imported`: the snapshot, which the session keeps when its holder is gone; null: the live rows.
  ServerSession(std::shared_ptr<Server> server, std::shared_ptr<const Server::Tables> imported,
                int64_t batch_rows)
      : server_(std::move(server)), imported_(std::move(imported)), batch_rows_(batch_rows) {
    const int now = ++server_->sessions;
    int peak = server_->sessions_peak;
    while (peak < now && !server_->sessions_peak.compare_exchange_weak(peak, now)) {
    }
  }
  ~ServerSession() override { --server_->sessions; }
  Result<std::unique_ptr<UnitReader>> Read(const WorkUnit& unit, UnitContext& context) override {
    ++server_->reads;
    std::lock_guard lock(server_->mutex_);
    const Server::Rows& all = (imported_ ? *imported_ : server_->tables_).at(unit.dataset.name);
    const int64_t size = static_cast<int64_t>(all.size());
    const int64_t first = Number(unit.range.begin, 0);
    const int64_t last = std::min(Number(unit.range.end, size), size);
    Server::Rows rows(all.begin() + std::min(first, size), all.begin() + std::max(first, last));
    return std::make_unique<ServerReader>(server_, unit, std::move(rows), first, batch_rows_,
                                          context);
  }
  Result<UnitContent> Content(const WorkUnit& unit, UnitContext&) override {
    return server_->on_content(unit);
  }

 private:
  const std::shared_ptr<Server> server_;
  const std::shared_ptr<const Server::Tables> imported_;
  const int64_t batch_rows_;
};

class ServerSource : public Source {
 public:
  ServerSource(std::shared_ptr<Server> server, SourceSettings settings)
      : server_(std::move(server)), settings_(settings) {}
  ~ServerSource() override {
    if (settings_.kept) return;
    for (const auto& id : pinned_) server_->Drop(id);
  }
  SourceTraits Traits() const override {
    SourceTraits traits;
    traits.name = "fake";
    traits.consistent_snapshot = settings_.consistent;
    traits.kept_snapshot = settings_.kept;
    traits.connections_max = settings_.connections_max;
    traits.checks_rows = server_->on_check_rows != nullptr;
    traits.retries_requests = server_->retries_requests;
    traits.describes_content = server_->on_content != nullptr;
    return traits;
  }
  Result<std::vector<Dataset>> Discover(const Selector& selector) override {
    std::lock_guard lock(server_->mutex_);
    std::vector<Dataset> datasets;
    for (const auto& [name, rows] : server_->tables_) {
      Dataset dataset;
      dataset.id = {"s", name};
      if (!selector.Selects(dataset.id)) continue;
      dataset.kind = "table";
      dataset.schema = RowSchema();
      dataset.estimated_rows = static_cast<int64_t>(rows.size());
      dataset.options = selector.OptionsFor(dataset.id);
      datasets.push_back(std::move(dataset));
    }
    return datasets;
  }
  Result<Snapshot> Pin(std::span<const Dataset> datasets) override {
    ++server_->pins;
    if (server_->on_pin) ARROW_RETURN_NOT_OK(server_->on_pin());
    Snapshot snapshot;
    snapshot.consistent = settings_.consistent;
    std::lock_guard lock(server_->mutex_);
    for (const auto& dataset : datasets) {
      if (dataset.id.name.starts_with("forbidden")) {
        return UserError("permission denied for table " + dataset.id.name, "42501");
      }
    }
    if (!settings_.consistent) return snapshot;
    snapshot.id = "snap" + std::to_string(++server_->snapshot_number_);
    snapshot.description = snapshot.id;
    server_->snapshots_[snapshot.id] = std::make_shared<const Server::Tables>(server_->tables_);
    pinned_.push_back(snapshot.id);
    return snapshot;
  }
  Status Adopt(const Snapshot& snapshot) override { return CheckPin(snapshot); }
  Status CheckPin(const Snapshot& snapshot) override {
    std::lock_guard lock(server_->mutex_);
    if (server_->snapshots_.contains(snapshot.id)) return Status::OK();
    return SnapshotLostError("snapshot " + snapshot.id + " is gone");
  }
  void Release(const Snapshot& snapshot) noexcept override { server_->Drop(snapshot.id); }
  Result<std::vector<std::string>> ChangedAxes(const Snapshot&, const Dataset& dataset) override {
    if (!server_->on_changed_axes) return std::vector<std::string>();
    return server_->on_changed_axes(dataset);
  }
  Status CheckRows(const Snapshot&, const Dataset&, const std::map<std::string, int64_t>& rows,
                   RowFindings* found) override {
    return server_->on_check_rows(rows, found);
  }
  Result<UnitPage> Split(const Snapshot&, const Dataset& dataset, const SplitHint& hint,
                         std::string_view cursor) override {
    const int64_t unit_rows = hint.unit_rows > 0 ? hint.unit_rows : settings_.rows_per_unit;
    int64_t at = Number(std::string(cursor), 0);
    UnitPage page;
    // Two units a page, so that cursors are used.
    for (int i = 0; i < 2; ++i) {
      WorkUnit unit;
      const int64_t end = at + unit_rows;
      const bool last = end >= dataset.estimated_rows;
      unit.range = {"rows", at == 0 ? "" : std::to_string(at), last ? "" : std::to_string(end)};
      page.units.push_back(std::move(unit));
      at = end;
      if (last) return page;
    }
    page.next_cursor = std::to_string(at);
    return page;
  }
  Result<std::unique_ptr<Session>> Open(const Snapshot& snapshot, std::span<const Dataset>,
                                        WorkerContext&) override {
    ++server_->opens;
    if (server_->on_open) ARROW_RETURN_NOT_OK(server_->on_open());
    std::shared_ptr<const Server::Tables> imported;
    if (snapshot.consistent) {
      std::lock_guard lock(server_->mutex_);
      const auto found = server_->snapshots_.find(snapshot.id);
      if (found == server_->snapshots_.end()) {
        return SnapshotLostError("invalid snapshot identifier", "22023");
      }
      imported = found->second;
    }
    return std::make_unique<ServerSession>(server_, std::move(imported), settings_.rows_per_batch);
  }

 private:
  const std::shared_ptr<Server> server_;
  const SourceSettings settings_;
  std::vector<std::string> pinned_;  // guarded by the server's mutex_
};

std::unique_ptr<Source> MakeSource(std::shared_ptr<Server> server, SourceSettings settings) {
  return std::make_unique<ServerSource>(std::move(server), settings);
}

namespace {

class FaultyWriter : public UnitWriter {
 public:
  FaultyWriter(std::unique_ptr<UnitWriter> writer, std::function<Status()> on_finish)
      : writer_(std::move(writer)), on_finish_(std::move(on_finish)) {}
  Status Write(const arrow::RecordBatch& batch) override { return writer_->Write(batch); }
  Result<StagedResult> Finish() override {
    ARROW_RETURN_NOT_OK(on_finish_());
    return writer_->Finish();
  }
  void Abort() noexcept override { writer_->Abort(); }
  int64_t buffered_bytes() const override { return writer_->buffered_bytes(); }

 private:
  const std::unique_ptr<UnitWriter> writer_;
  const std::function<Status()> on_finish_;
};

}  // namespace

Result<SinkPlan> FaultySink::Prepare(const DatasetPlan& plan, bool dry_run) {
  return sink_->Prepare(plan, dry_run);
}
Result<SinkPlace> FaultySink::PlaceOf(const DatasetPlan& plan) {
  return place ? place(plan) : sink_->PlaceOf(plan);
}
Result<std::unique_ptr<UnitWriter>> FaultySink::Begin(const DatasetPlan& plan, const WorkUnit& unit,
                                                      const AttemptId& attempt,
                                                      const std::shared_ptr<arrow::Schema>& schema,
                                                      WriteStage stage, UnitContext& context) {
  if (on_begin) ARROW_RETURN_NOT_OK(on_begin(unit));
  ARROW_ASSIGN_OR_RAISE(auto writer, sink_->Begin(plan, unit, attempt, schema, stage, context));
  return std::make_unique<FaultyWriter>(
      std::move(writer), [this, unit] { return on_finish ? on_finish(unit) : Status::OK(); });
}
Result<std::unique_ptr<arrow::RecordBatchReader>> FaultySink::OpenStaged(const DatasetPlan& plan,
                                                                         const StagedResult& staged,
                                                                         UnitContext& context) {
  return sink_->OpenStaged(plan, staged, context);
}
Result<std::vector<StagedResult>> FaultySink::Recover(const JobId& job,
                                                      std::span<const StagedResult> staged) {
  return sink_->Recover(job, staged);
}
Result<CommitReceipt> FaultySink::Commit(const CommitRequest& request, CommitContext& context) {
  if (on_commit) ARROW_RETURN_NOT_OK(on_commit(request));
  ARROW_ASSIGN_OR_RAISE(auto receipt, sink_->Commit(request, context));
  if (after_commit) ARROW_RETURN_NOT_OK(after_commit(request));
  return receipt;
}
Status FaultySink::CommitJob(const JobManifest& manifest) {
  if (on_commit_job) ARROW_RETURN_NOT_OK(on_commit_job());
  return sink_->CommitJob(manifest);
}
Status FaultySink::Discard(const JobId& job, std::span<const AttemptId> attempts) {
  return sink_->Discard(job, attempts);
}

}  // namespace bulkhaul::fakes
