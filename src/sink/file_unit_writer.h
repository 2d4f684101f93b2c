// One attempt of one unit, as part files in staging.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "plan/context.h"
#include "sink/key_range.h"
#include "sink/part_format.h"
#include "sink/sink.h"
#include "store/durable_file.h"

namespace bulkhaul {

// Path of an attempt's n-th part (from 0), relative to the staging folder. Never ends in a data
// extension: globs of other programs look into staging too.
std::string StagedPartName(const AttemptId& attempt, int64_t part);

class FileUnitWriter : public UnitWriter {
 public:
  // `format` outlives the writer; nullptr: an intermediate row stream.
  FileUnitWriter(const PartFormat* format, std::string staged_folder, DatasetPlan plan,
                 const WorkUnit& unit, AttemptId attempt, std::shared_ptr<arrow::Schema> schema,
                 const UnitContext& context);
  ~FileUnitWriter() override;

  Status Write(const arrow::RecordBatch& batch) override;
  Result<StagedResult> Finish() override;
  void Abort() noexcept override;
  int64_t buffered_bytes() const override;

 private:
  Status OpenPart();
  Status FinishPart();
  Status ObserveKey(const arrow::RecordBatch& batch);
  // Rows after which the open part may have reached its limit.
  int64_t PieceRows(const arrow::RecordBatch& batch) const;
  Status WritePiece(const arrow::RecordBatch& batch);

  const PartFormat* const format_;
  const std::string staged_folder_;
  const DatasetPlan plan_;
  const AttemptId attempt_;
  const std::shared_ptr<arrow::Schema> schema_;
  arrow::MemoryPool* const pool_;
  const int64_t part_bytes_max_;  // 0: no limit
  int key_column_ = -1;

  StagedResult result_;
  int64_t parts_opened_ = 0;
  std::shared_ptr<DurableFile> file_;  // both set while a part is open
  std::unique_ptr<PartEncoder> encoder_;
  StagedPart part_;
  KeyRange key_range_;
};

}  // namespace bulkhaul
