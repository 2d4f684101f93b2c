#include "source/files/contract_types.h"

#include <fmt/format.h>

#include "base/text.h"
#include "plan/column_naming.h"
#include "plan/drift.h"
#include "plan/type_name.h"
#include "wire/csv/csv_inference.h"

namespace bulkhaul::files {
namespace {

constexpr size_t kMisfitShownBytesMax = 80;

}  // namespace

Result<ContractTypes> ContractTypes::Make(const Options& options, const DatasetId& id,
                                          Contracts* contracts, const arrow::Schema* there) {
  ContractTypes types;
  ARROW_ASSIGN_OR_RAISE(const auto* contract, contracts->For(options, id));
  if (contract == nullptr && there == nullptr) return types;
  if (there != nullptr) {
    for (const auto& field : there->fields()) types.types_[field->name()] = field->type();
  }
  if (contract != nullptr) {
    for (const auto& column : contract->columns) {
      auto type = ParseTypeName(column.type);  // not of "" and of nested types
      if (type.ok()) types.types_[column.name] = *std::move(type);
    }
  }
  for (const auto& [column, type] : options.GetPairs("cast")) types.types_.erase(column);
  for (const auto& [old_name, new_name] : options.GetPairs("rename")) {
    types.new_names_[old_name] = new_name;
  }
  types.column_naming_ = options.GetString("column_naming");
  const auto& columns = options.GetList("columns");
  types.columns_.insert(columns.begin(), columns.end());
  const auto& dropped = options.GetList("drop");
  types.dropped_.insert(dropped.begin(), dropped.end());
  ARROW_ASSIGN_OR_RAISE(const auto policy,
                        DriftPolicy::From(options, /*with_contract=*/contract != nullptr));
  DriftChange wider;
  wider.kind = DriftKind::kRetyped;
  wider.widens = true;
  // The table there takes no other type, unless the job may widen its own.
  types.lenient_ = contract != nullptr ? policy.For(wider) != DriftAction::kFail
                                       : policy.For(wider) == DriftAction::kEvolve;
  return types;
}

std::shared_ptr<arrow::DataType> ContractTypes::Of(const std::string& column) const {
  if (types_.empty() || dropped_.contains(column)) return nullptr;
  if (!columns_.empty() && !columns_.contains(column)) return nullptr;
  const auto renamed = new_names_.find(column);
  const auto found = types_.find(renamed != new_names_.end() ? renamed->second
                                                             : NameInStyle(column, column_naming_));
  return found == types_.end() ? nullptr : found->second;
}

void TypeTrial::Add(std::string_view value, const std::string& file, int64_t line) {
  if (type_ == nullptr) return;
  if (csv::IsValueOf(*type_, value)) {
    ++fits_;
    return;
  }
  if (misfits_++ > 0) return;
  const bool whole = value.size() <= kMisfitShownBytesMax && IsValidUtf8(value);
  misfit_ = fmt::format("{}, line {}: {} is no {}", file, line,
                        whole ? fmt::format("'{}'", value) : "a value", TypeName(*type_));
}

}  // namespace bulkhaul::files
