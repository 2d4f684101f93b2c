// Which encoding and codec each Parquet column gets.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <arrow/record_batch.h>

#include "base/error.h"
#include "plan/options.h"

namespace bulkhaul {

enum class ColumnEncoding {
  kDefault,      // dictionary, falling back to plain: nothing is known
  kDictionary,   // few distinct values
  kDelta,        // DELTA_BINARY_PACKED: integers near their neighbours
  kDeltaLength,  // DELTA_LENGTH_BYTE_ARRAY: texts that seldom repeat
  kPlain,
};

struct ColumnTuning {
  ColumnEncoding encoding = ColumnEncoding::kDefault;
  // False where the encoded bytes hardly shrink any more: bit-packed values with little order.
  bool compress = true;
  // False for texts in no order: each row group then spans them all, and smallest and largest tell
  // a reader nothing, but cost two comparisons a value. Clustered texts keep theirs.
  bool statistics = true;
};

// By position of the top-level column.
using Tuning = std::vector<ColumnTuning>;

// Decides from a sample spread over the batch; constant cost. Only top-level columns without
// children are looked at, others keep kDefault. `compress` is left true. Pure.
Tuning ChooseEncodings(const arrow::RecordBatch& batch);

// For a batch of few rows: columns whose values have more than 64 KiB on average get no dictionary
// and no statistics, which would hold six copies of a value. Empty when there are none. Pure.
Tuning ChooseForHugeValues(const arrow::RecordBatch& batch);

// Rows from which a sample says something; smaller tables take the defaults.
inline constexpr int64_t kTuningRowsMin = 2048;

// The rows that tuning looks at: a few runs of neighbours, so that order shows too.
Result<std::shared_ptr<arrow::RecordBatch>> SampleRows(const arrow::RecordBatch& batch);

}  // namespace bulkhaul
