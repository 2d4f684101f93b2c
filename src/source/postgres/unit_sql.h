// The statements that read a unit. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "plan/options.h"
#include "plan/values.h"
#include "source/postgres/table_state.h"
#include "wire/pg_copy/types.h"

namespace bulkhaul::postgres {

// What the rows are selected from: ONLY "schema"."leaf", or (query …) AS q(…).
std::string FromItem(const TableState& state, const UnitState& unit, const Options& options);
// SELECT … of the unit. kBug when unit and table do not fit together.
Result<std::string> UnitSelect(const TableState& state, const Options& options,
                               std::span<const pg::ColumnMapping> mappings, const WorkUnit& unit);
// The names that the select list uses for a query's columns: c1, c2, … where names are not unique.
std::vector<std::string> QueryColumnNames(const TableState& state);

}  // namespace bulkhaul::postgres
