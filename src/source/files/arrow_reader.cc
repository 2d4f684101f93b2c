// Arrow IPC: the file format, which is cut by its batches, and the stream format.
#include <algorithm>

#include <arrow/buffer.h>
#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>
#include <arrow/util/byte_size.h>
#include <fmt/format.h>

#include "source/files/file_reader.h"
#include "source/files/text_stream.h"

namespace bulkhaul::files {
namespace {

constexpr int64_t kMagicBytes = 6;
// A batch as stored that is unpacked to learn what it takes in memory.
constexpr int64_t kProbeBatchBytesMax = 32 << 20;

// Whether the file has the file format, whose batches can be reached one by one.
Result<bool> HasFileFormat(const DataFile& file) {
  if (file.codec != FileCodec::kNone) return false;
  ARROW_ASSIGN_OR_RAISE(auto stream, arrow::io::ReadableFile::Open(file.path));
  ARROW_ASSIGN_OR_RAISE(const auto begin, stream->Read(kMagicBytes));
  return begin->ToString() == "ARROW1";
}

class ArrowReader : public PartReader {
 public:
  ArrowReader(std::shared_ptr<const ReadPlan> plan, const FilePart& part, UnitContext& context)
      : plan_(std::move(plan)), file_(*part.file), context_(context) {}

  Status Start(const FilePart& part) {
    arrow::ipc::IpcReadOptions options = arrow::ipc::IpcReadOptions::Defaults();
    options.use_threads = false;
    options.memory_pool = context_.pool;
    ARROW_ASSIGN_OR_RAISE(const bool file_format, HasFileFormat(file_));
    std::shared_ptr<arrow::Schema> schema;
    if (file_format) {
      ARROW_ASSIGN_OR_RAISE(auto stream, arrow::io::ReadableFile::Open(file_.path, context_.pool));
      ARROW_ASSIGN_OR_RAISE(batches_, arrow::ipc::RecordBatchFileReader::Open(stream, options));
      schema = batches_->schema();
      next_ = part.begin;
      const int64_t batches = batches_->num_record_batches();
      end_ = part.end < 0 ? batches : std::min(part.end, batches);
    } else {
      ARROW_ASSIGN_OR_RAISE(auto bytes, OpenStored(file_, &stored_));
      ARROW_ASSIGN_OR_RAISE(stream_, arrow::ipc::RecordBatchStreamReader::Open(bytes, options));
      schema = stream_->schema();
    }
    return CheckColumns(*plan_, file_, *schema);
  }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    while (whole_ == nullptr || row_ >= whole_->num_rows()) {
      ARROW_ASSIGN_OR_RAISE(whole_, Load());
      row_ = 0;
      if (whole_ == nullptr) return nullptr;
      // What comes from a file may not be what it says.
      const Status valid = whole_->ValidateFull();
      if (!valid.ok()) return FileError(valid, fmt::format("{}, batch {}", file_.path, count_));
      ARROW_ASSIGN_OR_RAISE(const int64_t bytes, arrow::util::ReferencedBufferSize(*whole_));
      bytes_ += bytes;
      if (context_.reservation != nullptr && bytes > context_.reservation->bytes()) {
        context_.reservation->Resize(bytes);
      }
      width_ = std::max<int64_t>(1, bytes / std::max<int64_t>(1, whole_->num_rows()));
    }
    const int64_t rows =
        std::min({context_.batch_rows_max, std::max<int64_t>(1, context_.batch_bytes_max / width_),
                  whole_->num_rows() - row_});
    const auto slice = whole_->Slice(row_, rows);
    row_ += rows;
    return Conform(*plan_, file_, *slice, context_.pool);
  }

  int64_t bytes_read() const override { return stored_ ? *stored_ : bytes_; }

 private:
  Result<std::shared_ptr<arrow::RecordBatch>> Load() {
    ++count_;
    std::shared_ptr<arrow::RecordBatch> batch;
    Status status;
    if (stream_ != nullptr) {
      status = stream_->ReadNext(&batch);
    } else if (next_ < end_) {
      auto read = batches_->ReadRecordBatch(static_cast<int>(next_++));
      status = read.status();
      if (read.ok()) batch = *std::move(read);
    }
    if (!status.ok()) return FileError(status, fmt::format("{}, batch {}", file_.path, count_));
    return batch;
  }

  const std::shared_ptr<const ReadPlan> plan_;
  const DataFile& file_;
  UnitContext& context_;
  std::shared_ptr<arrow::ipc::RecordBatchFileReader> batches_;
  std::shared_ptr<arrow::ipc::RecordBatchStreamReader> stream_;
  std::shared_ptr<arrow::RecordBatch> whole_;
  std::shared_ptr<int64_t> stored_;
  int64_t row_ = 0, next_ = 0, end_ = 0, count_ = 0, width_ = 1, bytes_ = 0;
};

}  // namespace

Result<FileFacts> DescribeArrow(const DataFile& file) {
  const auto describe = [&]() -> Result<FileFacts> {
    FileFacts facts;
    ARROW_ASSIGN_OR_RAISE(const bool file_format, HasFileFormat(file));
    if (!file_format) {
      std::shared_ptr<int64_t> stored;
      ARROW_ASSIGN_OR_RAISE(auto bytes, OpenStored(file, &stored));
      ARROW_ASSIGN_OR_RAISE(auto stream, arrow::ipc::RecordBatchStreamReader::Open(bytes));
      facts.schema = stream->schema();
      // Nothing is in front that says more: a message is in memory what it is in the stream.
      facts.common_memory_bytes = static_cast<double>(file.bytes);
      return facts;
    }
    ARROW_ASSIGN_OR_RAISE(auto stream, arrow::io::ReadableFile::Open(file.path));
    ARROW_ASSIGN_OR_RAISE(auto reader, arrow::ipc::RecordBatchFileReader::Open(stream));
    facts.schema = reader->schema();
    facts.parts = reader->num_record_batches();
    ARROW_ASSIGN_OR_RAISE(facts.rows, reader->CountRows());
    for (int64_t i = 0; i < facts.parts; ++i) {
      facts.part_rows.push_back(facts.rows / std::max<int64_t>(1, facts.parts));
      facts.part_bytes.push_back(file.bytes / std::max<int64_t>(1, facts.parts));
    }
    // A batch comes as a whole, whichever columns are wanted.
    facts.common_memory_bytes = static_cast<double>(file.bytes);
    if (facts.rows > 0 && facts.part_bytes[0] <= kProbeBatchBytesMax) {
      ARROW_ASSIGN_OR_RAISE(const auto batch, reader->ReadRecordBatch(0));
      ARROW_ASSIGN_OR_RAISE(const int64_t held, arrow::util::ReferencedBufferSize(*batch));
      facts.common_memory_bytes = static_cast<double>(held) /
                                  static_cast<double>(std::max<int64_t>(1, batch->num_rows())) *
                                  static_cast<double>(facts.rows);
    }
    return facts;
  };
  auto facts = describe();
  if (!facts.ok()) return FileError(facts.status(), file.path);
  ARROW_RETURN_NOT_OK(CheckNames(file, *facts->schema));
  return facts;
}

Result<std::unique_ptr<PartReader>> OpenArrow(std::shared_ptr<const ReadPlan> plan,
                                              const FilePart& part, UnitContext& context) {
  auto reader = std::make_unique<ArrowReader>(std::move(plan), part, context);
  const Status status = reader->Start(part);
  if (!status.ok()) return FileError(status, part.file->path);
  return reader;
}

}  // namespace bulkhaul::files
