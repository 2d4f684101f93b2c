// What a job is asked to do, wherever it was written: job file, flags or environment.
#pragma once

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

// Overrides for the tables that a glob names ("public.line*"; without a dot: any schema).
struct TableSpec {
  std::string pattern;
  Options options;
};

struct JobSpec {
  std::string source_uri;         // may hold a password: never stored, shown through Redact()
  std::string destination_uri;    // a path or URI
  std::vector<TableSpec> tables;  // in order; later ones win
  std::vector<QuerySpec> queries;
  Options options;

  // `redacted`: what ledgers and metadata keep. The password is left out and asked for again
  // (environment, .pgpass, job file) on resume.
  std::string ToJson(bool redacted) const;
  static Result<JobSpec> FromJson(std::string_view json);
};

// Which datasets a job is about. `all`: everything that is not excluded.
struct Selector {
  std::vector<TableSpec> tables;
  std::vector<std::string> schemas;  // globs
  std::vector<std::string> exclude;  // globs of "schema.name" or "name"
  bool all = false;
  std::vector<QuerySpec> queries;
  Options options;  // job-wide

  static Selector FromJob(const JobSpec& job);
  // Whether the table is selected. Pure.
  bool Selects(const DatasetId& id) const;
  // Whether a selected table was named without a glob, so that its absence is an error.
  std::vector<std::string> ExactNames() const;
  // The job's options with the overrides of each matching TableSpec laid on top.
  Options OptionsFor(const DatasetId& id) const;
};

}  // namespace bulkhaul
