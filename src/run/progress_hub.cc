#include "run/progress_hub.h"

#include <algorithm>

#include "base/log.h"
#include "base/secret.h"
#include "base/units.h"

namespace bulkhaul {
namespace {

// Rates are over about this long.
constexpr int64_t kWindowMs = 5000;

double PerSecond(int64_t amount, int64_t elapsed_ms) {
  return elapsed_ms > 0 ? static_cast<double>(amount) * 1000 / static_cast<double>(elapsed_ms) : 0;
}

}  // namespace

ProgressHub::ProgressHub(JobId job, ProgressSink* sink, std::function<int64_t()> resident_bytes)
    : job_(std::move(job)),
      sink_(sink),
      resident_bytes_(std::move(resident_bytes)),
      started_(std::chrono::steady_clock::now()) {
  Sample first;
  first.usage = ReadProcessUsage();
  samples_.push_back(first);
}

int64_t ProgressHub::elapsed_ms() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               started_)
      .count();
}

void ProgressHub::SetTables(std::vector<const TableRun*> tables, int64_t memory_limit_bytes) {
  std::lock_guard lock(mutex_);
  tables_ = std::move(tables);
  memory_limit_bytes_ = memory_limit_bytes;
}

void ProgressHub::Emit(ProgressEvent event) {
  if (!sink_) return;
  event.time = FormatUtc(std::chrono::system_clock::now());
  event.job_id = job_;
  event.message = Redact(event.message);
  std::lock_guard lock(sink_mutex_);
  sink_->OnEvent(event);
}

void ProgressHub::Warn(const std::string& message) {
  const std::string text = Redact(message);
  {
    std::lock_guard lock(mutex_);
    if (std::find(warnings_.begin(), warnings_.end(), text) != warnings_.end()) return;
    warnings_.push_back(text);
  }
  // With a sink, that is who shows warnings; two lines for one would only confuse.
  if (!sink_) LogWarning(text);
  ProgressEvent event;
  event.kind = ProgressKind::kWarning;
  event.message = text;
  Emit(std::move(event));
}

std::vector<std::string> ProgressHub::warnings() const {
  std::lock_guard lock(mutex_);
  return warnings_;
}

// How far the work is, by weight: a table counts for its estimated bytes, a unit for its share of
// the table, a running unit for the rows it has read of those expected.
void ProgressHub::AddWork(ProgressTotals& totals) {
  double weight = 0, done = 0;
  bool rows_known = !tables_.empty();
  int64_t estimated_rows = 0;
  for (const TableRun* table : tables_) {
    const int64_t units = table->units, units_done = table->units_done;
    const int64_t rows = table->rows;
    ++totals.tables;
    totals.units += units;
    totals.units_done += units_done;
    totals.units_running += table->units_running;
    totals.rows += rows;
    const bool over = table->finished_ms >= 0 || table->published_before;
    if (over) ++totals.tables_done;
    if (table->stop.stop_requested()) ++totals.tables_failed;
    const int64_t expected = table->estimated_rows;
    estimated_rows += over ? rows : std::max(expected, rows);
    rows_known &= over || expected >= 0;
    double share = units > 0 ? static_cast<double>(units_done) / static_cast<double>(units) : 0;
    if (expected > 0 && units > 0) {
      share = std::max(share,
                       std::min(0.99, static_cast<double>(rows) / static_cast<double>(expected)));
    }
    const double own = static_cast<double>(std::max<int64_t>(table->weight, 1));
    weight += own;
    done += own * (over ? 1 : std::min(share, 0.99));
  }
  if (rows_known) totals.estimated_rows = estimated_rows;
  if (weight > 0) totals.fraction = done / weight;
  if (totals.fraction > 0.001 && totals.fraction < 1) {
    totals.eta_ms = static_cast<int64_t>(static_cast<double>(totals.elapsed_ms) *
                                         (1 - totals.fraction) / totals.fraction);
  }
}

void ProgressHub::AddRates(ProgressTotals& totals) {
  const Sample now{totals.elapsed_ms, totals.rows,        totals.bytes,
                   totals.units_done, totals.tables_done, ReadProcessUsage()};
  while (samples_.size() > 1 && now.at_ms - samples_[1].at_ms >= kWindowMs) samples_.pop_front();
  const Sample& then = samples_.front();
  const int64_t span_ms = now.at_ms - then.at_ms;
  // Retries take rows back, so that a difference may be negative.
  totals.rows_per_second = std::max(0.0, PerSecond(now.rows - then.rows, span_ms));
  totals.megabytes_per_second = std::max(0.0, PerSecond(now.bytes - then.bytes, span_ms)) / 1e6;
  totals.units_per_minute = std::max(0.0, PerSecond(now.units - then.units, span_ms)) * 60;
  totals.tables_per_minute = std::max(0.0, PerSecond(now.tables - then.tables, span_ms)) * 60;
  totals.cpu_cores = PerSecond(now.usage.cpu_ms - then.usage.cpu_ms, span_ms) / 1000;
  totals.disk_read_megabytes_per_second =
      PerSecond(now.usage.disk_read_bytes - then.usage.disk_read_bytes, span_ms) / 1e6;
  totals.disk_write_megabytes_per_second =
      PerSecond(now.usage.disk_write_bytes - then.usage.disk_write_bytes, span_ms) / 1e6;
  samples_.push_back(now);
}

ProgressTotals ProgressHub::Totals() {
  ProgressTotals totals;
  totals.elapsed_ms = elapsed_ms();
  totals.bytes = bytes;
  totals.stored_bytes = stored_bytes;
  totals.retries = retries;
  totals.units_cached = units_cached;
  totals.rss_bytes = resident_bytes_();
  std::lock_guard lock(mutex_);
  totals.memory_limit_bytes = memory_limit_bytes_;
  AddWork(totals);
  AddRates(totals);
  return totals;
}

void ProgressHub::Tick() {
  if (!sink_) return;
  ProgressEvent event;
  event.kind = ProgressKind::kTick;
  event.totals = Totals();
  {
    std::lock_guard lock(mutex_);
    for (const TableRun* table : tables_) {
      if (table->units_running == 0) continue;
      ActiveTable active;
      active.dataset = table->id;
      active.units = table->units;
      active.units_done = table->units_done;
      active.units_running = table->units_running;
      active.rows = table->rows;
      active.estimated_rows = table->estimated_rows;
      event.active.push_back(std::move(active));
    }
  }
  Emit(std::move(event));
}

}  // namespace bulkhaul
