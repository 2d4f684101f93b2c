// Which tables of a job are published before which: what the sink knows (foreign keys), and what
// the user says (`after`). Inside run/ only.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "plan/values.h"
#include "run/run_context.h"
#include "run/table_run.h"
#include "sink/sink.h"

namespace bulkhaul {

struct TableToOrder {
  DatasetId id;
  std::vector<std::string> after;  // the option: names or globs of the job's tables
  SinkPlace place;
  std::string Name() const { return place.place.empty() ? id.ToString() : place.place; }
};
struct EarlierTable {
  size_t table = 0;
  std::string reason;  // "" where the user said so
};
// For each table those that come before it, each once.
using TableOrder = std::vector<std::vector<EarlierTable>>;

// kUser when `after` names what is no table of the job, with the nearest name, or the table itself.
// Pure.
Result<TableOrder> FindOrder(std::span<const TableToOrder> tables);
// Tables of which each comes after the next one, and the last after the first; empty: there are
// none. Pure.
std::vector<size_t> FindCycle(const TableOrder& order);
// kUser, naming the tables, why each comes after the next one, and what can be done.
Status CycleError(std::span<const TableToOrder> tables, const TableOrder& order,
                  std::span<const size_t> cycle);
// As the sink has it; without a place where it cannot say.
Result<SinkPlace> PlaceOf(Sink& sink, const DatasetPlan& plan);

// Sets the order of the tables, and notes it in the ledger for `status`. Before they are planned,
// so that nothing was made for those that are refused: a cycle is an error of the job; with
// on_error: continue its tables, and those after them, fail alone.
Status OrderTables(RunContext& run, std::span<const std::unique_ptr<TableRun>> tables);

}  // namespace bulkhaul
