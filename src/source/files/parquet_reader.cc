#include <algorithm>

#include <arrow/io/file.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/dictionary.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/scalar.h>
#include <arrow/type_traits.h>
#include <arrow/util/base64.h>
#include <arrow/util/byte_size.h>
#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/column_reader.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/size_statistics.h>
#include <parquet/statistics.h>

#include "base/type_leaves.h"
#include "source/files/describe.h"
#include "source/files/file_reader.h"

namespace bulkhaul::files {
namespace {

// Rows from which the width of a row is learnt.
constexpr int64_t kProbeRows = 256;
// Values from which the length of a dictionary's texts is learnt.
constexpr int64_t kProbeValues = 1000;
// Of all columns' read buffers together.
constexpr int64_t kReadBuffersBytes = 8 << 20;

parquet::ReaderProperties Properties(arrow::MemoryPool* pool, int columns) {
  parquet::ReaderProperties properties(pool);
  // Pages are read one after the other: a row group may be larger than the memory.
  properties.enable_buffered_stream();
  properties.set_buffer_size(
      std::clamp<int64_t>(kReadBuffersBytes / std::max(1, columns), 16 << 10, 512 << 10));
  properties.set_page_checksum_verification(true);
  return properties;
}

std::shared_ptr<arrow::DataType> WithoutView(const std::shared_ptr<arrow::DataType>& type) {
  const bool view =
      type->id() == arrow::Type::STRING_VIEW || type->id() == arrow::Type::BINARY_VIEW;
  return view ? PlainType(type) : type;
}

// A writer that had its texts as views says so in the file, and Arrow then reads them as views, one
// by one. They are given out as plain texts, so they are read as such: three times as fast.
Status ReadViewsAsPlain(const parquet::FileMetaData& metadata) {
  constexpr char kArrowSchemaKey[] = "ARROW:schema";
  const auto& pairs = metadata.key_value_metadata();
  if (pairs == nullptr || !pairs->Contains(kArrowSchemaKey)) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const std::string encoded, pairs->Get(kArrowSchemaKey));
  const auto bytes = arrow::util::base64_decode(encoded);
  if (!bytes.ok()) return Status::OK();  // Arrow says what is wrong with it
  arrow::io::BufferReader stream(arrow::Buffer::FromString(*bytes));
  arrow::ipc::DictionaryMemo memo;
  const auto schema = arrow::ipc::ReadSchema(&stream, &memo);
  if (!schema.ok()) return Status::OK();
  const auto plain = MapLeaves(**schema, WithoutView);
  if (plain->Equals(**schema)) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const auto written, arrow::ipc::SerializeSchema(*plain));
  // Arrow has no other way to say it; nobody else has this file's metadata yet.
  auto& own = const_cast<arrow::KeyValueMetadata&>(*pairs);  // NOLINT(*-const-cast)
  return own.Set(kArrowSchemaKey, arrow::util::base64_encode(std::string_view(*written)));
}

// Whether each of a text column's values in these row groups stands in a dictionary. Reading them
// as a dictionary of Arrow and unfolding it costs a third of reading each value.
bool InDictionaries(const parquet::FileMetaData& metadata, int leaf, int begin, int end) {
  const auto* const column = metadata.schema()->Column(leaf);
  if (column->physical_type() != parquet::Type::BYTE_ARRAY ||
      column->path()->ToDotVector().size() > 1 || column->max_repetition_level() > 0 ||
      column->logical_type() == nullptr || !column->logical_type()->is_string()) {
    return false;
  }
  for (int group = begin; group < end; ++group) {
    const auto pages = metadata.RowGroup(group)->ColumnChunk(leaf)->encoding_stats();
    if (pages.empty()) return false;
    for (const parquet::PageEncodingStats& page : pages) {
      if (page.page_type == parquet::PageType::DICTIONARY_PAGE) continue;
      if (page.encoding != parquet::Encoding::RLE_DICTIONARY &&
          page.encoding != parquet::Encoding::PLAIN_DICTIONARY) {
        return false;
      }
    }
  }
  return true;
}

