// What a table that exists becomes for rows that need more than it has (drift: evolve): columns are
// added, and types become wider.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <arrow/type.h>

#include "base/error.h"
#include "client/postgres/connection.h"
#include "plan/drift.h"
#include "sink/postgres/column_types.h"
#include "sink/postgres/load_plan.h"
#include "sink/postgres/target_table.h"

namespace bulkhaul::postgres {

// A column that the table does not have yet: its type comes from the rows.
Result<LoadColumn> NewColumn(TypeChooser& chooser, const arrow::Field& field, int index,
                             LoadPlan* plan);

// Whether every value of `from` is one of `to`, unchanged, and the server's ALTER COLUMN TYPE goes
// from one to the other by itself. Types as format_type() spells them, and arrays of them. The
// blanks that fill up a char(n) are no part of its value. Pure.
bool WidensType(std::string_view from, std::string_view to);

// Into a plan's `alterations` and `notes`. Looks at the server; makes a table only in a transaction
// that it takes back.
class Evolution {
 public:
  // The plan's `existing` is set; everything outlives this.
  Evolution(Connection& connection, const WaitLimit& limit, const DriftPolicy& policy,
            LoadPlan* plan);

  bool Allows(DriftKind kind) const;
  Result<LoadColumn> Add(const arrow::Field& field, int index);
  // nullopt when the table's type is wide enough, or the rows' type does not widen it. kUser when
  // something uses the column, so that PostgreSQL does not change its type; text of any length then
  // leaves the type as it is, with a note.
  Result<std::optional<LoadColumn>> Widen(const arrow::Field& field, int index,
                                          const TargetColumn& target);

 private:
  Result<std::string> UsesOf(const TargetColumn& target, const std::string& type);
  Status Try(const TargetColumn& target, const std::string& alteration);

  Connection& connection_;
  const WaitLimit& limit_;
  TypeChooser chooser_;
  const DriftPolicy& policy_;
  LoadPlan* plan_;
};

}  // namespace bulkhaul::postgres
