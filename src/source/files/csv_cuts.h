// Where a CSV file can be cut: between rows, which only who knows all quotes before can tell.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "source/files/file_reader.h"

namespace bulkhaul::files {

struct CsvCutting {
  int threads = 0;                     // at most; 0: as many as cores
  int64_t piece_bytes_min = 16 << 20;  // of the file, for a thread
};

// The first row that begins at or after each offset, which ascend; fewer where rows are longer than
// what lies between. The whole file up to there is looked at, so that quotes are known for certain:
// by several threads, each with a piece of the file that begins behind a line's end. Whether a row
// begins there too is known when the pieces before it are done; a piece of which it is not true is
// looked at again. Holds 1 MiB a thread.
Result<std::vector<TextCut>> FindCsvCuts(const std::string& layout, const DataFile& file,
                                         const std::vector<int64_t>& offsets,
                                         const std::stop_token& stop,
                                         const CsvCutting& cutting = {});

}  // namespace bulkhaul::files