// Columns whose values are all in dictionaries come as such where `part` says which row groups are
// to be read.
Result<std::unique_ptr<parquet::arrow::FileReader>> Open(const DataFile& file,
                                                         arrow::MemoryPool* pool, int columns,
                                                         const FilePart* part = nullptr) {
  if (file.codec != FileCodec::kNone) {
    return UserError(file.path + ": a Parquet file is compressed inside; unpack it first");
  }
  ARROW_ASSIGN_OR_RAISE(auto stream, arrow::io::ReadableFile::Open(file.path, pool));
  parquet::arrow::FileReaderBuilder builder;
  parquet::ArrowReaderProperties properties;
  try {
    ARROW_RETURN_NOT_OK(builder.Open(std::move(stream), Properties(pool, columns)));
    const auto metadata = builder.raw_reader()->metadata();
    ARROW_RETURN_NOT_OK(ReadViewsAsPlain(*metadata));
    for (int leaf = 0; part != nullptr && leaf < metadata->num_columns(); ++leaf) {
      const int groups = metadata->num_row_groups();
      const int end =
          part->end < 0 ? groups : static_cast<int>(std::min<int64_t>(part->end, groups));
      const bool all = InDictionaries(*metadata, leaf, static_cast<int>(part->begin), end);
      properties.set_read_dictionary(leaf, all);
    }
  } catch (const parquet::ParquetException& error) {
    return Status::Invalid(error.what());
  }
  properties.set_use_threads(false);
  properties.set_pre_buffer(false);
  properties.set_arrow_extensions_enabled(true);
  // Nanoseconds would wrap around silently for years beyond 2262.
  properties.set_coerce_int96_timestamp_unit(arrow::TimeUnit::MICRO);
  return builder.properties(properties)->memory_pool(pool)->Build();
}

void AddLeaves(const parquet::arrow::SchemaField& field, std::vector<int>* leaves) {
  if (field.column_index >= 0) leaves->push_back(field.column_index);
  for (const auto& child : field.children) AddLeaves(child, leaves);
}

// What the statistics say of a row group's columns; unknown ones are left out.
std::vector<ColumnBounds> BoundsOf(parquet::arrow::FileReader& reader, int row_group,
                                   const arrow::Schema& wanted) {
  std::vector<ColumnBounds> bounds;
  const auto metadata = reader.parquet_reader()->metadata()->RowGroup(row_group);
  for (const auto& field : reader.manifest().schema_fields) {
    const int index = wanted.GetFieldIndex(field.field->name());
    if (index < 0 || field.column_index < 0) continue;
    const auto chunk = metadata->ColumnChunk(field.column_index);
    if (!chunk->is_stats_set()) continue;
    const auto statistics = chunk->statistics();
    if (statistics == nullptr || !statistics->HasMinMax()) continue;
    ColumnBounds one;
    one.column = field.field->name();
    if (!parquet::arrow::StatisticsAsScalars(*statistics, &one.min, &one.max).ok()) continue;
    const auto& type = wanted.field(index)->type();
    if (arrow::is_floating(type->id())) continue;  // NaN is in no statistics
    if (!one.min->type->Equals(*type)) continue;
    one.nulls = !statistics->HasNullCount() || statistics->null_count() > 0;
    bounds.push_back(std::move(one));
  }
  return bounds;
}

// Lengths of texts are known of plain pages, and where the writer noted them; of a dictionary's
// they are learnt from some values. -1: not to be learnt.
double SampledTextBytes(parquet::ParquetFileReader& reader, int row_group, int column) {
  try {
    const auto values = std::static_pointer_cast<parquet::ByteArrayReader>(
        reader.RowGroup(row_group)->Column(column));
    std::vector<int16_t> definitions(kProbeValues), repetitions(kProbeValues);
    std::vector<parquet::ByteArray> texts(kProbeValues);
    int64_t found = 0;
    const int64_t levels = values->ReadBatch(kProbeValues, definitions.data(), repetitions.data(),
                                             texts.data(), &found);
    int64_t bytes = 0;
    for (int64_t i = 0; i < found; ++i) bytes += texts[static_cast<size_t>(i)].len;
    return levels == 0 ? -1 : static_cast<double>(bytes) / static_cast<double>(levels);
  } catch (const parquet::ParquetException&) {
    return -1;  // what is broken is told when it is read
  }
}

