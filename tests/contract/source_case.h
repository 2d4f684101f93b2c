// What the contract suite needs to know about a source to try it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "plan/job_spec.h"
#include "source/source.h"

namespace bulkhaul {

struct SourceCase {
  std::string name;
  // Makes the data in the folder, which is new and empty, and a job that reads it.
  std::function<JobSpec(const std::string& folder)> prepare;
  std::function<Result<std::unique_ptr<Source>>(const JobSpec& job)> make;
  std::string table;                   // several thousand rows, splittable, with NULLs
  int64_t rows = 0;                    // of it
  std::string column;                  // one of its columns
  std::string empty_table;             // no rows; "" when the source cannot have one
  std::vector<std::string> odd_names;  // tables, each with 3 rows; may be none
};

std::vector<SourceCase> SourceCases();

}  // namespace bulkhaul
