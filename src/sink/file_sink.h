// The sink of every format that is files in a folder: staging, publishing and recovery. A format
// brings only a PartFormat.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "plan/job_spec.h"
#include "sink/export_metadata.h"
#include "sink/file_layout.h"
#include "sink/part_format.h"
#include "sink/sink.h"
#include "store/publish.h"

namespace bulkhaul {

// Thread-safe: constant but for `committed_`.
//
// A unit's parts go to .bulkhaul/<job>/staged/<attempt>.<n>.part. Commit links them as
// part_0001.<extension>… into a folder below .bulkhaul/<job>/publish/, writes
// _export_metadata.json last, and hands the folder to Publish() (store/publish.h), whose journal is
// what CommitContext keeps. A dataset without rows gets one part that holds only the schema.
//
// commit: job publishes the datasets into a folder of the workspace, and CommitJob() gives that
// folder the destination's name in one rename, by the same conflict rule; receipts name the place
// that it will have. Its journal is a file in the workspace.
//
// layout: file publishes the one part itself, by a rename, and leaves nothing beside it: the
// receipt carries what the metadata file would say.
class FileSink : public Sink {
 public:
  static Result<std::unique_ptr<Sink>> Make(const JobSpec& spec, const JobId& job,
                                            std::unique_ptr<PartFormat> format);

  SinkTraits Traits() const override;
  Result<SinkPlan> Prepare(const DatasetPlan& plan, bool dry_run) override;
  Result<std::unique_ptr<UnitWriter>> Begin(const DatasetPlan& plan, const WorkUnit& unit,
                                            const AttemptId& attempt,
                                            const std::shared_ptr<arrow::Schema>& schema,
                                            WriteStage stage, UnitContext& context) override;
  Result<std::unique_ptr<arrow::RecordBatchReader>> OpenStaged(const DatasetPlan& plan,
                                                               const StagedResult& staged,
                                                               UnitContext& context) override;
  Result<StagedResult> Duplicate(const StagedResult& staged, const AttemptId& attempt) override;
  Result<std::vector<StagedResult>> Recover(const JobId& job,
                                            std::span<const StagedResult> staged) override;
  Result<CommitReceipt> Commit(const CommitRequest& request, CommitContext& context) override;
  Status CommitJob(const JobManifest& manifest) override;
  Status Discard(const JobId& job, std::span<const AttemptId> attempts) override;

 private:
  FileSink(const JobSpec& spec, JobId job, std::unique_ptr<PartFormat> format,
           std::unique_ptr<FileLayout> layout, ConflictRule conflict);
  Result<PublishRequest> PublishRequestFor(const CommitRequest& request) const;
  Result<std::optional<CommitReceipt>> RecoverCommit(const CommitRequest& request,
                                                     const PublishRequest& publish,
                                                     const std::string& recovered,
                                                     const RecordJournal& record) const;
  Result<CommitReceipt> ReceiptFor(const CommitRequest& request,
                                   const PublishJournal& journal) const;
  Status CheckFile(const DatasetPlan& plan, const std::string& path, SinkPlan* out) const;
  Status CheckDestination(const std::string& folder, bool dry_run, SinkPlan* out) const;
  Result<std::string> JobDestination() const;
  Status PublishJobFolder(const JobManifest& manifest) const;
  Status WriteHistory(const JobManifest& manifest) const;
  // Archives what a swap has taken away, when the job died before it could and is given up now.
  Status SaveReplaced(const JobId& job) const;
  void RemoveStaged(const CommitRequest& request) const noexcept;

  const Options options_;
  const JobId job_;
  const std::unique_ptr<PartFormat> format_;
  const std::unique_ptr<FileLayout> layout_;
  const ConflictRule conflict_;
  mutable std::mutex mutex_;
  std::map<std::string, CommitReceipt> committed_;  // by idempotency key; guarded by mutex_
};

// kUser unless the folder is empty or holds an export of ours, which overwrite may take away.
Status CheckReplaceableExport(const std::string& folder);
// The same for a whole destination of commit: job: empty, or holding a job's manifest.
Status CheckReplaceableJob(const std::string& folder);

}  // namespace bulkhaul
