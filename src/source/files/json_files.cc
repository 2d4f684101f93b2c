#include "source/files/json_files.h"
namespace bulkhaul::files {
Result<TextFacts> DescribeCsv(const std::vector<const DataFile*>&, const Options&) {
  return UserError("x");
}
Result<std::vector<TextCut>> FindCsvCuts(const std::string&, const DataFile&,
                                         const std::vector<int64_t>&, const std::stop_token&) {
  return UserError("x");
}
Result<std::unique_ptr<PartReader>> OpenCsv(std::shared_ptr<const ReadPlan>, const FilePart&,
                                            UnitContext&) {
  return UserError("x");
}
Result<TextFacts> DescribeJson(const std::vector<const DataFile*>&, const Options&) {
  return UserError("x");
}
Result<std::vector<TextCut>> FindJsonCuts(const std::string&, const DataFile&,
                                          const std::vector<int64_t>&, const std::stop_token&) {
  return UserError("x");
}
Result<std::unique_ptr<PartReader>> OpenJson(std::shared_ptr<const ReadPlan>, const FilePart&,
                                             UnitContext&) {
  return UserError("x");
}
}  // namespace bulkhaul::files
