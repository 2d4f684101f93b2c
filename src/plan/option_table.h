// Every setting there is, once: the job-file validator, the published JSON Schema, the flags, the
// environment variables and docs/job-file.md are all made from this table.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "plan/options.h"

namespace bulkhaul {

enum class OptionType { kBool, kInt, kDouble, kBytes, kDurationMs, kString, kEnum, kList, kPairs };

// Where a key may stand in a job file.
enum OptionScope : unsigned {
  kJobScope = 1,    // the job as a whole
  kTableScope = 2,  // also under tables: and queries:
};

struct OptionSpec {
  const char* name;  // "unit_bytes": flag --unit-bytes, environment BULKHAUL_UNIT_BYTES
  OptionType type;
  const char* default_text;  // as a user would write it; "" for unset text, list, pairs
  unsigned scope;
  const char* group;         // heading in docs and --help
  const char* help;          // one sentence or two, with the unit
  const char* choices = "";  // kEnum: "a|b|c"; kInt: a word for 0
  int64_t minimum = 0;       // kInt, kBytes, kDurationMs
  int64_t maximum = INT64_MAX;
};

std::span<const OptionSpec> OptionTable();
// What the options of a group are about, where not every source and sink looks at them
// (SourceTraits::options, SinkTraits::options); nullptr: they are everyone's.
const char* SubjectOf(std::string_view group);
// nullptr when there is none.
const OptionSpec* FindOption(std::string_view name);
// Whether the option is set, and to something else than what holds by default.
bool IsChanged(const Options& options, std::string_view name);

}  // namespace bulkhaul
