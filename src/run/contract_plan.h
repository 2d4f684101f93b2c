// Contracts and drift at plan time: before a row is read.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plan/drift.h"
#include "plan/job_spec.h"
#include "plan/values.h"
#include "run/run_context.h"

namespace bulkhaul {

// The code of an error about drift; its exit code is 4.
inline constexpr char kDriftCode[] = "schema_drift";

struct ContractContext {
  std::string state_folder;  // where schemas of earlier runs are; "": none are known
  JobId job;
  bool run_hook = false;  // on_drift
};

// Gives each dataset its contract and holds its schema against it, or against that of the last run
// where there is no contract. Drift that fails is kUser with kDriftCode and names every table;
// drift that does not is a warning of the dataset.
Status ApplyContracts(const JobSpec& spec, const ContractContext& context,
                      std::vector<Dataset>* datasets);

// Where rows of the table go that the contract refuses. Needs a destination that is a folder, or
// the option `quarantine` (ApplyContracts has checked it).
std::string QuarantineFile(const JobSpec& spec, const Dataset& dataset,
                           const std::string& output_name, const JobId& job);

// The schema of the table when it was last published with the same source and the same options
// about its columns; else that of the last rows for the same target_table. nullopt when nothing is
// known.
struct SeenSchema {
  std::vector<ExpectedColumn> columns;
  std::string since;  // UTC
  JobId job;          // that saw it first
};
std::optional<SeenSchema> LastSchema(const std::string& state_folder, const JobSpec& spec,
                                     const Dataset& dataset);
// Keeps it for the next run. What goes wrong is a warning: the rows are published.
void RememberSchema(RunContext& run, const Dataset& dataset);

}  // namespace bulkhaul
