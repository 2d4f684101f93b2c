// Room 5: the last step of a dataset, taken once, whole.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "commit/ledger.h"
#include "plan/values.h"
#include "sink/sink.h"

namespace bulkhaul {

// Crash points that the committer passes, beside those of the ledger and of the sink.
inline constexpr const char* kCommitterCrashPoints[] = {
    "committer.begin", "committer.checked", "committer.sink_committed", "committer.done"};

// That `covered` gives every row of the plan once: on each axis that was planned, and on no other,
// the ranges form one chain from "" to "" in which each end is the next begin. kBug otherwise.
// Pure.
Status CheckRangesTile(std::span<const UnitRange> planned, std::span<const UnitRange> covered);
// That each result says what became of every row that it read, that its parts add up, and that all
// belong to the dataset and epoch of the request and come in order. Pure.
Status CheckCounts(const CommitRequest& request);
// That the sink published what was asked. Pure.
Status CheckReceipt(const CommitRequest& request, const CommitReceipt& receipt);

// What the committer cannot read in the ledger.
struct CommitInput {
  DatasetRecord record;
  std::shared_ptr<arrow::Schema> schema;  // final
  Snapshot snapshot;                      // of the record's epoch
  std::string split_key;
  std::string source_description;  // without secrets
};

// Thread-safe for different datasets.
class Committer {
 public:
  Committer(Ledger& ledger, Sink& sink) : ledger_(ledger), sink_(sink) {}
  // Checks, publishes and writes it down. Idempotent: after a failure or a crash the same call,
  // with the record read from the ledger again, goes on where the sink's journal says.
  Result<CommitReceipt> Commit(const CommitInput& input);
  // Where a commit had begun and left nothing, the record is staged again, so that what is missing
  // of its rows can be looked for.
  Status TakeBack(DatasetRecord* record);
  // The request that Commit() makes, from the ledger.
  Result<CommitRequest> Request(const CommitInput& input);

 private:
  Ledger& ledger_;
  Sink& sink_;
};

}  // namespace bulkhaul
