// The plain values that pass between the rooms. Each serialises to JSON and back without loss, so
// that a ledger, a server or a worker elsewhere can carry it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/type.h>

#include "base/error.h"
#include "plan/options.h"

namespace bulkhaul {

using JobId = std::string;
// Made where the unit runs: "<unit id>-<random>". Two attempts never share a byte.
using AttemptId = std::string;

struct DatasetId {
  std::string schema;  // "" where the source has none
  std::string name;
  bool operator==(const DatasetId&) const = default;
  auto operator<=>(const DatasetId&) const = default;
  std::string ToString() const;  // "schema.name", unquoted, for people
};

// Keys of arrow::Field metadata that sources set and metadata files show.
inline constexpr char kSourceTypeKey[] = "bulkhaul.source_type";  // as the source writes the type
inline constexpr char kCommentKey[] = "bulkhaul.comment";

// That a table is published after another one, for people.
struct ComesAfter {
  std::string table;
  std::string reason;            // "foreign key orders_customer_fkey"; "" where the user said so
  std::string ToString() const;  // "public.customers (foreign key orders_customer_fkey)"
};

// One thing to move: a table, a view, a query.
struct Dataset {
  DatasetId id;
  std::string
      kind;  // "table", "partitioned table", "view", "materialized view", "foreign table", "query"
  // Fields with kSourceTypeKey in their metadata; nullable false only where the source proves it.
  std::shared_ptr<arrow::Schema> schema;
  std::vector<std::string> primary_key;
  int64_t estimated_rows = -1;          // -1: unknown
  int64_t estimated_bytes = -1;         // of source storage, TOAST included; -1: unknown
  int64_t estimated_memory_bytes = -1;  // of all rows as Arrow columns; -1: unknown
  std::string comment;
  Options options;           // the job's settings with this dataset's overrides laid on top
  std::string source_state;  // JSON that only the source reads: oids, leaves, select lists
  std::string contract;      // YAML of the table's contract (plan/contract.h), "" when it has none
  // Whether rows are put aside without a contract too: those that the source cannot read
  // (UnitReader::TakeRefused) and those that `cast` refuses.
  bool refuses_rows = false;
  std::vector<std::string> warnings;  // what is not carried, said in plan and report

  // Whether rows may be put aside on their way (`reject`), so that the table has a last word.
  bool judges_rows() const { return !contract.empty() || refuses_rows; }
  std::string ToJson() const;
  static Result<Dataset> FromJson(std::string_view json);
};

// One consistent view of the source. Datasets of one epoch are all read in it.
struct Snapshot {
  std::string id;           // what the source calls it; "" when it has none
  bool consistent = false;  // false: each unit sees its own moment (consistency: none)
  int64_t epoch = 0;        // counted by the job, from 1; the runner sets it
  std::string taken_at;     // UTC, RFC 3339
  std::string description;  // for metadata: "pg_export_snapshot 00000003-0000001B-1, WAL 0/15D6A88"
  std::string source_state;  // JSON that only the source reads; never a secret

  std::string ToJson() const;
  static Result<Snapshot> FromJson(std::string_view json);
};

// A half-open range [begin, end) on an axis. "" as begin: from the start; "" as end: to the end.
// Bounds are opaque tokens: ranges tile an axis when they form one chain from "" to "" in which
// each end equals the next begin. An axis is whatever the source splits apart by itself: a
// partition leaf, the NULL keys, a file.
struct UnitRange {
  std::string axis;
  std::string begin;
  std::string end;
  bool operator==(const UnitRange&) const = default;
};

struct WorkUnit {
  std::string id;  // stable for the same plan: "<dataset ordinal>.<unit ordinal>"
  DatasetId dataset;
  int64_t ordinal = 0;  // place within the dataset, from 0; part numbers follow it
  UnitRange range;
  std::string source_state;  // JSON that only the source reads
  int64_t estimated_rows = -1;
  int64_t estimated_bytes = -1;
  int64_t row_bytes = 0;  // of one row, where the source knows that rows may be larger than a batch

  std::string ToJson() const;
  static Result<WorkUnit> FromJson(std::string_view json);
};

struct StagedPart {
  std::string path;  // as the sink names it: relative to its staging folder
  int64_t rows = 0;
  int64_t bytes = 0;             // as stored
  uint64_t xxh3 = 0;             // of the stored bytes
  std::string key_min, key_max;  // of the split key as text, "" when there is none
  std::string format_state;      // JSON that only the sink reads
};

// What one attempt of one unit left in staging.
struct StagedResult {
  std::string unit_id;
  AttemptId attempt_id;
  DatasetId dataset;
  int64_t epoch = 0;
  int64_t ordinal = 0;
  std::vector<UnitRange> ranges;  // what it covered; several after an assembly
  std::vector<StagedPart> parts;  // none for a unit without rows
  int64_t rows_read = 0;
  // rows_read = rows_written + rows_filtered + rows_rejected + rows_merged
  int64_t rows_written = 0;
  int64_t rows_filtered = 0;
  int64_t rows_rejected = 0;
  int64_t rows_merged = 0;   // into groups; -1 where the total of no rows is a row
  int64_t source_bytes = 0;  // received
  int64_t stored_bytes = 0;  // sum of the parts
  int64_t elapsed_ms = 0;
  // What options changed, counted: "infinity_clamped" → 3.
  std::map<std::string, int64_t> counters;
  // A job-wide transform's state from FinishUnit(), one per transform that has one.
  std::map<std::string, std::string> transform_states;

  std::string ToJson() const;
  static Result<StagedResult> FromJson(std::string_view json);
};

// Everything that a sink must know before a row is read.
struct DatasetPlan {
  JobId job_id;
  Dataset dataset;
  std::shared_ptr<arrow::Schema> schema;  // after the transforms
  std::string output_name;                // unique in the job, safe as a file name
  std::string instance;                   // of the job: another one may have had the same id
  int64_t epoch = 0;
  int64_t units = 0;
  std::string split_key;  // column whose min and max the parts record, or ""
};

struct CommitRequest {
  JobId job_id;
  // "<job>.<instance>/<dataset>": the same for every try of this commit, and no other.
  std::string idempotency_key;
  DatasetPlan plan;
  std::shared_ptr<arrow::Schema> schema;  // final
  Snapshot snapshot;
  std::vector<StagedResult> staged;  // in order
  int64_t rows = 0;
  int64_t bytes = 0;
  std::string source_description;       // the URI without secrets
  std::string started_at, finished_at;  // UTC of the dataset's first and last unit
};

struct CommitReceipt {
  DatasetId dataset;
  std::string location;  // final path, as a user would open it
  int64_t rows = 0;
  // Of the rows that were staged, those that are not published, and rightly: of a key that came
  // twice, or held back by triggers. The counters tell them apart.
  int64_t rows_left_out = 0;
  int64_t bytes = 0;
  int64_t files = 0;
  bool already_committed = false;           // an earlier try had done it
  std::string archived_to;                  // where the replaced export went, or ""
  std::map<std::string, int64_t> counters;  // what the sink counted: "server_wal_bytes"
  std::vector<std::string> warnings;        // said once, and not kept
  // What a folder's metadata file would say of a file that has none beside it, or "".
  std::string metadata;

  std::string ToJson() const;
  static Result<CommitReceipt> FromJson(std::string_view json);
};

// A schema as JSON (base64 of its IPC form) and back; field metadata is kept.
std::string SchemaToJson(const arrow::Schema& schema);
Result<std::shared_ptr<arrow::Schema>> SchemaFromJson(std::string_view json);

}  // namespace bulkhaul
