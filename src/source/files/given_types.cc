#include "source/files/given_types.h"

#include <fmt/format.h>

#include "base/text.h"
#include "plan/drift.h"
#include "plan/type_name.h"
#include "wire/csv/csv_inference.h"

namespace bulkhaul::files {
namespace {

constexpr size_t kMisfitShownBytesMax = 80;

}  // namespace

Result<GivenTypes> GivenTypes::Make(const Options& options, const DatasetId& id,
                                    Contracts* contracts, const arrow::Schema* there) {
  GivenTypes types;
  ARROW_ASSIGN_OR_RAISE(const auto* contract, contracts->For(options, id));
  if (contract == nullptr && there == nullptr) return types;
  ARROW_ASSIGN_OR_RAISE(const auto policy,
                        DriftPolicy::From(options, /*with_contract=*/contract != nullptr));
  DriftChange wider;
  wider.kind = DriftKind::kRetyped;
  wider.widens = true;
  if (there != nullptr) {
    const bool evolves = policy.For(wider) == DriftAction::kEvolve;
    for (const auto& field : there->fields()) {
      const bool times = arrow::is_temporal(field->type()->id());
      types.types_[field->name()] = {field->type(), evolves || times};
    }
  }
  if (contract != nullptr) {
    const bool lenient = policy.For(wider) != DriftAction::kFail;
    for (const auto& column : contract->columns) {
      auto type = ParseTypeName(column.type);  // not of "" and of nested types
      if (type.ok()) types.types_[column.name] = {*std::move(type), lenient};
    }
  }
  for (const auto& [column, type] : options.GetPairs("cast")) types.types_.erase(column);
  types.new_names_ = NewNames(options);
  const auto& columns = options.GetList("columns");
  types.columns_.insert(columns.begin(), columns.end());
  const auto& dropped = options.GetList("drop");
  types.dropped_.insert(dropped.begin(), dropped.end());
  return types;
}

const GivenTypes::Given* GivenTypes::Find(const std::string& column) const {
  if (types_.empty() || dropped_.contains(column)) return nullptr;
  if (!columns_.empty() && !columns_.contains(column)) return nullptr;
  const auto found = types_.find(new_names_.Of(column));
  return found == types_.end() ? nullptr : &found->second;
}

std::shared_ptr<arrow::DataType> GivenTypes::Of(const std::string& column) const {
  const Given* given = Find(column);
  return given == nullptr ? nullptr : given->type;
}

bool GivenTypes::Lenient(const std::string& column) const {
  const Given* given = Find(column);
  return given != nullptr && given->lenient;
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
