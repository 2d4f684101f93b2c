#include "sink/parquet/parquet_encoder.h"

#include <algorithm>

#include <arrow/array/array_primitive.h>
#include <arrow/compute/api_vector.h>
#include <arrow/compute/initialize.h>
#include <arrow/datum.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/writer.h>
#include <arrow/table.h>
#include <arrow/util/base64.h>
#include <arrow/util/checked_cast.h>
#include <arrow/util/compression.h>
#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>
#include <parquet/arrow/schema.h>
#include <parquet/arrow/writer.h>
#include <parquet/exception.h>
#include <parquet/file_writer.h>
#include <parquet/metadata.h>

#include "base/type_leaves.h"
#include "sink/batch_bytes.h"
#include "sink/parquet/narrow_decimals.h"

namespace bulkhaul {
namespace {

using arrow::internal::checked_cast;

// Compressed pages of a row group wait in memory until it ends.
constexpr int64_t kBufferedBytesMax = 24 << 20;
// Sampled pages that shrink by less than this are stored as they are.
constexpr double kCompressionAdvantage = 0.93;
// The level of zstd when the user names none; 1 where encodings have done the work already.
constexpr int kZstdLevel = 3;

std::shared_ptr<arrow::DataType> StoredType(const std::shared_ptr<arrow::DataType>& type) {
  if (type->id() != arrow::Type::DECIMAL32 && type->id() != arrow::Type::DECIMAL64) return type;
  const auto& decimal = checked_cast<const arrow::DecimalType&>(*type);
  return arrow::decimal128(decimal.precision(), decimal.scale());
}

// Parquet counts columns by their leaves.
int LeafColumns(const arrow::DataType& type) {
  if (type.num_fields() == 0) return 1;
  int leaves = 0;
  for (const auto& field : type.fields()) leaves += LeafColumns(*field->type());
  return leaves;
}

Status CheckColumn(const arrow::Schema& schema, const std::string& column, const char* option) {
  if (schema.GetFieldIndex(column) >= 0) return Status::OK();
  return UserError(fmt::format("{}: there is no column '{}'", option, column));
}

std::shared_ptr<parquet::WriterProperties> MakeProperties(const ParquetSettings& settings,
                                                          const arrow::Schema& schema,
                                                          const Tuning* tuning,
                                                          arrow::MemoryPool* pool) {
  parquet::WriterProperties::Builder builder;
  builder.memory_pool(pool);
  builder.enable_store_decimal_as_integer();
  builder.max_row_group_length(std::numeric_limits<int64_t>::max());
  builder.write_batch_size(8192);
  builder.compression(settings.compression.codec);
  if (settings.compression.level) builder.compression_level(*settings.compression.level);
  if (settings.dictionary == ParquetSettings::Dictionary::kOff) builder.disable_dictionary();
  if (!settings.statistics) builder.disable_statistics();
  if (!settings.page_index) builder.disable_write_page_index();
  for (const auto& column : settings.bloom_filter) builder.enable_bloom_filter(column, {});
  if (!settings.sort_column.empty()) {
    parquet::SortingColumn sorting{};  // ascending, NULLs last
    for (int i = 0; schema.field(i)->name() != settings.sort_column; ++i) {
      sorting.column_idx += LeafColumns(*schema.field(i)->type());
    }
    builder.set_sorting_columns({sorting});
  }
  for (size_t i = 0; tuning != nullptr && i < tuning->size(); ++i) {
    const std::string path = parquet::schema::ColumnPath({schema.field(i)->name()}).ToDotString();
    const ColumnTuning& column = (*tuning)[i];
    if (!column.compress) {
      builder.compression(path, parquet::Compression::UNCOMPRESSED);
      builder.compression_level(path, arrow::util::kUseDefaultCompressionLevel);
    }
    if (!column.statistics && !settings.statistics_everywhere) {
      builder.disable_statistics(path);
      builder.disable_write_page_index(path);
    }
    const bool keep_dictionary = settings.dictionary == ParquetSettings::Dictionary::kOn;
    if (column.encoding == ColumnEncoding::kDefault || keep_dictionary ||
        column.encoding == ColumnEncoding::kDictionary) {
      continue;
    }
    builder.disable_dictionary(path);
    if (column.encoding == ColumnEncoding::kDelta) {
      builder.encoding(path, parquet::Encoding::DELTA_BINARY_PACKED);
    } else if (column.encoding == ColumnEncoding::kDeltaLength) {
      builder.encoding(path, parquet::Encoding::DELTA_LENGTH_BYTE_ARRAY);
    }
  }
  return builder.build();
}

Result<std::unique_ptr<parquet::arrow::FileWriter>> OpenWriter(
    const ParquetSettings& settings, const arrow::Schema& schema, const Tuning* tuning,
    const std::shared_ptr<arrow::io::OutputStream>& stream, arrow::MemoryPool* pool) {
  const auto arrow_properties =
      parquet::ArrowWriterProperties::Builder().set_use_threads(false)->build();
  ARROW_ASSIGN_OR_RAISE(
      auto writer,
      parquet::arrow::FileWriter::Open(
          schema, pool, stream, MakeProperties(settings, schema, tuning, pool), arrow_properties));
  ARROW_ASSIGN_OR_RAISE(const auto serialized,
                        arrow::ipc::SerializeSchema(*ParquetStoredSchema(schema), pool));
  ARROW_RETURN_NOT_OK(writer->AddKeyValueMetadata(arrow::key_value_metadata(
      {"ARROW:schema"}, {arrow::util::base64_encode(serialized->ToString())})));
  return writer;
}

// Writes the sample with the encodings chosen and finds out where compression pays.
Status TryCompression(const ParquetSettings& settings, const arrow::RecordBatch& sample,
                      arrow::MemoryPool* pool, Tuning* tuning) {
  ARROW_ASSIGN_OR_RAISE(auto stream, arrow::io::BufferOutputStream::Create(64 << 10, pool));
  ParquetSettings plain = settings;
  plain.bloom_filter.clear();
  ARROW_ASSIGN_OR_RAISE(auto writer, OpenWriter(plain, *sample.schema(), tuning, stream, pool));
  ARROW_RETURN_NOT_OK(writer->NewBufferedRowGroup());
  ARROW_RETURN_NOT_OK(writer->WriteRecordBatch(sample));
  ARROW_RETURN_NOT_OK(writer->Close());
  const auto group = writer->metadata()->RowGroup(0);
  for (int i = 0; i < group->num_columns(); ++i) {
    const auto chunk = group->ColumnChunk(i);
    const auto path = chunk->path_in_schema()->ToDotVector();
    if (path.size() != 1) continue;  // nested
    const int field = sample.schema()->GetFieldIndex(path[0]);
    if (field < 0) continue;
    // Dictionaries are small here in truth; what counts is the stream of indices.
    const auto before = static_cast<double>(chunk->total_uncompressed_size());
    const auto after = static_cast<double>(chunk->total_compressed_size());
    (*tuning)[static_cast<size_t>(field)].compress = after < before * kCompressionAdvantage;
  }
  return Status::OK();
}

// time 24:00 has no Parquet form: TIME counts up to, not including, a day.
// Source: Apache Parquet, LogicalTypes.md, "TIME".
Status CheckTimes(const arrow::RecordBatch& batch, const std::vector<int>& time_columns) {
  for (const int index : time_columns) {
    const auto& array = checked_cast<const arrow::Time64Array&>(*batch.column(index));
    const auto unit = checked_cast<const arrow::Time64Type&>(*array.type()).unit();
    const int64_t day = unit == arrow::TimeUnit::NANO ? 86'400'000'000'000 : 86'400'000'000;
    for (int64_t i = 0; i < array.length(); ++i) {
      if (array.Value(i) >= day && !array.IsNull(i)) {
        const auto& name = batch.schema()->field(index)->name();
        return UserError(
            fmt::format("column '{0}' holds the time 24:00, which Parquet cannot "
                        "store; use cast: {{{0}: string}}",
                        name));
      }
    }
  }
  return Status::OK();
}

class ParquetEncoder : public PartEncoder {
 public:
  ParquetEncoder(const ParquetSettings& settings, std::shared_ptr<arrow::Schema> schema,
                 std::shared_ptr<arrow::io::OutputStream> stream, arrow::MemoryPool* pool,
                 TuningCache* cache, std::string dataset)
      : settings_(settings),
        schema_(std::move(schema)),
        narrow_schema_(NarrowDecimalSchema(*schema_)),
        stream_(std::move(stream)),
        pool_(pool),
        cache_(cache),
        dataset_(std::move(dataset)) {
    narrows_ = !narrow_schema_->Equals(*schema_);
    for (int i = 0; i < schema_->num_fields(); ++i) {
      if (schema_->field(i)->type()->id() == arrow::Type::TIME64) time_columns_.push_back(i);
    }
  }

