// Column names in one style.
#pragma once

#include <string>
#include <string_view>

#include "plan/options.h"

namespace bulkhaul {

// `style`: keep, lower, upper, capitalize (first letter large, the others small) or snake
// ("OrderID" and "order id" become "order_id"). Letters beyond ASCII stay as they are. Pure.
std::string NameInStyle(std::string_view name, std::string_view style);
// The name that a column gets by `rename` or `column_naming`.
std::string NewColumnName(const std::string& column, const Options& options);

}  // namespace bulkhaul
