#include "transform/column_lookup.h"

#include <fmt/format.h>

#include "base/text.h"

namespace bulkhaul {

Result<int> FindColumn(const arrow::Schema& schema, std::string_view column,
                       std::string_view option) {
  const auto indices = schema.GetAllFieldIndices(std::string(column));
  if (indices.size() == 1) return indices[0];
  if (!indices.empty()) {
    return UserError(fmt::format("{}: several columns are called '{}'", option, column));
  }
  const auto nearest = NearestName(column, schema.field_names());
  return UserError(fmt::format("{}: there is no column '{}'{}", option, column,
                               nearest ? "; did you mean '" + *nearest + "'?" : ""));
}

}  // namespace bulkhaul
