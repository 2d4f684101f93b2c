// The form in which rows wait between two passes: Arrow IPC stream, LZ4, one stream a part.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sink/part_format.h"

namespace bulkhaul {

Result<std::unique_ptr<PartEncoder>> MakeRowStreamEncoder(
    const std::shared_ptr<arrow::Schema>& schema,
    const std::shared_ptr<arrow::io::OutputStream>& stream, arrow::MemoryPool* pool);

// The rows of these files, one after the other; each is opened when its turn comes. `schema` is
// what is given when there is no file.
Result<std::unique_ptr<arrow::RecordBatchReader>> OpenRowStreams(
    std::vector<std::string> paths, const std::shared_ptr<arrow::Schema>& schema,
    arrow::MemoryPool* pool);

}  // namespace bulkhaul
