#include "sink/csv/csv_sink.h"

#include <arrow/io/compressed.h>
#include <arrow/io/file.h>
#include <arrow/util/compression.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "sink/compression.h"
#include "sink/csv/csv_scan.h"
#include "sink/file_sink.h"
#include "wire/csv/csv_encoder.h"

namespace bulkhaul {
namespace {

constexpr char kCompressions[] = "none, gzip, zstd";
// Text is handed on in pieces of about this size.
constexpr size_t kChunkBytes = 256 << 10;
constexpr int64_t kChunkRows = 1024;

Result<Compression> CompressionOf(const Options& options) {
  const std::string& text = options.GetString("compression");
  return ParseCompression(text.empty() ? "none" : text, kCompressions);
}

Result<CsvFormatOptions> FormatOf(const Options& options) {
  CsvFormatOptions format;
  std::string delimiter = options.GetString("csv_delimiter");
  if (delimiter == "tab" || delimiter == "\\t") delimiter = "\t";
  if (delimiter.size() != 1 || delimiter[0] == '"' || delimiter[0] == '\n' ||
      delimiter[0] == '\r' || delimiter[0] == '\0' || static_cast<signed char>(delimiter[0]) < 0) {
    return UserError(
        fmt::format("csv_delimiter: '{}' is not one ASCII character that may stand "
                    "between fields; use ',', ';', '|' or 'tab'",
                    delimiter));
  }
  format.delimiter = delimiter[0];
  const std::string& quote = options.GetString("csv_quote");
  format.quote = quote == "all"       ? CsvFormatOptions::Quote::kAll
                 : quote == "strings" ? CsvFormatOptions::Quote::kStrings
                                      : CsvFormatOptions::Quote::kNeeded;
  format.header = options.GetBool("csv_header");
  format.null_text = options.GetString("csv_null");
  if (format.null_text.find_first_of("\"\r\n" + delimiter) != std::string::npos) {
    return UserError(
        "csv_null: the text of NULL is never quoted, so it must hold no delimiter, "
        "quote or line end");
  }
  return format;
}

class CsvPartEncoder : public PartEncoder {
 public:
  CsvPartEncoder(std::unique_ptr<CsvEncoder> encoder,
                 std::shared_ptr<arrow::io::OutputStream> stream,
                 std::shared_ptr<arrow::io::CompressedOutputStream> compressed)
      : encoder_(std::move(encoder)),
        stream_(std::move(stream)),
        compressed_(std::move(compressed)) {
    encoder_->AppendHeader(&buffer_);
  }

  Status Write(const arrow::RecordBatch& batch) override {
    for (int64_t offset = 0; offset < batch.num_rows(); offset += kChunkRows) {
      const int64_t rows = std::min(kChunkRows, batch.num_rows() - offset);
      ARROW_RETURN_NOT_OK(encoder_->AppendRows(batch, offset, rows, &buffer_));
      if (buffer_.size() >= kChunkBytes) ARROW_RETURN_NOT_OK(HandOn());
    }
    return Status::OK();
  }

  Status Finish() override {
    ARROW_RETURN_NOT_OK(HandOn());
    if (compressed_ == nullptr) return Status::OK();
    finished_ = true;
    return compressed_->Close();
  }

  int64_t buffered_bytes() const override { return static_cast<int64_t>(buffer_.capacity()); }

  ~CsvPartEncoder() override {
    // Its destructor would complain about an unfinished stream.
    if (compressed_ != nullptr && !finished_) (void)compressed_->Abort();
  }

 private:
  Status HandOn() {
    if (buffer_.size() == 0) return Status::OK();
    arrow::io::OutputStream* out = compressed_ ? compressed_.get() : stream_.get();
    ARROW_RETURN_NOT_OK(out->Write(buffer_.view().data(), static_cast<int64_t>(buffer_.size())));
    buffer_.Clear();
    return Status::OK();
  }

