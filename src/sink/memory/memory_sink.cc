#include "sink/memory/memory_sink.h"

#include <chrono>

#include <arrow/memory_pool.h>
#include <arrow/util/byte_size.h>
#include <fmt/format.h>

#include "base/units.h"
#include "store/publish.h"

namespace bulkhaul {
namespace {

class MemoryUnitWriter : public UnitWriter {
 public:
  using Keep = std::function<void(const std::string& path, arrow::RecordBatchVector batches)>;

  MemoryUnitWriter(const DatasetPlan& plan, const WorkUnit& unit, const AttemptId& attempt,
                   Keep keep)
      : keep_(std::move(keep)) {
    result_.unit_id = unit.id;
    result_.attempt_id = attempt;
    result_.dataset = unit.dataset;
    result_.epoch = plan.epoch;
    result_.ordinal = unit.ordinal;
  }

  Status Write(const arrow::RecordBatch& batch) override {
    if (batch.num_rows() == 0) return Status::OK();
    // The caller uses its buffers again.
    ARROW_ASSIGN_OR_RAISE(auto copy, batch.CopyTo(arrow::default_cpu_memory_manager()));
    part_.rows += copy->num_rows();
    part_.bytes += arrow::util::TotalBufferSize(*copy);
    batches_.push_back(std::move(copy));
    return Status::OK();
  }

  Result<StagedResult> Finish() override {
    if (part_.rows > 0) {
      part_.path = result_.attempt_id;
      keep_(part_.path, std::move(batches_));
      result_.rows_written = part_.rows;
      result_.stored_bytes = part_.bytes;
      result_.parts.push_back(part_);
    }
    return result_;
  }

  void Abort() noexcept override {
    batches_.clear();
    if (!result_.parts.empty()) keep_(part_.path, {});
  }

  int64_t buffered_bytes() const override { return part_.bytes; }

 private:
  const Keep keep_;
  StagedResult result_;
  StagedPart part_;
  arrow::RecordBatchVector batches_;
};

}  // namespace

class MemorySink : public Sink {
 public:
  MemorySink(std::shared_ptr<MemoryStore> store, JobId job, std::string uri, ConflictRule conflict)
      : store_(std::move(store)), job_(std::move(job)), uri_(std::move(uri)), conflict_(conflict) {}

  SinkTraits Traits() const override {
    SinkTraits traits;
    traits.name = "memory";
    traits.atomic_commit = true;
    traits.atomic_swap = true;
    traits.options = {"conflict", "format"};
    return traits;
  }

  Result<SinkPlan> Prepare(const DatasetPlan& plan, bool) override {
    std::lock_guard lock(store_->mutex_);
    ARROW_ASSIGN_OR_RAISE(const auto name, ChooseName(plan.output_name));
    SinkPlan out;
    out.location = uri_ + "/" + name;
    if (name != plan.output_name) {
      out.notes.push_back(
          fmt::format("'{}' exists: will be published as '{}'", plan.output_name, name));
    }
    return out;
  }

  Result<std::unique_ptr<UnitWriter>> Begin(const DatasetPlan& plan, const WorkUnit& unit,
                                            const AttemptId& attempt,
                                            const std::shared_ptr<arrow::Schema>&, WriteStage,
                                            UnitContext&) override {
    return std::make_unique<MemoryUnitWriter>(
        plan, unit, attempt, [this](const std::string& path, arrow::RecordBatchVector batches) {
          std::lock_guard lock(store_->mutex_);
          if (batches.empty()) {
            store_->staged_[job_].erase(path);
          } else {
            store_->staged_[job_][path] = std::move(batches);
          }
        });
  }

  Result<std::unique_ptr<arrow::RecordBatchReader>> OpenStaged(const DatasetPlan& plan,
                                                               const StagedResult& staged,
                                                               UnitContext&) override {
    ARROW_ASSIGN_OR_RAISE(auto batches, StagedBatches(staged));
    const auto schema = batches.empty() ? plan.schema : batches.front()->schema();
    ARROW_ASSIGN_OR_RAISE(auto table, arrow::Table::FromRecordBatches(schema, batches));
    return std::make_unique<arrow::TableBatchReader>(std::move(table));
  }

  Result<std::vector<StagedResult>> Recover(const JobId& job,
                                            std::span<const StagedResult> staged) override {
    std::lock_guard lock(store_->mutex_);
    const auto& kept = store_->staged_[job];
    std::vector<StagedResult> whole;
    for (const auto& result : staged) {
      bool all = true;
      for (const auto& part : result.parts) all = all && kept.contains(part.path);
      if (all) whole.push_back(result);
    }
    return whole;
  }

