// Types as users write them in `cast`.
#pragma once

#include <memory>
#include <string_view>

#include <arrow/type.h>

#include "base/error.h"

namespace bulkhaul {

// int8 … int64, uint8 … uint64, float (float32), double (float64), bool, string, large_string,
// binary, large_binary, binary(bytes), date, time, timestamp, timestamptz, these three also with a
// unit: timestamp(s|ms|us|ns), decimal(p,s) with p up to 38, decimal256(p,s) with p up to 76. kUser
// with the nearest name. Pure.
Result<std::shared_ptr<arrow::DataType>> ParseTypeName(std::string_view text);
// "decimal(15,2)", "int16", "timestamp(us)": as a user would write it; Arrow's own text for others.
std::string TypeName(const arrow::DataType& type);

}  // namespace bulkhaul
