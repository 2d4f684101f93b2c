// Decimals in the width that Parquet stores them in.
#pragma once

#include <memory>

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "base/error.h"

namespace bulkhaul {

// The schema with decimals of at most 9 digits as decimal32 and of at most 18 as decimal64, top
// level columns only. Parquet's INT32 and INT64 hold those (Apache Parquet, LogicalTypes.md,
// "DECIMAL"), and Arrow's writer narrows sixteen-byte values one by one, with a check each.
std::shared_ptr<arrow::Schema> NarrowDecimalSchema(const arrow::Schema& schema);

// The batch in that schema; `narrow` is NarrowDecimalSchema of the batch's own. Columns that stay
// are shared. Pure.
Result<std::shared_ptr<arrow::RecordBatch>> NarrowDecimals(
    const arrow::RecordBatch& batch, const std::shared_ptr<arrow::Schema>& narrow,
    arrow::MemoryPool* pool);

}  // namespace bulkhaul
