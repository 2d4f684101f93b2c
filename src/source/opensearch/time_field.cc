#include "source/opensearch/time_field.h"

#include <vector>

#include <fmt/format.h>

#include "base/text.h"
#include "source/opensearch/odd_times.h"

namespace bulkhaul::opensearch {
namespace {

bool IsDateEverywhere(const search::MergedField& field) {
  return field.conflict.empty() && (field.field.type == "date" || field.field.type == "date_nanos");
}

// Why the times of a field cannot be asked for; "" when they can.
std::string WhyNoTime(const search::MergedField& field) {
  if (!IsDateEverywhere(field)) {
    std::string types;
    for (const auto& [type, index] : field.types) {
      types += fmt::format("{}{} in {}", types.empty() ? "" : ", ", type, index);
    }
    return types;
  }
  if (field.field.in_nested) {
    return "inside a nested field, where a query of the documents finds nothing";
  }
  if (field.field.derived) {
    return fmt::format(
        "a derived field in {}, and the server cannot tell which documents have one "
        "(no exists queries)",
        field.derived_in);
  }
  return {};
}

}  // namespace

Result<bool> FindTimeField(const search::MergedMapping& merged, const std::string& name,
                           bool needed, const std::string& table) {
  const auto* field = merged.Find(name);
  const std::string why = field == nullptr ? "" : WhyNoTime(*field);
  if (field != nullptr && why.empty()) return true;
  if (!needed) return false;
  std::vector<std::string> dates;
  for (const auto& one : merged.fields) {
    if (WhyNoTime(one).empty()) dates.push_back(one.field.path);
  }
  const auto others = dates.empty() ? "" : "; its date fields are " + ShownNames(dates);
  std::string message = fmt::format("{} has no date field '{}'", table, name);
  if (field != nullptr) {
    message += (IsDateEverywhere(*field) ? " to ask for: it is " : ": it is ") + why + others;
  } else if (const auto nearest = NearestName(name, dates)) {
    message += fmt::format("; did you mean '{}'?", *nearest);
  } else {
    message += others;
  }
  return UserError(std::move(message), "no_time_field");
}

}  // namespace bulkhaul::opensearch
