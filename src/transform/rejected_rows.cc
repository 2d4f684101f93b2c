#include "transform/rejected_rows.h"

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <initializer_list>
#include <utility>

#include <arrow/array/util.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/options.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/table.h>
#include <arrow/util/base64.h>
#include <arrow/util/byte_size.h>
#include <arrow/util/compression.h>
#include <fmt/format.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>

#include "store/durable_file.h"
#include "store/folders.h"

namespace bulkhaul {
namespace {

constexpr int64_t kRowGroupRows = 65'536;

Result<std::shared_ptr<arrow::ipc::RecordBatchStreamReader>> OpenSerialized(
    const std::string& text) {
  ARROW_ASSIGN_OR_RAISE(auto bytes, arrow::util::base64_decode(text));
  auto stream =
      std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(std::move(bytes)));
  auto options = arrow::ipc::IpcReadOptions::Defaults();
  options.use_threads = false;
  return arrow::ipc::RecordBatchStreamReader::Open(std::move(stream), options);
}

// Nothing that another program could trip over: dictionaries and a map's keys stay as they are.
Status WriteParquet(std::span<const std::string> serialized,
                    const std::shared_ptr<DurableFile>& file, int64_t* rows) {
  std::unique_ptr<parquet::arrow::FileWriter> writer;
  for (const auto& text : serialized) {
    ARROW_ASSIGN_OR_RAISE(const auto reader, OpenSerialized(text));
    if (writer == nullptr) {
      const auto properties =
          parquet::WriterProperties::Builder().compression(arrow::Compression::ZSTD)->build();
      ARROW_ASSIGN_OR_RAISE(writer,
                            parquet::arrow::FileWriter::Open(
                                *reader->schema(), arrow::default_memory_pool(), file, properties,
                                parquet::ArrowWriterProperties::Builder().store_schema()->build()));
    }
    ARROW_ASSIGN_OR_RAISE(const auto table, reader->ToTable());
    ARROW_RETURN_NOT_OK(writer->WriteTable(*table, kRowGroupRows));
    *rows += table->num_rows();
  }
  return writer->Close();
}

}  // namespace

std::shared_ptr<arrow::Schema> RejectSchema(const arrow::Schema& rows) {
  arrow::FieldVector fields;
  const auto add = [&](std::string name, const std::shared_ptr<arrow::DataType>& type) {
    while (rows.GetFieldIndex(name) >= 0) name.insert(0, "_");
    fields.push_back(arrow::field(std::move(name), type));
  };
  add("_file", arrow::utf8());
  add("_line", arrow::int64());
  add("_row", arrow::int64());
  add("_column", arrow::utf8());
  add("_rule", arrow::utf8());
  add("_value", arrow::utf8());
  add("_text", arrow::utf8());
  for (const auto& field : rows.fields()) fields.push_back(field->WithNullable(true));
  return arrow::schema(std::move(fields));
}

RejectedRows::RejectedRows(std::shared_ptr<arrow::Schema> rows)
    : rows_schema_(std::move(rows)), schema_(RejectSchema(*rows_schema_)) {}

Status RejectedRows::AddUnread(std::span<const Reject> rejects, arrow::MemoryPool* pool) {
  const auto count = static_cast<int64_t>(rejects.size());
  arrow::ArrayVector columns;
  for (const auto& field : rows_schema_->fields()) {
    ARROW_ASSIGN_OR_RAISE(auto nulls, arrow::MakeArrayOfNull(field->type(), count, pool));
    columns.push_back(std::move(nulls));
  }
  return Add(rejects, *arrow::RecordBatch::Make(rows_schema_, count, std::move(columns)), pool);
}

