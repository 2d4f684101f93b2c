#include "plan/splitting.h"

#include <algorithm>
#include <map>
#include <vector>

#include <fmt/format.h>

namespace bulkhaul {
namespace {

// Maximal chains of one axis, as begin → end. Bounds are opaque, so that ranges can only be joined
// where one's end is the other's begin.
using Chains = std::map<std::string, std::string>;

Result<std::map<std::string, Chains>> ChainsOf(std::span<const UnitRange> ranges) {
  std::map<std::string, std::map<std::string, std::string>> by_begin;
  for (const auto& range : ranges) {
    if (!by_begin[range.axis].emplace(range.begin, range.end).second) {
      return BugError(fmt::format("two units cover the range that begins at '{}' of '{}'",
                                  range.begin, range.axis));
    }
  }
  std::map<std::string, Chains> result;
  for (const auto& [axis, links] : by_begin) {
    std::map<std::string, int> ends;
    for (const auto& [begin, end] : links) {
      if (!end.empty() || begin.empty()) ++ends[end];
    }
    size_t used = 0;
    for (const auto& [begin, unused] : links) {
      // A chain starts where nothing ends; "" is the start of an axis, never an inner bound.
      if (!begin.empty() && ends.count(begin) != 0) continue;
      std::string at = begin;
      do {
        const auto next = links.find(at);
        if (next == links.end()) break;
        at = next->second;
        ++used;
      } while (!at.empty() && used <= links.size());
      result[axis].emplace(begin, at);
    }
    if (used != links.size()) {
      return BugError(fmt::format("the units of '{}' overlap or form a ring", axis));
    }
  }
  return result;
}

}  // namespace

int64_t UnitBytesFor(int64_t table_bytes, int64_t unit_bytes, int64_t units_max) {
  const int64_t wanted = unit_bytes > 0 ? unit_bytes : kUnitBytesDefault;
  if (table_bytes <= 0) return wanted;
  const int64_t most = std::max<int64_t>(1, units_max);
  return std::max(wanted, table_bytes / most + (table_bytes % most != 0));
}

int64_t BalancedUnitBytes(int64_t table_bytes) {
  constexpr int64_t kUnits = 16;
  constexpr int64_t kBytesMin = 16 << 20;
  return std::clamp(table_bytes / kUnits, kBytesMin, kUnitBytesDefault);
}

int64_t UnitCountFor(int64_t total, int64_t unit_size) {
  if (total <= 0 || unit_size <= 0) return 1;
  return total / unit_size + (total % unit_size != 0);
}

std::string UnitIdFor(int64_t dataset_ordinal, int64_t unit_ordinal) {
  return fmt::format("{}.{}", dataset_ordinal, unit_ordinal);
}

Status CheckCovered(std::span<const UnitRange> planned, std::span<const UnitRange> covered) {
  ARROW_ASSIGN_OR_RAISE(const auto wanted, ChainsOf(planned));
  ARROW_ASSIGN_OR_RAISE(const auto found, ChainsOf(covered));
  for (const auto& [axis, chains] : wanted) {
    const auto other = found.find(axis);
    if (other == found.end()) return BugError(fmt::format("no unit covered '{}'", axis));
    for (const auto& [begin, end] : chains) {
      const auto chain = other->second.find(begin);
      if (chain == other->second.end()) {
        return BugError(fmt::format("no unit covered '{}' from '{}'", axis, begin));
      }
      if (chain->second != end) {
        return BugError(
            fmt::format("the units of '{}' end at '{}' instead of '{}'", axis, chain->second, end));
      }
    }
    if (other->second.size() != chains.size()) {
      return BugError(fmt::format("the units of '{}' leave gaps", axis));
    }
  }
  if (found.size() != wanted.size()) {
    return BugError("units covered an axis that the plan does not have");
  }
  return Status::OK();
}

}  // namespace bulkhaul
