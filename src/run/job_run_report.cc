// How a run ends: manifest, report, job entry.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/crash_point.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/units.h"
#include "run/contract_plan.h"
#include "run/job_run.h"
#include "run/unit_cache.h"
#include "run/unit_worker.h"
#include "store/folders.h"
#include "transform/transform.h"

namespace bulkhaul {
namespace {

Status WriteText(const std::string& path, const std::string& text) {
  std::ofstream out(path + ".new", std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) return ErrnoError(errno ? errno : EIO, "write", path);
  std::error_code error;
  std::filesystem::rename(path + ".new", path, error);
  return error ? ErrnoError(error.value(), "rename", path) : Status::OK();
}

const char* ReportedState(const TableRun& table) {
  if (table.stop.stop_requested()) return "failed";
  switch (table.record.state) {
    case DatasetState::kPublished:
      return "published";
    case DatasetState::kStaged:
    case DatasetState::kPublishing:
      return "staged";
    default:
      return "pending";
  }
}

}  // namespace

void JobRun::AddTableReport(JobReport& report, const TableRun& table) {
  const DatasetRecord& record = table.record;
  TableReport entry;
  entry.dataset = record.dataset.id;
  entry.output_name = record.output_name;
  entry.state = ReportedState(table);
  entry.units = table.units;
  entry.retries = table.retries;
  entry.epoch = record.epoch;
  entry.earlier_run = table.published_before;
  entry.explanations = table.explanations;
  for (const auto& [earlier, reason] : table.after) {
    entry.after.push_back({earlier->Name(), reason});
  }
  entry.rejected_to = table.rejected_to;
  entry.error_code = table.error_code;
  if (table.epoch) entry.snapshot = table.epoch->snapshot.description;
  if (table.started_ms >= 0) {
    const int64_t end = table.finished_ms >= 0 ? table.finished_ms.load() : progress_.elapsed_ms();
    entry.elapsed_ms = end - table.started_ms;
  }
  const bool assembled = record.intermediate && record.state != DatasetState::kPlanned;
  const UnitStage stage = assembled ? UnitStage::kAssemble : UnitStage::kRead;
  // A ledger that cannot be read any more must not hide what happened.
  if (auto totals = ledger_->Totals(record.index); totals.ok()) {
    entry.rows = totals->rows;
    entry.source_bytes = totals->source_bytes;
    entry.unit_ms = totals->unit_ms;
    entry.stored_bytes = totals->stored_bytes;
  }
  if (auto results = ledger_->Staged(record.index, stage); results.ok()) {
    for (const auto& result : *results) {
      entry.rows_read += result.rows_read;
      entry.rows_filtered += result.rows_filtered;
      entry.rows_rejected += result.rows_rejected;
      entry.rows_merged += result.rows_merged;
      for (const auto& [name, count] : result.counters) entry.counters[name] += count;
    }
  }
  if (record.dataset.judges_rows()) AddRejects(entry, table);
  const std::pair<const char*, int64_t*> cached[] = {{kCacheHits, &report.cache.hits},
                                                     {kCacheMisses, &report.cache.misses},
                                                     {kCachePassed, &report.cache.passed},
                                                     {kCacheRows, &report.cache.rows},
                                                     {kCacheBytes, &report.cache.bytes}};
  for (const auto& [name, sum] : cached) {
    if (const auto count = entry.counters.extract(name)) *sum += count.mapped();
  }
  if (const auto before = entry.counters.extract(kBytesBeforeTransform)) {
    entry.bytes_before_transform = before.mapped();
  }
  if (const auto after = entry.counters.extract(kBytesAfterTransform)) {
    entry.bytes_after_transform = after.mapped();
  }
  if (record.receipt) {
    entry.location = record.receipt->location;
    entry.rows = record.receipt->rows;
    entry.stored_bytes = record.receipt->bytes;
    entry.files = record.receipt->files;
    for (const auto& [name, count] : record.receipt->counters) entry.counters[name] += count;
  }
  report.tables.push_back(std::move(entry));
}

void JobRun::AddRejects(TableReport& entry, const TableRun& table) {
  const DatasetRecord& record = table.record;
  const auto units = ledger_->Staged(record.index, UnitStage::kRead);
  if (!units.ok()) return;
  if (auto lines = DescribeRejects(record.dataset, *units); lines.ok()) {
    entry.explanations.insert(entry.explanations.begin(), lines->begin(), lines->end());
  }
  if (entry.rows_rejected == 0 || !entry.rejected_to.empty()) return;
  // Written by an earlier run of the job.
  auto path = QuarantineFile(run_.spec, record.dataset, record.output_name, run_.job);
  std::error_code error;
  if (std::filesystem::exists(path, error)) entry.rejected_to = std::move(path);
}

JobReport JobRun::Report(const Status& status) {
  JobReport report;
  report.job_id = run_.job;
  report.source = run_.source_description;
  report.destination = Redact(spec_.destination_uri);
  report.format = run_.sink_traits.name;
  report.started_at = started_at_;
  report.finished_at = FormatUtc(std::chrono::system_clock::now());
  report.resumed = options_.resume;
  for (const auto& table : tables_) AddTableReport(report, *table);
  if (auto records = ledger_->Datasets(); records.ok()) {
    for (size_t i = 0; i < std::min(records->size(), report.tables.size()); ++i) {
      report.tables[i].error = (*records)[i].error;
      report.tables[i].error_kind = (*records)[i].error_kind;
    }
  }
  std::string first_code;  // of a table's own failure
  for (const auto& table : report.tables) {
    if (first_code.empty() && table.error_code != kPredecessorFailed) first_code = table.error_code;
    report.tables_published += table.state == "published";
    report.tables_failed += table.state == "failed";
    report.rows += table.rows;
    report.rows_read += table.rows_read;
    report.rows_rejected += table.rows_rejected;
    report.source_bytes += table.source_bytes;
    report.stored_bytes += table.stored_bytes;
    report.files += table.files;
  }
  if (!status.ok()) {
    report.state =
        KindOf(status) == ErrorKind::kCancelled ? JobState::kCancelled : JobState::kFailed;
    report.error = Redact(MessageOf(status));
    report.error_kind = ErrorKindName(KindOf(status));
    report.error_code = CodeOf(status);
  } else if (report.tables_failed > 0) {
    // With commit: job nothing appears unless everything does.
    report.state = run_.commit_job ? JobState::kFailed : JobState::kPartial;
    report.error =
        fmt::format("{} of {} tables failed", report.tables_failed, report.tables.size());
    if (report.TablesFor(Remedy::kOptions) + report.TablesFor(Remedy::kNewJob) == 0 ||
        report.TablesFor(Remedy::kResume) > 0) {
      report.error += fmt::format("; go on with 'bulkhaul resume {}'", run_.job);
    } else {
      report.error_code = first_code;
    }
    report.error_kind = ErrorKindName(ErrorKind::kPermanent);
  }
  report.units = units_run_;
  report.unit_ms = unit_ms_;
  report.retries = progress_.retries;
  if (auto snapshots = ledger_->Snapshots(); snapshots.ok()) {
    report.epochs = static_cast<int64_t>(snapshots->size());
  }
  report.wall_ms = progress_.elapsed_ms();
  const ProcessUsage usage = ReadProcessUsage();
  report.cpu_ms = usage.cpu_ms - usage_before_.cpu_ms;
  report.disk_read_bytes = usage.disk_read_bytes - usage_before_.disk_read_bytes;
  report.disk_write_bytes = usage.disk_write_bytes - usage_before_.disk_write_bytes;
  report.workers = run_.memory.workers;
  if (governor_) {
    report.workers = governor_->highest();
    report.concurrency = governor_->Describe();
  }
  report.memory_limit_bytes = memory_limit_bytes_;
  if (!decision_.reason.empty()) report.strategy = StrategyName(decision_.strategy);
  if (const Strategy last = run_.strategy.load(); last != decision_.strategy) {
    report.strategy += fmt::format(", then {}", StrategyName(last));
  }
  report.strategy_reason = decision_.reason;
  report.memory_need_bytes = decision_.need_bytes;
  report.memory_available_bytes = decision_.available_bytes;
  report.memory_ratio = decision_.ratio;
  monitor_.Check();
  report.peak_rss_bytes = monitor_.peak_bytes();
  // Between two samples the kernel saw more; its peak is of the whole process, so it counts when
  // this job raised it.
  if (const int64_t peak = PeakResidentBytes(); peak > peak_before_bytes_) {
    report.peak_rss_bytes = std::max(report.peak_rss_bytes, peak);
  }
  report.peak_rss_by_stage = monitor_.PeakByStage();
  report.peak_reserved_bytes = budget_.peak_reserved_bytes();
  {
    std::lock_guard lock(mutex_);
    report.slowest_units = slowest_;
  }
  report.warnings = progress_.warnings();
  report.configuration = spec_.options.ToJson();
  return report;
}

Status JobRun::PublishJob(JobReport& report) {
  StageScope stage(monitor_, MemoryStage::kPublish);
  JobManifest manifest;
  manifest.job_id = run_.job;
  manifest.finished_at = report.finished_at;
  manifest.json = JobManifestJson(report);
  if (spec_.options.GetBool("job_history")) manifest.history_json = JobRecordJson(report);
  for (const auto& table : tables_) manifest.receipts.push_back(*table->record.receipt);
  CrashPoint("job.before_manifest");
  ARROW_RETURN_NOT_OK(RetryTransient(run_, "publish the job's manifest",
                                     [&] { return run_.sink.CommitJob(manifest); }));
  for (const auto& receipt : manifest.receipts) {
    if (receipt.metadata.empty()) continue;
    ARROW_RETURN_NOT_OK(WriteFileRecord(entry_.folder, {receipt.location, receipt.metadata}));
  }
  CrashPoint("job.manifest_published");
  if (spec_.options.GetBool("keep_workspace")) return Status::OK();
  // Everything is published; what cannot be cleaned up is no reason to call the job failed.
  const Status discarded = run_.sink.Discard(run_.job, {});
  if (!discarded.ok()) {
    progress_.Warn(MessageOf(discarded));
    report.warnings = progress_.warnings();
  }
  CrashPoint("job.workspace_removed");
  return Status::OK();
}

Status JobRun::WriteEntry(const JobReport& report) {
  entry_.state = JobStateName(report.state);
  entry_.updated_at = JobTime();
  entry_.error = report.error;
  entry_.left_nothing = entry_.left_nothing && !run_.sink.Traits().reached;
  entry_.tables = static_cast<int64_t>(report.tables.size());
  entry_.tables_published = report.tables_published;
  entry_.rows = report.rows;
  return WriteJobEntry(entry_);
}

void JobRun::End(JobReport& report, const Status& status) {
  Status written = WriteText(entry_.folder + "/report.json", report.ToJson());
  if (written.ok()) {
    written = WriteText(entry_.folder + "/record.json", JobRecordJson(report));
  }
  if (written.ok()) written = WriteEntry(report);
  const bool done = status.ok() && report.state == JobState::kDone;
  if (done && !spec_.options.GetBool("keep_workspace")) {
    CrashPoint("job.before_ledger_removed");
    Status removed = ledger_->Remove();
    if (removed.ok()) removed = RemoveTree(TransformFolder());
    if (written.ok()) written = removed;
  }
  if (!written.ok()) {
    LogWarning(MessageOf(written));
    report.warnings.push_back(MessageOf(written));
  }
  ProgressEvent event;
  event.kind = ProgressKind::kJobDone;
  event.state = JobStateName(report.state);
  event.message = report.error;
  event.rows = report.rows;
  event.bytes = report.stored_bytes;
  event.elapsed_ms = report.wall_ms;
  event.totals = progress_.Totals();
  progress_.Emit(std::move(event));
}

}  // namespace bulkhaul
