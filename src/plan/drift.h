// What changed between two schemas of a table, and what a job does about it.
#pragma once

#include <map>
#include <memory>
#include <set>
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

// Key of the metadata of a field in Dataset::schema whose type its source found from values, and
// nobody gave it: kNothingSeen where there was no value to find it from, else "" or the value that
// is none of the type that the contract has, with its place. Said at plan time only:
// WithoutFindings.
inline constexpr char kFoundKey[] = "bulkhaul.found";
inline constexpr char kNothingSeen[] = "nothing";
std::shared_ptr<arrow::Field> WithFinding(const arrow::Field& field, const std::string& finding);
std::shared_ptr<arrow::Schema> WithoutFindings(const std::shared_ptr<arrow::Schema>& schema);

// A column as it was expected, or is. Type as TypeName() writes it; "": any.
struct ExpectedColumn {
  std::string name, type;
  bool found = false;       // the type is what values showed
  bool unseen = false;      // or rather what is taken where there is no value
  std::string misfit = {};  // a value that is not of the contract's type, and where it is
};
std::vector<ExpectedColumn> ExpectedColumns(const Contract& contract);
std::vector<ExpectedColumn> ExpectedColumns(const arrow::Schema& schema);

struct DriftChange {
  DriftKind kind = DriftKind::kAdded;
  std::string column;
  std::string before, after;  // types; of kReordered the columns that stood before it
  bool widens = false;        // of kRetyped: every value of the old type is one of the new
  std::string misfit = {};    // of kRetyped: ExpectedColumn::misfit
  std::string ToString() const;
};

// Added and removed columns, then retyped ones, then at most one that stands elsewhere. A column
// without values is not retyped, and one whose values are narrower than those before is not, where
// both types were found from values. Pure.
std::vector<DriftChange> FindDrift(std::span<const ExpectedColumn> before,
                                   std::span<const ExpectedColumn> now);

// What to remember for the next run: a column that said nothing, or less than before, keeps the
// type that it had. Pure.
std::vector<ExpectedColumn> Remembered(std::span<const ExpectedColumn> before,
                                       std::span<const ExpectedColumn> now);

// Whether every value of `from` is one of `to`, unchanged. Type names. Pure.
bool Widens(std::string_view from, std::string_view to);
// Whether values of which `now` was found could be those of a column of which `before` was: whole
// numbers of fractions, days of times, fewer digits of more. Type names. Pure.
bool ShowsLess(std::string_view now, std::string_view before);

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
