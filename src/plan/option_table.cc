#include "plan/option_table.h"

#include <map>
#include <string>
#include <utility>

namespace bulkhaul {
namespace {

using enum OptionType;
constexpr unsigned kBoth = kJobScope | kTableScope;

constexpr OptionSpec kOptions[] = {
    // What to read.
    {"where", kString, "", kBoth, "Selection",
     "SQL condition that rows must meet; sent to the database as it is. Of files: comparisons, "
     "and, "
     "or, not, in, like, is null."},
    {"columns", kList, "", kBoth, "Selection",
     "Columns to take, in this order; all when not given."},
    {"limit", kInt, "0", kBoth, "Selection", "At most this many rows a table; 0: no limit.", "", 0},
    {"include_children", kBool, "true", kBoth, "Selection",
     "Rows of inheritance children are exported with their parent."},
    // How to cut it.
    {"split", kEnum, "auto", kBoth, "Splitting",
     "How a table is cut into units: by page ranges, key ranges, hash, or not at all.",
     "auto|pages|key|hash|none"},
    {"split_by", kString, "", kBoth, "Splitting",
     "Column whose ranges make the units; needed to split views and queries."},
    {"unit_bytes", kBytes, "0", kBoth, "Splitting",
     "Target size of a unit in bytes of source storage; 0: 64 MiB, growing with the table so that "
     "it makes at most 10,000 units.",
     "", 0},
    {"unit_rows", kInt, "0", kBoth, "Splitting",
     "Target size of a unit in rows; wins over unit_bytes; 0: by bytes.", "", 0},
    {"units_max", kInt, "10000", kBoth, "Splitting", "Most units that a table is cut into.", "", 1,
     1'000'000},
    // How much at once.
    {"workers", kInt, "0", kJobScope, "Parallelism",
     "Units that run at the same time, in all; auto or 0: from the cores and the server's free "
     "connections; for a search cluster few at first, more while that pays, fewer when it is "
     "overloaded.",
     "auto", 0, 1024},
    {"parallel_tables", kInt, "0", kJobScope, "Parallelism",
     "Tables that run at the same time; 0: min(12, cores).", "", 0, 1024},
    {"workers_per_table", kInt, "0", kBoth, "Parallelism",
     "Units of one table that run at the same time; 0: min(8, max(2, cores/2)).", "", 0, 1024},
    {"units_in_flight", kInt, "96", kJobScope, "Parallelism",
     "Units handed to workers or waiting for them, at most.", "", 1, 100'000},
    {"memory_limit", kBytes, "0", kJobScope, "Memory",
     "Budget for every buffer; 0: half of what the cgroup or machine has available.", "", 0},
    {"strategy", kEnum, "auto", kJobScope, "Memory",
     "eager: whole units are read ahead of their writers; lazy: a few batches; streaming: none; "
     "auto: by what the rows need and what memory there is.",
     "auto|eager|lazy|streaming"},
    {"os_margin", kDouble, "0.3", kJobScope, "Memory",
     "Share of the available memory that the strategy leaves to others.", "", 0, 1},
    {"batch_bytes", kBytes, "4MiB", kBoth, "Memory",
     "A batch of rows ends near this many bytes of Arrow data; made smaller where memory_limit "
     "asks for it.",
     "", 4096, int64_t{1} << 30},
    {"batch_rows", kInt, "65536", kBoth, "Memory", "A batch of rows has at most this many rows.",
     "", 1, 1 << 24},
    // When something fails.
    {"on_error", kEnum, "stop", kJobScope, "Errors",
     "stop: the first failed table ends the job; continue: the others are finished and published.",
     "stop|continue"},
    {"retries", kInt, "3", kJobScope, "Errors", "Tries after the first, for transient errors only.",
     "", 0, 1000},
    {"retry_delay", kDurationMs, "1s", kJobScope, "Errors",
     "First delay of the exponential backoff with full jitter.", "", 0},
    {"retry_delay_max", kDurationMs, "60s", kJobScope, "Errors", "Longest delay between tries.", "",
     0},
    {"connect_timeout", kDurationMs, "30s", kJobScope, "Errors", "Time to connect and log in.", "",
     1},
    {"unit_timeout", kDurationMs, "1h", kBoth, "Errors", "Time for one unit; 0: none.", "", 0},
    {"job_timeout", kDurationMs, "0", kJobScope, "Errors", "Time for the whole job; 0: none.", "",
     0},
    // Consistency.
    {"consistency", kEnum, "snapshot", kJobScope, "Consistency",
     "snapshot: all workers read one view; none: each unit its own moment, for append-only tables.",
     "snapshot|none"},
    {"strict", kBool, "false", kJobScope, "Consistency",
     "Refuse to finish a job whose tables come from more than one snapshot."},
    {"keep_snapshot", kDurationMs, "0", kJobScope, "Consistency",
     "Leave a holder process that keeps the snapshot for this long after a failure, so that resume "
     "reads nothing again; 0: none.",
     "", 0},
    // Values.
    {"numeric", kString, "string", kBoth, "Values",
     "Type for numeric without precision: string, double, or decimal(p,s)."},
    {"wide_numeric", kEnum, "string", kBoth, "Values", "Type for numeric(p,s) with p above 38.",
     "string|decimal256"},
    {"infinity", kEnum, "error", kBoth, "Values",
     "Infinite dates and timestamps, and those out of Arrow's range.", "error|null|clamp"},
    {"numeric_nan", kEnum, "error", kBoth, "Values",
     "NaN and infinity in a numeric column that becomes a decimal.", "error|null"},
    {"type_mismatch", kEnum, "error", kBoth, "Values",
     "SQLite values that break their column's declared type; documents' values that do not fit "
     "their field's; CSV values that do not fit their column's (string: SQLite only).",
     "error|string|null"},
    {"invalid_utf8", kEnum, "error", kBoth, "Values", "Text that is not valid UTF-8.",
     "error|replace|null"},
    // PostgreSQL session.
    {"session_settings", kPairs, "", kJobScope, "PostgreSQL",
     "Settings for every session: work_mem: 64MB."},
    {"statement_timeout", kDurationMs, "0", kJobScope, "PostgreSQL",
     "statement_timeout of the workers' sessions; 0: none.", "", 0},
    {"lock_timeout", kDurationMs, "30s", kJobScope, "PostgreSQL",
     "Longest wait for the ACCESS SHARE locks.", "", 0},
    {"gentle", kBool, "false", kJobScope, "PostgreSQL",
     "Read whole tables by sequential scans, which spare the server's shared buffers; one unit a "
     "table."},
    // Search indices.
    {"query", kString, "", kBoth, "OpenSearch",
     "Query DSL that documents must meet: one clause as JSON text, in a job file also as a map."},
    {"q", kString, "", kBoth, "OpenSearch",
     "Lucene query text that documents must meet: level:ERROR AND status:[500 TO 599]."},
    {"time", kString, "@timestamp", kBoth, "OpenSearch",
     "Date field that gte, gt, lte, lt, time_ranges and slice are about."},
    {"gte", kString, "", kBoth, "OpenSearch",
     "From this time on: a date, a date-time, milliseconds since 1970 or date math (now-7d/d)."},
    {"gt", kString, "", kBoth, "OpenSearch",
     "Later than this time; a date without a time of day means its end, as on the server."},
    {"lte", kString, "", kBoth, "OpenSearch",
     "Up to this time, which is included; a date without a time of day means its end."},
    {"lt", kString, "", kBoth, "OpenSearch", "Before this time."},
    {"time_ranges", kList, "", kBoth, "OpenSearch",
     "Further ranges: 2024-03-01..2024-04-01, the end not included. Overlaps are joined."},
    {"time_zone", kString, "UTC", kBoth, "OpenSearch",
     "Time zone of times without an offset and of date math: Europe/Berlin, +02:00."},
    {"time_missing", kEnum, "exclude", kBoth, "OpenSearch",
     "Documents without the time field when a range is given; they are counted in any case.",
     "exclude|include|error"},
    {"time_several", kEnum, "any", kBoth, "OpenSearch",
     "Documents with several values in the time field when a range is given: any of them in the "
     "range does, the earliest decides, the latest decides, or they are refused. They are counted "
     "in any case.",
     "any|earliest|latest|error"},
    {"slice", kString, "auto", kBoth, "OpenSearch",
     "How an index is cut along its time: auto (by a histogram, where a unit would be too large or "
     "workers would have none), none, hour, day, or a duration (15m)."},
    {"closed_indices", kEnum, "error", kBoth, "OpenSearch",
     "What becomes of closed indices that a name matches.", "error|skip"},
    {"fields", kList, "", kBoth, "OpenSearch",
     "Fields to take: names, objects with all that is in them, wildcards (http.*)."},
    {"exclude_fields", kList, "", kBoth, "OpenSearch", "Fields to leave out: names or wildcards."},
    {"fetch", kEnum, "source", kBoth, "OpenSearch",
     "Where values come from. source: from the documents. doc_values: from the index's columns, "
     "which is faster for a few fields; fields whose values may differ there are refused, but "
     "fractions in integer fields are cut, and dates to their type's digits. auto: doc_values "
     "where "
     "that may be, for up to 8 fields.",
     "source|doc_values|auto"},
    {"metadata_columns", kList, "", kBoth, "OpenSearch",
     "Columns beside the fields: _id, _index, _routing, _seq_no."},
    {"objects", kEnum, "flatten", kBoth, "OpenSearch",
     "flatten: an object's fields become columns a.b; struct: one column a.", "flatten|struct"},
    {"arrays", kEnum, "auto", kBoth, "OpenSearch",
     "auto: lists where a sample of documents has several values, and an error where another one "
     "has; list: every column is a list; first: the first value, others counted; json: JSON text "
     "where the sample has several.",
     "auto|list|first|json"},
    {"nested", kEnum, "list", kBoth, "OpenSearch",
     "Nested fields become list: a list of structs, or json: JSON text.", "list|json"},
    {"extra", kBool, "false", kBoth, "OpenSearch",
     "A column _extra with the fields that no mapping has, as JSON."},
    {"floats", kEnum, "double", kBoth, "OpenSearch",
     "float and half_float become double, or (mapped) float32.", "double|mapped"},
    {"dates", kEnum, "timestamp", kBoth, "OpenSearch",
     "Dates become timestamps in UTC, or text as it stands in the document.", "timestamp|text"},
    {"date_unit", kEnum, "us", kBoth, "OpenSearch",
     "Unit of date columns; those of date_nanos always have nanoseconds.", "ms|us|ns"},
    {"date_digits", kEnum, "error", kBoth, "OpenSearch",
     "Digits of a second that the unit cannot hold.", "error|truncate"},
    {"type_conflict", kEnum, "error", kBoth, "OpenSearch",
     "Fields whose types in several indices have no common one: json makes JSON text of them.",
     "error|json"},
    {"page_documents", kInt, "5000", kJobScope, "OpenSearch", "Documents in one page of a scroll.",
     "", 1, 10'000},
    {"page_bytes", kBytes, "1536KiB", kJobScope, "OpenSearch",
     "Pages have fewer documents where these would exceed about this many bytes.", "", 1 << 16},
    {"scroll_keep_alive", kDurationMs, "5m", kJobScope, "OpenSearch",
     "How long the server keeps a scroll that nobody asks for its next page.", "", 1000,
     86'400'000},
    {"request_timeout", kDurationMs, "5m", kJobScope, "OpenSearch", "Time for one answer.", "", 1},
    {"documents_per_second", kInt, "0", kJobScope, "OpenSearch",
     "Documents read in a second, by all workers together, at most; 0: no limit.", "", 0},
    {"bytes_per_second", kBytes, "0", kJobScope, "OpenSearch",
     "Bytes received in a second, by all workers together, at most; 0: no limit.", "", 0},
    // Files as a source.
    {"source_format", kEnum, "auto", kBoth, "Files",
     "What the files hold; auto: by their extension.", "auto|csv|parquet|arrow|json"},
    {"hive_partitions", kBool, "true", kBoth, "Files", "Folders named key=value become columns."},
    {"missing_columns", kEnum, "error", kBoth, "Files",
     "Columns that some files of a table lack; null fills them.", "error|null"},
    {"sample_rows", kInt, "1000", kBoth, "Files",
     "Rows of a CSV or JSON file from which types are inferred; 0: all. Every row is checked.", "",
     0},
    {"sample_files", kInt, "10", kBoth, "Files",
     "Files of a table of which a sample is taken, spread over all; 0: all.", "", 0},
    {"source_delimiter", kString, "auto", kBoth, "Files",
     "CSV: one character, tab, or auto: , ; tab or | as the sample shows."},
    {"source_quote", kString, "auto", kBoth, "Files",
     "CSV: one character, none, or auto: \" or ' as the sample shows."},
    {"source_escape", kString, "auto", kBoth, "Files",
     "CSV: a character that takes the next one's meaning, none (quotes are doubled), or auto."},
    {"source_header", kEnum, "auto", kBoth, "Files",
     "CSV: whether the first line has the column names.", "auto|true|false"},
    {"source_encoding", kString, "auto", kBoth, "Files",
     "CSV, JSON: utf-8, utf-16, latin1, windows-1252 …; auto: by the byte order mark, else utf-8."},
    {"source_null", kList, "", kBoth, "Files",
     "CSV: texts of NULL beside the empty one without quotes, also where they could be values; "
     "columns of numbers, dates and booleans know NULL, NA, N/A and \\N where the sample has "
     "them."},
    {"ragged", kEnum, "error", kBoth, "Files",
     "CSV: rows with too few or too many fields; pad: NULL for missing fields, an error for more; "
     "skip: left out and counted.",
     "error|pad|skip"},
    {"row_bytes_max", kBytes, "16MiB", kBoth, "Files",
     "CSV, JSON: longest row; a longer one is an error that names its line.", "", 1024,
     int64_t{1} << 30},
    {"trim", kBool, "false", kBoth, "Files",
     "CSV: spaces and tabs around values and quotes are taken off."},
    {"date_format", kString, "auto", kBoth, "Files",
     "CSV: pattern of dates and times that are not ISO 8601: dd/MM/yyyy; auto: as the sample "
     "shows, and an error where it leaves open which is the day."},
    {"date_formats", kPairs, "", kBoth, "Files", "CSV: the same for single columns."},
    {"decimal_precision", kString, "", kBoth, "Files",
     "CSV: numbers with a fraction become decimal(p,s): 18,4; without: double, and an error for "
     "digits that a double cannot hold."},
    // Kept results.
    {"cache", kBool, "false", kJobScope, "Cache",
     "Keep the rows of finished units on this machine, and take them from there when the same are "
     "asked for again and the source shows that they did not change."},
    {"cache_dir", kString, "", kJobScope, "Cache",
     "Folder of the kept rows; $XDG_CACHE_HOME/bulkhaul or ~/.cache/bulkhaul when not given."},
    {"cache_max_bytes", kBytes, "20GiB", kJobScope, "Cache",
     "Size of all that is kept; what was not used for longest goes first.", "", 1},
    {"cache_ttl", kDurationMs, "30d", kJobScope, "Cache",
     "Rows kept for longer are read again; 0: no limit.", "", 0},
    {"cache_settle", kDurationMs, "10m", kJobScope, "Cache",
     "Units whose time ended less than this ago may still receive rows: they are neither kept nor "
     "taken from the cache.",
     "", 0},
    // Transforms.
    {"drop", kList, "", kBoth, "Transforms", "Columns to leave out."},
    {"rename", kPairs, "", kBoth, "Transforms", "New column names: old: new."},
    {"column_naming", kEnum, "keep", kBoth, "Transforms",
     "Style of the names that rename does not give; two columns of one name are an error.",
     "keep|lower|upper|capitalize|snake"},
    {"cast", kPairs, "", kBoth, "Transforms",
     "New column types: column: int32. A value that does not fit is an error."},
    {"group_by", kList, "", kBoth, "Transforms",
     "Columns whose values make the groups; times by minute, hour, day, week, month, quarter or "
     "year (UTC): region, month(created_at); in a job file also {month: created_at}. Without it, "
     "aggregates are of all rows."},
    {"aggregates", kList, "", kBoth, "Transforms",
     "What is told of each group: count, count(column), sum, min, max, mean; sum(total) as "
     "revenue gives a name."},
    {"shrink", kBool, "false", kBoth, "Transforms",
     "Narrowest types that hold every value, decided once a table."},
    {"shrink_float_tolerance", kDouble, "0", kBoth, "Transforms",
     "Largest relative error that shrink may make in a floating-point value; 0: exact."},
    // Contract.
    {"contract", kString, "", kBoth, "Contract",
     "YAML file that says what columns and values must be (docs/contracts.md)."},
    {"reject", kEnum, "fail", kBoth, "Contract",
     "Rows that break a rule of the contract, and rows of files that cannot be read or whose "
     "values "
     "a cast refuses, also without one: fail, or quarantine: put aside in a Parquet file.",
     "fail|quarantine"},
    {"max_rejects", kInt, "1000", kBoth, "Contract",
     "Most rows of a table that reject: quarantine puts aside; one more fails the table.", "", 0,
     100'000},
    {"quarantine", kString, "", kBoth, "Contract",
     "Folder for rows that were put aside; _quarantine in the destination's folder, or beside it. "
     "Needed when the destination is no folder."},
    {"sample", kDouble, "1", kBoth, "Contract",
     "Fraction of the rows that the contract's rules look at, for development; the report says "
     "so."},
    {"drift", kPairs, "", kBoth, "Contract",
     "What a changed schema does: added, removed, retyped, reordered, or all: fail (default with a "
     "contract), warn (default without) or evolve."},
    {"on_drift", kList, "", kJobScope, "Contract",
     "Program, with its arguments, that is run when a schema has changed; no shell is involved."},
    // Output.
    {"output_name", kString, "", kTableScope, "Output", "Name of the table's folder or file."},
    {"job_history", kBool, "true", kJobScope, "Output", "Write a job record under .archive/jobs/."},
    {"validate", kBool, "false", kJobScope, "Output",
     "Read every part again before publishing and compare rows and checksums."},
    {"commit", kEnum, "table", kJobScope, "Output",
     "table: each table appears when it is done; job: all appear at the end; unit: rows appear as "
     "they come (PostgreSQL, if_exists: append).",
     "table|job|unit"},
    {"after", kList, "", kTableScope, "Output",
     "Tables of the job that are published before this one, by name or glob; where the database "
     "has foreign keys it is known without."},
    {"merge_small_parts", kBytes, "0", kBoth, "Output",
     "Join neighbouring parts until each has about this many bytes; 0: one part a unit.", "", 0},
    {"single_file", kBool, "false", kBoth, "Output", "One file a table, made with bounded memory."},
    {"keep_workspace", kBool, "false", kJobScope, "Output",
     "Keep ledger and staging folder after success."},
    // Into folders of files.
    {"layout", kEnum, "organized", kJobScope, "Folders",
     "organized: <schema>_<table>/; by-schema: <schema>/<table>/; direct: the destination is the "
     "one table's folder; file: it is the one table's file, as its name (./orders.csv) says "
     "without "
     "this.",
     "organized|by-schema|direct|file"},
    {"conflict", kEnum, "version", kJobScope, "Folders",
     "When the table's folder exists: version (_v2), timestamp, fail, or overwrite by an atomic "
     "swap.",
     "version|timestamp|fail|overwrite"},
    {"archive", kBool, "false", kJobScope, "Folders",
     "Move the export that is replaced under .archive/ instead of deleting it."},
    {"max_file_size", kBytes, "0", kBoth, "Folders", "A part is split near this size; 0: never.",
     "", 0},
    // Into PostgreSQL.
    {"if_exists", kEnum, "fail", kBoth, "Load",
     "When the target table exists: fail, append, replace (loaded beside and swapped), truncate, "
     "or upsert on its key. When the one file exists that is the destination: fail, or replace.",
     "fail|append|replace|truncate|upsert"},
    {"target_schema", kString, "", kBoth, "Load",
     "Schema of the target table; the source's, else the first of search_path. May hold {schema}."},
    {"target_table", kString, "", kBoth, "Load",
     "Name of the target table, or schema.name; the source's. May hold {schema} and {table}."},
    {"key", kList, "", kBoth, "Load",
     "Columns that say which row is which, for upsert; the primary key when not given."},
    {"duplicates", kEnum, "fail", kBoth, "Load",
     "Rows of the input with the same key, for upsert: fail, or take the first or the last.",
     "fail|first|last"},
    {"unlogged", kBool, "false", kBoth, "Load",
     "Load beside into an UNLOGGED table: less WAL; a crash of the server loses what was loaded."},
    {"skip_wal", kBool, "false", kBoth, "Load",
     "Load each table by one connection in one transaction, for which a server with wal_level = "
     "minimal writes no WAL; what breaks is loaded from the beginning."},
    {"partition", kString, "", kBoth, "Load",
     "With if_exists: append, name of a new partition of the target table that the rows become: "
     "nothing is written twice."},
    {"partition_for", kString, "", kBoth, "Load",
     "What that partition is for, as behind FOR VALUES: FROM ('2024-03-01') TO ('2024-04-01'), IN "
     "('eu'), or DEFAULT."},
    {"analyze", kBool, "true", kBoth, "Load", "ANALYZE the target table when it is loaded."},
    {"nul_bytes", kEnum, "error", kBoth, "Load",
     "NUL bytes in text, which PostgreSQL cannot hold: error, or strip them.", "error|strip"},
    // Formats.
    {"format", kEnum, "auto", kJobScope, "Format",
     "File format; auto: by the destination's extension, else parquet.",
     "auto|parquet|csv|arrow|memory"},
    {"compression", kString, "", kBoth, "Format",
     "Codec and level. Parquet: zstd:3 (default), snappy, gzip, lz4, none. CSV: none (default), "
     "gzip, zstd. Arrow: none, lz4, zstd."},
    {"row_group_bytes", kBytes, "20MiB", kBoth, "Parquet",
     "Parquet: a row group ends near this many bytes of Arrow data.", "", 1 << 16},
    {"row_group_rows", kInt, "1048576", kBoth, "Parquet", "Parquet: most rows in a row group.", "",
     1},
    {"dictionary", kEnum, "auto", kBoth, "Parquet",
     "Parquet dictionary encoding; auto: where the first pages show that it pays.", "auto|on|off"},
    {"statistics", kBool, "true", kBoth, "Parquet", "Parquet: column statistics."},
    {"page_index", kBool, "true", kBoth, "Parquet", "Parquet: page index."},
    {"bloom_filter", kList, "", kBoth, "Parquet", "Parquet: columns that get a bloom filter."},
    {"sort_column", kString, "", kBoth, "Parquet",
     "Parquet: column by which each row group's rows are sorted."},
    {"csv_delimiter", kString, ",", kJobScope, "CSV", "CSV: one character, or 'tab'."},
    {"csv_quote", kEnum, "needed", kJobScope, "CSV", "CSV: which fields are quoted.",
     "needed|all|strings"},
    {"csv_header", kBool, "true", kJobScope, "CSV", "CSV: a line with the column names."},
    {"csv_null", kString, "", kJobScope, "CSV",
     "CSV: text of NULL; empty text is quoted, so that it is not NULL."},
    // What is said.
    {"job_id", kString, "", kJobScope, "Job", "Name of the job; generated when not given."},
    {"progress", kEnum, "auto", kJobScope, "Job",
     "auto: a live view on a terminal, else lines; json: one event a line on stderr.",
     "auto|live|lines|json|none"},
    {"log_level", kEnum, "basic", kJobScope, "Job",
     "basic: summary; detailed: per table; extra: per unit; full: per statement and batch.",
     "basic|detailed|extra|full"},
    {"log_file", kString, "", kJobScope, "Job", "Write the log here too."},
    {"report", kString, "", kJobScope, "Job", "Write the final report as JSON here."},
    {"output", kEnum, "text", kJobScope, "Job", "Form of plan, status and reports on stdout.",
     "text|json"},
};

}  // namespace

std::span<const OptionSpec> OptionTable() { return kOptions; }

const char* SubjectOf(std::string_view group) {
  static constexpr std::pair<std::string_view, const char*> kSubjects[] = {
      {"PostgreSQL", "sessions of PostgreSQL"},
      {"OpenSearch", "search clusters as a source"},
      {"Files", "files as a source"},
      {"Folders", "folders of files; a table in PostgreSQL takes if_exists, one file too"},
      {"Load", "tables in PostgreSQL; a folder of files takes conflict"},
      {"Format", "files"},
      {"Parquet", "Parquet files that are written"},
      {"CSV", "CSV files that are written"},
  };
  for (const auto& [name, subject] : kSubjects) {
    if (name == group) return subject;
  }
  return nullptr;
}

const OptionSpec* FindOption(std::string_view name) {
  static const auto* const index = [] {
    auto* map = new std::map<std::string_view, const OptionSpec*>;
    for (const auto& option : kOptions) map->emplace(option.name, &option);
    return map;
  }();
  const auto found = index->find(name);
  return found == index->end() ? nullptr : found->second;
}

bool IsChanged(const Options& options, std::string_view name) {
  if (!options.Has(name)) return false;
  Options by_default;
  return !by_default.SetFromText(name, FindOption(name)->default_text).ok() ||
         by_default.values().find(name)->second != options.values().find(name)->second;
}

}  // namespace bulkhaul
