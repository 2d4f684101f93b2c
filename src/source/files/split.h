// Cutting the files of a dataset into units.
#pragma once

#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "source/files/file_reader.h"
#include "source/source.h"

namespace bulkhaul::files {

// The size of a unit as stored: `wished`, or where that is 0 what is 64 MiB as stored or 48 MiB in
// memory, whichever is less. Larger where the table would make more than `units_max` units. Pure.
int64_t UnitBytesOf(const Dataset& dataset, int64_t wished, int64_t units_max);

// One unit a group of files, several for a large file that can be cut.
Result<std::vector<WorkUnit>> SplitFiles(const Dataset& dataset, const TableState& state,
                                         const SplitHint& hint, const std::stop_token& stop);

// The parts that a unit reads. `fingerprint`: of its file now, when it has one file; where that is
// not what it was when the unit was planned, the cuts of text are looked for again.
Result<std::vector<FilePart>> PartsOf(const TableState& state, const WorkUnit& unit,
                                      const std::string& fingerprint, const std::stop_token& stop);

// The files that a unit is about, whole or in part.
Result<std::span<const DataFile>> FilesOf(const TableState& state, const WorkUnit& unit);

}  // namespace bulkhaul::files