// What a leaf's values in the file take as Arrow.
double LeafMemoryBytes(parquet::ParquetFileReader& reader, const arrow::DataType& type,
                       int column) {
  const auto metadata = reader.metadata();
  const bool texts =
      metadata->schema()->Column(column)->physical_type() == parquet::Type::BYTE_ARRAY &&
      type.bit_width() <= 0;
  double sampled = -1, memory = 0;
  for (int group = 0; group < metadata->num_row_groups(); ++group) {
    const auto chunk = metadata->RowGroup(group)->ColumnChunk(column);
    const auto values = static_cast<double>(chunk->num_values());
    if (values == 0) continue;
    if (!texts) {
      memory += values * RowMemoryBytes(type, 0);
      continue;
    }
    auto bytes = static_cast<double>(chunk->total_uncompressed_size());
    const auto sizes = chunk->size_statistics();
    if (sizes != nullptr && sizes->unencoded_byte_array_data_bytes.has_value()) {
      bytes = static_cast<double>(*sizes->unencoded_byte_array_data_bytes);
    } else if (chunk->has_dictionary_page()) {
      if (sampled < 0) sampled = SampledTextBytes(reader, group, column);
      if (sampled >= 0) bytes = std::max(sampled * values, bytes);
    }
    memory += values * RowMemoryBytes(*arrow::binary(), 0) + bytes;
  }
  return memory;
}

double FieldMemoryBytes(parquet::ParquetFileReader& reader,
                        const parquet::arrow::SchemaField& field) {
  if (field.column_index >= 0) {
    const auto& type = field.field->type();
    const auto& plain = type->id() == arrow::Type::DICTIONARY
                            ? static_cast<const arrow::DictionaryType&>(*type).value_type()
                            : type;
    return LeafMemoryBytes(reader, *plain, field.column_index);
  }
  // Offsets of lists, validity of structs: as if of each row.
  auto memory =
      static_cast<double>(reader.metadata()->num_rows()) * RowMemoryBytes(*arrow::int32(), 0);
  for (const auto& child : field.children) memory += FieldMemoryBytes(reader, child);
  return memory;
}

class ParquetReader : public PartReader {
 public:
  ParquetReader(std::shared_ptr<const ReadPlan> plan, const FilePart& part, UnitContext& context)
      : plan_(std::move(plan)), file_(*part.file), context_(context) {}