Status RejectedRows::Add(std::span<const Reject> rejects, const arrow::RecordBatch& rows,
                         arrow::MemoryPool* pool) {
  arrow::StringBuilder file(pool), column(pool), rule(pool), value(pool), text(pool);
  arrow::Int64Builder line(pool), row(pool);
  for (const auto& reject : rejects) {
    ARROW_RETURN_NOT_OK(reject.place.file.empty() ? file.AppendNull()
                                                  : file.Append(reject.place.file));
    ARROW_RETURN_NOT_OK(reject.place.line < 0 ? line.AppendNull() : line.Append(reject.place.line));
    const bool unread = reject.unit_row < 1;
    const bool whole = unread && reject.column.empty();
    ARROW_RETURN_NOT_OK(unread ? row.AppendNull() : row.Append(reject.unit_row));
    ARROW_RETURN_NOT_OK(whole ? column.AppendNull() : column.Append(reject.column));
    ARROW_RETURN_NOT_OK(rule.Append(reject.rule));
    ARROW_RETURN_NOT_OK(whole ? value.AppendNull() : value.Append(reject.value));
    ARROW_RETURN_NOT_OK(unread ? text.Append(reject.text) : text.AppendNull());
  }
  arrow::ArrayVector columns;
  for (arrow::ArrayBuilder* builder : std::initializer_list<arrow::ArrayBuilder*>{
           &file, &line, &row, &column, &rule, &value, &text}) {
    ARROW_ASSIGN_OR_RAISE(auto array, builder->Finish());
    columns.push_back(std::move(array));
  }
  for (const auto& own : rows.columns()) columns.push_back(own);
  auto batch = arrow::RecordBatch::Make(schema_, rows.num_rows(), std::move(columns));
  ARROW_ASSIGN_OR_RAISE(const int64_t bytes, arrow::util::ReferencedBufferSize(*batch));
  bytes_ += bytes;
  rows_ += rows.num_rows();
  batches_.push_back(std::move(batch));
  return Status::OK();
}

Result<std::string> RejectedRows::Serialize(arrow::MemoryPool* pool) const {
  if (rows_ == 0) return std::string();
  auto options = arrow::ipc::IpcWriteOptions::Defaults();
  options.memory_pool = pool;
  options.use_threads = false;
  ARROW_ASSIGN_OR_RAISE(options.codec, arrow::util::Codec::Create(arrow::Compression::ZSTD));
  ARROW_ASSIGN_OR_RAISE(auto sink, arrow::io::BufferOutputStream::Create(1 << 16, pool));
  ARROW_ASSIGN_OR_RAISE(auto writer, arrow::ipc::MakeStreamWriter(sink, schema_, options));
  for (const auto& batch : batches_) ARROW_RETURN_NOT_OK(writer->WriteRecordBatch(*batch));
  ARROW_RETURN_NOT_OK(writer->Close());
  ARROW_ASSIGN_OR_RAISE(const auto buffer, sink->Finish());
  return arrow::util::base64_encode(std::string_view(*buffer));
}

Result<int64_t> WriteRejectedRows(std::span<const std::string> serialized,
                                  const std::string& path) {
  if (serialized.empty()) return int64_t{0};
  const std::string folder = std::filesystem::path(path).parent_path().string();
  ARROW_RETURN_NOT_OK(MakeFolders(folder));
  const std::string unfinished = path + ".new";
  // Left by a run that was killed here.
  ARROW_RETURN_NOT_OK(RemoveTree(unfinished));
  ARROW_ASSIGN_OR_RAISE(const auto file, DurableFile::Create(unfinished));
  int64_t rows = 0;
  Status status = WriteParquet(serialized, file, &rows);
  if (status.ok()) status = file->Close();
  if (!status.ok()) {
    (void)file->Abort();
    return WithContext(status, fmt::format("cannot write the rejected rows to '{}'", path));
  }
  if (std::rename(unfinished.c_str(), path.c_str()) != 0) {
    return ErrnoError(errno, "write the rejected rows to", path);
  }
  ARROW_RETURN_NOT_OK(SyncFolder(folder));
  return rows;
}

}  // namespace bulkhaul
