// A sink that keeps no row: for verbs that only look at what a job would write.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <arrow/record_batch.h>
#include <arrow/scalar.h>
#include <arrow/type.h>

#include "sink/sink.h"

namespace bulkhaul {

// What was seen of one column's values.
struct ColumnProfile {
  int64_t nulls = 0;
  int64_t length_max = -1;                  // bytes of text
  std::shared_ptr<arrow::Scalar> min, max;  // of types that have an order; null without values
};

struct TableProfile {
  std::shared_ptr<arrow::Schema> schema;
  int64_t rows = 0;
  std::vector<ColumnProfile> columns;  // none unless they were asked for

  // Adds rows of the schema.
  Status Add(const arrow::RecordBatch& batch);
  Status Merge(const TableProfile& other);
};

// Thread-safe.
class ScanSink : public Sink {
 public:
  // `profile`: looks at every value.
  explicit ScanSink(bool profile) : profile_(profile) {}
  // After the run.
  const std::map<DatasetId, TableProfile>& tables() const { return tables_; }

  SinkTraits Traits() const override;
  Result<SinkPlan> Prepare(const DatasetPlan& plan, bool dry_run) override;
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
  Status CommitJob(const JobManifest& manifest) override { return Status::OK(); }
  Status Discard(const JobId& job, std::span<const AttemptId> attempts) override {
    return Status::OK();
  }

 private:
  class Writer;
  const bool profile_;
  std::mutex mutex_;
  std::map<DatasetId, TableProfile> tables_;  // guarded by mutex_
};

}  // namespace bulkhaul
