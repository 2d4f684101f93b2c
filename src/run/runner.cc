#include "run/runner.h"

#include "base/text.h"
#include "commit/job_index.h"
#include "run/job_run.h"
#include "run/plan_view.h"

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
    : impl_(std::make_unique<Impl>(std::move(spec), source, sink, std::move(options))) {}
Runner::~Runner() = default;

Result<JobPlan> Runner::Plan() {
  return PlanWithoutRunning(impl_->spec, impl_->options.job_id, impl_->source, impl_->sink,
                            impl_->options.stop);
}

Result<JobReport> Runner::Run() {
  ARROW_RETURN_NOT_OK(CheckJobId(impl_->options.job_id));
  ARROW_RETURN_NOT_OK(
      CheckWishes(impl_->spec, impl_->source.Traits(), impl_->sink.Traits()));
  ARROW_ASSIGN_OR_RAISE(auto run,
                        JobRun::Begin(impl_->spec, impl_->source, impl_->sink, impl_->options));
  return run->Run();
}

}  // namespace bulkhaul
