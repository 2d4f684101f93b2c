// Values of a fixed size: one loop a pair of types, and the same conversion for a single value.
#pragma once

#include "wire/pg_copy/encode_plan.h"

namespace bulkhaul::pg {

struct FixedCodec {
  EncodeFixed column = nullptr;
  EncodeValue value = nullptr;
  int32_t bytes = 0;
};
// nullptr members when there is no way from the type to the oid.
FixedCodec FixedCodecOf(const arrow::DataType& from, uint32_t oid);

}  // namespace bulkhaul::pg
