// What the SQLite source keeps about a dataset in Dataset::source_state, and the SQL made from it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/type.h>

#include "base/error.h"
#include "plan/values.h"
#include "source/sqlite/column_buffer.h"
#include "source/sqlite/connection.h"

namespace bulkhaul {

struct TableState {
  std::string from;   // "main"."t" or (query); b is its alias
  std::string rowid;  // name under which the rowid can be read; "" when there is none
  int64_t root_page = 0;
  std::vector<std::string> keys;         // primary key of a WITHOUT ROWID table
  std::vector<std::string> conversions;  // one a column
  std::vector<std::string> declared;
  std::string definition_hash;  // of the table's CREATE statement; "" for queries

  std::string ToJson() const;
  static Result<TableState> FromJson(std::string_view json);
};

enum class Axis { kNone, kRowid, kKey };
// How the dataset is cut, from its options. kUser when split_by names no column or the table cannot
// be cut as asked.
struct SplitAxis {
  Axis axis = Axis::kNone;
  std::vector<std::string> columns;  // of kKey
  bool nullable = false;             // the NULL keys are a unit of their own
};
Result<SplitAxis> SplitAxisOf(const Dataset& dataset, const TableState& state);

// UnitRange::axis of the unit of the NULL keys.
inline constexpr char kNullAxis[] = "null";
// That of the one unit of a dataset that is not cut, NULL keys included.
inline constexpr char kWholeAxis[] = "whole";

// Bounds of key axes are tokens: the values of one row's key columns with their storage classes.
std::string KeyToken(Statement& row, int columns);
// Binds a token's values from parameter `first` on. The count of parameters bound.
Result<int> BindKeyToken(std::string_view token, Statement* statement, int first);

// The statement that reads a unit. Parameters: begin, then end, as far as the range has them.
Result<std::string> UnitSql(const Dataset& dataset, const TableState& state,
                            const UnitRange& range);
Status BindRange(const Dataset& dataset, const TableState& state, const UnitRange& range,
                 Statement* statement);

// The columns as they are read, from the schema, the state and the options.
Result<std::vector<ColumnPlan>> ColumnPlans(const Dataset& dataset, const TableState& state);

}  // namespace bulkhaul