  const std::unique_ptr<CsvEncoder> encoder_;
  const std::shared_ptr<arrow::io::OutputStream> stream_;
  const std::shared_ptr<arrow::io::CompressedOutputStream> compressed_;
  CsvBuffer buffer_;
  bool finished_ = false;
};

// Stands between the compressor and the part's file: the compressor closes what it writes to, and
// the file's owner closes that.
class KeptOpenStream : public arrow::io::OutputStream {
 public:
  explicit KeptOpenStream(std::shared_ptr<arrow::io::OutputStream> stream)
      : stream_(std::move(stream)) {
    set_mode(arrow::io::FileMode::WRITE);
  }
  Status Write(const void* data, int64_t bytes) override { return stream_->Write(data, bytes); }
  using arrow::io::OutputStream::Write;
  Status Flush() override { return Status::OK(); }
  Status Close() override {
    closed_ = true;
    return Status::OK();
  }
  Status Abort() override { return Close(); }
  bool closed() const override { return closed_; }
  Result<int64_t> Tell() const override { return stream_->Tell(); }

 private:
  const std::shared_ptr<arrow::io::OutputStream> stream_;
  bool closed_ = false;
};

class CsvFormat : public PartFormat {
 public:
  std::string name() const override { return "csv"; }
  std::string option_group() const override { return "CSV"; }

  std::string Extension(const Options& options) const override {
    const auto compression = CompressionOf(options);
    if (!compression.ok()) return "csv";
    if (compression->codec == arrow::Compression::GZIP) return "csv.gz";
    if (compression->codec == arrow::Compression::ZSTD) return "csv.zst";
    return "csv";
  }

  Status Check(const DatasetPlan& plan, const arrow::Schema& schema) const override {
    const std::string name = "'" + plan.dataset.id.ToString() + "'";
    const auto compression = CompressionOf(plan.dataset.options);
    if (!compression.ok()) return WithContext(compression.status(), name);
    const auto format = FormatOf(plan.dataset.options);
    if (!format.ok()) return WithContext(format.status(), name);
    const auto encoder = CsvEncoder::Make(arrow::schema(schema.fields()), *format);
    return WithContext(encoder.status(), name);
  }

  Result<std::unique_ptr<PartEncoder>> Begin(const DatasetPlan& plan,
                                             const std::shared_ptr<arrow::Schema>& schema,
                                             const std::shared_ptr<arrow::io::OutputStream>& stream,
                                             arrow::MemoryPool* pool) const override {
    ARROW_ASSIGN_OR_RAISE(const auto format, FormatOf(plan.dataset.options));
    ARROW_ASSIGN_OR_RAISE(const auto compression, CompressionOf(plan.dataset.options));
    ARROW_ASSIGN_OR_RAISE(auto encoder, CsvEncoder::Make(schema, format));
    std::shared_ptr<arrow::io::CompressedOutputStream> compressed;
    if (compression.codec != arrow::Compression::UNCOMPRESSED) {
      const int level = compression.level.value_or(arrow::util::kUseDefaultCompressionLevel);
      ARROW_ASSIGN_OR_RAISE(auto codec, arrow::util::Codec::Create(compression.codec, level));
      ARROW_ASSIGN_OR_RAISE(compressed,
                            arrow::io::CompressedOutputStream::Make(
                                codec.get(), std::make_shared<KeptOpenStream>(stream), pool));
    }
    return std::make_unique<CsvPartEncoder>(std::move(encoder), stream, std::move(compressed));
  }

  std::shared_ptr<arrow::Schema> StoredSchema(const arrow::Schema&) const override {
    return nullptr;
  }

  std::string DescribeOptions(const Options& options) const override {
    const auto format = FormatOf(options);
    if (!format.ok()) return "{}";
    return nlohmann::json{{"delimiter", std::string(1, format->delimiter)},
                          {"header", format->header},
                          {"null", format->null_text},
                          {"quote", options.GetString("csv_quote")}}
        .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }

  Result<PartContent> Inspect(const std::string& path,
                              const std::string& described_options) const override {
    return ScanCsvFile(path, described_options);
  }

  int64_t writer_bytes(const Options&) const override { return 2 << 20; }
};

}  // namespace

std::unique_ptr<PartFormat> MakeCsvFormat() { return std::make_unique<CsvFormat>(); }

Result<std::unique_ptr<Sink>> MakeCsvSink(const JobSpec& spec, const JobId& job) {
  return FileSink::Make(spec, job, MakeCsvFormat());
}

}  // namespace bulkhaul
