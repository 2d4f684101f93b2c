// How much runs at once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "plan/options.h"

namespace bulkhaul {

struct ParallelismLimits {
  int cores = 1;
  int64_t source_connections_max = -1;  // SourceTraits::connections_max; -1: no limit known
  int64_t sink_connections_max = -1;
  int workers_default = 0;  // SourceTraits::workers_default; 0: from the cores
  int workers_max = 0;      // SourceTraits::workers_max
};

struct Parallelism {
  // Above 0: so many to begin with, and up to `workers` as it pays.
  int workers_start = 0;
  int workers = 1;            // units at the same time, in all; one thread and one connection each
  int parallel_tables = 1;    // tables at the same time
  int workers_per_table = 1;  // units of one table at the same time; a table may override it
  int units_in_flight = 96;   // units handed to workers or waiting for them
  std::vector<std::string> notes;  // what was lowered and why, for people
};

// The cores that this process may use (affinity and cgroup quota), at least 1.
int AvailableCores();

// From the options workers, parallel_tables, workers_per_table, units_in_flight; 0 takes the
// default: max(2, cores) workers, min(12, cores) tables, min(8, max(2, cores/2)) a table; for a
// source with a default of its own, so many workers (or up to its maximum), all of which may be at
// one table. Never more workers than free connections; kUser when there is no free connection at
// all. Pure.
Result<Parallelism> PlanParallelism(const Options& options, const ParallelismLimits& limits);

// Workers of one table: its own override, else the job's, within the workers in all. Pure.
int WorkersForTable(const Options& table_options, const Parallelism& parallelism);

}  // namespace bulkhaul
