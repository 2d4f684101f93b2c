// From the spec to tables with units, for a new job and for one that goes on. Inside run/ only.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "run/run_context.h"

namespace bulkhaul {

// What source and sink cannot do of what the job asks for: kUser, naming the option that would
// allow the job. Pure.
Status CheckWishes(const JobSpec& spec, const SourceTraits& source, const SinkTraits& sink);

// What discovery found, as records of a new job: named, with the schema that its writers get. A
// dataset whose options contradict each other fails them all: nothing has been done yet.
Result<std::vector<DatasetRecord>> MakeRecords(const JobSpec& spec, std::vector<Dataset> datasets);

// Names that are safe for files and unique in the job whatever the case of letters, in the order of
// the datasets: output_name where it was given, else <schema>_<table>, or <table> where the layout
// has a folder a schema. kUser when two datasets were given the same output_name. Pure.
Result<std::vector<std::string>> OutputNames(const JobSpec& spec,
                                             std::span<const Dataset> datasets);

// Sets `workers` for many small tables, `bytes` in all, where nobody asked for a number.
void WishWorkersForSmallTables(size_t tables, int64_t bytes, Options* options);

std::unique_ptr<TableRun> MakeTable(const JobId& job, DatasetRecord record,
                                    const std::string& instance = {});
// Units and cursor pages of one dataset, with ids and ordinals given.
Result<std::vector<WorkUnit>> SplitDataset(Source& source, const Snapshot& snapshot,
                                           const DatasetRecord& record, const SinkTraits& sink,
                                           std::stop_token stop);

// Pins a new view and plans these tables in it: their units, their place at the destination.
// `described_before`: they were discovered earlier, and must still look the same. With on_error:
// continue a table that cannot be planned fails alone. Gives the new epoch.
Result<std::shared_ptr<Epoch>> PlanEpoch(RunContext& run, std::span<TableRun* const> tables,
                                         bool described_before);

// What a job that goes on finds: forgets staged results that the destination does not hold whole,
// takes over the kept view if there is one, and says which tables must begin a new epoch.
struct Resumption {
  std::vector<TableRun*> to_read_again;         // nothing of them counts
  std::vector<std::shared_ptr<Epoch>> adopted;  // live views that units will be read in
};
Result<Resumption> Resume(RunContext& run, std::span<const std::unique_ptr<TableRun>> tables);

// Sets TableRun::twins where tables would read the same rows and write them alike; a search that a
// job has twice runs once. Only among tables that are all in `to_plan`, or all not. Before they are
// planned.
void FindTwins(const RunContext& run, std::span<const std::unique_ptr<TableRun>> tables,
               std::span<TableRun* const> to_plan);

// With strict, a job's tables all come from one view: which tables a new epoch must hold when
// `lost` must be read again. kSnapshotLost when published ones make that impossible.
Result<std::vector<TableRun*>> TablesOfNewEpoch(const RunContext& run,
                                                std::span<const std::unique_ptr<TableRun>> tables,
                                                std::vector<TableRun*> lost);

}  // namespace bulkhaul
