#include "source/files/split.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plan/splitting.h"
#include "source/files/csv_cuts.h"
#include "source/files/json_files.h"

namespace bulkhaul::files {
namespace {

using Json = nlohmann::json;

// Of a unit's rows: so that an eager worker stays as small as the other buffers leave room for.
constexpr int64_t kUnitMemoryBytes = 48 << 20;

struct Cut {
  int64_t at = 0;
  int64_t line = 1;
};

int64_t NumberOf(const std::string& bound, int64_t otherwise) {
  int64_t value = otherwise;
  std::from_chars(bound.data(), bound.data() + bound.size(), value);
  return value;
}

bool IsText(const TableState& state) {
  return state.format == FileFormat::kCsv || state.format == FileFormat::kJson;
}

Result<std::vector<TextCut>> FindTextCuts(const TableState& state, const DataFile& file,
                                          const std::vector<int64_t>& offsets,
                                          const std::stop_token& stop) {
  return state.format == FileFormat::kCsv ? FindCsvCuts(state.layout, file, offsets, stop)
                                          : FindJsonCuts(state.layout, file, offsets, stop);
}

// Where a file of its own group is cut, without its begin and end.
Result<std::vector<Cut>> CutsOf(const TableState& state, const DataFile& file, int64_t unit_bytes,
                                int64_t unit_rows, double row_bytes, const std::stop_token& stop) {
  std::vector<Cut> cuts;
  if (file.codec != FileCodec::kNone) return cuts;
  if (IsText(state)) {
    int64_t size = unit_bytes;
    if (unit_rows > 0) size = std::max<int64_t>(1, static_cast<int64_t>(unit_rows * row_bytes));
    const int64_t parts = UnitCountFor(file.bytes, size);
    if (parts < 2) return cuts;
    std::vector<int64_t> offsets;
    for (int64_t i = 1; i < parts; ++i) {
      offsets.push_back(static_cast<int64_t>(static_cast<double>(file.bytes) /
                                             static_cast<double>(parts) * static_cast<double>(i)));
    }
    ARROW_ASSIGN_OR_RAISE(const auto found, FindTextCuts(state, file, offsets, stop));
    for (const auto& cut : found) cuts.push_back({cut.offset, cut.line});
    return cuts;
  }
  ARROW_ASSIGN_OR_RAISE(const auto facts, state.format == FileFormat::kParquet
                                              ? DescribeParquet(file)
                                              : DescribeArrow(file));
  int64_t bytes = 0, rows = 0;
  for (size_t i = 0; i < facts.part_bytes.size(); ++i) {
    const bool full = unit_rows > 0 ? rows > 0 && rows + facts.part_rows[i] > unit_rows
                                    : bytes > 0 && bytes + facts.part_bytes[i] > unit_bytes;
    if (full) {
      cuts.push_back({static_cast<int64_t>(i), 1});
      bytes = rows = 0;
    }
    bytes += facts.part_bytes[i];
    rows += facts.part_rows[i];
  }
  return cuts;
}

}  // namespace

int64_t UnitBytesOf(const Dataset& dataset, int64_t wished, int64_t units_max) {
  int64_t unit_bytes = wished;
  if (unit_bytes == 0 && dataset.estimated_memory_bytes > dataset.estimated_bytes) {
    const double expansion = static_cast<double>(dataset.estimated_memory_bytes) /
                             static_cast<double>(std::max<int64_t>(1, dataset.estimated_bytes));
    unit_bytes =
        std::clamp<int64_t>(static_cast<int64_t>(static_cast<double>(kUnitMemoryBytes) / expansion),
                            1, kUnitBytesDefault);
  }
  return UnitBytesFor(dataset.estimated_bytes, unit_bytes, units_max);
}

Result<std::vector<WorkUnit>> SplitFiles(const Dataset& dataset, const TableState& state,
                                         const SplitHint& hint, const std::stop_token& stop) {
  const Options& options = dataset.options;
  const int64_t total = std::max<int64_t>(1, dataset.estimated_bytes);
  const double row_bytes = static_cast<double>(total) /
                           static_cast<double>(std::max<int64_t>(1, dataset.estimated_rows));
  const int64_t unit_bytes = UnitBytesOf(dataset, hint.unit_bytes, hint.units_max);
  const int64_t unit_rows =
      hint.unit_rows == 0
          ? 0
          : std::max<int64_t>(hint.unit_rows, UnitCountFor(dataset.estimated_rows, hint.units_max));
  const bool whole = options.GetInt("limit") > 0 || options.GetString("split") == "none";
  std::vector<WorkUnit> units;
  for (size_t group = 0; group < state.group_ends.size(); ++group) {
    const size_t begin = state.group_begin(group), end = state.group_ends[group];
    std::vector<Cut> cuts;
    if (!whole && end - begin == 1) {
      ARROW_ASSIGN_OR_RAISE(
          cuts, CutsOf(state, state.files[begin], unit_bytes, unit_rows, row_bytes, stop));
    }
    int64_t bytes = 0;
    for (size_t i = begin; i < end; ++i) bytes += state.files[i].bytes;
    for (size_t i = 0; i <= cuts.size(); ++i) {
      WorkUnit unit;
      unit.dataset = dataset.id;
      unit.ordinal = static_cast<int64_t>(units.size());
      unit.range.axis = state.AxisOf(group);
      if (i > 0) unit.range.begin = std::to_string(cuts[i - 1].at);
      if (i < cuts.size()) unit.range.end = std::to_string(cuts[i].at);
      Json own = {{"group", group}};
      if (i > 0) own["line"] = cuts[i - 1].line;
      if (end - begin == 1) own["fingerprint"] = state.files[begin].fingerprint;
      unit.source_state = own.dump();
      unit.estimated_bytes = bytes / static_cast<int64_t>(cuts.size() + 1);
      unit.estimated_rows = static_cast<int64_t>(static_cast<double>(unit.estimated_bytes) /
                                                 std::max(1e-3, row_bytes));
      units.push_back(std::move(unit));
    }
  }
  return units;
}

Result<std::span<const DataFile>> FilesOf(const TableState& state, const WorkUnit& unit) {
  const Json own = Json::parse(unit.source_state, nullptr, false);
  const size_t group = own.is_object() ? own.value("group", size_t{0}) : state.group_ends.size();
  if (group >= state.group_ends.size()) return BugError("a unit of files names no group of files");
  const size_t begin = state.group_begin(group);
  return std::span(state.files).subspan(begin, state.group_ends[group] - begin);
}

Result<std::vector<FilePart>> PartsOf(const TableState& state, const WorkUnit& unit,
                                      const std::string& fingerprint, const std::stop_token& stop) {
  ARROW_ASSIGN_OR_RAISE(const auto files, FilesOf(state, unit));
  const Json own = Json::parse(unit.source_state, nullptr, false);
  std::vector<FilePart> parts;
  for (const DataFile& file : files) parts.push_back({&file, 0, -1, 1});
  if (parts.size() > 1) return parts;
  FilePart& part = parts[0];
  part.begin = NumberOf(unit.range.begin, 0);
  part.end = NumberOf(unit.range.end, -1);
  part.line = own.value("line", int64_t{1});
  const bool cut = !unit.range.begin.empty() || !unit.range.end.empty();
  if (!cut || !IsText(state) || own.value("fingerprint", "") == fingerprint) return parts;
  // Its rows begin elsewhere now.
  const auto find = [&](int64_t offset) -> Result<TextCut> {
    ARROW_ASSIGN_OR_RAISE(const auto found, FindTextCuts(state, *part.file, {offset}, stop));
    if (!found.empty()) return found[0];
    ARROW_ASSIGN_OR_RAISE(const int64_t bytes, FileBytes(part.file->path));
    return TextCut{bytes, 1};
  };
  if (part.begin > 0) {
    ARROW_ASSIGN_OR_RAISE(const auto found, find(part.begin));
    part.begin = found.offset;
    part.line = found.line;
  }
  if (part.end >= 0) {
    ARROW_ASSIGN_OR_RAISE(const auto found, find(part.end));
    part.end = found.offset;
  }
  return parts;
}

}  // namespace bulkhaul::files
