// The option "compression": codec and level.
#pragma once

#include <optional>
#include <string>

#include <arrow/util/type_fwd.h>

#include "base/error.h"

namespace bulkhaul {

struct Compression {
  arrow::Compression::type codec = arrow::Compression::UNCOMPRESSED;
  std::optional<int> level;  // none: the codec's own default
};

// "zstd:3", "zstd", "snappy", "gzip:6", "lz4", "none". `allowed` lists what the format can store,
// as the message shows it: "zstd, snappy, gzip, lz4, none". kUser on anything else and on a level
// that the codec does not have.
Result<Compression> ParseCompression(const std::string& text, const std::string& allowed);

}  // namespace bulkhaul
