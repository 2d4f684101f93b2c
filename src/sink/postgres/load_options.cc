#include "sink/postgres/load_options.h"

#include "base/error.h"
#include "base/text.h"

namespace bulkhaul::postgres {
namespace {

// As ATTACH PARTITION wants it.
std::string PartitionFor(const std::string& text) {
  const std::string lower = AsciiLower(text);
  const bool whole = lower.empty() || lower == "default" || lower.starts_with("for values");
  return whole ? text : "FOR VALUES " + text;
}

}  // namespace

Result<LoadOptions> LoadOptions::From(const Options& options) {
  LoadOptions load;
  const auto& mode = options.GetString("if_exists");
  load.if_exists = mode == "append"     ? IfExists::kAppend
                   : mode == "replace"  ? IfExists::kReplace
                   : mode == "truncate" ? IfExists::kTruncate
                   : mode == "upsert"   ? IfExists::kUpsert
                                        : IfExists::kFail;
  const auto& duplicates = options.GetString("duplicates");
  load.duplicates = duplicates == "first"  ? Duplicates::kFirst
                    : duplicates == "last" ? Duplicates::kLast
                                           : Duplicates::kFail;
  load.key = options.GetList("key");
  load.target_schema = options.GetString("target_schema");
  load.target_table = options.GetString("target_table");
  load.each_unit = options.GetString("commit") == "unit";
  load.unlogged = options.GetBool("unlogged");
  load.skip_wal = options.GetBool("skip_wal");
  load.partition = options.GetString("partition");
  load.partition_for = PartitionFor(options.GetString("partition_for"));
  if (load.partition.empty() != load.partition_for.empty()) {
    return UserError(
        "partition and partition_for go together: the name of a new partition and what "
        "it is for",
        "partition");
  }
  if (!load.partition.empty() && (load.each_unit || load.if_exists != IfExists::kAppend)) {
    return UserError("a partition is attached by if_exists: append, all its rows at once",
                     "partition");
  }
  load.analyze = options.GetBool("analyze");
  load.strip_nul = options.GetString("nul_bytes") == "strip";
  if (load.each_unit && load.if_exists != IfExists::kAppend) {
    return UserError(
        "commit: unit lets rows appear while others are missing, which only "
        "if_exists: append allows",
        "commit");
  }
  if (load.each_unit && load.unlogged) {
    return UserError(
        "unlogged is for the table that is loaded beside, and commit: unit copies straight into "
        "the target; leave one of them out",
        "unlogged");
  }
  if (load.skip_wal && (load.each_unit || load.unlogged)) {
    return UserError(load.each_unit
                         ? "skip_wal loads a table in one transaction, commit: unit in many; leave "
                           "one of them out"
                         : "skip_wal and unlogged are two ways to write less WAL; leave one out",
                     "skip_wal");
  }
  return load;
}

}  // namespace bulkhaul::postgres
