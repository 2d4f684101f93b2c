#include "run/table_order.h"

#include <algorithm>
#include <functional>
#include <map>

#include <fmt/format.h>

#include "base/text.h"
#include "plan/job_spec.h"

namespace bulkhaul {
namespace {

void AddEdge(std::vector<EarlierTable>& before, size_t table, const std::string& reason) {
  const auto known = std::find_if(before.begin(), before.end(),
                                  [&](const EarlierTable& one) { return one.table == table; });
  if (known == before.end()) {
    before.push_back({table, reason});
  } else if (known->reason.empty()) {
    known->reason = reason;
  } else if (known->reason.find(reason) == std::string::npos) {
    known->reason += ", " + reason;
  }
}

Status AddWished(std::span<const TableToOrder> tables, size_t table, TableOrder& order) {
  for (const auto& name : tables[table].after) {
    bool found = false, itself = false;
    for (size_t other = 0; other < tables.size(); ++other) {
      if (!PatternMatches(name, tables[other].id)) continue;
      (other == table ? itself : found) = true;
      if (other != table) AddEdge(order[table], other, "");
    }
    if (found) continue;
    const std::string own = tables[table].id.ToString();
    if (itself) return UserError(fmt::format("{}: after names the table itself", own), "after");
    std::vector<std::string> names;
    for (const auto& other : tables) {
      if (&other == &tables[table]) continue;
      names.push_back(other.id.ToString());
      names.push_back(other.id.name);
    }
    const auto nearest = NearestName(name, names);
    return UserError(fmt::format("{}: after names '{}', which is no table of this job{}", own, name,
                                 nearest ? fmt::format("; did you mean '{}'?", *nearest) : ""),
                     "after");
  }
  return Status::OK();
}

// A table's priority is above those of its followers, so that it is begun before them.
int64_t Prioritise(TableRun& table) {
  if (table.priority > 0) return table.priority;
  table.priority = std::max<int64_t>(1, table.weight);
  for (TableRun* follower : table.followers) {
    table.priority = std::max(table.priority, Prioritise(*follower) + 1);
  }
  return table.priority;
}

Status SaveOrder(RunContext& run, std::span<const std::unique_ptr<TableRun>> tables) {
  Ledger::Order order;
  for (const auto& table : tables) {
    for (const auto& [earlier, reason] : table->after) {
      order[table->record.index].push_back({earlier->record.index, {earlier->Name(), reason}});
    }
  }
  ARROW_ASSIGN_OR_RAISE(const auto earlier, run.ledger.ReadOrder());
  return order.empty() && earlier.empty() ? Status::OK() : run.ledger.SaveOrder(order);
}

Result<std::vector<TableToOrder>> Look(RunContext& run,
                                       std::span<const std::unique_ptr<TableRun>> tables) {
  std::vector<TableToOrder> found;
  for (const auto& table : tables) {
    TableToOrder one;
    one.id = table->record.dataset.id;
    one.after = table->record.dataset.options.GetList("after");
    if (table->record.state == DatasetState::kPublished) {
      one.place.place = table->record.receipt->location;
      table->published = true;
    } else if (tables.size() > 1) {
      ARROW_RETURN_NOT_OK(RetryTransient(run, "order the tables", [&]() -> Status {
        return PlaceOf(run.sink, table->plan).Value(&one.place);
      }));
      table->place = one.place.place;
      table->units_appear = one.place.units_appear;
    }
    found.push_back(std::move(one));
  }
  return found;
}

}  // namespace

Result<TableOrder> FindOrder(std::span<const TableToOrder> tables) {
  std::map<std::string, size_t> by_place;
  for (size_t i = 0; i < tables.size(); ++i) {
    if (!tables[i].place.place.empty()) by_place.try_emplace(tables[i].place.place, i);
  }
  TableOrder order(tables.size());
  for (size_t i = 0; i < tables.size(); ++i) {
    for (const auto& [place, reason] : tables[i].place.after) {
      const auto other = by_place.find(place);
      if (other != by_place.end() && other->second != i) AddEdge(order[i], other->second, reason);
    }
    ARROW_RETURN_NOT_OK(AddWished(tables, i, order));
  }
  return order;
}

std::vector<size_t> FindCycle(const TableOrder& order) {
  enum class Mark { kNew, kOnPath, kDone };
  std::vector<Mark> marks(order.size(), Mark::kNew);
  std::vector<size_t> path;
  const std::function<bool(size_t)> visit = [&](size_t table) {
    marks[table] = Mark::kOnPath;
    path.push_back(table);
    for (const auto& earlier : order[table]) {
      if (marks[earlier.table] == Mark::kOnPath) {
        path.erase(path.begin(), std::find(path.begin(), path.end(), earlier.table));
        return true;
      }
      if (marks[earlier.table] == Mark::kNew && visit(earlier.table)) return true;
    }
    path.pop_back();
    marks[table] = Mark::kDone;
    return false;
  };
  for (size_t i = 0; i < order.size(); ++i) {
    if (marks[i] == Mark::kNew && visit(i)) return path;
  }
  return {};
}

Status CycleError(std::span<const TableToOrder> tables, const TableOrder& order,
                  std::span<const size_t> cycle) {
  std::vector<std::string> steps;
  for (size_t i = 0; i < cycle.size(); ++i) {
    const size_t next = cycle[(i + 1) % cycle.size()];
    const auto& before = order[cycle[i]];
    const auto edge = std::find_if(before.begin(), before.end(), [&](const EarlierTable& earlier) {
      return earlier.table == next;
    });
    steps.push_back(fmt::format("{} after {}", tables[cycle[i]].Name(),
                                ComesAfter{tables[next].Name(), edge->reason}.ToString()));
  }
  return UserError(
      fmt::format(
          "none of these tables can be published first: {}; each is published by itself, so "
          "that a deferrable key does not help: leave the columns of one key out of the "
          "load, drop or disable the key for it, or load the tables in several jobs",
          fmt::join(steps, ", ")),
      "cycle");
}

Result<SinkPlace> PlaceOf(Sink& sink, const DatasetPlan& plan) {
  auto place = sink.PlaceOf(plan);
  // Prepare() refuses the table and says why.
  if (!place.ok() && KindOf(place.status()) == ErrorKind::kUser) return SinkPlace{};
  return place;
}

Status OrderTables(RunContext& run, std::span<const std::unique_ptr<TableRun>> tables) {
  ARROW_ASSIGN_OR_RAISE(const auto found, Look(run, tables));
  ARROW_ASSIGN_OR_RAISE(TableOrder order, FindOrder(found));
  std::vector<std::pair<size_t, Status>> refused;
  for (auto cycle = FindCycle(order); !cycle.empty(); cycle = FindCycle(order)) {
    const Status error = CycleError(found, order, cycle);
    if (!run.continue_on_error) return error;
    for (const size_t table : cycle) refused.emplace_back(table, error);
    // What is left of the order must not go round.
    for (const size_t table : cycle) {
      std::erase_if(order[table], [&](const EarlierTable& earlier) {
        return std::find(cycle.begin(), cycle.end(), earlier.table) != cycle.end();
      });
    }
  }
  for (size_t i = 0; i < order.size(); ++i) {
    for (const auto& [earlier, reason] : order[i]) {
      tables[i]->after.push_back({tables[earlier].get(), reason});
      tables[earlier]->followers.push_back(tables[i].get());
    }
  }
  for (const auto& table : tables) Prioritise(*table);
  ARROW_RETURN_NOT_OK(SaveOrder(run, tables));
  for (const auto& [table, error] : refused) FailTable(run, *tables[table], error);
  return Status::OK();
}

}  // namespace bulkhaul
