// Pieces of JSON lines, as the sample and the reader take them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "base/error.h"
#include "source/files/json_utf8.h"

namespace bulkhaul::files {

// The lines' rows. nullptr: types are found from them; else another field is an error.
Result<std::shared_ptr<arrow::RecordBatch>> ParseJsonLines(
    std::string_view text, const std::shared_ptr<arrow::Schema>& schema);
// The lines as UTF-8, by policy; as they are when they are that.
Result<std::string> JsonInUtf8(std::string lines, BadJsonText policy, int64_t* repaired);
// What is wrong with a line, and what to do about it, if it does not say so.
std::string WithAdvice(std::string what);
// Bytes of the lines of `text`, or of all but the last when it is not ended and more may follow.
size_t WholeJsonLines(std::string_view text, bool last);

}  // namespace bulkhaul::files
