// The settings of a job as typed values under the names that job files, flags and environment
// share.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"

namespace bulkhaul {

using StringList = std::vector<std::string>;
using StringPairs = std::vector<std::pair<std::string, std::string>>;  // in the order given
using OptionValue = std::variant<bool, int64_t, double, std::string, StringList, StringPairs>;

// Settings by canonical name ("unit_bytes"). Only names and types that the option table
// (plan/option_table.h) knows get in; sizes are kept in bytes and durations in milliseconds as
// int64_t. A getter gives the table's default when the name is not set, and aborts on a name or
// type that the table does not have: that is a bug of ours, not of the user.
class Options {
 public:
  bool Has(std::string_view name) const;  // set explicitly, not by default
  bool GetBool(std::string_view name) const;
  int64_t GetInt(std::string_view name) const;
  int64_t GetBytes(std::string_view name) const;
  int64_t GetDurationMs(std::string_view name) const;
  double GetDouble(std::string_view name) const;
  const std::string& GetString(std::string_view name) const;
  const StringList& GetList(std::string_view name) const;
  const StringPairs& GetPairs(std::string_view name) const;

  // Checks name, type and range against the option table. kUser on a breach.
  Status Set(std::string_view name, OptionValue value);
  // From text as a flag or environment variable gives it ("1MiB", "true", "a,b").
  Status SetFromText(std::string_view name, std::string_view text);
  // These settings, with those of `over` laid on top.
  Options With(const Options& over) const;

  std::string ToJson() const;  // only what is set
  static Result<Options> FromJson(std::string_view json);
  const std::map<std::string, OptionValue, std::less<>>& values() const { return values_; }

 private:
  std::map<std::string, OptionValue, std::less<>> values_;
};

}  // namespace bulkhaul
