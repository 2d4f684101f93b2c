// One Parquet file, row group by row group, in bounded memory.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "sink/compression.h"
#include "sink/parquet/column_tuning.h"
#include "sink/part_format.h"

namespace bulkhaul {

// What the options ask for. Constant.
struct ParquetSettings {
  enum class Dictionary { kAuto, kOn, kOff };
  Compression compression;
  bool default_compression = false;  // the user named no codec
  Dictionary dictionary = Dictionary::kAuto;
  int64_t row_group_bytes = 0;  // of Arrow data
  int64_t row_group_rows = 0;
  bool statistics = true;
  bool statistics_everywhere = false;  // asked for, not by default
  bool page_index = true;
  std::vector<std::string> bloom_filter;
  std::string sort_column;

  // kUser when an option is wrong or names a column that is not there.
  static Result<ParquetSettings> FromOptions(const Options& options, const arrow::Schema& schema);
};

// The tuning of each dataset, found by its first unit and used by all, so that its parts are alike.
// Thread-safe.
class TuningCache {
 public:
  std::shared_ptr<const Tuning> Find(const std::string& dataset) const;
  // The first to come is kept; gives what is kept.
  std::shared_ptr<const Tuning> Keep(const std::string& dataset, Tuning tuning);

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<const Tuning>> tunings_;
};

// `cache` outlives the encoder. `dataset` is its key there.
Result<std::unique_ptr<PartEncoder>> MakeParquetEncoder(
    const ParquetSettings& settings, const std::shared_ptr<arrow::Schema>& schema,
    const std::shared_ptr<arrow::io::OutputStream>& stream, arrow::MemoryPool* pool,
    TuningCache* cache, const std::string& dataset);

// The Arrow schema that is stored beside the Parquet one. Small decimals are declared decimal128:
// readers older than Arrow 18 cannot open a file whose schema says decimal32 or decimal64.
std::shared_ptr<arrow::Schema> ParquetStoredSchema(const arrow::Schema& schema);

}  // namespace bulkhaul
