#include "source/postgres/split.h"

#include <algorithm>

#include <fmt/format.h>

#include "plan/splitting.h"

namespace bulkhaul::postgres {
namespace {

// Each hash unit reads the whole table on the server.
constexpr int64_t kHashUnitsMax = 8;
constexpr int32_t kTidRangeScanVersion = 140000;

void Add(const Dataset& dataset, const UnitState& state, UnitRange range, int64_t rows,
         int64_t bytes, std::vector<WorkUnit>* units) {
  const auto ordinal = static_cast<int64_t>(units->size());
  units->push_back({.id = UnitIdFor(0, ordinal),
                    .dataset = dataset.id,
                    .ordinal = ordinal,
                    .range = std::move(range),
                    .source_state = state.ToJson(),
                    .estimated_rows = rows,
                    .estimated_bytes = bytes});
}

// `share` of `total`, and -1 of what is unknown.
int64_t ShareOf(int64_t total, int64_t part, int64_t whole) {
  if (total < 0) return -1;
  if (whole <= 0) return total;
  return static_cast<int64_t>(static_cast<double>(total) * static_cast<double>(part) /
                              static_cast<double>(whole));
}

bool HasPages(const Relation& relation) {
  return relation.heap && (relation.kind == 'r' || relation.kind == 'm');
}

// An axis for each relation of its own; a table that is one relation has the axis "".
std::string AxisOf(const TableState& state, int relation, size_t relations) {
  if (relations == 1) return "";
  const Relation& leaf = state.relations.at(static_cast<size_t>(relation));
  return fmt::format("{}.{}", leaf.schema, leaf.name);
}

// "" when page ranges are possible, else why not.
std::string NoPagesReason(const TableState& state, const Options& options) {
  if (state.kind == 'q') return "a query has no pages";
  if (state.kind == 'v') return "a view has no pages";
  if (state.kind == 'f') return "a foreign table has no pages here";
  if (state.server_version < kTidRangeScanVersion) return "page ranges need PostgreSQL 14 or later";
  if (state.column_grants) return "page addresses need SELECT on the table, not on columns alone";
  bool some = false;
  for (const int i : StoredRelations(state, options)) {
    const Relation& relation = state.relations[static_cast<size_t>(i)];
    if (!relation.readable) {
      return fmt::format("SELECT is not granted on {}.{}", relation.schema, relation.name);
    }
    some = some || HasPages(relation);
  }
  return some || state.kind == 'p' ? "" : "the table's access method has no pages";
}

}  // namespace

std::vector<int> StoredRelations(const TableState& state, const Options& options) {
  std::vector<int> stored;
  for (size_t i = 0; i < state.relations.size(); ++i) {
    if (state.relations[i].kind != 'p') stored.push_back(static_cast<int>(i));
    if (state.children && !options.GetBool("include_children")) break;
  }
  return stored;
}

Result<SplitChoice> ChooseSplit(const TableState& state, const Options& options, bool consistent) {
  const std::string& split = options.GetString("split");
  const std::string& split_by = options.GetString("split_by");
  if (options.GetInt("limit") > 0 || split == "none") return SplitChoice{};
  const std::string no_pages = NoPagesReason(state, options);
  const bool can_pages = no_pages.empty();
  if (split == "pages") {
    if (!can_pages) {
      return UserError(
          fmt::format("split: pages is not possible: {}; use key, hash or none", no_pages));
    }
    return SplitChoice{.mode = UnitMode::kPages};
  }
  if (split == "hash") return SplitChoice{.mode = UnitMode::kHash, .key = split_by};
  if (split == "key" || !split_by.empty()) {
    if (!split_by.empty()) return SplitChoice{.mode = UnitMode::kKey, .key = split_by};
    if (state.indexed.empty()) {
      return UserError("split: key needs split_by: there is no index whose column could be used");
    }
    return SplitChoice{.mode = UnitMode::kKey, .key = state.indexed[0]};
  }
  const bool stored = state.kind == 'r' || state.kind == 'm' || state.kind == 'p';
  if (options.GetBool("gentle") && can_pages) return SplitChoice{.mode = UnitMode::kScan};
  // Without a snapshot an update moves rows between pages; a key usually stays.
  if (can_pages && (consistent || state.indexed.empty())) {
    return SplitChoice{.mode = UnitMode::kPages};
  }
  if (!stored) return SplitChoice{};
  if (!state.indexed.empty()) return SplitChoice{.mode = UnitMode::kKey, .key = state.indexed[0]};
  return SplitChoice{.mode = state.column_grants ? UnitMode::kWhole : UnitMode::kHash};
}

int64_t WantedUnits(const Dataset& dataset, const UnitSize& size) {
  const int64_t most = std::max<int64_t>(1, size.units_max);
  if (size.rows > 0 && dataset.estimated_rows >= 0) {
    return std::clamp<int64_t>(UnitCountFor(dataset.estimated_rows, size.rows), 1, most);
  }
  const int64_t bytes = std::max<int64_t>(0, dataset.estimated_bytes);
  return std::clamp<int64_t>(UnitCountFor(bytes, UnitBytesFor(bytes, size.bytes, most)), 1, most);
}

std::vector<WorkUnit> WholeUnit(const Dataset& dataset) {
  std::vector<WorkUnit> units;
  Add(dataset, {}, {}, dataset.estimated_rows, dataset.estimated_bytes, &units);
  return units;
}

std::vector<WorkUnit> ScanUnits(const Dataset& dataset, const TableState& state) {
  std::vector<WorkUnit> units;
  const auto stored = StoredRelations(state, dataset.options);
  for (const int i : stored) {
    const Relation& relation = state.relations[static_cast<size_t>(i)];
    Add(dataset, {.mode = UnitMode::kScan, .relation = i},
        {.axis = AxisOf(state, i, stored.size()), .begin = {}, .end = {}}, relation.rows,
        relation.bytes, &units);
  }
  // A partitioned table without partitions has no rows, but a schema.
  if (units.empty()) return WholeUnit(dataset);
  return units;
}

std::vector<WorkUnit> PageUnits(const Dataset& dataset, const TableState& state,
                                const UnitSize& size) {
  std::vector<WorkUnit> units;
  const auto stored = StoredRelations(state, dataset.options);
  int64_t bytes_total = 0;
  for (const int i : stored) bytes_total += state.relations[static_cast<size_t>(i)].bytes;
  const int64_t wanted = WantedUnits(dataset, size);
  for (const int i : stored) {
    const Relation& relation = state.relations[static_cast<size_t>(i)];
    const std::string axis = AxisOf(state, i, stored.size());
    if (!HasPages(relation)) {
      Add(dataset, {.mode = UnitMode::kScan, .relation = i}, {.axis = axis, .begin = {}, .end = {}},
          relation.rows, relation.bytes, &units);
      continue;
    }
    // Bytes with TOAST decide how many units, pages where they are cut: a few pages of heap can
    // stand for much more outside of it.
    const int64_t share =
        bytes_total > 0 ? (wanted * relation.bytes + bytes_total - 1) / bytes_total : 1;
    const int64_t count = std::clamp<int64_t>(share, 1, std::max<int64_t>(1, relation.pages));
    const UnitState unit{.mode = UnitMode::kPages, .relation = i};
    for (int64_t n = 0; n < count; ++n) {
      const int64_t first = relation.pages * n / count, last = relation.pages * (n + 1) / count;
      Add(dataset, unit,
          {.axis = axis,
           .begin = n == 0 ? "" : std::to_string(first),
           .end = n + 1 == count ? "" : std::to_string(last)},
          ShareOf(relation.rows, last - first, relation.pages),
          ShareOf(relation.bytes, last - first, relation.pages), &units);
    }
  }
  if (units.empty()) return WholeUnit(dataset);
  return units;
}

std::vector<WorkUnit> KeyUnits(const Dataset& dataset, const std::string& key,
                               const std::string& key_type, const std::vector<std::string>& cuts,
                               bool nullable) {
  std::vector<WorkUnit> units;
  const auto count = static_cast<int64_t>(cuts.size()) + 1;
  const UnitState unit{.mode = UnitMode::kKey, .key = key, .key_type = key_type};
  for (size_t n = 0; n <= cuts.size(); ++n) {
    Add(dataset, unit,
        {.axis = "key", .begin = n == 0 ? "" : cuts[n - 1], .end = n == cuts.size() ? "" : cuts[n]},
        ShareOf(dataset.estimated_rows, 1, count), ShareOf(dataset.estimated_bytes, 1, count),
        &units);
  }
  if (nullable) {
    Add(dataset, {.mode = UnitMode::kNulls, .key = key, .key_type = key_type},
        {.axis = "null", .begin = {}, .end = {}}, -1, -1, &units);
  }
  return units;
}

std::vector<WorkUnit> HashUnits(const Dataset& dataset, const TableState& state,
                                const std::string& key, int64_t count) {
  const auto modulus = static_cast<int32_t>(std::clamp<int64_t>(count, 1, kHashUnitsMax));
  if (modulus == 1) return WholeUnit(dataset);
  std::vector<WorkUnit> units;
  // Addresses are unique in one relation alone.
  const bool one_relation = StoredRelations(state, dataset.options).size() == 1 &&
                            state.kind != 'v' && !state.column_grants;
  for (int32_t residue = 0; residue < modulus; ++residue) {
    Add(dataset,
        {.mode = UnitMode::kHash,
         .relation = one_relation ? StoredRelations(state, dataset.options)[0] : -1,
         .key = key,
         .residue = residue,
         .modulus = modulus},
        {.axis = fmt::format("hash/{}/{}", residue, modulus), .begin = {}, .end = {}},
        ShareOf(dataset.estimated_rows, 1, modulus), ShareOf(dataset.estimated_bytes, 1, modulus),
        &units);
  }
  return units;
}

}  // namespace bulkhaul::postgres
