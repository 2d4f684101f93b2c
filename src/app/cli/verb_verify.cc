#include <filesystem>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/cli/terminal.h"
#include "app/cli/verbs.h"
#include "app/verify.h"
#include "base/units.h"
#include "plan/parallelism.h"

namespace bulkhaul {
namespace {

using nlohmann::ordered_json;

std::string ToJson(const std::vector<VerifiedExport>& exports, bool whole) {
  auto list = ordered_json::array();
  for (const auto& one : exports) {
    ordered_json entry = {{"folder", one.folder},    {"dataset", one.dataset},
                          {"format", one.format},    {"parts", one.parts},
                          {"rows", one.rows},        {"bytes", one.bytes},
                          {"problems", one.problems}};
    if (!one.file.empty()) entry["file"] = one.file;
    list.push_back(std::move(entry));
  }
  const ordered_json all = {{"whole", whole}, {"exports", std::move(list)}};
  return all.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

std::string ToText(const std::vector<VerifiedExport>& exports) {
  std::vector<std::vector<std::string>> rows;
  int64_t row_count = 0, byte_count = 0, part_count = 0, damaged = 0;
  for (const auto& one : exports) {
    rows.push_back({one.dataset, one.format, FormatCount(one.parts), FormatCount(one.rows),
                    FormatBytes(one.bytes), one.problems.empty() ? "ok" : "DAMAGED", one.folder});
    row_count += one.rows;
    byte_count += one.bytes;
    part_count += one.parts;
    damaged += one.problems.empty() ? 0 : 1;
  }
  std::string text = AlignedTable({{"table"},
                                   {"format"},
                                   {"parts", true},
                                   {"rows", true},
                                   {"size", true},
                                   {"state"},
                                   {"folder"}},
                                  rows);
  for (const auto& one : exports) {
    for (const auto& problem : one.problems) text += fmt::format("{}/{}\n", one.folder, problem);
  }
  text +=
      fmt::format("{} exports, {} parts, {} rows, {}: {}\n", exports.size(),
                  FormatCount(part_count), FormatCount(row_count), FormatBytes(byte_count),
                  damaged == 0 ? "all as their metadata says" : fmt::format("{} damaged", damaged));
  return text;
}

std::string FileText(const VerifiedExport& file) {
  const bool whole = file.problems.empty();
  std::string text =
      AlignedTable({{"table"}, {"format"}, {"rows", true}, {"size", true}, {"state"}, {"file"}},
                   {{file.dataset, file.format, FormatCount(file.rows), FormatBytes(file.bytes),
                     whole ? "ok" : "DAMAGED", file.folder + "/" + file.file}});
  for (const auto& problem : file.problems) text += fmt::format("{}/{}\n", file.folder, problem);
  text +=
      whole ? "the file is as its job has recorded\n" : "the file is not as its job has recorded\n";
  return text;
}

}  // namespace

Result<int> RunVerify(const std::string& folder, OutputForm form) {
  std::error_code error;
  if (std::filesystem::is_regular_file(folder, error)) {
    ARROW_ASSIGN_OR_RAISE(const auto file, VerifyFile(folder));
    const bool as_recorded = file.problems.empty();
    fmt::print("{}", form == OutputForm::kJson ? ToJson({file}, as_recorded) : FileText(file));
    return as_recorded ? kExitDone : kExitFailed;
  }
  ARROW_ASSIGN_OR_RAISE(const auto folders, FindExports(folder));
  if (folders.empty()) {
    return UsageError(fmt::format("there is no published export in '{}'", folder));
  }
  std::vector<VerifiedExport> exports;
  bool whole = true;
  for (const auto& path : folders) {
    auto verified = VerifyExport(path, AvailableCores());
    if (!verified.ok()) {
      VerifiedExport unreadable;
      unreadable.folder = path;
      unreadable.dataset = "?";
      unreadable.format = "?";
      unreadable.problems = {MessageOf(verified.status())};
      verified = std::move(unreadable);
    }
    whole = whole && verified->problems.empty();
    exports.push_back(*std::move(verified));
  }
  fmt::print("{}", form == OutputForm::kJson ? ToJson(exports, whole) : ToText(exports));
  return whole ? kExitDone : kExitFailed;
}

}  // namespace bulkhaul