  Status Write(const arrow::RecordBatch& batch) override {
    if (batch.num_rows() == 0) return Status::OK();
    ARROW_RETURN_NOT_OK(CheckTimes(batch, time_columns_));
    if (!settings_.sort_column.empty()) return WriteSorted(batch);
    return WriteNarrow(batch);
  }

  Status Finish() override {
    ARROW_RETURN_NOT_OK(FlushSorted());
    if (writer_ == nullptr) ARROW_RETURN_NOT_OK(Open(nullptr));
    return writer_->Close();
  }

  int64_t buffered_bytes() const override { return pool_.bytes_allocated() + held_bytes_; }

 private:
  Status Open(const arrow::RecordBatch* first) {
    std::shared_ptr<const Tuning> tuning;
    if (settings_.dictionary == ParquetSettings::Dictionary::kAuto) {
      tuning = cache_->Find(dataset_);
      if (tuning == nullptr && first != nullptr && first->num_rows() >= kTuningRowsMin) {
        ARROW_ASSIGN_OR_RAISE(const auto sample, SampleRows(*first));
        Tuning chosen = ChooseEncodings(*sample);
        ARROW_RETURN_NOT_OK(TryCompression(settings_, *sample, &pool_, &chosen));
        tuning = cache_->Keep(dataset_, std::move(chosen));
      } else if (tuning == nullptr && first != nullptr) {
        Tuning chosen = ChooseForHugeValues(*first);
        if (!chosen.empty()) tuning = cache_->Keep(dataset_, std::move(chosen));
      }
    }
    ARROW_ASSIGN_OR_RAISE(writer_,
                          OpenWriter(settings_, *narrow_schema_, tuning.get(), stream_, &pool_));
    return Status::OK();
  }

