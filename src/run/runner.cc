#include "run/runner.h"

#include "base/log.h"
#include "base/text.h"
#include "commit/job_index.h"
#include "run/job_run.h"
#include "run/plan_view.h"
#include "run/run_context.h"
#include "store/folders.h"

namespace bulkhaul {

Result<JobId> NewJobId(const JobSpec& spec) {
  const std::string& wished = spec.options.GetString("job_id");
  if (wished.empty()) return NewId();
  ARROW_RETURN_NOT_OK(CheckJobId(wished));
  return wished;
}

class Runner::Impl {
 public:
  Impl(JobSpec spec, Source& source, Sink& sink, RunOptions options)
      : spec(std::move(spec)), source(source), sink(sink), options(std::move(options)) {}
  const JobSpec spec;
  Source& source;
  Sink& sink;
  const RunOptions options;
};

Runner::Runner(JobSpec spec, Source& source, Sink& sink, RunOptions options)
    : impl_(std::make_unique<Impl>(std::move(spec), source, sink, std::move(options))) {
  impl_->source.StopOn(impl_->options.stop);
  impl_->source.TypesFrom([&sink](const DatasetId& id, const Options& options) {
    return sink.ColumnsThere(id, options);
  });
}
Runner::~Runner() = default;

Result<JobPlan> Runner::Plan() {
  impl_->source.RetryBy([this](const std::string& what, const std::function<Status()>& action) {
    return RetryTransient(impl_->spec.options, impl_->options.stop, what, action);
  });
  return PlanWithoutRunning(impl_->spec, impl_->options.job_id, impl_->source, impl_->sink,
                            impl_->options.stop);
}

Result<JobReport> Runner::Run() {
  ARROW_RETURN_NOT_OK(CheckJobId(impl_->options.job_id));
  ARROW_RETURN_NOT_OK(CheckWishes(impl_->spec, impl_->source.Traits(), impl_->sink.Traits()));
  ARROW_ASSIGN_OR_RAISE(auto run,
                        JobRun::Begin(impl_->spec, impl_->source, impl_->sink, impl_->options));
  JobReport report = run->Run();
  const bool misconfigured = report.tables.empty() && report.state == JobState::kFailed &&
                             report.error_kind == ErrorKindName(ErrorKind::kUser);
  if (!misconfigured || impl_->options.resume) return report;
  // Its id must be free for the corrected command; a resume could only fail in the same way.
  run.reset();
  std::string state_folder = impl_->options.state_folder;
  if (state_folder.empty()) {
    ARROW_ASSIGN_OR_RAISE(state_folder, StateFolder());
  }
  const Status removed = RemoveTree(JobFolder(state_folder, impl_->options.job_id));
  if (!removed.ok()) LogWarning(MessageOf(removed));
  return UserError(report.error, report.error_code);
}

}  // namespace bulkhaul
