// What happens to a table when all units of a stage are done. Inside run/ only.
#pragma once

#include <functional>
#include <memory>

#include "commit/committer.h"
#include "run/run_context.h"

namespace bulkhaul {

// Takes the table's next steps, as far as they go without units: seals the read stage (its view
// must still be there), plans the assembly, publishes unless another table comes first. Safe to
// call again after an error. One thread a table at a time.
// Once the table has read its rows, `add_twin` gets each of its twins, which then have units to run
// or none.
Result<NextStep> FinishStage(RunContext& run, TableRun& table,
                             const std::function<void(TableRun*)>& add_twin);

// The schema of the published rows; for a table with an assemble stage, once it is decided.
Result<std::shared_ptr<arrow::Schema>> FinalSchema(const DatasetRecord& record);

}  // namespace bulkhaul
