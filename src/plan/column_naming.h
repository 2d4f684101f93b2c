// Column names in one style.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "plan/options.h"

namespace bulkhaul {

// `style`: keep, lower, upper, capitalize (first letter large, the others small) or snake
// ("OrderID" and "order id" become "order_id"). Letters beyond ASCII stay as they are. Pure.
std::string NameInStyle(std::string_view name, std::string_view style);
// The names that columns get by `rename` or `column_naming`. Immutable.
class NewNames {
 public:
  NewNames() = default;  // those that they have
  explicit NewNames(const Options& options);
  std::string Of(const std::string& column) const;

 private:
  std::map<std::string, std::string> renamed_;
  std::string style_ = "keep";
};

}  // namespace bulkhaul
