// What every source shares when it cuts a dataset into units, and the committer when it checks
// them.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/error.h"
#include "plan/values.h"

namespace bulkhaul {

inline constexpr int64_t kUnitBytesDefault = int64_t{64} << 20;

// The size of a unit of a table of `table_bytes`: `unit_bytes` as asked for (0: 64 MiB), larger
// when the table would make more than `units_max` units. A size that was asked for grows too. Pure.
int64_t UnitBytesFor(int64_t table_bytes, int64_t unit_bytes, int64_t units_max);

// The size to ask for where units leave no trace in the result: small enough that no worker is left
// alone with the last one for long, large enough that their begin and end cost nothing. Pure.
int64_t BalancedUnitBytes(int64_t table_bytes);

// Units that a table of `total` bytes (or rows) makes, at least 1. Pure.
int64_t UnitCountFor(int64_t total, int64_t unit_size);

// "<dataset ordinal>.<unit ordinal>"
std::string UnitIdFor(int64_t dataset_ordinal, int64_t unit_ordinal);

// OK when `covered` covers the same part of every axis as `planned`, without a gap or an overlap;
// the cuts may differ, because units may split while they run. kBug otherwise. Pure.
Status CheckCovered(std::span<const UnitRange> planned, std::span<const UnitRange> covered);

}  // namespace bulkhaul
