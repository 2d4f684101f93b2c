// copy, run, plan, resume.
#include <cerrno>
#include <cstdio>
#include <memory>

#include <fmt/format.h>

#include "app/cli/file_destination.h"
#include "app/cli/progress_view.h"
#include "app/cli/stop_signals.h"
#include "app/cli/terminal.h"
#include "app/cli/verbs.h"
#include "app/registry.h"
#include "commit/job_index.h"
#include "run/runner.h"

namespace bulkhaul {
namespace {

struct Ends {
  std::unique_ptr<Source> source;
  std::unique_ptr<Sink> sink;
};

Result<Ends> MakeEnds(const JobSpec& spec, const JobId& job) {
  Ends ends;
  ARROW_ASSIGN_OR_RAISE(ends.source, MakeSource(spec, job));
  ARROW_ASSIGN_OR_RAISE(ends.sink, MakeSink(spec, job));
  return ends;
}

Status WriteReport(const JobReport& report, const std::string& path) {
  if (path.empty()) return Status::OK();
  std::FILE* file = std::fopen(path.c_str(), "we");
  if (file == nullptr) return ErrnoError(errno, "write the report", path);
  const std::string text = report.ToJson() + "\n";
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const int write_error = errno;
  if (std::fclose(file) != 0 || !written) {
    return ErrnoError(written ? errno : write_error, "write the report", path);
  }
  return Status::OK();
}

// How the failed tables of a job go on.
std::string WayOnOf(const JobReport& report, const std::string& resume) {
  const int64_t options = report.TablesFor(Remedy::kOptions);
  const int64_t new_job = report.TablesFor(Remedy::kNewJob);
  if (options + new_job == 0) return "run only those again with: " + resume;
  if (report.TablesFor(Remedy::kResume) > 0) {
    return fmt::format(
        "run only those again with: {} ({} of them will fail again: they need a new "
        "job, as their messages say)",
        resume, options + new_job);
  }
  return options > 0
             ? "change the options and start a new job for those tables: a resume keeps them"
             : "start a new job for those tables: a resume would fail again";
}

// The report, and for a job that is not done what to do next.
int Conclude(const JobReport& report, const Options& options, const ProgressView& view) {
  if (OutputFormOf(options) == OutputForm::kJson) {
    fmt::print("{}\n", report.ToJson());
  } else {
    fmt::print("{}", report.ToText());
  }
  std::fflush(stdout);
  if (report.state == JobState::kDone) return kExitDone;
  const std::string resume = fmt::format("bulkhaul resume {}", report.job_id);
  if (report.state == JobState::kCancelled) {
    view.Say("stopped: nothing is lost", "go on with: " + resume);
  } else if (report.state == JobState::kPartial) {
    view.Say(
        fmt::format("error: {} of {} tables failed", report.tables_failed, report.tables.size()),
        WayOnOf(report, resume));
  } else {
    const auto kind = ErrorKindFromName(report.error_kind);
    const Status error =
        MakeError(kind.ok() ? *kind : ErrorKind::kPermanent, report.error, report.error_code);
    auto text = ErrorText(error, HintFor(error));
    if (text.ends_with('\n')) text.pop_back();
    view.Say(text, WayOn(error, report.job_id));
  }
  return report.exit_code();
}

Result<int> RunJob(JobSpec spec, JobId job_id, bool resume) {
  ARROW_RETURN_NOT_OK(CheckJob(spec));
  const Options options = spec.options;
  const ProgressView view = MakeProgressView(options);
  ARROW_RETURN_NOT_OK(StartLog(options, view.log_to_stderr));
  StopSignals signals([&] { view.Say("stopping; once more to stop at once", ""); });
  ARROW_ASSIGN_OR_RAISE(auto ends, MakeEnds(spec, job_id));
  RunOptions run;
  run.job_id = std::move(job_id);
  run.resume = resume;
  run.stop = signals.token();
  run.progress = view.sink.get();
  run.progress_interval_ms = view.interval_ms;
  Runner runner(std::move(spec), *ends.source, *ends.sink, std::move(run));
  auto report = runner.Run();
  view.Close();
  if (!report.ok()) return report.status();
  const Status written = WriteReport(*report, options.GetString("report"));
  const int code = Conclude(*report, options, view);
  if (!written.ok()) {
    view.Say(ErrorText(written, ""), "");
    return code == kExitDone ? kExitFailed : code;
  }
  return code;
}

}  // namespace

OutputForm OutputFormOf(const Options& options) {
  return options.GetString("output") == "json" ? OutputForm::kJson : OutputForm::kText;
}

Result<int> RunCopy(JobSpec job) {
  ARROW_RETURN_NOT_OK(CheckNotOwnSource(job));
  ARROW_ASSIGN_OR_RAISE(auto job_id, NewJobId(job));
  return RunJob(std::move(job), std::move(job_id), /*resume=*/false);
}

Result<int> RunPlan(JobSpec job) {
  if (job.destination_uri.empty()) job.destination_uri = "exports";
  ARROW_RETURN_NOT_OK(CheckJob(job));
  ARROW_RETURN_NOT_OK(CheckNotOwnSource(job));
  ARROW_RETURN_NOT_OK(StartLog(job.options, /*to_stderr=*/true));
  ARROW_ASSIGN_OR_RAISE(const auto job_id, NewJobId(job));
  ARROW_ASSIGN_OR_RAISE(auto ends, MakeEnds(job, job_id));
  const auto form = OutputFormOf(job.options);
  RunOptions run;
  run.job_id = job_id;
  Runner runner(std::move(job), *ends.source, *ends.sink, std::move(run));
  ARROW_ASSIGN_OR_RAISE(const auto plan, runner.Plan());
  fmt::print("{}", form == OutputForm::kJson ? plan.ToJson() + "\n" : plan.ToText());
  return plan.refused() ? kExitFailed : kExitDone;
}

Result<int> RunResume(const ResumeRequest& request) {
  ARROW_ASSIGN_OR_RAISE(const auto state_folder, StateFolder());
  ARROW_ASSIGN_OR_RAISE(const auto entry, FindJob(state_folder, request.job));
  if (entry.state == "done") {
    return UsageError(fmt::format("job '{}' is done: there is nothing to resume", entry.id));
  }
  ARROW_ASSIGN_OR_RAISE(auto spec, LoadJobSpec(entry));
  const auto environment = ProcessEnvironment();
  if (!request.source.empty()) {
    spec.source_uri = request.source;
    spec.source_reference.clear();
  }
  ARROW_RETURN_NOT_OK(ResolveJobReferences(&spec, environment));
  for (const auto& option : OptionTable()) {
    const auto value = environment(EnvironmentNameOf(option.name));
    if (!value || !IsRuntimeOption(option)) continue;
    ARROW_RETURN_NOT_OK(spec.options.SetFromText(option.name, *value));
  }
  ARROW_RETURN_NOT_OK(ApplySettings(request.settings, &spec.options));
  return RunJob(std::move(spec), entry.id, /*resume=*/true);
}

}  // namespace bulkhaul
