#include "sink/arrow/arrow_sink.h"

#include <arrow/array/array_dict.h>
#include <arrow/compute/api_vector.h>
#include <arrow/compute/cast.h>
#include <arrow/compute/initialize.h>
#include <arrow/extension_type.h>
#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/util/checked_cast.h>
#include <arrow/util/compression.h>

#include "base/type_leaves.h"
#include "sink/compression.h"
#include "sink/file_sink.h"

namespace bulkhaul {
namespace {

using arrow::internal::checked_cast;

constexpr char kCompressions[] = "none, lz4, zstd";

// An IPC file allows one dictionary a column, for the whole file, and readers that scan several
// parts want it to be the same in all of them. Enums are therefore written as their values.
// Source: Arrow columnar format, "IPC File Format".
std::shared_ptr<arrow::DataType> WithoutDictionary(const std::shared_ptr<arrow::DataType>& type) {
  if (type->id() != arrow::Type::DICTIONARY) return type;
  return checked_cast<const arrow::DictionaryType&>(*type).value_type();
}

std::shared_ptr<arrow::Schema> WithoutDictionaries(const arrow::Schema& schema) {
  return MapLeaves(schema, WithoutDictionary);
}

class ArrowEncoder : public PartEncoder {
 public:
  ArrowEncoder(std::shared_ptr<arrow::Schema> schema,
               std::shared_ptr<arrow::ipc::RecordBatchWriter> writer, arrow::MemoryPool* pool)
      : schema_(std::move(schema)), writer_(std::move(writer)), context_(pool) {}

  Status Write(const arrow::RecordBatch& batch) override {
    arrow::ArrayVector columns = batch.columns();
    for (int i = 0; i < batch.num_columns(); ++i) {
      if (columns[i]->type()->Equals(schema_->field(i)->type())) continue;
      ARROW_ASSIGN_OR_RAISE(columns[i],
                            arrow::compute::Cast(*columns[i], schema_->field(i)->type(),
                                                 arrow::compute::CastOptions::Safe(), &context_));
    }
    return writer_->WriteRecordBatch(
        *arrow::RecordBatch::Make(schema_, batch.num_rows(), std::move(columns)));
  }
  Status Finish() override { return writer_->Close(); }
  int64_t buffered_bytes() const override { return 0; }

 private:
  const std::shared_ptr<arrow::Schema> schema_;
  const std::shared_ptr<arrow::ipc::RecordBatchWriter> writer_;
  arrow::compute::ExecContext context_;
};

class ArrowFormat : public PartFormat {
 public:
  std::string name() const override { return "arrow"; }
  std::string Extension(const Options&) const override { return "arrow"; }

  Status Check(const DatasetPlan& plan, const arrow::Schema&) const override {
    const auto compression = ParseCompression(CompressionText(plan.dataset.options), kCompressions);
    return WithContext(compression.status(), "'" + plan.dataset.id.ToString() + "'");
  }

  Result<std::unique_ptr<PartEncoder>> Begin(const DatasetPlan& plan,
                                             const std::shared_ptr<arrow::Schema>& schema,
                                             const std::shared_ptr<arrow::io::OutputStream>& stream,
                                             arrow::MemoryPool* pool) const override {
    static const Status initialized = arrow::compute::Initialize();
    ARROW_RETURN_NOT_OK(initialized);
    ARROW_ASSIGN_OR_RAISE(const auto compression,
                          ParseCompression(CompressionText(plan.dataset.options), kCompressions));
    auto options = arrow::ipc::IpcWriteOptions::Defaults();
    options.memory_pool = pool;
    options.use_threads = false;
    if (compression.codec != arrow::Compression::UNCOMPRESSED) {
      ARROW_ASSIGN_OR_RAISE(
          options.codec, arrow::util::Codec::Create(
                             compression.codec,
                             compression.level.value_or(arrow::util::kUseDefaultCompressionLevel)));
    }
    auto stored = WithoutDictionaries(*schema);
    ARROW_ASSIGN_OR_RAISE(auto writer, arrow::ipc::MakeFileWriter(stream, stored, options));
    return std::make_unique<ArrowEncoder>(std::move(stored), std::move(writer), pool);
  }

  std::shared_ptr<arrow::Schema> StoredSchema(const arrow::Schema& schema) const override {
    return WithoutDictionaries(schema)->RemoveMetadata();
  }

  Result<PartContent> Inspect(const std::string& path, const std::string&) const override {
    ARROW_ASSIGN_OR_RAISE(auto file, arrow::io::ReadableFile::Open(path));
    auto options = arrow::ipc::IpcReadOptions::Defaults();
    options.use_threads = false;
    auto reader = arrow::ipc::RecordBatchFileReader::Open(file, options);
    if (!reader.ok()) return Unreadable(path, reader.status());
    PartContent content;
    content.schema = (*reader)->schema()->RemoveMetadata();
    content.columns = content.schema->field_names();
    for (int i = 0; i < (*reader)->num_record_batches(); ++i) {
      auto batch = (*reader)->ReadRecordBatch(i);
      if (!batch.ok()) return Unreadable(path, batch.status());
      if (const Status valid = (*batch)->Validate(); !valid.ok()) return Unreadable(path, valid);
      content.rows += (*batch)->num_rows();
    }
    return content;
  }

  int64_t writer_bytes(const Options&) const override { return 8 << 20; }

 private:
  static std::string CompressionText(const Options& options) {
    const std::string& text = options.GetString("compression");
    return text.empty() ? "none" : text;
  }
  static Status Unreadable(const std::string& path, const Status& status) {
    return PermanentError("'" + path + "' cannot be read: " + status.message());
  }
};

}  // namespace

std::unique_ptr<PartFormat> MakeArrowFormat() { return std::make_unique<ArrowFormat>(); }

Result<std::unique_ptr<Sink>> MakeArrowSink(const JobSpec& spec, const JobId& job) {
  return FileSink::Make(spec, job, MakeArrowFormat());
}

}  // namespace bulkhaul
