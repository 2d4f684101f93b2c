#include "sink/batch_bytes.h"

#include <arrow/util/byte_size.h>

namespace bulkhaul {

int64_t BatchBytes(const arrow::RecordBatch& batch) {
  const auto referenced = arrow::util::ReferencedBufferSize(batch);
  return referenced.ok() ? *referenced : arrow::util::TotalBufferSize(batch);
}

}  // namespace bulkhaul
