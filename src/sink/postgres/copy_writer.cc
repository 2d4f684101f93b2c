#include "sink/postgres/copy_writer.h"

#include <string>
#include <string_view>

#include <arrow/array/builder_binary.h>
#include <fmt/format.h>

#include "base/crash_point.h"
#include "client/postgres/copy_in.h"
#include "client/postgres/sql_text.h"
#include "sink/postgres/load_ledger.h"
#include "wire/csv/csv_column.h"

namespace bulkhaul::postgres {
namespace {

constexpr int kOrderBits = 40;  // rows of one unit; the unit's ordinal stands above them

class CopyWriter final : public UnitWriter {
 public:
  CopyWriter(std::shared_ptr<const LoadPlan> load, const DatasetPlan& plan, const WorkUnit& unit,
             const AttemptId& attempt, std::vector<pg::EncodeColumn> columns,
             std::vector<std::unique_ptr<csv::Column>> json, const UnitContext& context,
             WriterHost host)
      : load_(std::move(load)),
        job_(plan.job_id),
        json_(std::move(json)),
        limit_{.deadline = DeadlineIn(context.timeout_ms), .stop = context.stop},
        host_(std::move(host)),
        encoder_(std::move(columns), load_->ordered() ? unit.ordinal << kOrderBits : -1) {
    result_.unit_id = unit.id;
    result_.attempt_id = attempt;
    result_.dataset = unit.dataset;
    result_.epoch = plan.epoch;
    result_.ordinal = unit.ordinal;
  }
  ~CopyWriter() override { GiveUp(); }

  Status Write(const arrow::RecordBatch& batch) override;
  Result<StagedResult> Finish() override;
  int64_t row_at_fault() const override;
  void Abort() noexcept override;
  int64_t buffered_bytes() const override {
    return copy_ ? static_cast<int64_t>(copy_->buffer().capacity()) : 0;
  }

 private:
  Status Begin();
  Result<std::shared_ptr<arrow::RecordBatch>> WithJson(const arrow::RecordBatch& batch);
  Status EndUnit();
  void GiveUp() noexcept;

