#include "plan/parallelism.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include <fmt/format.h>

namespace bulkhaul {
namespace {

int Choose(const Options& options, const char* name, int fallback) {
  const int64_t wanted = options.GetInt(name);
  return wanted > 0 ? static_cast<int>(wanted) : fallback;
}

// cgroup v2 "max 100000" or "150000 100000": quota and period in microseconds.
// Source: Linux, Documentation/admin-guide/cgroup-v2.rst, cpu.max.
int CgroupCores() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  int64_t period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return 0;
  const int64_t value = std::strtoll(quota.c_str(), nullptr, 10);
  return value > 0 ? static_cast<int>(std::max<int64_t>(1, (value + period - 1) / period)) : 0;
}

}  // namespace

int AvailableCores() {
  int cores = static_cast<int>(std::thread::hardware_concurrency());
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) cores = CPU_COUNT(&set);
  if (const int quota = CgroupCores(); quota > 0) cores = std::min(cores, quota);
  return std::max(1, cores);
}

Result<Parallelism> PlanParallelism(const Options& options, const ParallelismLimits& limits) {
  const int cores = std::max(1, limits.cores);
  Parallelism result;
  result.workers = Choose(options, "workers",
                          limits.workers_default > 0 ? limits.workers_default : std::max(2, cores));
  if (options.GetInt("workers") == 0 && limits.workers_max > limits.workers_default) {
    result.workers_start = result.workers;
    result.workers = limits.workers_max;
  }
  const auto cap = [&](int64_t connections, const char* whose) -> Status {
    if (connections == 0) {
      return UserError(fmt::format("the {} has no free connection for a worker; end other sessions "
                                   "or raise its connection limit",
                                   whose),
                       "no_free_connection");
    }
    if (connections > 0 && connections < result.workers) {
      result.notes.push_back(fmt::format(
          "workers lowered from {} to {}: the {} has {} free "
          "connection{}",
          result.workers, connections, whose, connections, connections == 1 ? "" : "s"));
      result.workers = static_cast<int>(connections);
    }
    return Status::OK();
  };
  ARROW_RETURN_NOT_OK(cap(limits.source_connections_max, "source"));
  ARROW_RETURN_NOT_OK(cap(limits.sink_connections_max, "destination"));
  const int tables = Choose(options, "parallel_tables", std::min(12, cores));
  const int per_table =
      Choose(options, "workers_per_table",
             limits.workers_default > 0 ? result.workers : std::min(8, std::max(2, cores / 2)));
  result.parallel_tables = std::min(tables, result.workers);
  result.workers_per_table = std::min(per_table, result.workers);
  result.units_in_flight =
      std::max(static_cast<int>(options.GetInt("units_in_flight")), result.workers);
  return result;
}

int WorkersForTable(const Options& table_options, const Parallelism& parallelism) {
  return std::min(Choose(table_options, "workers_per_table", parallelism.workers_per_table),
                  parallelism.workers);
}

}  // namespace bulkhaul
