// What a job is asked to do, wherever it was written: job file, flags or environment.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "plan/options.h"
#include "plan/values.h"

namespace bulkhaul {

// A query as a dataset of its own.
struct QuerySpec {
  std::string name;  // of the dataset; "query" when the user gave none
  std::string sql;
  Options options;
};

// Selects the tables that a pattern names, and overrides settings for them.
//
// Patterns, here and in `exclude`: "name" (any schema) or "schema.name"; each side may hold '*',
// '?',
// '[a-z]'; a side in double quotes is taken literally ("" for a quote): sales."odd.[name]".
struct TableSpec {
  std::string pattern;
  Options options;
  bool selects = true;  // false: only overrides settings, because the selection was made elsewhere
};

struct JobSpec {
  std::string source_uri;       // may hold a password: never stored, shown through Redact()
  std::string destination_uri;  // a path or URI
  // The URIs as written, before ${NAME} and file: references were replaced; "" when there were
  // none.
  std::string source_reference;
  std::string destination_reference;
  std::vector<TableSpec> tables;     // in order; later ones win
  std::vector<std::string> schemas;  // globs: every table in them
  std::vector<std::string> exclude;  // patterns
  bool all = false;                  // every table; `tables` then only override settings
  std::vector<QuerySpec> queries;
  Options options;

  // `redacted`: what ledgers and metadata keep. The password is left out and asked for again
  // (environment, .pgpass, the reference it came from) on resume.
  std::string ToJson(bool redacted) const;
  static Result<JobSpec> FromJson(std::string_view json);
};

// The URI or connection string without its secrets: not "***" in their place but nothing, so that a
// client library looks where it would without one. Pure.
std::string WithoutSecrets(std::string_view uri);

// Which datasets a job is about: tables and schemas add up, exclude takes away. When neither
// tables, schemas nor queries are named: everything.
struct Selector {
  std::vector<TableSpec> tables;
  std::vector<std::string> schemas;  // globs
  std::vector<std::string> exclude;  // patterns
  bool all = false;
  std::vector<QuerySpec> queries;
  Options options;  // job-wide

  static Selector FromJob(const JobSpec& job);
  // Whether the table is selected. Pure.
  bool Selects(const DatasetId& id) const;
  // The patterns of selected tables without a glob, as written: their absence is an error.
  std::vector<std::string> ExactNames() const;
  // kUser when a name of ExactNames() is in none of `available` (every table that the source can
  // see, selected or not); the message gives the nearest name.
  Status CheckNamed(std::span<const DatasetId> available) const;
  // The job's options with the overrides of each matching TableSpec laid on top. For a query:
  // options.With(query.options).
  Options OptionsFor(const DatasetId& id) const;
};

// Whether a pattern ("schema.name" or "name", see TableSpec) names this dataset. Pure.
bool PatternMatches(std::string_view pattern, const DatasetId& id);
// The form of the id that a pattern matches exactly: quoted where it must be.
std::string ExactPattern(const DatasetId& id);

// Whether the destination itself is what appears, in one step, so that whatever else a job needs or
// leaves lies beside it.
bool DestinationAppears(const Options& options);

// libpq's "host=… dbname=…" form, which has no scheme and is no path.
bool IsConnectionString(std::string_view text);

}  // namespace bulkhaul