  const std::shared_ptr<const LoadPlan> load_;
  const JobId job_;
  const std::vector<std::unique_ptr<csv::Column>> json_;  // by load column; null: as it is
  const WaitLimit limit_;
  const WriterHost host_;
  pg::CopyEncoder encoder_;
  std::unique_ptr<Connection> connection_;
  std::unique_ptr<CopyIn> copy_;
  StagedResult result_;
  int64_t json_row_at_fault_ = -1;
  bool finished_ = false;
};

Status CopyWriter::Begin() {
  ARROW_ASSIGN_OR_RAISE(connection_, host_.acquire(limit_.stop));
  const std::string what = "load into " + load_->target.ToString();
  ARROW_RETURN_NOT_OK(
      connection_->Execute(load_->options.skip_wal ? "SAVEPOINT unit" : "BEGIN", limit_, what));
  copy_ = std::make_unique<CopyIn>(connection_.get());
  std::string columns = load_->ColumnList();
  if (load_->ordered()) columns += fmt::format("{}{}", columns.empty() ? "" : ", ", kOrderColumn);
  ARROW_RETURN_NOT_OK(copy_->Begin(fmt::format("COPY {} ({}) FROM STDIN (FORMAT binary)",
                                               load_->copied_into().quoted(), columns),
                                   limit_, what));
  const auto header = pg::CopyEncoder::Header();
  copy_->buffer().Append(header.data(), header.size());
  return Status::OK();
}

// Nested values without a type of their own, as JSON text.
Result<std::shared_ptr<arrow::RecordBatch>> CopyWriter::WithJson(const arrow::RecordBatch& batch) {
  auto arrays = batch.columns();
  auto fields = batch.schema()->fields();
  for (size_t i = 0; i < json_.size(); ++i) {
    if (!json_[i]) continue;
    const int index = load_->columns[i].source;
    const auto& array = *arrays[static_cast<size_t>(index)];
    json_[i]->Bind(array);
    arrow::StringBuilder builder;
    CsvBuffer text;
    for (int64_t row = 0; row < array.length(); ++row) {
      if (array.IsNull(row)) {
        ARROW_RETURN_NOT_OK(builder.AppendNull());
        continue;
      }
      text.Clear();
      json_[i]->Json(row, &text);
      const std::string_view value = text.view();
      if (value.find(pg::kNulEscape) == std::string_view::npos) {
        ARROW_RETURN_NOT_OK(builder.Append(value));
        continue;
      }
      const std::string kept = pg::WithoutNulEscapes(value);
      if (!load_->options.strip_nul && kept.size() < value.size() &&
          load_->columns[i].target_type == "jsonb") {
        json_row_at_fault_ = encoder_.rows() + row + 1;
        return UserError(
            fmt::format("column \"{}\": a text in it holds a NUL byte, which PostgreSQL's jsonb "
                        "cannot; set nul_bytes: strip to leave it out",
                        load_->columns[i].name),
            "22P05");
      }
      ARROW_RETURN_NOT_OK(
          builder.Append(load_->options.strip_nul ? std::string_view(kept) : value));
    }
    ARROW_ASSIGN_OR_RAISE(arrays[static_cast<size_t>(index)], builder.Finish());
    fields[static_cast<size_t>(index)] =
        arrow::field(fields[static_cast<size_t>(index)]->name(), arrow::utf8());
  }
  return arrow::RecordBatch::Make(arrow::schema(std::move(fields)), batch.num_rows(),
                                  std::move(arrays));
}

Status CopyWriter::Write(const arrow::RecordBatch& given) {
  if (given.num_rows() == 0) return Status::OK();
  if (!connection_) ARROW_RETURN_NOT_OK(Begin());
  const arrow::RecordBatch* batch = &given;
  std::shared_ptr<arrow::RecordBatch> changed;
  for (const auto& column : json_) {
    if (!column) continue;
    ARROW_ASSIGN_OR_RAISE(changed, WithJson(given));
    batch = changed.get();
    break;
  }
  const int64_t rows = batch->num_rows();
  for (int64_t row = 0; row < rows; row += pg::CopyEncoder::kBlockRows) {
    const int64_t block = std::min(pg::CopyEncoder::kBlockRows, rows - row);
    ARROW_RETURN_NOT_OK(encoder_.Encode(*batch, row, block, &copy_->buffer()));
    if (copy_->full()) ARROW_RETURN_NOT_OK(copy_->Flush(limit_));
  }
  return Status::OK();
}

Status CopyWriter::EndUnit() {
  const auto trailer = pg::CopyEncoder::Trailer();
  copy_->buffer().Append(trailer.data(), trailer.size());
  ARROW_ASSIGN_OR_RAISE(const int64_t loaded, copy_->Finish(limit_));
  if (loaded != encoder_.rows()) {
    if (!load_->direct() || load_->existing->triggers.empty()) {
      return BugError(
          fmt::format("{} rows were sent, and the server counted {}", encoder_.rows(), loaded));
    }
    result_.counters[kLeftOutByTriggers] = encoder_.rows() - loaded;
  }
  ARROW_RETURN_NOT_OK(EnterUnit(*connection_, *load_, job_, result_.ordinal, result_.attempt_id,
                                encoder_.rows(), limit_));
  CrashPoint("postgres.unit_entered");
  ARROW_RETURN_NOT_OK(connection_->Execute(
      load_->options.skip_wal ? "RELEASE SAVEPOINT unit" : "COMMIT", limit_, "commit the unit"));
  CrashPoint("postgres.unit_committed");
  return Status::OK();
}

Result<StagedResult> CopyWriter::Finish() {
  if (!connection_) return result_;  // no row came
  ARROW_RETURN_NOT_OK(EndUnit());
  finished_ = true;
  StagedPart part;
  part.path = result_.attempt_id;
  part.rows = encoder_.rows();
  part.bytes = copy_->bytes_sent();
  result_.rows_written = part.rows;
  result_.stored_bytes = part.bytes;
  result_.parts.push_back(std::move(part));
  copy_.reset();
  host_.release(std::move(connection_), true);
  return result_;
}

int64_t CopyWriter::row_at_fault() const {
  if (json_row_at_fault_ > 0) return json_row_at_fault_;
  if (encoder_.row_at_fault() > 0) return encoder_.row_at_fault();
  return copy_ ? LineInCopy(copy_->error_context(), load_->copied_into().name) : -1;
}

void CopyWriter::GiveUp() noexcept {
  if (!connection_) return;
  if (copy_) copy_->Abandon();
  copy_.reset();
  constexpr int64_t kRollbackMs = 2'000;
  const WaitLimit limit{.deadline = DeadlineIn(kRollbackMs), .stop = {}};
  const char* rollback = load_->options.skip_wal ? "ROLLBACK TO SAVEPOINT unit" : "ROLLBACK";
  if (connection_->ok() && !connection_->Execute(rollback, limit, "give up the unit").ok()) {
    connection_->Break();
  }
  host_.release(std::move(connection_), false);
  connection_.reset();
}

void CopyWriter::Abort() noexcept {
  GiveUp();
  if (finished_) host_.forget(result_.attempt_id);
  finished_ = false;
}

}  // namespace

Result<std::unique_ptr<UnitWriter>> MakeCopyWriter(std::shared_ptr<const LoadPlan> load,
                                                   const DatasetPlan& plan, const WorkUnit& unit,
                                                   const AttemptId& attempt,
                                                   const std::shared_ptr<arrow::Schema>& schema,
                                                   const UnitContext& context, WriterHost host) {
  ARROW_ASSIGN_OR_RAISE(auto columns, load->EncodeColumns(*schema));
  std::vector<std::unique_ptr<csv::Column>> json(load->columns.size());
  for (size_t i = 0; i < json.size(); ++i) {
    if (!load->columns[i].as_json) continue;
    ARROW_ASSIGN_OR_RAISE(json[i],
                          csv::MakeColumn(*schema->field(load->columns[i].source)->type()));
  }
  return std::make_unique<CopyWriter>(std::move(load), plan, unit, attempt, std::move(columns),
                                      std::move(json), context, std::move(host));
}

}  // namespace bulkhaul::postgres
