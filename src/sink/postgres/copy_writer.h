// One attempt of one unit: a transaction with one COPY and one entry in the ledger; with skip_wal a
// savepoint of the load's transaction.
#pragma once

#include <functional>
#include <memory>

#include "client/postgres/connection.h"
#include "sink/postgres/load_plan.h"
#include "sink/sink.h"

namespace bulkhaul::postgres {

// What the writer needs of its sink.
struct WriterHost {
  std::function<Result<std::unique_ptr<Connection>>(std::stop_token)> acquire;
  // Whether the unit's rows are in.
  std::function<void(std::unique_ptr<Connection>, bool)> release;
  std::function<void(const AttemptId&)> forget;  // an attempt that had finished
};

Result<std::unique_ptr<UnitWriter>> MakeCopyWriter(std::shared_ptr<const LoadPlan> load,
                                                   const DatasetPlan& plan, const WorkUnit& unit,
                                                   const AttemptId& attempt,
                                                   const std::shared_ptr<arrow::Schema>& schema,
                                                   const UnitContext& context, WriterHost host);

}  // namespace bulkhaul::postgres
