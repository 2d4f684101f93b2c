// Rows kept in memory: for tests, and for programs that hold bulkhaul as a library.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <arrow/table.h>

#include "plan/job_spec.h"
#include "sink/sink.h"

namespace bulkhaul {

// What was published, by output name. Thread-safe; shared by every MemorySink of one destination
// URI ("memory:", "memory:name"), as a folder is by every job that writes into it.
class MemoryStore {
 public:
  // The store of this URI in this process; made at first use.
  static std::shared_ptr<MemoryStore> At(const std::string& uri);

  // nullptr when nothing was published under the name.
  std::shared_ptr<arrow::Table> Find(const std::string& name) const;
  std::vector<std::string> Names() const;
  // Manifests of finished jobs, by job id.
  std::map<std::string, std::string> Manifests() const;
  void Clear();

 private:
  friend class MemorySink;
  mutable std::mutex mutex_;  // guards all below
  std::map<std::string, std::shared_ptr<arrow::Table>> tables_;
  std::map<std::string, CommitReceipt> receipts_;  // by idempotency key
  std::map<std::string, std::string> manifests_;
  // Staged batches, by job and part path.
  std::map<JobId, std::map<std::string, arrow::RecordBatchVector>> staged_;
};

// A dataset appears in the store in one step; the same conflict rules as in a folder, names
// "table", "table_v2". What is staged dies with the process: Recover() then finds nothing.
Result<std::unique_ptr<Sink>> MakeMemorySink(const JobSpec& spec, const JobId& job);

}  // namespace bulkhaul
