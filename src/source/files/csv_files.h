// CSV files: what a sample tells, and how they are read.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "source/files/file_reader.h"
#include "source/files/given_types.h"

namespace bulkhaul::files {

// What a sample of text files tells.
struct TextFacts {
  std::shared_ptr<arrow::Schema> schema;
  std::string layout;                                 // for TableState
  double row_bytes = 0;                               // of text, on average; 0: not known
  std::map<std::string, double> column_memory_bytes;  // of a row as Arrow, on average
  // Of columns whose types were found from values: what drift is to know of it (kFoundKey).
  std::map<std::string, std::string> found;
};

Result<TextFacts> DescribeCsv(const std::vector<const DataFile*>& sample, const Options& options,
                              const GivenTypes& given);
Result<std::unique_ptr<PartReader>> OpenCsv(std::shared_ptr<const ReadPlan> plan,
                                            const FilePart& part, UnitContext& context);

}  // namespace bulkhaul::files
