// Finds the column that an option names.
#pragma once

#include <string_view>

#include <arrow/type.h>

#include "base/error.h"

namespace bulkhaul {

// kUser with the nearest name when there is none, or several.
Result<int> FindColumn(const arrow::Schema& schema, std::string_view column,
                       std::string_view option);

}  // namespace bulkhaul
