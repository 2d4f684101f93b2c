// What changed between two schemas of a table, and what a job does about it.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/type.h>

#include "base/error.h"
#include "plan/contract.h"
#include "plan/options.h"

namespace bulkhaul {

enum class DriftKind { kAdded, kRemoved, kRetyped, kReordered };
const char* DriftKindName(DriftKind kind);  // "added", …
enum class DriftAction { kFail, kWarn, kEvolve };
const char* DriftActionName(DriftAction action);

// A column as it was expected. Type as TypeName() writes it; "": any.
struct ExpectedColumn {
  std::string name, type;
  bool operator==(const ExpectedColumn&) const = default;
};
std::vector<ExpectedColumn> ExpectedColumns(const Contract& contract);
std::vector<ExpectedColumn> ExpectedColumns(const arrow::Schema& schema);

struct DriftChange {
  DriftKind kind = DriftKind::kAdded;
  std::string column;
  std::string before, after;  // types; of kReordered the columns that stood before it
  bool widens = false;        // of kRetyped: every value of the old type is one of the new
  std::string ToString() const;
};

// Added and removed columns, then retyped ones, then at most one that stands elsewhere. Pure.
std::vector<DriftChange> FindDrift(std::span<const ExpectedColumn> before,
                                   std::span<const ExpectedColumn> now);

// Whether every value of `from` is one of `to`, unchanged. Type names. Pure.
bool Widens(std::string_view from, std::string_view to);

// From the option `drift`.
class DriftPolicy {
 public:
  // kUser on an unknown kind or action. What the option does not name fails with a contract and
  // warns without.
  static Result<DriftPolicy> From(const Options& options, bool with_contract);
  // A changed type that does not widen fails where only `evolve` would let it pass.
  DriftAction For(const DriftChange& change) const;

 private:
  std::map<DriftKind, DriftAction> actions_;
};

}  // namespace bulkhaul
