// How the rows of one dataset get into its table: decided before a row is read.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "client/postgres/connection.h"
#include "plan/values.h"
#include "sink/postgres/load_options.h"
#include "sink/postgres/target_table.h"
#include "sink/sink.h"
#include "wire/pg_copy/copy_encoder.h"

namespace bulkhaul::postgres {

struct LoadColumn {
  std::string name;
  int source = 0;         // index in the batch
  bool as_json = false;   // a nested value without a type of its own: as JSON text
  std::string side_type;  // in the table that rows are copied into
  std::string target_type;
  std::string cast;       // SQL of the server's cast where the types differ
  bool not_null = false;  // of a table that is made
  std::string comment;
  pg::ColumnSpec side;  // what is encoded for
};

struct LoadPlan {
  TableName target, side;
  LoadOptions options;
  std::unique_ptr<TargetTable> existing;  // nullptr: the table is made
  std::vector<LoadColumn> columns;
  std::vector<std::string> key;          // of upsert
  bool nulls_equal = false;              // rows with NULL in the key may have the same one
  std::vector<std::string> primary_key;  // of a table that is made
  std::string comment;
  bool overriding = false;  // a column GENERATED ALWAYS AS IDENTITY is among the loaded
  // "ADD COLUMN …", "ALTER COLUMN … TYPE …": of drift: evolve, in the transaction that publishes;
  // before the first unit where units are published one by one.
  std::vector<std::string> alterations;
  std::vector<std::string> notes;
  int32_t money_scale = 2;

  // Rows go straight into the target.
  bool direct() const { return options.each_unit && existing != nullptr; }
  bool ordered() const {
    return options.if_exists == IfExists::kUpsert && options.duplicates != Duplicates::kFail;
  }
  const TableName& copied_into() const { return direct() ? target : side; }
  // The server casts some columns when the rows are published.
  bool casts() const;
  // The table that is loaded beside becomes a partition of the target.
  bool attaches() const { return existing && !options.partition.empty(); }
  TableName partition() const { return {target.schema, options.partition}; }
  // The table that is loaded beside is what takes the target's place, or one in it.
  bool keeps_side() const {
    return existing && (options.if_exists == IfExists::kReplace || attaches()) && !casts();
  }
  std::string ColumnList() const;  // "a", "b"
  // Makes the `alterations` to the table; "" when there are none.
  std::string AlterSql(const TableName& table) const;
  // Makes an empty table with the target's columns as they are, or will be by `alterations`; does
  // nothing when it is there.
  std::string CreateLikeTargetSql(const TableName& table, bool unlogged) const;
  Result<std::vector<pg::EncodeColumn>> EncodeColumns(const arrow::Schema& schema) const;
};

inline constexpr char kOrderColumn[] = "_bulkhaul_order";
// A counter of units that are published one by one, and of tables that are not.
inline constexpr char kLeftOutByTriggers[] = "left_out_by_triggers";

// Looks at the server, changes nothing. kUser names what does not fit: columns with the nearest
// name, types, policies, keys.
Result<LoadPlan> PlanLoad(Connection& connection, const DatasetPlan& plan, const WaitLimit& limit);
// Sink::ColumnsThere; kUser as PlanLoad().
Result<std::shared_ptr<arrow::Schema>> ColumnsThere(Connection& connection, const DatasetId& id,
                                                    const Options& dataset_options,
                                                    const WaitLimit& limit);
// Where the dataset goes and which tables its foreign keys refer to; looks at the server.
Result<SinkPlace> PlaceOfLoad(Connection& connection, const DatasetPlan& plan,
                              const WaitLimit& limit);
// Where the dataset goes, by its options.
Result<TableName> TargetNameOf(Connection& connection, const DatasetId& id,
                               const LoadOptions& options, const WaitLimit& limit);

}  // namespace bulkhaul::postgres