  Status WriteNarrow(const arrow::RecordBatch& batch) {
    if (!narrows_) return WriteRows(batch);
    ARROW_ASSIGN_OR_RAISE(const auto narrow,
                          NarrowDecimals(batch, narrow_schema_, arrow::default_memory_pool()));
    return WriteRows(*narrow);
  }

  Status WriteRows(const arrow::RecordBatch& batch) {
    if (writer_ == nullptr) ARROW_RETURN_NOT_OK(Open(&batch));
    const int64_t bytes = BatchBytes(batch);
    int64_t offset = 0;
    while (offset < batch.num_rows()) {
      if (group_rows_ == 0 || group_rows_ >= settings_.row_group_rows ||
          group_bytes_ >= settings_.row_group_bytes ||
          pool_.bytes_allocated() >= kBufferedBytesMax) {
        ARROW_RETURN_NOT_OK(writer_->NewBufferedRowGroup());
        group_rows_ = group_bytes_ = 0;
      }
      const int64_t rows =
          std::min(batch.num_rows() - offset, settings_.row_group_rows - group_rows_);
      const bool whole = rows == batch.num_rows();
      ARROW_RETURN_NOT_OK(writer_->WriteRecordBatch(whole ? batch : *batch.Slice(offset, rows)));
      group_rows_ += rows;
      group_bytes_ += bytes * rows / batch.num_rows();
      offset += rows;
    }
    return Status::OK();
  }

  // A row group's rows are held until it is full, then sorted; NULLs last.
  Status WriteSorted(const arrow::RecordBatch& batch) {
    ARROW_ASSIGN_OR_RAISE(auto copy, batch.CopyTo(arrow::default_cpu_memory_manager()));
    held_bytes_ += BatchBytes(*copy);
    held_rows_ += copy->num_rows();
    held_.push_back(std::move(copy));
    if (held_bytes_ >= settings_.row_group_bytes || held_rows_ >= settings_.row_group_rows) {
      return FlushSorted();
    }
    return Status::OK();
  }

  Status FlushSorted() {
    if (held_.empty()) return Status::OK();
    ARROW_ASSIGN_OR_RAISE(auto table, arrow::Table::FromRecordBatches(schema_, held_));
    held_.clear();
    arrow::compute::SortOptions by({arrow::compute::SortKey(settings_.sort_column)});
    ARROW_ASSIGN_OR_RAISE(const auto order, arrow::compute::SortIndices(table, by));
    ARROW_ASSIGN_OR_RAISE(const auto sorted, arrow::compute::Take(table, order));
    table.reset();
    if (writer_ != nullptr) group_rows_ = 0;  // each sorted stretch is a row group of its own
    arrow::TableBatchReader batches(*sorted.table());
    batches.set_chunksize(64 << 10);
    std::shared_ptr<arrow::RecordBatch> batch;
    while (true) {
      ARROW_RETURN_NOT_OK(batches.ReadNext(&batch));
      if (batch == nullptr) break;
      ARROW_RETURN_NOT_OK(WriteNarrow(*batch));
    }
    held_bytes_ = held_rows_ = 0;
    return Status::OK();
  }

