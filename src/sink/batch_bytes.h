// How much of memory a batch's rows are.
#pragma once

#include <cstdint>

#include <arrow/record_batch.h>

namespace bulkhaul {

// Bytes of the rows seen, not of the buffers that they are slices of. Pure.
int64_t BatchBytes(const arrow::RecordBatch& batch);

}  // namespace bulkhaul
