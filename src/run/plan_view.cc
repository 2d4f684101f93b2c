#include "run/plan_view.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/memory_budget.h"
#include "base/secret.h"
#include "base/units.h"
#include "commit/job_index.h"
#include "plan/memory_plan.h"
#include "plan/parallelism.h"
#include "plan/splitting.h"
#include "run/contract_plan.h"
#include "run/job_planner.h"
#include "run/table_order.h"
#include "run/transforms.h"

namespace bulkhaul {
namespace {

// `sizes`: what the rows of each unit need in memory.
int64_t EstimatedUnits(Source& source, const DatasetRecord& record, const SinkTraits& sink,
                       std::stop_token stop, std::vector<int64_t>* sizes) {
  auto units = SplitDataset(source, Snapshot(), record, sink, stop);
  if (units.ok()) {
    for (const auto& unit : *units) sizes->push_back(UnitMemoryBytes(record.dataset, unit));
    return static_cast<int64_t>(units->size());
  }
  sizes->push_back(-1);
  const Options& options = record.dataset.options;
  if (const int64_t rows = options.GetInt("unit_rows"); rows > 0) {
    return UnitCountFor(record.dataset.estimated_rows, rows);
  }
  const int64_t bytes = record.dataset.estimated_bytes;
  return UnitCountFor(
      bytes, UnitBytesFor(bytes, options.GetBytes("unit_bytes"), options.GetInt("units_max")));
}

Result<PlannedTable> Describe(Source& source, Sink& sink, const JobId& job, DatasetRecord record,
                              std::stop_token stop, std::vector<int64_t>* sizes, int64_t* weight,
                              TableToOrder* to_order) {
  PlannedTable planned;
  to_order->id = record.dataset.id;
  to_order->after = record.dataset.options.GetList("after");
  planned.dataset = record.dataset.id;
  planned.kind = record.dataset.kind;
  planned.output_name = record.output_name;
  planned.estimated_rows = record.dataset.estimated_rows;
  planned.estimated_bytes = record.dataset.estimated_bytes;
  planned.notes = record.dataset.warnings;
  planned.units = EstimatedUnits(source, record, sink.Traits(), stop, sizes);
  const auto table = MakeTable(job, std::move(record));
  table->plan.units = planned.units;
  planned.columns = table->plan.schema->num_fields();
  *weight += table->weight;
  auto place = sink.Prepare(table->plan, true);
  if (place.ok()) {
    planned.location = place->location;
    planned.notes.insert(planned.notes.end(), place->notes.begin(), place->notes.end());
  } else {
    planned.Refuse(place.status());
  }
  ARROW_ASSIGN_OR_RAISE(to_order->place, PlaceOf(sink, table->plan));
  return planned;
}

Status AddOrder(std::span<const TableToOrder> to_order, std::vector<PlannedTable>* planned) {
  ARROW_ASSIGN_OR_RAISE(const auto order, FindOrder(to_order));
  for (size_t i = 0; i < order.size(); ++i) {
    for (const auto& [earlier, reason] : order[i]) {
      (*planned)[i].after.push_back({to_order[earlier].Name(), reason});
    }
  }
  const auto cycle = FindCycle(order);
  for (const size_t table : cycle) {
    (*planned)[table].Refuse(CycleError(to_order, order, cycle));
  }
  return Status::OK();
}

nlohmann::json Json(const PlannedTable& table) {
  auto after = nlohmann::json::array();
  for (const auto& earlier : table.after) {
    after.push_back({{"table", earlier.table}, {"reason", earlier.reason}});
  }
  return {{"schema", table.dataset.schema},
          {"name", table.dataset.name},
          {"kind", table.kind},
          {"output_name", table.output_name},
          {"location", table.location},
          {"columns", table.columns},
          {"estimated_rows", table.estimated_rows},
          {"estimated_bytes", table.estimated_bytes},
          {"units", table.units},
          {"after", std::move(after)},
          {"refused", table.refused},
          {"notes", table.notes}};
}

}  // namespace

Result<JobPlan> PlanWithoutRunning(const JobSpec& spec, const JobId& job, Source& source,
                                   Sink& sink, std::stop_token stop) {
  JobPlan plan;
  plan.job_id = job;
  plan.source = Redact(spec.source_uri);
  plan.destination = Redact(spec.destination_uri);
  SinkTraits sink_traits = sink.Traits();
  plan.format = sink_traits.name;
  SourceTraits source_traits = source.Traits();
  ARROW_RETURN_NOT_OK(CheckWishes(spec, source_traits, sink_traits));
  ARROW_ASSIGN_OR_RAISE(auto datasets, source.Discover(Selector::FromJob(spec)));
  source_traits = source.Traits();
  if (datasets.empty()) return UserError("no table of the source is selected", "nothing_selected");
  const ContractContext contracts{StateFolder().ValueOr(""), job, false};
  ARROW_RETURN_NOT_OK(ApplyContracts(spec, contracts, &datasets));
  ARROW_ASSIGN_OR_RAISE(auto records, MakeRecords(spec, std::move(datasets)));
  HeldRows held;
  std::vector<int64_t> sizes;
  int64_t weight = 0;
  std::vector<TableToOrder> to_order;
  for (auto& record : records) {
    if (stop.stop_requested()) return CancelledError();
    held.Add(record.dataset);
    ARROW_ASSIGN_OR_RAISE(auto planned, Describe(source, sink, job, std::move(record), stop, &sizes,
                                                 &weight, &to_order.emplace_back()));
    plan.tables.push_back(std::move(planned));
    const PlannedTable& table = plan.tables.back();
    plan.estimated_rows += std::max<int64_t>(0, table.estimated_rows);
    plan.estimated_bytes += std::max<int64_t>(0, table.estimated_bytes);
    plan.units += table.units;
  }
  ARROW_RETURN_NOT_OK(AddOrder(to_order, &plan.tables));
  sink_traits = sink.Traits();  // only now does it know how many connections it may have
  const ParallelismLimits limits{AvailableCores(), source_traits.connections_max,
                                 sink_traits.connections_max, source_traits.workers_default,
                                 source_traits.workers_max};
  Options options = spec.options;
  WishWorkersForSmallTables(plan.tables.size(), weight, &options);
  ARROW_ASSIGN_OR_RAISE(const Parallelism parallelism, PlanParallelism(options, limits));
  MemoryWishes wishes;
  wishes.budget_bytes = ResolveMemoryBudget(spec.options, AvailableMemoryBytes());
  wishes.fixed_bytes = ResidentBytes();
  wishes.workers = parallelism.workers;
  wishes.workers_least = parallelism.workers_start;
  wishes.cores = limits.cores;
  wishes.batch_bytes = spec.options.GetBytes("batch_bytes");
  wishes.writer_bytes = sink_traits.writer_bytes;
  held.Wish(&wishes);
  ARROW_ASSIGN_OR_RAISE(auto choice, ChooseMemory(spec.options, wishes, sizes,
                                                  AvailableMemoryBytes() + ResidentBytes()));
  plan.decision = std::move(choice.decision);
  const MemoryPlan& memory = choice.plan;
  plan.workers = memory.workers;
  plan.parallel_tables = std::min(parallelism.parallel_tables, memory.workers);
  plan.workers_per_table = std::min(parallelism.workers_per_table, memory.workers);
  plan.memory_limit_bytes = memory.budget_bytes;
  plan.unit_memory_bytes = memory.worker_bytes;
  plan.batch_bytes = memory.batch_bytes;
  plan.notes = parallelism.notes;
  if (parallelism.workers_start > 0 && memory.workers > parallelism.workers_start) {
    plan.notes.push_back(fmt::format("{} workers to begin with, up to {} as long as more pay",
                                     parallelism.workers_start, memory.workers));
  }
  plan.notes.insert(plan.notes.end(), memory.notes.begin(), memory.notes.end());
  return plan;
}

void PlannedTable::Refuse(const Status& why) {
  refused = true;
  notes.push_back("would be refused: " + MessageOf(why));
}

bool JobPlan::refused() const {
  return std::any_of(tables.begin(), tables.end(),
                     [](const PlannedTable& table) { return table.refused; });
}

std::string JobPlan::ToJson() const {
  auto list = nlohmann::json::array();
  for (const auto& table : tables) list.push_back(Json(table));
  const nlohmann::json value = {{"job_id", job_id},
                                {"source", source},
                                {"destination", destination},
                                {"format", format},
                                {"estimated_rows", estimated_rows},
                                {"estimated_bytes", estimated_bytes},
                                {"units", units},
                                {"workers", workers},
                                {"parallel_tables", parallel_tables},
                                {"workers_per_table", workers_per_table},
                                {"memory_limit_bytes", memory_limit_bytes},
                                {"unit_memory_bytes", unit_memory_bytes},
                                {"batch_bytes", batch_bytes},
                                {"memory",
                                 {{"strategy", StrategyName(decision.strategy)},
                                  {"forced", decision.forced},
                                  {"need_bytes", decision.need_bytes},
                                  {"available_bytes", decision.available_bytes},
                                  {"os_margin", decision.os_margin},
                                  {"ratio", decision.ratio},
                                  {"reason", decision.reason}}},
                                {"notes", notes},
                                {"tables", std::move(list)}};
  return value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string JobPlan::ToText() const {
  const auto known = [](int64_t value, auto format) {
    return value < 0 ? std::string("?") : format(value);
  };
  std::string text = fmt::format(
      "from     {}\nto       {} ({})\nworkers  {} (tables at once {}, a table {})\n"
      "memory   {} in all, {} a unit, batches of {}\nstrategy {}: {}\n\n",
      source, destination, format, workers, parallel_tables, workers_per_table,
      FormatBytes(memory_limit_bytes), FormatBytes(unit_memory_bytes), FormatBytes(batch_bytes),
      StrategyName(decision.strategy), decision.reason);
  for (const auto& table : tables) {
    text += fmt::format("  {:<36} ~{:>14} rows  ~{:>10}  {:>5} units  {}\n",
                        table.dataset.ToString(), known(table.estimated_rows, FormatCount),
                        known(table.estimated_bytes, FormatBytes), table.units, table.location);
    const std::string& name = table.location.empty() ? table.dataset.ToString() : table.location;
    for (const auto& earlier : table.after) {
      text += fmt::format("    {} after {}\n", name, earlier.ToString());
    }
    for (const auto& note : table.notes) text += fmt::format("    note: {}\n", note);
  }
  text += fmt::format("\n{} tables, ~{} rows, ~{}, {} units\n", tables.size(),
                      FormatCount(estimated_rows), FormatBytes(estimated_bytes), units);
  for (const auto& note : notes) text += fmt::format("note: {}\n", note);
  return text;
}

}  // namespace bulkhaul
