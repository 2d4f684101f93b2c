// Job records: what is kept of a job at the destination, and many of them added up.
#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/units.h"
#include "run/report.h"

namespace bulkhaul {
namespace {

using nlohmann::json;

json Configuration(const JobReport& report) {
  json value = json::parse(report.configuration, nullptr, false);
  return value.is_object() ? value : json::object();
}

json Record(const JobReport& report, bool published_only) {
  const json configuration = Configuration(report);
  json value = {{"record_version", 1},
                {"job_id", report.job_id},
                {"state", JobStateName(report.state)},
                {"source", report.source},
                {"destination", report.destination},
                {"format", report.format},
                {"compression", configuration.value("compression", "default")},
                {"started_at", report.started_at},
                {"finished_at", report.finished_at},
                {"resumed", report.resumed},
                {"rows", report.rows},
                {"source_bytes", report.source_bytes},
                {"stored_bytes", report.stored_bytes},
                {"files", report.files},
                {"seconds", static_cast<double>(report.wall_ms) / 1000},
                {"unit_seconds", static_cast<double>(report.unit_ms) / 1000},
                {"speed_up", report.SpeedUp()},
                {"workers", report.workers},
                {"retries", report.retries},
                {"tables_failed", report.tables_failed},
                {"configuration", configuration}};
  if (!report.error.empty()) value["error"] = report.error;
  value["tables"] = json::array();
  for (const auto& table : report.tables) {
    if (published_only && table.state != "published") continue;
    value["tables"].push_back({{"schema", table.dataset.schema},
                               {"name", table.dataset.name},
                               {"state", table.state},
                               {"path", table.location},
                               {"rows", table.rows},
                               {"files", table.files},
                               {"stored_bytes", table.stored_bytes},
                               {"snapshot", table.snapshot},
                               {"epoch", table.epoch},
                               {"seconds", static_cast<double>(table.elapsed_ms) / 1000}});
  }
  return value;
}

}  // namespace

std::string JobManifestJson(const JobReport& report) {
  json value = Record(report, true);
  value["manifest_version"] = 1;
  for (const char* key : {"record_version", "error", "tables_failed"}) value.erase(key);
  return value.dump(2, ' ', false, json::error_handler_t::replace);
}

std::string JobRecordJson(const JobReport& report) {
  return Record(report, false).dump(2, ' ', false, json::error_handler_t::replace);
}

JobStatistics AddUpJobRecords(std::span<const std::string> records, std::string_view since_utc) {
  JobStatistics sums;
  double speed_ups = 0, workers = 0;
  for (const auto& text : records) {
    const json record = json::parse(text, nullptr, false);
    try {
      const std::string finished_at = record.at("finished_at").get<std::string>();
      const std::string state = record.at("state").get<std::string>();
      const double speed_up = record.at("speed_up").get<double>();
      const int64_t job_workers = record.at("workers").get<int64_t>();
      // The one form that FormatUtc() writes, so that text order is the order of time.
      if (finished_at < since_utc) continue;
      ++sums.jobs;
      sums.done += state == "done";
      sums.failed += state == "failed";
      sums.partial += state == "partial";
      sums.cancelled += state == "cancelled";
      sums.tables += static_cast<int64_t>(record.at("tables").size());
      sums.tables_failed += record.value("tables_failed", int64_t{0});
      sums.rows += record.value("rows", int64_t{0});
      sums.source_bytes += record.value("source_bytes", int64_t{0});
      sums.stored_bytes += record.value("stored_bytes", int64_t{0});
      sums.wall_ms += static_cast<int64_t>(record.value("seconds", 0.0) * 1000);
      speed_ups += speed_up;
      sums.speed_up_max = std::max(sums.speed_up_max, speed_up);
      workers += static_cast<double>(job_workers);
      sums.workers_max = std::max(sums.workers_max, job_workers);
    } catch (const json::exception&) {
      ++sums.unreadable;
    }
  }
  if (sums.jobs > 0) {
    sums.speed_up_mean = speed_ups / static_cast<double>(sums.jobs);
    sums.workers_mean = workers / static_cast<double>(sums.jobs);
  }
  return sums;
}

std::string JobStatistics::ToJson() const {
  const json value = {{"jobs", jobs},
                      {"done", done},
                      {"failed", failed},
                      {"partial", partial},
                      {"cancelled", cancelled},
                      {"tables", tables},
                      {"tables_failed", tables_failed},
                      {"rows", rows},
                      {"source_bytes", source_bytes},
                      {"stored_bytes", stored_bytes},
                      {"wall_ms", wall_ms},
                      {"speed_up_mean", speed_up_mean},
                      {"speed_up_max", speed_up_max},
                      {"workers_mean", workers_mean},
                      {"workers_max", workers_max},
                      {"unreadable_records", unreadable}};
  return value.dump(2);
}

std::string JobStatistics::ToText() const {
  std::string text = fmt::format(
      "{} runs: {} done, {} partial, {} failed, {} cancelled\n{} tables ({} failed), {} rows, {} "
      "received, {} stored, {}\nspeed-up {:.1f} on average, {:.1f} at best; workers {:.1f} on "
      "average, {} at most\n",
      jobs, done, partial, failed, cancelled, FormatCount(tables), tables_failed, FormatCount(rows),
      FormatBytes(source_bytes), FormatBytes(stored_bytes), FormatDurationMs(wall_ms),
      speed_up_mean, speed_up_max, workers_mean, workers_max);
  if (unreadable > 0) text += fmt::format("{} records could not be read\n", unreadable);
  return text;
}

}  // namespace bulkhaul