  const ParquetSettings settings_;
  const std::shared_ptr<arrow::Schema> schema_;
  const std::shared_ptr<arrow::Schema> narrow_schema_;  // what the writer sees
  bool narrows_ = false;
  const std::shared_ptr<arrow::io::OutputStream> stream_;
  arrow::ProxyMemoryPool pool_;
  TuningCache* const cache_;
  const std::string dataset_;
  std::vector<int> time_columns_;
  std::unique_ptr<parquet::arrow::FileWriter> writer_;
  int64_t group_rows_ = 0;
  int64_t group_bytes_ = 0;
  std::vector<std::shared_ptr<arrow::RecordBatch>> held_;  // sort_column only
  int64_t held_bytes_ = 0;
  int64_t held_rows_ = 0;
};

}  // namespace

std::shared_ptr<arrow::Schema> ParquetStoredSchema(const arrow::Schema& schema) {
  return MapLeaves(schema, StoredType);
}

Result<ParquetSettings> ParquetSettings::FromOptions(const Options& options,
                                                     const arrow::Schema& schema) {
  ParquetSettings settings;
  std::string compression = options.GetString("compression");
  settings.default_compression = compression.empty();
  if (compression.empty()) compression = fmt::format("zstd:{}", kZstdLevel);
  ARROW_ASSIGN_OR_RAISE(settings.compression,
                        ParseCompression(compression, "zstd, snappy, gzip, lz4, none"));
  // Parquet's LZ4_RAW is the block format, not the frame format that files outside Parquet use.
  if (settings.compression.codec == arrow::Compression::LZ4_FRAME) {
    settings.compression = {arrow::Compression::LZ4, settings.compression.level};
  }
  const std::string& dictionary = options.GetString("dictionary");
  settings.dictionary = dictionary == "on"    ? Dictionary::kOn
                        : dictionary == "off" ? Dictionary::kOff
                                              : Dictionary::kAuto;
  settings.row_group_bytes = options.GetBytes("row_group_bytes");
  settings.row_group_rows = options.GetInt("row_group_rows");
  settings.statistics = options.GetBool("statistics");
  settings.statistics_everywhere = options.Has("statistics");
  settings.page_index = options.GetBool("page_index");
  settings.bloom_filter = options.GetList("bloom_filter");
  settings.sort_column = options.GetString("sort_column");
  for (const auto& column : settings.bloom_filter) {
    ARROW_RETURN_NOT_OK(CheckColumn(schema, column, "bloom_filter"));
    if (schema.GetFieldByName(column)->type()->id() == arrow::Type::BOOL) {
      return UserError(fmt::format("bloom_filter: column '{}' is boolean, which has none", column));
    }
  }
  if (!settings.sort_column.empty()) {
    ARROW_RETURN_NOT_OK(CheckColumn(schema, settings.sort_column, "sort_column"));
    if (schema.GetFieldByName(settings.sort_column)->type()->num_fields() > 0) {
      return UserError(
          fmt::format("sort_column: '{}' is nested and has no order", settings.sort_column));
    }
    static const Status initialized = arrow::compute::Initialize();
    ARROW_RETURN_NOT_OK(initialized);
  }
  return settings;
}

std::shared_ptr<const Tuning> TuningCache::Find(const std::string& dataset) const {
  std::lock_guard lock(mutex_);
  const auto found = tunings_.find(dataset);
  return found == tunings_.end() ? nullptr : found->second;
}

std::shared_ptr<const Tuning> TuningCache::Keep(const std::string& dataset, Tuning tuning) {
  std::lock_guard lock(mutex_);
  return tunings_.emplace(dataset, std::make_shared<const Tuning>(std::move(tuning))).first->second;
}

Result<std::unique_ptr<PartEncoder>> MakeParquetEncoder(
    const ParquetSettings& settings, const std::shared_ptr<arrow::Schema>& schema,
    const std::shared_ptr<arrow::io::OutputStream>& stream, arrow::MemoryPool* pool,
    TuningCache* cache, const std::string& dataset) {
  return std::make_unique<ParquetEncoder>(settings, schema, stream, pool, cache, dataset);
}

}  // namespace bulkhaul
