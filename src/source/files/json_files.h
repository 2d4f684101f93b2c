// JSON lines: an object a line.
#pragma once

#include <stop_token>
#include <vector>

#include "source/files/csv_files.h"
#include "source/files/file_reader.h"

namespace bulkhaul::files {

Result<TextFacts> DescribeJson(const std::vector<const DataFile*>& sample, const Options& options,
                               const GivenTypes& given);
// The first row that begins at or after each offset, which ascend. Rows end with lines.
Result<std::vector<TextCut>> FindJsonCuts(const std::string& layout, const DataFile& file,
                                          const std::vector<int64_t>& offsets,
                                          const std::stop_token& stop);
Result<std::unique_ptr<PartReader>> OpenJson(std::shared_ptr<const ReadPlan> plan,
                                             const FilePart& part, UnitContext& context);

}  // namespace bulkhaul::files
