#include "run/progress.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/units.h"

namespace bulkhaul {
namespace {

using nlohmann::json;

json Json(const ProgressTotals& totals) {
  return {{"elapsed_ms", totals.elapsed_ms},
          {"tables", totals.tables},
          {"tables_done", totals.tables_done},
          {"tables_failed", totals.tables_failed},
          {"units", totals.units},
          {"units_done", totals.units_done},
          {"units_running", totals.units_running},
          {"units_cached", totals.units_cached},
          {"rows", totals.rows},
          {"estimated_rows", totals.estimated_rows},
          {"bytes", totals.bytes},
          {"stored_bytes", totals.stored_bytes},
          {"fraction", totals.fraction},
          {"eta_ms", totals.eta_ms},
          {"rows_per_second", totals.rows_per_second},
          {"megabytes_per_second", totals.megabytes_per_second},
          {"tables_per_minute", totals.tables_per_minute},
          {"units_per_minute", totals.units_per_minute},
          {"cpu_cores", totals.cpu_cores},
          {"disk_read_megabytes_per_second", totals.disk_read_megabytes_per_second},
          {"disk_write_megabytes_per_second", totals.disk_write_megabytes_per_second},
          {"rss_bytes", totals.rss_bytes},
          {"memory_limit_bytes", totals.memory_limit_bytes},
          {"retries", totals.retries}};
}

json Json(const ActiveTable& table) {
  return {{"schema", table.dataset.schema},
          {"name", table.dataset.name},
          {"units", table.units},
          {"units_done", table.units_done},
          {"units_running", table.units_running},
          {"rows", table.rows},
          {"estimated_rows", table.estimated_rows}};
}

bool IsAboutTable(ProgressKind kind) {
  switch (kind) {
    case ProgressKind::kTablePlanned:
    case ProgressKind::kUnitDone:
    case ProgressKind::kRetry:
    case ProgressKind::kTablePublished:
    case ProgressKind::kTableFailed:
      return true;
    default:
      return false;
  }
}

}  // namespace

const char* ProgressKindName(ProgressKind kind) {
  switch (kind) {
    case ProgressKind::kJobStarted:
      return "job_started";
    case ProgressKind::kTablePlanned:
      return "table_planned";
    case ProgressKind::kUnitDone:
      return "unit_done";
    case ProgressKind::kRetry:
      return "retry";
    case ProgressKind::kWarning:
      return "warning";
    case ProgressKind::kTablePublished:
      return "table_published";
    case ProgressKind::kTableFailed:
      return "table_failed";
    case ProgressKind::kTick:
      return "tick";
    case ProgressKind::kJobDone:
      return "job_done";
  }
  return "tick";
}

std::string ProgressEvent::ToJson() const {
  json value = {{"event", ProgressKindName(kind)}, {"time", time}, {"job_id", job_id}};
  if (IsAboutTable(kind) && !dataset.name.empty()) {
    value["schema"] = dataset.schema;
    value["table"] = dataset.name;
  }
  if (!unit_id.empty()) value["unit"] = unit_id;
  if (!message.empty()) value["message"] = message;
  if (!location.empty()) value["location"] = location;
  if (!state.empty()) value["state"] = state;
  if (kind == ProgressKind::kRetry) value["delay_ms"] = delay_ms;
  if (kind == ProgressKind::kTablePlanned) {
    value["estimated_rows"] = rows;
    value["estimated_bytes"] = bytes;
    value["units"] = units;
  }
  const bool finished = kind == ProgressKind::kUnitDone || kind == ProgressKind::kJobDone ||
                        kind == ProgressKind::kTablePublished;
  if (finished) {
    value["rows"] = rows;
    value["stored_bytes"] = bytes;
    value["elapsed_ms"] = elapsed_ms;
  }
  const bool has_totals = kind == ProgressKind::kJobStarted || kind == ProgressKind::kTick ||
                          kind == ProgressKind::kJobDone;
  if (has_totals) value["totals"] = Json(totals);
  if (kind == ProgressKind::kTick) {
    value["active"] = json::array();
    for (const auto& table : active) value["active"].push_back(Json(table));
  }
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

void JsonLinesProgress::OnEvent(const ProgressEvent& event) {
  const std::string line = event.ToJson() + "\n";
  std::fwrite(line.data(), 1, line.size(), out_);
  std::fflush(out_);
}

std::string FailureText(const ProgressEvent& event) {
  const std::string name = event.dataset.ToString();
  const std::string& text = event.message;
  const bool told = text.starts_with(name + ": ") || text.starts_with(name + ", ");
  return told ? text : name + ": " + text;
}

std::string TotalsText(const ProgressTotals& totals, bool detailed) {
  std::string text;
  if (totals.fraction >= 0) text += fmt::format("{:.0f} % · ", totals.fraction * 100);
  text += fmt::format("{}/{} tables · {} rows · {} · {} rows/s · {:.1f} MB/s", totals.tables_done,
                      totals.tables, FormatCount(totals.rows), FormatBytes(totals.bytes),
                      FormatCount(static_cast<int64_t>(totals.rows_per_second)),
                      totals.megabytes_per_second);
  if (totals.eta_ms >= 0) text += " · ETA " + FormatDurationMs(totals.eta_ms);
  if (totals.units_cached > 0) {
    text += fmt::format(" · {} of {} units from the cache", FormatCount(totals.units_cached),
                        FormatCount(totals.units));
  }
  text += fmt::format(" · RSS {} of {}", FormatBytes(totals.rss_bytes),
                      FormatBytes(totals.memory_limit_bytes));
  if (detailed) {
    text += fmt::format(
        " · {:.0f} tables/min · {:.0f} units/min · CPU {:.1f} cores · disk {:.1f} "
        "MB/s read, {:.1f} MB/s written · {} retries",
        totals.tables_per_minute, totals.units_per_minute, totals.cpu_cores,
        totals.disk_read_megabytes_per_second, totals.disk_write_megabytes_per_second,
        totals.retries);
  }
  return text;
}

void LineProgress::OnEvent(const ProgressEvent& event) {
  std::string line;
  switch (event.kind) {
    case ProgressKind::kJobStarted:
      line = fmt::format("job {}: {} tables, {} units", event.job_id, event.totals.tables,
                         event.totals.units);
      break;
    case ProgressKind::kTick:
      if (event.totals.elapsed_ms - last_line_ms_ < interval_ms_) return;
      last_line_ms_ = event.totals.elapsed_ms;
      line = event.totals.tables == 0 ? "planning" : TotalsText(event.totals, detailed_);
      break;
    case ProgressKind::kRetry:
      line = fmt::format("retry in {}: {}", FormatDurationMs(event.delay_ms), event.message);
      break;
    case ProgressKind::kWarning:
      line = "warning: " + event.message;
      break;
    case ProgressKind::kTableFailed:
      line = "failed: " + FailureText(event);
      break;
    case ProgressKind::kTablePublished:
      if (!detailed_) return;
      line = fmt::format("{}: {} rows, {} at {}", event.dataset.ToString(), FormatCount(event.rows),
                         FormatBytes(event.bytes), event.location);
      break;
    default:
      return;
  }
  line += "\n";
  std::fwrite(line.data(), 1, line.size(), out_);
  std::fflush(out_);
}

}  // namespace bulkhaul
