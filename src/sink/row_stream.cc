#include "sink/row_stream.h"

#include <arrow/io/buffered.h>
#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/util/compression.h>

namespace bulkhaul {
namespace {

constexpr int64_t kReadBufferBytes = 256 << 10;

class RowStreamEncoder : public PartEncoder {
 public:
  explicit RowStreamEncoder(std::shared_ptr<arrow::ipc::RecordBatchWriter> writer)
      : writer_(std::move(writer)) {}
  Status Write(const arrow::RecordBatch& batch) override {
    return writer_->WriteRecordBatch(batch);
  }
  Status Finish() override { return writer_->Close(); }
  int64_t buffered_bytes() const override { return 0; }

 private:
  const std::shared_ptr<arrow::ipc::RecordBatchWriter> writer_;
};

class RowStreamsReader : public arrow::RecordBatchReader {
 public:
  RowStreamsReader(std::vector<std::string> paths, std::shared_ptr<arrow::Schema> schema,
                   arrow::MemoryPool* pool)
      : paths_(std::move(paths)), schema_(std::move(schema)), pool_(pool) {}

  Status Init() {
    if (paths_.empty()) return Status::OK();
    ARROW_RETURN_NOT_OK(OpenNext());
    schema_ = current_->schema();
    return Status::OK();
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    while (current_ != nullptr) {
      ARROW_RETURN_NOT_OK(current_->ReadNext(batch));
      if (*batch != nullptr) return Status::OK();
      current_.reset();
      if (next_ < paths_.size()) ARROW_RETURN_NOT_OK(OpenNext());
    }
    batch->reset();
    return Status::OK();
  }

 private:
  Status OpenNext() {
    ARROW_ASSIGN_OR_RAISE(auto file, arrow::io::ReadableFile::Open(paths_[next_], pool_));
    ARROW_ASSIGN_OR_RAISE(auto buffered, arrow::io::BufferedInputStream::Create(
                                             kReadBufferBytes, pool_, std::move(file)));
    auto options = arrow::ipc::IpcReadOptions::Defaults();
    options.memory_pool = pool_;
    options.use_threads = false;
    ARROW_ASSIGN_OR_RAISE(current_,
                          arrow::ipc::RecordBatchStreamReader::Open(std::move(buffered), options));
    ++next_;
    return Status::OK();
  }

  const std::vector<std::string> paths_;
  std::shared_ptr<arrow::Schema> schema_;
  arrow::MemoryPool* const pool_;
  size_t next_ = 0;
  std::shared_ptr<arrow::RecordBatchReader> current_;
};

}  // namespace

Result<std::unique_ptr<PartEncoder>> MakeRowStreamEncoder(
    const std::shared_ptr<arrow::Schema>& schema,
    const std::shared_ptr<arrow::io::OutputStream>& stream, arrow::MemoryPool* pool) {
  auto options = arrow::ipc::IpcWriteOptions::Defaults();
  options.memory_pool = pool;
  options.use_threads = false;
  ARROW_ASSIGN_OR_RAISE(options.codec, arrow::util::Codec::Create(arrow::Compression::LZ4_FRAME));
  ARROW_ASSIGN_OR_RAISE(auto writer, arrow::ipc::MakeStreamWriter(stream, schema, options));
  return std::make_unique<RowStreamEncoder>(std::move(writer));
}

Result<std::unique_ptr<arrow::RecordBatchReader>> OpenRowStreams(
    std::vector<std::string> paths, const std::shared_ptr<arrow::Schema>& schema,
    arrow::MemoryPool* pool) {
  auto reader = std::make_unique<RowStreamsReader>(std::move(paths), schema, pool);
  ARROW_RETURN_NOT_OK(reader->Init());
  return reader;
}

}  // namespace bulkhaul
