#include "run/report.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/units.h"

namespace bulkhaul {
namespace {

using nlohmann::json;

std::string Dump(const json& value) {
  return value.dump(2, ' ', false, json::error_handler_t::replace);
}

double Ratio(int64_t amount, int64_t by) {
  return by > 0 ? static_cast<double>(amount) / static_cast<double>(by) : 0;
}

// What speed is told of: rows that were read for groups count too.
int64_t RowsHandled(const TableReport& table) { return table.rows + table.rows_merged; }

json Json(const TableReport& table) {
  json value = {{"schema", table.dataset.schema},
                {"name", table.dataset.name},
                {"output_name", table.output_name},
                {"state", table.state},
                {"location", table.location},
                {"rows", table.rows},
                {"rows_read", table.rows_read},
                {"rows_filtered", table.rows_filtered},
                {"rows_rejected", table.rows_rejected},
                {"rejected_to", table.rejected_to},
                {"rows_merged", table.rows_merged},
                {"source_bytes", table.source_bytes},
                {"stored_bytes", table.stored_bytes},
                {"files", table.files},
                {"units", table.units},
                {"retries", table.retries},
                {"epoch", table.epoch},
                {"snapshot", table.snapshot},
                {"elapsed_ms", table.elapsed_ms},
                {"unit_ms", table.unit_ms},
                {"rows_per_second", Ratio(RowsHandled(table) * 1000, table.elapsed_ms)},
                {"megabytes_per_second", Ratio(table.source_bytes, table.elapsed_ms) / 1000},
                {"earlier_run", table.earlier_run},
                {"counters", table.counters},
                {"explanations", table.explanations},
                {"after", json::array()},
                {"bytes_before_transform", table.bytes_before_transform},
                {"bytes_after_transform", table.bytes_after_transform}};
  for (const auto& earlier : table.after) {
    value["after"].push_back({{"table", earlier.table}, {"reason", earlier.reason}});
  }
  if (!table.error.empty()) {
    value["error"] = table.error;
    value["error_kind"] = table.error_kind;
    value["error_code"] = table.error_code;
  }
  return value;
}

TableReport TableFromJson(const json& value) {
  TableReport table;
  table.dataset = {value.value("schema", ""), value.value("name", "")};
  table.output_name = value.value("output_name", "");
  table.state = value.value("state", "");
  table.location = value.value("location", "");
  table.error = value.value("error", "");
  table.error_kind = value.value("error_kind", "");
  table.error_code = value.value("error_code", "");
  table.rows = value.value("rows", int64_t{0});
  table.rows_filtered = value.value("rows_filtered", int64_t{0});
  table.rows_rejected = value.value("rows_rejected", int64_t{0});
  table.rejected_to = value.value("rejected_to", "");
  table.rows_merged = value.value("rows_merged", int64_t{0});
  table.rows_read = value.value("rows_read", int64_t{0});
  table.source_bytes = value.value("source_bytes", int64_t{0});
  table.stored_bytes = value.value("stored_bytes", int64_t{0});
  table.files = value.value("files", int64_t{0});
  table.units = value.value("units", int64_t{0});
  table.retries = value.value("retries", int64_t{0});
  table.epoch = value.value("epoch", int64_t{0});
  table.snapshot = value.value("snapshot", "");
  table.elapsed_ms = value.value("elapsed_ms", int64_t{0});
  table.unit_ms = value.value("unit_ms", int64_t{0});
  table.earlier_run = value.value("earlier_run", false);
  table.counters = value.value("counters", std::map<std::string, int64_t>());
  table.explanations = value.value("explanations", std::vector<std::string>());
  for (const auto& earlier : value.value("after", json::array())) {
    table.after.push_back({earlier.value("table", ""), earlier.value("reason", "")});
  }
  table.bytes_before_transform = value.value("bytes_before_transform", int64_t{0});
  table.bytes_after_transform = value.value("bytes_after_transform", int64_t{0});
  return table;
}

json Json(const CacheReport& cache) {
  return {{"hits", cache.hits}, {"misses", cache.misses}, {"passed", cache.passed},
          {"rows", cache.rows}, {"bytes", cache.bytes},   {"hit_rate", cache.HitRate()}};
}

CacheReport CacheFromJson(const json& value) {
  CacheReport cache;
  cache.hits = value.value("hits", int64_t{0});
  cache.misses = value.value("misses", int64_t{0});
  cache.passed = value.value("passed", int64_t{0});
  cache.rows = value.value("rows", int64_t{0});
  cache.bytes = value.value("bytes", int64_t{0});
  return cache;
}

std::string CacheLine(const CacheReport& cache) {
  if (cache.units() == 0) return {};
  return fmt::format("  cache: {} of {} units hit ({:.0f} %), {} rows in {}\n",
                     FormatCount(cache.hits), FormatCount(cache.units()), 100 * cache.HitRate(),
                     FormatCount(cache.rows), FormatBytes(cache.bytes));
}

Result<JobState> JobStateFromName(const std::string& name) {
  for (const auto state :
       {JobState::kDone, JobState::kFailed, JobState::kPartial, JobState::kCancelled}) {
    if (name == JobStateName(state)) return state;
  }
  return UserError(fmt::format("unknown job state '{}'", name));
}

json Totals(const JobReport& report) {
  return {{"tables", report.tables.size()},
          {"tables_published", report.tables_published},
          {"tables_failed", report.tables_failed},
          {"rows", report.rows},
          {"rows_read", report.rows_read},
          {"rows_rejected", report.rows_rejected},
          {"source_bytes", report.source_bytes},
          {"stored_bytes", report.stored_bytes},
          {"files", report.files},
          {"units", report.units},
          {"retries", report.retries},
          {"epochs", report.epochs}};
}

// Only where it is not the rows that were written.
std::string ReadAndRejected(const JobReport& report) {
  if (report.rows_read == report.rows) return {};
  std::string text = fmt::format(" of {} read", FormatCount(report.rows_read));
  if (report.rows_rejected > 0) {
    text += fmt::format(", {} rejected", FormatCount(report.rows_rejected));
  }
  return text;
}

std::string TableLine(const TableReport& table) {
  std::string line = fmt::format(
      "  {:<36} {:>14} rows  {:>10}  {:>9}  {:>12} rows/s  {:>7.1f} MB/s\n",
      table.dataset.ToString(), FormatCount(table.rows), FormatBytes(table.stored_bytes),
      FormatDurationMs(table.elapsed_ms),
      FormatCount(static_cast<int64_t>(Ratio(RowsHandled(table) * 1000, table.elapsed_ms))),
      Ratio(table.source_bytes, table.elapsed_ms) / 1000);
  if (table.state != "published") line += fmt::format("    {}: {}\n", table.state, table.error);
  if (table.earlier_run) line += "    published by an earlier run\n";
  if (table.rows_filtered != 0) {
    line += fmt::format("    read: {} rows, of them {} filtered out\n",
                        FormatCount(table.rows_read), FormatCount(table.rows_filtered));
  }
  if (table.rows_merged != 0) {
    line += fmt::format("    grouped: {} rows read, {} groups written\n",
                        FormatCount(RowsHandled(table)), FormatCount(table.rows));
  }
  if (table.rows_rejected > 0) {
    line += fmt::format("    rejected: {} rows, in {}\n", FormatCount(table.rows_rejected),
                        table.rejected_to.empty() ? "no file yet" : table.rejected_to);
  }
  for (const auto& earlier : table.after) line += "    after " + earlier.ToString() + "\n";
  for (const auto& explanation : table.explanations) line += "    " + explanation + "\n";
  if (table.bytes_before_transform > 0) {
    line += fmt::format("    {} in memory before, {} after\n",
                        FormatBytes(table.bytes_before_transform),
                        FormatBytes(table.bytes_after_transform));
  }
  for (const auto& [name, count] : table.counters) {
    line += fmt::format("    {}: {}\n", name, FormatCount(count));
  }
  return line;
}

}  // namespace

const char* JobStateName(JobState state) {
  switch (state) {
    case JobState::kDone:
      return "done";
    case JobState::kFailed:
      return "failed";
    case JobState::kPartial:
      return "partial";
    case JobState::kCancelled:
      return "cancelled";
  }
  return "failed";
}

Remedy RemedyFor(std::string_view error_code) {
  // Besides kOptionCode: what other options of the job mend.
  constexpr std::string_view kOptionCodes[] = {
      kOptionCode,     "bad_query",    "doc_values_differ", "no_columns",
      "no_time_field", "time_missing", "time_several",      "too_many_slices",
      "42P07",         "wal_level",  // if_exists, skip_wal
  };
  constexpr std::string_view kNewJobCodes[] = {"index_replaced", "schema_changed",
                                               "target_changed"};
  if (std::ranges::find(kNewJobCodes, error_code) != std::end(kNewJobCodes)) return Remedy::kNewJob;
  const bool options = std::ranges::find(kOptionCodes, error_code) != std::end(kOptionCodes);
  return options ? Remedy::kOptions : Remedy::kResume;
}

int64_t JobReport::TablesFor(Remedy remedy) const {
  return std::count_if(tables.begin(), tables.end(), [&](const TableReport& table) {
    return table.state == "failed" && table.error_code != kPredecessorFailed &&
           RemedyFor(table.error_code) == remedy;
  });
}

int ExitCodeOf(JobState state) {
  switch (state) {
    case JobState::kDone:
      return 0;
    case JobState::kFailed:
      return 1;
    case JobState::kPartial:
      return 3;
    case JobState::kCancelled:
      return 130;
  }
  return 1;
}

double CacheReport::HitRate() const { return Ratio(hits, units()); }
double JobReport::RowsPerSecond() const {
  int64_t handled = rows;
  for (const auto& table : tables) handled += table.rows_merged;
  return Ratio(handled * 1000, wall_ms);
}
double JobReport::MegabytesPerSecond() const { return Ratio(source_bytes, wall_ms) / 1000; }
double JobReport::TablesPerMinute() const { return Ratio(tables_published * 60'000, wall_ms); }
double JobReport::UnitsPerMinute() const { return Ratio(units * 60'000, wall_ms); }
double JobReport::CpuUse() const { return Ratio(cpu_ms, wall_ms); }
double JobReport::SpeedUp() const { return Ratio(unit_ms, wall_ms); }

std::string JobReport::ToJson() const {
  json value = {{"report_version", 1},
                {"job_id", job_id},
                {"state", JobStateName(state)},
                {"exit_code", exit_code()},
                {"error", error},
                {"error_kind", error_kind},
                {"error_code", error_code},
                {"source", source},
                {"destination", destination},
                {"format", format},
                {"started_at", started_at},
                {"finished_at", finished_at},
                {"resumed", resumed},
                {"totals", Totals(*this)},
                {"cache", Json(cache)},
                {"wall_ms", wall_ms},
                {"unit_ms", unit_ms},
                {"speed_up", SpeedUp()},
                {"rows_per_second", RowsPerSecond()},
                {"megabytes_per_second", MegabytesPerSecond()},
                {"tables_per_minute", TablesPerMinute()},
                {"units_per_minute", UnitsPerMinute()},
                {"workers", workers},
                {"concurrency", concurrency},
                {"cpu_ms", cpu_ms},
                {"cpu_cores", CpuUse()},
                {"disk_read_bytes", disk_read_bytes},
                {"disk_write_bytes", disk_write_bytes},
                {"memory",
                 {{"limit_bytes", memory_limit_bytes},
                  {"strategy", strategy},
                  {"strategy_reason", strategy_reason},
                  {"need_bytes", memory_need_bytes},
                  {"available_bytes", memory_available_bytes},
                  {"ratio", memory_ratio},
                  {"peak_rss_bytes", peak_rss_bytes},
                  {"peak_rss_by_stage", peak_rss_by_stage},
                  {"peak_reserved_bytes", peak_reserved_bytes}}},
                {"warnings", warnings}};
  value["configuration"] = json::parse(configuration, nullptr, false);
  if (value["configuration"].is_discarded()) value["configuration"] = json::object();
  value["slowest_units"] = json::array();
  for (const auto& unit : slowest_units) {
    value["slowest_units"].push_back({{"unit", unit.unit_id},
                                      {"schema", unit.dataset.schema},
                                      {"table", unit.dataset.name},
                                      {"elapsed_ms", unit.elapsed_ms},
                                      {"rows", unit.rows}});
  }
  value["tables"] = json::array();
  for (const auto& table : tables) value["tables"].push_back(Json(table));
  return Dump(value);
}

Result<JobReport> JobReport::FromJson(std::string_view text) {
  const json value = json::parse(text, nullptr, false);
  if (!value.is_object()) return UserError("the report is not JSON");
  try {
    JobReport report;
    report.job_id = value.at("job_id").get<std::string>();
    ARROW_ASSIGN_OR_RAISE(report.state, JobStateFromName(value.at("state").get<std::string>()));
    report.error = value.value("error", "");
    report.error_kind = value.value("error_kind", "");
    report.error_code = value.value("error_code", "");
    report.source = value.value("source", "");
    report.destination = value.value("destination", "");
    report.format = value.value("format", "");
    report.started_at = value.value("started_at", "");
    report.finished_at = value.value("finished_at", "");
    report.resumed = value.value("resumed", false);
    const json& totals = value.at("totals");
    report.tables_published = totals.value("tables_published", int64_t{0});
    report.tables_failed = totals.value("tables_failed", int64_t{0});
    report.rows = totals.value("rows", int64_t{0});
    report.rows_read = totals.value("rows_read", int64_t{0});
    report.rows_rejected = totals.value("rows_rejected", int64_t{0});
    report.source_bytes = totals.value("source_bytes", int64_t{0});
    report.stored_bytes = totals.value("stored_bytes", int64_t{0});
    report.files = totals.value("files", int64_t{0});
    report.units = totals.value("units", int64_t{0});
    report.retries = totals.value("retries", int64_t{0});
    report.epochs = totals.value("epochs", int64_t{0});
    if (value.contains("cache")) report.cache = CacheFromJson(value["cache"]);
    report.wall_ms = value.value("wall_ms", int64_t{0});
    report.unit_ms = value.value("unit_ms", int64_t{0});
    report.workers = value.value("workers", int64_t{0});
    report.concurrency = value.value("concurrency", "");
    report.cpu_ms = value.value("cpu_ms", int64_t{0});
    report.disk_read_bytes = value.value("disk_read_bytes", int64_t{0});
    report.disk_write_bytes = value.value("disk_write_bytes", int64_t{0});
    if (const auto memory = value.find("memory"); memory != value.end()) {
      report.memory_limit_bytes = memory->value("limit_bytes", int64_t{0});
      report.strategy = memory->value("strategy", "");
      report.strategy_reason = memory->value("strategy_reason", "");
      report.memory_need_bytes = memory->value("need_bytes", int64_t{-1});
      report.memory_available_bytes = memory->value("available_bytes", int64_t{0});
      report.memory_ratio = memory->value("ratio", -1.0);
      report.peak_rss_bytes = memory->value("peak_rss_bytes", int64_t{0});
      report.peak_rss_by_stage =
          memory->value("peak_rss_by_stage", std::map<std::string, int64_t>());
      report.peak_reserved_bytes = memory->value("peak_reserved_bytes", int64_t{0});
    }
    report.warnings = value.value("warnings", std::vector<std::string>());
    if (value.contains("configuration")) report.configuration = value["configuration"].dump();
    for (const auto& unit : value.value("slowest_units", json::array())) {
      report.slowest_units.push_back({unit.value("unit", ""),
                                      {unit.value("schema", ""), unit.value("table", "")},
                                      unit.value("elapsed_ms", int64_t{0}),
                                      unit.value("rows", int64_t{0})});
    }
    for (const auto& table : value.value("tables", json::array())) {
      report.tables.push_back(TableFromJson(table));
    }
    return report;
  } catch (const json::exception& error) {
    return UserError(fmt::format("the report cannot be read: {}", error.what()));
  }
}

std::string JobReport::ToText() const {
  std::string text =
      fmt::format("job {} {}{}\n", job_id, JobStateName(state), error.empty() ? "" : ": " + error);
  text += fmt::format("  {} → {} ({})\n\n", source, destination, format);
  for (const auto& table : tables) text += TableLine(table);
  // A database has no files.
  text += fmt::format("\n  {} of {} tables, {} rows{}, {} received, {} {}, {}\n", tables_published,
                      tables.size(), FormatCount(rows), ReadAndRejected(*this),
                      FormatBytes(source_bytes), FormatBytes(stored_bytes),
                      files > 0 ? fmt::format("in {} files", files) : std::string("written"),
                      FormatDurationMs(wall_ms));
  text += fmt::format("  {} rows/s, {:.1f} MB/s, {:.0f} tables/min, {:.0f} units/min\n",
                      FormatCount(static_cast<int64_t>(RowsPerSecond())), MegabytesPerSecond(),
                      TablesPerMinute(), UnitsPerMinute());
  text += fmt::format(
      "  {} workers, {} units, speed-up {:.1f}, CPU {:.1f} s ({:.1f} cores), "
      "{} retries\n",
      workers, units, SpeedUp(), static_cast<double>(cpu_ms) / 1000, CpuUse(), retries);
  if (!concurrency.empty()) text += fmt::format("  {}\n", concurrency);
  text += CacheLine(cache);
  text += fmt::format("  memory: peak {} of {}", FormatBytes(peak_rss_bytes),
                      FormatBytes(memory_limit_bytes));
  for (const auto& [stage, bytes] : peak_rss_by_stage) {
    text += fmt::format(", {} {}", stage, FormatBytes(bytes));
  }
  if (!strategy.empty()) text += fmt::format("\n  strategy: {}: {}", strategy, strategy_reason);
  text += fmt::format("\n  disk: {} read, {} written\n", FormatBytes(disk_read_bytes),
                      FormatBytes(disk_write_bytes));
  if (epochs > 1) text += fmt::format("  {} snapshots were used\n", epochs);
  if (!slowest_units.empty()) {
    text += "  slowest units:";
    for (const auto& unit : slowest_units) {
      text += fmt::format(" {} ({}, {})", unit.unit_id, unit.dataset.ToString(),
                          FormatDurationMs(unit.elapsed_ms));
    }
    text += "\n";
  }
  for (const auto& warning : warnings) text += "  warning: " + warning + "\n";
  return text;
}

}  // namespace bulkhaul
