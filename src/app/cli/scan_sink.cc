#include "app/cli/scan_sink.h"

#include <algorithm>
#include <utility>

#include <arrow/array/array_binary.h>
#include <arrow/compute/api_aggregate.h>
#include <arrow/compute/api_scalar.h>
#include <arrow/compute/exec.h>
#include <arrow/compute/initialize.h>
#include <arrow/datum.h>
#include <arrow/type_traits.h>

#include "plan/contract.h"
#include "plan/option_table.h"

namespace bulkhaul {
namespace {

Status AddBound(const std::shared_ptr<arrow::Scalar>& value, const char* is_beyond,
                std::shared_ptr<arrow::Scalar>* bound) {
  if (value == nullptr || !value->is_valid) return Status::OK();
  if (*bound != nullptr) {
    ARROW_ASSIGN_OR_RAISE(const auto beyond,
                          arrow::compute::CallFunction(is_beyond, {value, *bound}));
    if (!beyond.scalar_as<arrow::BooleanScalar>().value) return Status::OK();
  }
  *bound = value;
  return Status::OK();
}

Status AddColumn(const std::shared_ptr<arrow::Array>& column, ColumnProfile* profile) {
  profile->nulls += column->null_count();
  if (arrow::is_base_binary_like(column->type_id()) &&
      !arrow::is_large_binary_like(column->type_id())) {
    const auto& texts = static_cast<const arrow::BinaryArray&>(*column);
    for (int64_t i = 0; i < texts.length(); ++i) {
      profile->length_max = std::max<int64_t>(profile->length_max, texts.value_length(i));
    }
  }
  if (!HasOrder(*column->type())) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const auto bounds, arrow::compute::MinMax(column));
  const auto& pair = bounds.scalar_as<arrow::StructScalar>();
  ARROW_RETURN_NOT_OK(AddBound(pair.value[0], "less", &profile->min));
  return AddBound(pair.value[1], "greater", &profile->max);
}

}  // namespace

Status TableProfile::Add(const arrow::RecordBatch& batch) {
  static const Status initialized = arrow::compute::Initialize();
  ARROW_RETURN_NOT_OK(initialized);
  columns.resize(static_cast<size_t>(batch.num_columns()));
  for (int i = 0; i < batch.num_columns(); ++i) {
    ARROW_RETURN_NOT_OK(AddColumn(batch.column(i), &columns[static_cast<size_t>(i)]));
  }
  return Status::OK();
}

Status TableProfile::Merge(const TableProfile& other) {
  rows += other.rows;
  if (other.schema != nullptr) schema = other.schema;
  columns.resize(std::max(columns.size(), other.columns.size()));
  for (size_t i = 0; i < other.columns.size(); ++i) {
    columns[i].nulls += other.columns[i].nulls;
    columns[i].length_max = std::max(columns[i].length_max, other.columns[i].length_max);
    ARROW_RETURN_NOT_OK(AddBound(other.columns[i].min, "less", &columns[i].min));
    ARROW_RETURN_NOT_OK(AddBound(other.columns[i].max, "greater", &columns[i].max));
  }
  return Status::OK();
}

class ScanSink::Writer : public UnitWriter {
 public:
  Writer(ScanSink& sink, const DatasetPlan& plan, const WorkUnit& unit, const AttemptId& attempt,
         std::shared_ptr<arrow::Schema> schema)
      : sink_(sink) {
    result_.unit_id = unit.id;
    result_.attempt_id = attempt;
    result_.dataset = unit.dataset;
    result_.epoch = plan.epoch;
    result_.ordinal = unit.ordinal;
    profile_.schema = std::move(schema);
  }

  Status Write(const arrow::RecordBatch& batch) override {
    profile_.rows += batch.num_rows();
    return sink_.profile_ ? profile_.Add(batch) : Status::OK();
  }

  Result<StagedResult> Finish() override {
    result_.rows_written = profile_.rows;
    if (profile_.rows > 0) {
      StagedPart part;
      part.path = result_.attempt_id;
      part.rows = profile_.rows;
      result_.parts.push_back(std::move(part));
    }
    std::lock_guard lock(sink_.mutex_);
    ARROW_RETURN_NOT_OK(sink_.tables_[result_.dataset].Merge(profile_));
    return result_;
  }
  void Abort() noexcept override {}

 private:
  ScanSink& sink_;
  StagedResult result_;
  TableProfile profile_;
};

SinkTraits ScanSink::Traits() const {
  SinkTraits traits;
  traits.name = "scan";
  traits.atomic_commit = true;
  traits.second_stage = false;
  // The job may have been written for any sink.
  for (const auto& option : OptionTable()) traits.options.emplace_back(option.group);
  return traits;
}

Result<SinkPlan> ScanSink::Prepare(const DatasetPlan& plan, bool) {
  std::lock_guard lock(mutex_);
  tables_[plan.dataset.id].schema = plan.schema;
  return SinkPlan();
}

Result<std::unique_ptr<UnitWriter>> ScanSink::Begin(const DatasetPlan& plan, const WorkUnit& unit,
                                                    const AttemptId& attempt,
                                                    const std::shared_ptr<arrow::Schema>& schema,
                                                    WriteStage, UnitContext&) {
  return std::make_unique<Writer>(*this, plan, unit, attempt, schema);
}

Result<std::unique_ptr<arrow::RecordBatchReader>> ScanSink::OpenStaged(const DatasetPlan&,
                                                                       const StagedResult&,
                                                                       UnitContext&) {
  return BugError("rows that were only looked at cannot be read back");
}

Result<std::vector<StagedResult>> ScanSink::Recover(const JobId&, std::span<const StagedResult>) {
  return std::vector<StagedResult>();
}

Result<CommitReceipt> ScanSink::Commit(const CommitRequest& request, CommitContext&) {
  CommitReceipt receipt;
  receipt.dataset = request.plan.dataset.id;
  receipt.rows = request.rows;
  return receipt;
}

}  // namespace bulkhaul
