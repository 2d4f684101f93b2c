#include "sink/file_unit_writer.h"

#include <algorithm>

#include <unistd.h>

#include <fmt/format.h>

#include "base/text.h"
#include "sink/batch_bytes.h"
#include "sink/row_stream.h"

namespace bulkhaul {
namespace {

constexpr int64_t kPiecesOfPart = 8;

}  // namespace

std::string StagedPartName(const AttemptId& attempt, int64_t part) {
  return fmt::format("{}.{}.part", SafeFileName(attempt), part);
}

FileUnitWriter::FileUnitWriter(const PartFormat* format, std::string staged_folder,
                               DatasetPlan plan, const WorkUnit& unit, AttemptId attempt,
                               std::shared_ptr<arrow::Schema> schema, const UnitContext& context)
    : format_(format),
      staged_folder_(std::move(staged_folder)),
      plan_(std::move(plan)),
      attempt_(std::move(attempt)),
      schema_(std::move(schema)),
      pool_(context.pool ? context.pool : arrow::default_memory_pool()),
      part_bytes_max_(format ? plan_.dataset.options.GetBytes("max_file_size") : 0) {
  if (!plan_.split_key.empty()) key_column_ = schema_->GetFieldIndex(plan_.split_key);
  result_.unit_id = unit.id;
  result_.attempt_id = attempt_;
  result_.dataset = unit.dataset;
  result_.epoch = plan_.epoch;
  result_.ordinal = unit.ordinal;
}

FileUnitWriter::~FileUnitWriter() = default;

Status FileUnitWriter::OpenPart() {
  part_ = StagedPart{};
  key_range_ = KeyRange();
  part_.path = StagedPartName(attempt_, parts_opened_);
  ARROW_ASSIGN_OR_RAISE(file_, DurableFile::Create(staged_folder_ + "/" + part_.path));
  ++parts_opened_;
  if (format_ == nullptr) {
    ARROW_ASSIGN_OR_RAISE(encoder_, MakeRowStreamEncoder(schema_, file_, pool_));
  } else {
    ARROW_ASSIGN_OR_RAISE(encoder_, format_->Begin(plan_, schema_, file_, pool_));
  }
  return Status::OK();
}

Status FileUnitWriter::FinishPart() {
  ARROW_RETURN_NOT_OK(encoder_->Finish());
  ARROW_RETURN_NOT_OK(file_->Close());
  part_.bytes = file_->bytes();
  part_.xxh3 = file_->xxh3();
  part_.key_min = key_range_.min_text();
  part_.key_max = key_range_.max_text();
  result_.rows_written += part_.rows;
  result_.stored_bytes += part_.bytes;
  result_.parts.push_back(std::move(part_));
  encoder_.reset();
  file_.reset();
  return Status::OK();
}

Status FileUnitWriter::ObserveKey(const arrow::RecordBatch& batch) {
  if (key_column_ < 0) return Status::OK();
  return key_range_.Observe(*batch.column(key_column_));
}

int64_t FileUnitWriter::PieceRows(const arrow::RecordBatch& batch) const {
  if (part_bytes_max_ == 0) return batch.num_rows();
  // A part may pass its limit by a piece, so a piece is a small share of it.
  const int64_t pieces =
      BatchBytes(batch) / std::max<int64_t>(1, part_bytes_max_ / kPiecesOfPart) + 1;
  return (batch.num_rows() + pieces - 1) / pieces;
}

Status FileUnitWriter::Write(const arrow::RecordBatch& batch) {
  if (batch.num_rows() == 0) return Status::OK();
  const int64_t rows = PieceRows(batch);
  if (rows == batch.num_rows()) return WritePiece(batch);
  for (int64_t offset = 0; offset < batch.num_rows(); offset += rows) {
    ARROW_RETURN_NOT_OK(WritePiece(*batch.Slice(offset, rows)));
  }
  return Status::OK();
}

Status FileUnitWriter::WritePiece(const arrow::RecordBatch& batch) {
  if (file_ != nullptr && part_bytes_max_ > 0 &&
      file_->bytes() + encoder_->buffered_bytes() >= part_bytes_max_) {
    ARROW_RETURN_NOT_OK(FinishPart());
  }
  if (file_ == nullptr) ARROW_RETURN_NOT_OK(OpenPart());
  ARROW_RETURN_NOT_OK(encoder_->Write(batch));
  part_.rows += batch.num_rows();
  return ObserveKey(batch);
}

Result<StagedResult> FileUnitWriter::Finish() {
  if (file_ != nullptr) ARROW_RETURN_NOT_OK(FinishPart());
  return result_;
}

void FileUnitWriter::Abort() noexcept {
  encoder_.reset();
  file_.reset();
  for (int64_t part = 0; part < parts_opened_; ++part) {
    unlink((staged_folder_ + "/" + StagedPartName(attempt_, part)).c_str());
  }
}

int64_t FileUnitWriter::buffered_bytes() const { return encoder_ ? encoder_->buffered_bytes() : 0; }

}  // namespace bulkhaul