  Status Start(const FilePart& part) {
    ARROW_ASSIGN_OR_RAISE(reader_,
                          Open(file_, context_.pool, plan_->file_schema->num_fields(), &part));
    std::shared_ptr<arrow::Schema> schema;
    ARROW_RETURN_NOT_OK(reader_->GetSchema(&schema));
    ARROW_RETURN_NOT_OK(CheckColumns(*plan_, file_, *schema));
    for (const auto& field : reader_->manifest().schema_fields) {
      if (plan_->file_schema->GetFieldIndex(field.field->name()) >= 0) AddLeaves(field, &leaves_);
    }
    if (leaves_.empty() && !reader_->manifest().schema_fields.empty()) {
      AddLeaves(reader_->manifest().schema_fields[0], &leaves_);
    }
    const auto metadata = reader_->parquet_reader()->metadata();
    const int64_t groups = metadata->num_row_groups();
    const int64_t end = part.end < 0 ? groups : std::min(part.end, groups);
    for (int64_t i = part.begin; i < end; ++i) {
      const int group = static_cast<int>(i);
      if (metadata->RowGroup(group)->num_rows() == 0) continue;
      if (plan_->where) {
        ARROW_ASSIGN_OR_RAISE(
            const bool may, plan_->where->MayMatch(BoundsOf(*reader_, group, *plan_->read_schema)));
        if (!may) {
          ++groups_skipped_;
          continue;
        }
      }
      groups_.push_back(group);
      for (const int leaf : leaves_) {
        bytes_ += metadata->RowGroup(group)->ColumnChunk(leaf)->total_compressed_size();
      }
      rows_ += metadata->RowGroup(group)->num_rows();
    }
    if (groups_.empty()) return Status::OK();
    ARROW_ASSIGN_OR_RAISE(const int64_t rows, BatchRows());
    reader_->set_batch_size(rows);
    ARROW_ASSIGN_OR_RAISE(batches_, reader_->GetRecordBatchReader(groups_, leaves_));
    return Status::OK();
  }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    if (batches_ == nullptr) return nullptr;
    std::shared_ptr<arrow::RecordBatch> batch;
    const Status status = batches_->ReadNext(&batch);
    if (!status.ok()) {
      return FileError(status, fmt::format("{}, row {} of row groups {} to {}", file_.path,
                                           rows_given_ + 1, groups_.front(), groups_.back()));
    }
    if (batch == nullptr) {
      if (rows_given_ != rows_) {
        return PermanentError(fmt::format("{}: {} rows were read, but its footer says {}",
                                          file_.path, rows_given_, rows_));
      }
      return nullptr;
    }
    rows_given_ += batch->num_rows();
    ARROW_ASSIGN_OR_RAISE(batch, Conform(*plan_, file_, *batch, context_.pool));
    ARROW_ASSIGN_OR_RAISE(const int64_t bytes, arrow::util::ReferencedBufferSize(*batch));
    if (context_.reservation != nullptr && bytes > context_.reservation->bytes()) {
      context_.reservation->Resize(bytes);
    }
    return batch;
  }

  int64_t bytes_read() const override {
    return rows_ == 0 ? 0
                      : static_cast<int64_t>(static_cast<double>(bytes_) *
                                             static_cast<double>(rows_given_) /
                                             static_cast<double>(rows_));
  }
  std::map<std::string, int64_t> counters() const override {
    if (groups_skipped_ == 0) return {};
    return {{"row_groups_skipped", groups_skipped_}};
  }

 private:
  // A dictionary says nothing of how wide decoded rows are: a few are read first.
  Result<int64_t> BatchRows() {
    reader_->set_batch_size(kProbeRows);
    ARROW_ASSIGN_OR_RAISE(auto probe, reader_->GetRecordBatchReader({groups_[0]}, leaves_));
    std::shared_ptr<arrow::RecordBatch> batch;
    const Status status = probe->ReadNext(&batch);
    if (!status.ok()) {
      return FileError(status, fmt::format("{}, row group {}", file_.path, groups_[0]));
    }
    if (batch == nullptr || batch->num_rows() == 0) return context_.batch_rows_max;
    // As it is given out: a column that is a dictionary in Arrow too is unfolded.
    ARROW_ASSIGN_OR_RAISE(batch, Conform(*plan_, file_, *batch, context_.pool));
    ARROW_ASSIGN_OR_RAISE(const int64_t bytes, arrow::util::ReferencedBufferSize(*batch));
    const int64_t width = std::max<int64_t>(1, bytes / batch->num_rows());
    return std::clamp<int64_t>(context_.batch_bytes_max / width, 1, context_.batch_rows_max);
  }

  const std::shared_ptr<const ReadPlan> plan_;
  const DataFile& file_;
  UnitContext& context_;
  std::unique_ptr<parquet::arrow::FileReader> reader_;
  std::unique_ptr<arrow::RecordBatchReader> batches_;
  std::vector<int> leaves_, groups_;
  int64_t rows_ = 0, rows_given_ = 0, bytes_ = 0, groups_skipped_ = 0;
};

}  // namespace

Result<FileFacts> DescribeParquet(const DataFile& file) {
  auto opened = Open(file, arrow::default_memory_pool(), 1);
  if (!opened.ok()) return FileError(opened.status(), file.path);
  const auto& reader = *opened;
  FileFacts facts;
  ARROW_RETURN_NOT_OK(reader->GetSchema(&facts.schema));
  ARROW_RETURN_NOT_OK(CheckNames(file, *facts.schema));
  const auto metadata = reader->parquet_reader()->metadata();
  facts.rows = metadata->num_rows();
  facts.parts = metadata->num_row_groups();
  for (int i = 0; i < metadata->num_row_groups(); ++i) {
    const auto group = metadata->RowGroup(i);
    facts.part_rows.push_back(group->num_rows());
    facts.part_bytes.push_back(group->total_compressed_size() > 0 ? group->total_compressed_size()
                                                                  : group->total_byte_size());
  }
  for (const auto& field : reader->manifest().schema_fields) {
    facts.column_memory_bytes[field.field->name()] =
        FieldMemoryBytes(*reader->parquet_reader(), field);
  }
  return facts;
}

Result<std::unique_ptr<PartReader>> OpenParquet(std::shared_ptr<const ReadPlan> plan,
                                                const FilePart& part, UnitContext& context) {
  auto reader = std::make_unique<ParquetReader>(std::move(plan), part, context);
  const Status status = reader->Start(part);
  if (!status.ok()) {
    const auto message = MessageOf(status);
    return message.starts_with(part.file->path) ? status : FileError(status, part.file->path);
  }
  return reader;
}

}  // namespace bulkhaul::files