  Result<CommitReceipt> Commit(const CommitRequest& request, CommitContext& context) override {
    {
      std::lock_guard lock(store_->mutex_);
      if (const auto done = store_->receipts_.find(request.idempotency_key);
          done != store_->receipts_.end()) {
        CommitReceipt receipt = done->second;
        receipt.already_committed = true;
        return receipt;
      }
    }
    arrow::RecordBatchVector batches;
    CommitReceipt receipt;
    receipt.dataset = request.plan.dataset.id;
    for (const auto& staged : request.staged) {
      ARROW_ASSIGN_OR_RAISE(auto part, StagedBatches(staged));
      batches.insert(batches.end(), part.begin(), part.end());
      receipt.bytes += staged.stored_bytes;
    }
    ARROW_ASSIGN_OR_RAISE(auto table, arrow::Table::FromRecordBatches(request.schema, batches));
    if (table->num_rows() != request.rows) {
      return BugError(fmt::format("'{}': the parts hold {} rows and the job counted {}",
                                  request.plan.dataset.id.ToString(), table->num_rows(),
                                  request.rows));
    }
    receipt.rows = table->num_rows();
    receipt.files = 1;
    std::lock_guard lock(store_->mutex_);
    ARROW_ASSIGN_OR_RAISE(const auto name, ChooseName(request.plan.output_name));
    receipt.location = uri_ + "/" + name;
    store_->tables_[name] = std::move(table);
    store_->receipts_[request.idempotency_key] = receipt;
    return receipt;
  }

  Status CommitJob(const JobManifest& manifest) override {
    std::lock_guard lock(store_->mutex_);
    store_->manifests_[manifest.job_id] = manifest.json;
    return Status::OK();
  }

  Status Discard(const JobId& job, std::span<const AttemptId> attempts) override {
    std::lock_guard lock(store_->mutex_);
    if (attempts.empty()) store_->staged_.erase(job);
    for (const auto& attempt : attempts) store_->staged_[job].erase(attempt);
    return Status::OK();
  }

 private:
  // Call with the store's mutex held.
  Result<std::string> ChooseName(const std::string& wished) const {
    if (!store_->tables_.contains(wished) || conflict_ == ConflictRule::kOverwrite) return wished;
    if (conflict_ == ConflictRule::kFail) {
      return UserError(fmt::format("'{}' exists and conflict is 'fail'", wished), "EEXIST");
    }
    std::string name = wished;
    if (conflict_ == ConflictRule::kTimestamp) {
      name += "_" + FormatUtc(std::chrono::system_clock::now());
      if (!store_->tables_.contains(name)) return name;
    }
    int version = 2;
    while (store_->tables_.contains(fmt::format("{}_v{}", name, version))) ++version;
    return fmt::format("{}_v{}", name, version);
  }

  Result<arrow::RecordBatchVector> StagedBatches(const StagedResult& staged) const {
    std::lock_guard lock(store_->mutex_);
    arrow::RecordBatchVector batches;
    const auto& kept = store_->staged_[job_];
    for (const auto& part : staged.parts) {
      const auto found = kept.find(part.path);
      if (found == kept.end()) {
        return PermanentError(fmt::format("staged part '{}' is gone", part.path));
      }
      batches.insert(batches.end(), found->second.begin(), found->second.end());
    }
    return batches;
  }

  const std::shared_ptr<MemoryStore> store_;
  const JobId job_;
  const std::string uri_;
  const ConflictRule conflict_;
};

std::shared_ptr<MemoryStore> MemoryStore::At(const std::string& uri) {
  static std::mutex mutex;
  static auto* const stores = new std::map<std::string, std::shared_ptr<MemoryStore>>;
  std::lock_guard lock(mutex);
  auto& store = (*stores)[uri];
  if (store == nullptr) store = std::make_shared<MemoryStore>();
  return store;
}

std::shared_ptr<arrow::Table> MemoryStore::Find(const std::string& name) const {
  std::lock_guard lock(mutex_);
  const auto found = tables_.find(name);
  return found == tables_.end() ? nullptr : found->second;
}

std::vector<std::string> MemoryStore::Names() const {
  std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, table] : tables_) names.push_back(name);
  return names;
}

std::map<std::string, std::string> MemoryStore::Manifests() const {
  std::lock_guard lock(mutex_);
  return manifests_;
}

void MemoryStore::Clear() {
  std::lock_guard lock(mutex_);
  tables_.clear();
  receipts_.clear();
  manifests_.clear();
  staged_.clear();
}

Result<std::unique_ptr<Sink>> MakeMemorySink(const JobSpec& spec, const JobId& job) {
  ARROW_ASSIGN_OR_RAISE(const auto conflict,
                        ConflictRuleFromName(spec.options.GetString("conflict")));
  return std::make_unique<MemorySink>(MemoryStore::At(spec.destination_uri), job,
                                      spec.destination_uri, conflict);
}

}  // namespace bulkhaul
