// Documents that have no time, or several, where a range is asked for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "plan/options.h"
#include "source/opensearch/table_state.h"

namespace bulkhaul::opensearch {

// Of one index.
struct OddTimes {
  std::string index;
  int64_t without_time = 0;
  // Values beyond the first of each document that has any value in the range.
  int64_t further_times = 0;
  // Documents with a value in the range of which another one counts.
  int64_t left_out = 0;
};

// As the option time_several says.
TimeOf TimeOfOption(const Options& options);

// Adds what becomes of them to `warnings`; kUser where time_missing or time_several refuses them.
// Pure.
Status JudgeOddTimes(const std::vector<OddTimes>& found, const std::string& time_field,
                     const Options& options, std::vector<std::string>* warnings);

// Up to five of the names. Pure.
std::string ShownNames(const std::vector<std::string>& names);

}  // namespace bulkhaul::opensearch
