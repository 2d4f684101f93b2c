// What a job says about how its rows get into their table.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "plan/options.h"

namespace bulkhaul::postgres {

enum class IfExists { kFail, kAppend, kReplace, kTruncate, kUpsert };
enum class Duplicates { kFail, kFirst, kLast };

struct LoadOptions {
  IfExists if_exists = IfExists::kFail;
  Duplicates duplicates = Duplicates::kFail;
  std::vector<std::string> key;
  std::string target_schema, target_table;  // "" or with {schema} and {table}
  bool each_unit = false;                   // commit: unit
  bool unlogged = false;
  bool skip_wal = false;  // open_loads.h
  // attach_partition.h: its name, "" for none, and "FOR VALUES …" or "DEFAULT".
  std::string partition, partition_for;
  bool analyze = true;
  bool strip_nul = false;

  // kUser where they contradict one another.
  static Result<LoadOptions> From(const Options& options);
};

}  // namespace bulkhaul::postgres
