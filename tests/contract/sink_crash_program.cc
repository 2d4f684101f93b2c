// Exports one small table as Parquet, as a job that can be killed and started again: what a ledger
// would hold is kept in files. Used by sink_crash_test.cc.
//
//   sink_crash_program STATE_FOLDER DESTINATION JOB FIRST_ID [OPTION VALUE]…
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <unistd.h>

#include <arrow/array/builder_primitive.h>
#include <arrow/record_batch.h>
#include <fmt/format.h>

#include "sink/parquet/parquet_sink.h"
#include "store/durable_file.h"

namespace bulkhaul {
namespace {

constexpr int64_t kUnits = 3;
constexpr int64_t kUnitRows = 10;

std::shared_ptr<arrow::RecordBatch> Rows(const std::shared_ptr<arrow::Schema>& schema,
                                         int64_t first) {
  arrow::Int64Builder ids;
  for (int64_t i = first; i < first + kUnitRows; ++i) {
    if (!ids.Append(i).ok()) std::abort();
  }
  return arrow::RecordBatch::Make(schema, kUnitRows, {ids.Finish().ValueOrDie()});
}

// The results that earlier runs have recorded and the destination still holds.
Result<std::vector<StagedResult>> Recover(Sink& sink, const JobId& job, const std::string& state) {
  std::vector<StagedResult> recorded;
  for (int64_t unit = 0; unit < kUnits; ++unit) {
    const std::string path = fmt::format("{}/unit_{}", state, unit);
    if (!std::filesystem::exists(path)) continue;
    ARROW_ASSIGN_OR_RAISE(const auto text, ReadSmallFile(path));
    ARROW_ASSIGN_OR_RAISE(auto staged, StagedResult::FromJson(text));
    recorded.push_back(std::move(staged));
  }
  return sink.Recover(job, recorded);
}

Status Run(const std::string& state, const JobSpec& spec, const JobId& job, int64_t first_id) {
  ARROW_ASSIGN_OR_RAISE(auto sink, MakeParquetSink(spec, job));
  DatasetPlan plan;
  plan.job_id = job;
  plan.dataset.id = {"public", "t"};
  plan.dataset.options = spec.options;
  plan.schema = arrow::schema({arrow::field("id", arrow::int64(), false)});
  plan.output_name = "public_t";
  plan.epoch = 1;

  const std::string journal = state + "/journal";
  CommitContext commit;
  if (std::filesystem::exists(journal)) {
    ARROW_ASSIGN_OR_RAISE(commit.recovered, ReadSmallFile(journal));
  } else {
    ARROW_RETURN_NOT_OK(sink->Prepare(plan, false).status());
  }
  commit.record = [&](const std::string& text) { return WriteFileDurably(journal, state, text); };

  CommitRequest request;
  request.job_id = job;
  request.idempotency_key = job + "/0";
  request.plan = plan;
  request.schema = plan.schema;
  request.rows = kUnits * kUnitRows;
  if (!commit.recovered) {
    ARROW_ASSIGN_OR_RAISE(auto whole, Recover(*sink, job, state));
    for (int64_t ordinal = 0; ordinal < kUnits; ++ordinal) {
      WorkUnit unit;
      unit.id = fmt::format("0.{}", ordinal);
      unit.dataset = plan.dataset.id;
      unit.ordinal = ordinal;
      const auto known = std::find_if(whole.begin(), whole.end(), [&](const StagedResult& result) {
        return result.ordinal == ordinal;
      });
      if (known != whole.end()) {
        request.staged.push_back(*known);
        continue;
      }
      UnitContext context;
      ARROW_ASSIGN_OR_RAISE(
          auto writer, sink->Begin(plan, unit, fmt::format("{}-{}", unit.id, getpid()), plan.schema,
                                   {}, context));
      ARROW_RETURN_NOT_OK(writer->Write(*Rows(plan.schema, first_id + ordinal * kUnitRows)));
      ARROW_ASSIGN_OR_RAISE(auto staged, writer->Finish());
      ARROW_RETURN_NOT_OK(
          WriteFileDurably(fmt::format("{}/unit_{}", state, ordinal), state, staged.ToJson()));
      request.staged.push_back(std::move(staged));
    }
  } else {
    for (int64_t ordinal = 0; ordinal < kUnits; ++ordinal) {
      ARROW_ASSIGN_OR_RAISE(const auto text,
                            ReadSmallFile(fmt::format("{}/unit_{}", state, ordinal)));
      ARROW_ASSIGN_OR_RAISE(auto staged, StagedResult::FromJson(text));
      request.staged.push_back(std::move(staged));
    }
  }
  ARROW_ASSIGN_OR_RAISE(const auto receipt, sink->Commit(request, commit));
  JobManifest manifest;
  manifest.job_id = job;
  manifest.json = "{}";
  manifest.history_json = "{}";
  manifest.finished_at = "2026-11-21T10:15:00Z";
  manifest.receipts = {receipt};
  ARROW_RETURN_NOT_OK(sink->CommitJob(manifest));
  ARROW_RETURN_NOT_OK(sink->Discard(job, {}));
  std::puts(receipt.ToJson().c_str());
  return Status::OK();
}

}  // namespace
}  // namespace bulkhaul

int main(int count, char** arguments) {
  if (count < 5 || count % 2 == 0) return 2;
  bulkhaul::JobSpec spec;
  spec.destination_uri = arguments[2];
  for (int i = 5; i + 1 < count; i += 2) {
    if (!spec.options.SetFromText(arguments[i], arguments[i + 1]).ok()) return 2;
  }
  const auto status = bulkhaul::Run(arguments[1], spec, arguments[3], std::atoll(arguments[4]));
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
