#include "sink/parquet/parquet_sink.h"

#include <arrow/extension_type.h>
#include <arrow/io/file.h>
#include <arrow/util/checked_cast.h>
#include <fmt/format.h>
#include <parquet/arrow/reader.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>

#include "sink/file_sink.h"
#include "sink/parquet/parquet_encoder.h"

namespace bulkhaul {
namespace {

using arrow::internal::checked_cast;

// nullptr when the type has a Parquet form, else why not. Source: Apache Parquet, LogicalTypes.md.
const char* WhyNoForm(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::INTERVAL_MONTHS:
    case arrow::Type::INTERVAL_DAY_TIME:
    case arrow::Type::INTERVAL_MONTH_DAY_NANO:
      return "its interval counts milliseconds only";
    case arrow::Type::DECIMAL32:
    case arrow::Type::DECIMAL64:
    case arrow::Type::DECIMAL128:
    case arrow::Type::DECIMAL256:
      return checked_cast<const arrow::DecimalType&>(type).scale() < 0
                 ? "its decimals have no negative scale"
                 : nullptr;
    case arrow::Type::STRUCT:
      if (type.num_fields() == 0) return "its structs have at least one field";
      break;
    case arrow::Type::SPARSE_UNION:
    case arrow::Type::DENSE_UNION:
    case arrow::Type::RUN_END_ENCODED:
      return "it has no such type";
    case arrow::Type::EXTENSION:
      return WhyNoForm(*checked_cast<const arrow::ExtensionType&>(type).storage_type());
    default:
      break;
  }
  for (const auto& field : type.fields()) {
    if (const char* reason = WhyNoForm(*field->type())) return reason;
  }
  return nullptr;
}

class ParquetFormat : public PartFormat {
 public:
  std::string name() const override { return "parquet"; }
  std::string option_group() const override { return "Parquet"; }
  std::string Extension(const Options&) const override { return "parquet"; }

  Status Check(const DatasetPlan& plan, const arrow::Schema& schema) const override {
    for (const auto& field : schema.fields()) {
      if (const char* reason = WhyNoForm(*field->type())) {
        return UserError(fmt::format(
            "'{0}': column '{1}' of type {2} cannot be stored as Parquet: "
            "{3}; use cast: {{{1}: string}} or leave the column out",
            plan.dataset.id.ToString(), field->name(), field->type()->ToString(), reason));
      }
      if (schema.GetAllFieldIndices(field->name()).size() > 1) {
        return UserError(fmt::format("'{}': two columns are called '{}'; rename one",
                                     plan.dataset.id.ToString(), field->name()));
      }
    }
    const auto settings = ParquetSettings::FromOptions(plan.dataset.options, schema);
    return WithContext(settings.status(), "'" + plan.dataset.id.ToString() + "'");
  }

  Result<std::unique_ptr<PartEncoder>> Begin(const DatasetPlan& plan,
                                             const std::shared_ptr<arrow::Schema>& schema,
                                             const std::shared_ptr<arrow::io::OutputStream>& stream,
                                             arrow::MemoryPool* pool) const override {
    ARROW_ASSIGN_OR_RAISE(const auto settings,
                          ParquetSettings::FromOptions(plan.dataset.options, *schema));
    return MakeParquetEncoder(settings, schema, stream, pool, &tunings_, plan.output_name);
  }

  std::shared_ptr<arrow::Schema> StoredSchema(const arrow::Schema& schema) const override {
    return ParquetStoredSchema(schema)->RemoveMetadata();
  }

  Result<PartContent> Inspect(const std::string& path, const std::string&) const override {
    ARROW_ASSIGN_OR_RAISE(auto file, arrow::io::ReadableFile::Open(path));
    parquet::arrow::FileReaderBuilder builder;
    ARROW_RETURN_NOT_OK(builder.Open(std::move(file)));
    parquet::ArrowReaderProperties properties;
    properties.set_use_threads(false);
    properties.set_arrow_extensions_enabled(true);
    properties.set_batch_size(8192);
    builder.properties(properties);
    ARROW_ASSIGN_OR_RAISE(auto reader, builder.Build());
    ARROW_ASSIGN_OR_RAISE(auto batches, reader->GetRecordBatchReader());
    PartContent content;
    content.schema = batches->schema()->RemoveMetadata();
    content.columns = content.schema->field_names();
    std::shared_ptr<arrow::RecordBatch> batch;
    while (true) {
      const Status read = batches->ReadNext(&batch);
      if (!read.ok()) return PermanentError("'" + path + "' cannot be read: " + read.message());
      if (batch == nullptr) break;
      content.rows += batch->num_rows();
    }
    return content;
  }

  // Compressed pages of a row group, dictionaries and one page of each column being filled.
  int64_t writer_bytes(const Options&) const override { return 32 << 20; }

 private:
  mutable TuningCache tunings_;
};

}  // namespace

std::unique_ptr<PartFormat> MakeParquetFormat() { return std::make_unique<ParquetFormat>(); }

Result<std::unique_ptr<Sink>> MakeParquetSink(const JobSpec& spec, const JobId& job) {
  return FileSink::Make(spec, job, MakeParquetFormat());
}

}  // namespace bulkhaul
