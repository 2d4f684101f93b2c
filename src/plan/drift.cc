#include "plan/drift.h"

#include <algorithm>
#include <optional>

#include <arrow/type_traits.h>
#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>

#include "base/text.h"
#include "plan/type_name.h"

namespace bulkhaul {
namespace {

constexpr DriftKind kKinds[] = {DriftKind::kAdded, DriftKind::kRemoved, DriftKind::kRetyped,
                                DriftKind::kReordered};
constexpr DriftAction kActions[] = {DriftAction::kFail, DriftAction::kWarn, DriftAction::kEvolve};

const ExpectedColumn* Find(std::span<const ExpectedColumn> columns, std::string_view name) {
  const auto found = std::find_if(columns.begin(), columns.end(),
                                  [&](const auto& one) { return one.name == name; });
  return found == columns.end() ? nullptr : &*found;
}

// The first column of both that follows another one than before.
void FindReordered(std::span<const ExpectedColumn> before, std::span<const ExpectedColumn> now,
                   std::vector<DriftChange>* changes) {
  std::vector<const ExpectedColumn*> then_common, now_common;
  for (const auto& column : before) {
    if (Find(now, column.name)) then_common.push_back(&column);
  }
  for (const auto& column : now) {
    if (Find(before, column.name)) now_common.push_back(&column);
  }
  for (size_t i = 0; i < std::min(then_common.size(), now_common.size()); ++i) {
    if (then_common[i]->name == now_common[i]->name) continue;
    DriftChange change;
    change.kind = DriftKind::kReordered;
    change.column = now_common[i]->name;
    change.before = then_common[i]->name;
    changes->push_back(std::move(change));
    return;
  }
}

// Whether the column's type says nothing else than it said before.
bool SaysTheSame(const ExpectedColumn& before, const ExpectedColumn& now) {
  if (before.type.empty() || now.type.empty() || now.type == before.type || now.unseen) return true;
  return before.found && now.found && ShowsLess(now.type, before.type);
}

int IntegerBits(const arrow::DataType& type) {
  return static_cast<const arrow::FixedWidthType&>(type).bit_width();
}

bool DecimalHolds(const arrow::DataType& to, int digits_before_point, int scale) {
  const auto& decimal = static_cast<const arrow::DecimalType&>(to);
  return decimal.scale() >= scale && decimal.precision() - decimal.scale() >= digits_before_point;
}

}  // namespace

const char* DriftKindName(DriftKind kind) {
  switch (kind) {
    case DriftKind::kAdded:
      return "added";
    case DriftKind::kRemoved:
      return "removed";
    case DriftKind::kRetyped:
      return "retyped";
    case DriftKind::kReordered:
      return "reordered";
  }
  return "";
}

const char* DriftActionName(DriftAction action) {
  switch (action) {
    case DriftAction::kFail:
      return "fail";
    case DriftAction::kWarn:
      return "warn";
    case DriftAction::kEvolve:
      return "evolve";
  }
  return "";
}

std::vector<ExpectedColumn> ExpectedColumns(const Contract& contract) {
  std::vector<ExpectedColumn> columns;
  for (const auto& column : contract.columns) columns.push_back({column.name, column.type});
  return columns;
}

std::vector<ExpectedColumn> ExpectedColumns(const arrow::Schema& schema) {
  std::vector<ExpectedColumn> columns;
  for (const auto& field : schema.fields()) {
    ExpectedColumn column{field->name(), TypeName(*field->type())};
    if (field->HasMetadata() && field->metadata()->Contains(kFoundKey)) {
      column.found = true;
      column.misfit = field->metadata()->Get(kFoundKey).ValueOr("");
      column.unseen = column.misfit == kNothingSeen;
      if (column.unseen) column.misfit.clear();
    }
    columns.push_back(std::move(column));
  }
  return columns;
}

std::shared_ptr<arrow::Field> WithFinding(const arrow::Field& field, const std::string& finding) {
  return field.WithMergedMetadata(arrow::key_value_metadata({kFoundKey}, {finding}));
}

std::shared_ptr<arrow::Schema> WithoutFindings(const std::shared_ptr<arrow::Schema>& schema) {
  if (schema == nullptr) return schema;
  arrow::FieldVector fields;
  for (const auto& field : schema->fields()) {
    fields.push_back(field);
    if (!field->HasMetadata() || !field->metadata()->Contains(kFoundKey)) continue;
    const auto kept = field->metadata()->Copy();
    (void)kept->Delete(kFoundKey);
    fields.back() = field->WithMetadata(kept->size() > 0 ? kept : nullptr);
  }
  return arrow::schema(std::move(fields), schema->metadata());
}

std::string DriftChange::ToString() const {
  switch (kind) {
    case DriftKind::kAdded:
      return fmt::format("column '{}' ({}) was added", column, after);
    case DriftKind::kRemoved:
      return fmt::format("column '{}' ({}) was removed", column, before.empty() ? "any" : before);
    case DriftKind::kRetyped:
      return fmt::format("column '{}' was {}, is {}{}", column, before, after,
                         misfit.empty() ? "" : ": " + misfit);
    case DriftKind::kReordered:
      return fmt::format("columns are in another order: '{}' now stands where '{}' stood", column,
                         before);
  }
  return {};
}

std::vector<DriftChange> FindDrift(std::span<const ExpectedColumn> before,
                                   std::span<const ExpectedColumn> now) {
  std::vector<DriftChange> changes;
  for (const auto& column : now) {
    if (Find(before, column.name)) continue;
    changes.push_back({DriftKind::kAdded, column.name, "", column.type, false, ""});
  }
  for (const auto& column : before) {
    if (Find(now, column.name)) continue;
    changes.push_back({DriftKind::kRemoved, column.name, column.type, "", false, ""});
  }
  for (const auto& column : before) {
    const auto* same = Find(now, column.name);
    if (same == nullptr || SaysTheSame(column, *same)) continue;
    changes.push_back({DriftKind::kRetyped, column.name, column.type, same->type,
                       Widens(column.type, same->type), same->misfit});
  }
  FindReordered(before, now, &changes);
  return changes;
}

std::vector<ExpectedColumn> Remembered(std::span<const ExpectedColumn> before,
                                       std::span<const ExpectedColumn> now) {
  std::vector<ExpectedColumn> columns;
  for (const auto& column : now) {
    const auto* known = Find(before, column.name);
    const bool keep = known != nullptr && !known->type.empty() && SaysTheSame(*known, column);
    columns.push_back({column.name, keep ? known->type : column.unseen ? "" : column.type});
  }
  return columns;
}

bool ShowsLess(std::string_view now_name, std::string_view before_name) {
  const auto now_type = ParseTypeName(now_name), before_type = ParseTypeName(before_name);
  if (!now_type.ok() || !before_type.ok()) return false;
  const arrow::DataType &now = **now_type, &before = **before_type;
  const bool to_decimal = arrow::is_decimal(before.id());
  if (now.id() == arrow::Type::INT64) return to_decimal || before.id() == arrow::Type::DOUBLE;
  if (now.id() == arrow::Type::DOUBLE) return to_decimal;  // those with few digits
  if (arrow::is_decimal(now.id()) && to_decimal) {
    return static_cast<const arrow::DecimalType&>(now).scale() <=
           static_cast<const arrow::DecimalType&>(before).scale();
  }
  if (before.id() != arrow::Type::TIMESTAMP) return false;
  const auto& times = static_cast<const arrow::TimestampType&>(before);
  if (now.id() == arrow::Type::DATE32) return times.timezone().empty();
  if (now.id() != arrow::Type::TIMESTAMP) return false;
  const auto& fewer = static_cast<const arrow::TimestampType&>(now);
  return fewer.timezone() == times.timezone() && fewer.unit() <= times.unit();
}

bool Widens(std::string_view from_name, std::string_view to_name) {
  const auto from_type = ParseTypeName(from_name), to_type = ParseTypeName(to_name);
  if (!from_type.ok() || !to_type.ok()) return false;
  const arrow::DataType &from = **from_type, &to = **to_type;
  if (from.Equals(to)) return true;
  if (arrow::is_integer(from.id())) {
    const bool is_signed = arrow::is_signed_integer(from.id());
    const int bits = IntegerBits(from);
    if (arrow::is_integer(to.id())) {
      const bool to_signed = arrow::is_signed_integer(to.id());
      return is_signed == to_signed ? IntegerBits(to) > bits : to_signed && IntegerBits(to) > bits;
    }
    constexpr int kDigits[] = {3, 5, 10, 19};  // of 8, 16, 32 and 64 bits
    const int digits = bits == 64 && !is_signed ? 20
                                                : kDigits[bits == 8    ? 0
                                                          : bits == 16 ? 1
                                                          : bits == 32 ? 2
                                                                       : 3];
    if (arrow::is_decimal(to.id())) return DecimalHolds(to, digits, 0);
    if (to.id() == arrow::Type::DOUBLE) return bits <= 32;
    return to.id() == arrow::Type::FLOAT && bits <= 16;
  }
  if (arrow::is_decimal(from.id()) && arrow::is_decimal(to.id())) {
    const auto& decimal = static_cast<const arrow::DecimalType&>(from);
    return DecimalHolds(to, decimal.precision() - decimal.scale(), decimal.scale());
  }
  if (from.id() == arrow::Type::FLOAT) return to.id() == arrow::Type::DOUBLE;
  if (from.id() == arrow::Type::DATE32 && to.id() == arrow::Type::TIMESTAMP) {
    const auto& now = static_cast<const arrow::TimestampType&>(to);
    return now.timezone().empty() && now.unit() != arrow::TimeUnit::NANO;  // midnight
  }
  if (from.id() == arrow::Type::TIMESTAMP && to.id() == arrow::Type::TIMESTAMP) {
    const auto& then = static_cast<const arrow::TimestampType&>(from);
    const auto& now = static_cast<const arrow::TimestampType&>(to);
    // Nanoseconds reach only to 2262.
    return then.timezone() == now.timezone() && now.unit() > then.unit() &&
           now.unit() != arrow::TimeUnit::NANO;
  }
  return false;
}

Result<DriftPolicy> DriftPolicy::From(const Options& options, bool with_contract) {
  DriftPolicy policy;
  for (const auto kind : kKinds) {
    policy.actions_[kind] = with_contract ? DriftAction::kFail : DriftAction::kWarn;
  }
  const auto refuse = [](const char* what, const std::string& text,
                         const std::vector<std::string>& names) {
    const auto nearest = NearestName(text, names);
    return UserError(fmt::format("drift: '{}' is no {}{}", text, what,
                                 nearest ? "; did you mean '" + *nearest + "'?"
                                         : fmt::format("; there are {}", fmt::join(names, ", "))));
  };
  for (const auto& [kind_name, action_name] : options.GetPairs("drift")) {
    std::vector<std::string> kinds = {"all"}, actions;
    std::optional<DriftAction> chosen;
    for (const auto action : kActions) {
      actions.emplace_back(DriftActionName(action));
      if (action_name == DriftActionName(action)) chosen = action;
    }
    if (!chosen) return refuse("action", action_name, actions);
    bool known = kind_name == "all";
    for (const auto kind : kKinds) {
      kinds.emplace_back(DriftKindName(kind));
      if (kind_name != "all" && kind_name != DriftKindName(kind)) continue;
      policy.actions_[kind] = *chosen;
      known = true;
    }
    if (!known) return refuse("kind of change", kind_name, kinds);
  }
  return policy;
}

DriftAction DriftPolicy::For(const DriftChange& change) const {
  const DriftAction action = actions_.at(change.kind);
  const bool narrows = change.kind == DriftKind::kRetyped && !change.widens;
  return action == DriftAction::kEvolve && narrows ? DriftAction::kFail : action;
}

}  // namespace bulkhaul
