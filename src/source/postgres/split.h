// How a dataset is cut into units. Pure, but for the bounds of keys (key_bounds.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "plan/values.h"
#include "source/postgres/table_state.h"
#include "source/source.h"

namespace bulkhaul::postgres {

struct SplitChoice {
  UnitMode mode = UnitMode::kWhole;  // kWhole, kScan (one unit a relation), kPages, kKey or kHash
  std::string key = {};              // column of kKey; of kHash, or ""
};

// By the options split, split_by, limit and gentle, what the table is and what is granted. kUser
// when what was asked for cannot be done.
Result<SplitChoice> ChooseSplit(const TableState& state, const Options& options, bool consistent);

// The relations that hold the dataset's rows, as indexes in state.relations.
std::vector<int> StoredRelations(const TableState& state, const Options& options);

struct UnitSize {
  int64_t bytes = 0;  // 0: the default
  int64_t rows = 0;   // wins
  int64_t units_max = 10'000;
};

// One unit for everything.
std::vector<WorkUnit> WholeUnit(const Dataset& dataset);
// One unit a relation.
std::vector<WorkUnit> ScanUnits(const Dataset& dataset, const TableState& state);
// Page ranges of each relation; the last is open-ended, for rows that came since. A relation
// without pages of its own (foreign, not heap) is one unit.
std::vector<WorkUnit> PageUnits(const Dataset& dataset, const TableState& state,
                                const UnitSize& size);
// Ranges between cuts that ascend in the key's own order, and one for NULL keys where there may be
// any.
std::vector<WorkUnit> KeyUnits(const Dataset& dataset, const std::string& key,
                               const std::string& key_type, const std::vector<std::string>& cuts,
                               bool nullable);
// `count` units, each relation or the whole when it has none of its own.
std::vector<WorkUnit> HashUnits(const Dataset& dataset, const TableState& state,
                                const std::string& key, int64_t count);
// Units that a dataset of these estimates makes.
int64_t WantedUnits(const Dataset& dataset, const UnitSize& size);

}  // namespace bulkhaul::postgres
