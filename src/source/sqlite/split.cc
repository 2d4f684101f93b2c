#include "source/sqlite/split.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plan/splitting.h"
#include "source/sqlite/btree.h"

namespace bulkhaul {
namespace {

// Up to here bounds come from a walk over all keys, which is exact.
constexpr int64_t kRowsWalked = 2'000'000;
constexpr int64_t kSamplesPerUnit = 32;
constexpr int64_t kSamplesMax = 100'000;
// Of views and queries, whose size is unknown.
constexpr int64_t kQueryRowBytesGuess = 100;

// How many units the hint and the estimates ask for.
int64_t UnitsWanted(const Dataset& dataset, const SplitHint& hint) {
  const int64_t units_max = std::max<int64_t>(1, hint.units_max);
  if (hint.unit_rows > 0) {
    if (dataset.estimated_rows < 0) return 1;
    return std::min(units_max, UnitCountFor(dataset.estimated_rows, hint.unit_rows));
  }
  if (dataset.estimated_bytes < 0) return 1;
  const int64_t unit_bytes = UnitBytesFor(dataset.estimated_bytes, hint.unit_bytes, units_max);
  return std::min(units_max, UnitCountFor(dataset.estimated_bytes, unit_bytes));
}

// `units - 1` of the ascending candidates, evenly spread over `pieces` = candidates + 1 pieces.
template <typename Bound>
std::vector<Bound> PickEvenly(const std::vector<Bound>& candidates, int64_t units) {
  const auto pieces = static_cast<int64_t>(candidates.size()) + 1;
  units = std::min(units, pieces);
  std::vector<Bound> picked;
  for (int64_t i = 1; i < units; ++i) {
    picked.push_back(candidates[static_cast<size_t>(i * pieces / units - 1)]);
  }
  return picked;
}

Result<std::vector<std::string>> RowidCuts(Connection& connection, const TableState& state,
                                           const Dataset& dataset, int64_t units) {
  const std::string table = state.from + " AS b";
  const auto one = [&](const char* function) {
    return connection.QueryInt(
        fmt::format("SELECT {}(b.{}) FROM {}", function, state.rowid, table));
  };
  ARROW_ASSIGN_OR_RAISE(const int64_t lowest, one("min"));
  ARROW_ASSIGN_OR_RAISE(const int64_t highest, one("max"));
  std::vector<int64_t> candidates = RowidBounds(connection, state.root_page, units);
  std::erase_if(candidates, [&](int64_t rowid) { return rowid <= lowest || rowid > highest; });
  if (static_cast<int64_t>(candidates.size()) + 1 < units && dataset.estimated_rows < kRowsWalked) {
    // A small table, or one that is still in the WAL: count its rowids off.
    candidates.clear();
    const int64_t every = std::max<int64_t>(1, dataset.estimated_rows / (units * 4));
    ARROW_ASSIGN_OR_RAISE(
        auto rows, connection.Prepare(fmt::format("SELECT b.{} FROM {} NOT INDEXED ORDER BY 1",
                                                  state.rowid, table)));
    for (int64_t row = 0;; ++row) {
      ARROW_ASSIGN_OR_RAISE(const bool more, rows.Step());
      if (!more) break;
      if (row > 0 && row % every == 0) candidates.push_back(rows.Int(0));
    }
  }
  std::vector<std::string> cuts;
  for (const int64_t rowid : PickEvenly(candidates, units)) cuts.push_back(std::to_string(rowid));
  return cuts;
}

// Rowids spread over the table, as a JSON array for json_each.
std::string SampledRowids(Connection& connection, const TableState& state, int64_t samples) {
  const auto rowids = RowidBounds(connection, state.root_page, samples);
  nlohmann::json array = nlohmann::json::array();
  for (const int64_t rowid : PickEvenly(rowids, samples + 1)) array.push_back(rowid);
  return array.dump();
}

Result<std::vector<std::string>> KeyCuts(Connection& connection, const TableState& state,
                                         const Dataset& dataset, const SplitAxis& axis,
                                         int64_t units) {
  std::string keys;
  for (const auto& column : axis.columns) {
    keys += (keys.empty() ? "b." : ", b.") + QuoteIdentifier(column);
  }
  std::string sql = "SELECT " + keys + " FROM " + state.from + " AS b";
  std::vector<std::string> conditions;
  if (axis.nullable) conditions.push_back(keys + " IS NOT NULL");
  const int64_t samples = std::min(kSamplesMax, units * kSamplesPerUnit);
  const bool sampled = dataset.estimated_rows > kRowsWalked && !state.rowid.empty() &&
                       dataset.estimated_rows > samples * 8;
  if (sampled) {
    conditions.push_back(fmt::format("b.{} IN (SELECT value FROM json_each(?1))", state.rowid));
  }
  const std::string& where = dataset.options.GetString("where");
  if (!where.empty()) conditions.push_back("(" + where + "\n)");
  for (size_t i = 0; i < conditions.size(); ++i) {
    sql += (i == 0 ? " WHERE " : " AND ") + conditions[i];
  }
  ARROW_ASSIGN_OR_RAISE(auto rows, connection.Prepare(sql + " ORDER BY " + keys));
  if (sampled) rows.Bind(1, SampledRowids(connection, state, samples));
  const int64_t expected = sampled ? samples : std::max<int64_t>(0, dataset.estimated_rows);
  // Bounds are taken every so many rows; twice as far apart whenever there are too many of them.
  int64_t every = std::max<int64_t>(1, expected / (units * 8));
  std::vector<std::string> candidates;
  for (int64_t row = 0;; ++row) {
    ARROW_ASSIGN_OR_RAISE(const bool more, rows.Step());
    if (!more) break;
    if (row == 0 || row % every != 0) continue;
    std::string token = KeyToken(rows, static_cast<int>(axis.columns.size()));
    if (candidates.empty() || candidates.back() != token) candidates.push_back(std::move(token));
    if (static_cast<int64_t>(candidates.size()) > units * 64) {
      for (size_t i = 1; 2 * i < candidates.size(); ++i) candidates[i] = candidates[2 * i];
      candidates.resize((candidates.size() + 1) / 2);
      every *= 2;
    }
  }
  return PickEvenly(candidates, units);
}

std::vector<WorkUnit> UnitsOf(const Dataset& dataset, const SplitAxis& axis,
                              const std::vector<std::string>& cuts) {
  std::vector<WorkUnit> units;
  const auto count = static_cast<int64_t>(cuts.size()) + 1;
  const auto add = [&](UnitRange range, int64_t rows, int64_t bytes) {
    WorkUnit unit;
    unit.dataset = dataset.id;
    unit.ordinal = static_cast<int64_t>(units.size());
    unit.range = std::move(range);
    unit.estimated_rows = rows;
    unit.estimated_bytes = bytes;
    units.push_back(std::move(unit));
  };
  if (cuts.empty()) {
    add({kWholeAxis, "", ""}, dataset.estimated_rows, dataset.estimated_bytes);
    return units;
  }
  const auto share = [&](int64_t total) { return total < 0 ? -1 : total / count; };
  for (size_t i = 0; i <= cuts.size(); ++i) {
    add({"", i == 0 ? "" : cuts[i - 1], i == cuts.size() ? "" : cuts[i]},
        share(dataset.estimated_rows), share(dataset.estimated_bytes));
  }
  // Comparisons leave NULL keys out, so they have an axis of their own.
  if (axis.nullable) add({kNullAxis, "", ""}, -1, -1);
  return units;
}

}  // namespace

Result<std::vector<WorkUnit>> SplitDataset(Connection& connection, const Dataset& original,
                                           const SplitHint& hint) {
  ARROW_ASSIGN_OR_RAISE(const auto state, TableState::FromJson(original.source_state));
  ARROW_ASSIGN_OR_RAISE(const auto axis, SplitAxisOf(original, state));
  Dataset dataset = original;
  if (axis.axis == Axis::kKey && dataset.estimated_rows < 0) {
    // Views and queries: their keys are walked anyway.
    ARROW_ASSIGN_OR_RAISE(dataset.estimated_rows,
                          connection.QueryInt("SELECT count(*) FROM " + state.from + " AS b"));
    dataset.estimated_bytes = dataset.estimated_rows * kQueryRowBytesGuess;
  }
  const int64_t wanted = axis.axis == Axis::kNone ? 1 : UnitsWanted(dataset, hint);
  std::vector<std::string> cuts;
  if (wanted > 1) {
    auto found = axis.axis == Axis::kRowid ? RowidCuts(connection, state, dataset, wanted)
                                           : KeyCuts(connection, state, dataset, axis, wanted);
    if (!found.ok()) return WithContext(found.status(), "split " + dataset.id.ToString());
    cuts = *std::move(found);
  }
  return UnitsOf(dataset, axis, cuts);
}

}  // namespace bulkhaul
