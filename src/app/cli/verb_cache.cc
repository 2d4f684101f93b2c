// cache ls, cache clear.
#include <algorithm>
#include <chrono>
#include <tuple>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/cli/terminal.h"
#include "app/cli/verbs.h"
#include "base/units.h"
#include "run/unit_cache.h"

namespace bulkhaul {
namespace {

using nlohmann::json;

std::string Utc(int64_t ms) {
  return FormatUtc(std::chrono::system_clock::time_point(std::chrono::milliseconds(ms)));
}

Result<int> List(const CacheFolder& folder, OutputForm form) {
  ARROW_ASSIGN_OR_RAISE(auto units, KeptUnits(folder));
  std::sort(units.begin(), units.end(), [](const KeptUnit& a, const KeptUnit& b) {
    return std::tie(a.unit, a.entry.stored_ms, a.entry.name) <
           std::tie(b.unit, b.entry.stored_ms, b.entry.name);
  });
  int64_t bytes = 0;
  for (const auto& unit : units) bytes += unit.entry.bytes;
  if (form == OutputForm::kJson) {
    json value = {{"folder", folder.path()}, {"bytes", bytes}, {"entries", json::array()}};
    for (const auto& unit : units) {
      value["entries"].push_back({{"name", unit.entry.name},
                                  {"unit", unit.unit},
                                  {"rows", unit.rows},
                                  {"bytes", unit.entry.bytes},
                                  {"hits", unit.entry.uses},
                                  {"stored_at", Utc(unit.entry.stored_ms)},
                                  {"used_at", Utc(unit.entry.used_ms)}});
    }
    fmt::print("{}\n", value.dump(2, ' ', false, json::error_handler_t::replace));
    return kExitDone;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& unit : units) {
    rows.push_back({unit.unit, FormatCount(unit.rows), FormatBytes(unit.entry.bytes),
                    FormatCount(unit.entry.uses), Utc(unit.entry.stored_ms),
                    Utc(unit.entry.used_ms)});
  }
  if (!rows.empty()) {
    fmt::print("{}",
               AlignedTable(
                   {{"unit"}, {"rows", true}, {"size", true}, {"hits", true}, {"stored"}, {"used"}},
                   rows));
  }
  fmt::print("{} entries, {} in {}\n", FormatCount(static_cast<int64_t>(units.size())),
             FormatBytes(bytes), folder.path());
  return kExitDone;
}

}  // namespace

Result<int> RunCache(const CacheRequest& request) {
  auto older_than_ms = ParseDurationMs(request.older_than);
  if (!older_than_ms.ok()) return UsageError("--older-than: " + older_than_ms.status().message());
  const OutputForm form = OutputFormOf(request.options);
  ARROW_ASSIGN_OR_RAISE(const auto path, UnitCache::FolderOf(request.options));
  // Looking must not delete anything: no limits.
  ARROW_ASSIGN_OR_RAISE(const auto folder, CacheFolder::Open(path, {INT64_MAX, 0}));
  if (request.action == "ls") return List(*folder, form);
  ARROW_ASSIGN_OR_RAISE(const auto cleared, folder->Clear(*older_than_ms));
  if (form == OutputForm::kJson) {
    fmt::print(
        "{}\n",
        json{{"folder", path}, {"entries", cleared.entries}, {"bytes", cleared.bytes}}.dump(2));
  } else {
    fmt::print("deleted {} entries, {} in {}\n", FormatCount(cleared.entries),
               FormatBytes(cleared.bytes), path);
  }
  return kExitDone;
}

}  // namespace bulkhaul
