#include "sink/csv/csv_scan.h"

#include <arrow/buffer.h>
#include <arrow/io/compressed.h>
#include <arrow/io/file.h>
#include <arrow/util/compression.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace bulkhaul {
namespace {

constexpr int64_t kBlockBytes = 256 << 10;

// Splits text into records and fields; keeps the text of the first record only.
class Scanner {
 public:
  Scanner(char delimiter, bool header) : delimiter_(delimiter), header_(header) {}

  Status Feed(std::string_view block) {
    for (const char byte : block) {
      if (quoted_) {
        Quoted(byte);
      } else if (after_quote_ && byte == '"') {
        after_quote_ = false;
        quoted_ = true;
        Keep('"');
      } else if (byte == '"') {
        after_quote_ = false;
        quoted_ = true;
      } else {
        after_quote_ = false;
        ARROW_RETURN_NOT_OK(Unquoted(byte));
      }
    }
    return Status::OK();
  }

  Result<PartContent> Finish() {
    if (quoted_) return PermanentError("a quoted field is not closed");
    if (in_record_) return PermanentError("the last line does not end");
    PartContent content;
    content.rows = records_ - (header_ && records_ > 0 ? 1 : 0);
    if (header_) content.columns = std::move(first_);
    return content;
  }

 private:
  void Quoted(char byte) {
    in_record_ = true;
    if (byte == '"') {
      quoted_ = false;
      after_quote_ = true;
    } else {
      Keep(byte);
    }
  }

  Status Unquoted(char byte) {
    if (byte != delimiter_ && byte != '\n') {
      in_record_ = true;
      Keep(byte);
      return Status::OK();
    }
    ++fields_;
    if (records_ == 0) first_.push_back(std::move(field_));
    field_.clear();
    in_record_ = byte == delimiter_;
    if (byte == delimiter_) return Status::OK();
    if (records_ == 0) {
      fields_expected_ = fields_;
    } else if (fields_ != fields_expected_) {
      return PermanentError(fmt::format("record {} has {} fields and not {}", records_ + 1, fields_,
                                        fields_expected_));
    }
    ++records_;
    fields_ = 0;
    return Status::OK();
  }

  void Keep(char byte) {
    if (records_ == 0 && header_) field_.push_back(byte);
  }

  const char delimiter_;
  const bool header_;
  bool quoted_ = false;
  bool after_quote_ = false;
  bool in_record_ = false;
  int64_t records_ = 0;
  int64_t fields_ = 0;
  int64_t fields_expected_ = 0;
  std::string field_;
  std::vector<std::string> first_;
};

// The compression of a file by its first bytes, as staged names do not say it.
// Source: RFC 1952 section 2.3.1 and RFC 8878 section 3.1.1.
Result<arrow::Compression::type> DetectCodec(const std::shared_ptr<arrow::io::ReadableFile>& file) {
  ARROW_ASSIGN_OR_RAISE(const auto start, file->ReadAt(0, 4));
  ARROW_RETURN_NOT_OK(file->Seek(0));
  const std::string_view bytes(*start);
  if (bytes.starts_with("\x1f\x8b")) return arrow::Compression::GZIP;
  if (bytes == std::string_view("\x28\xb5\x2f\xfd", 4)) return arrow::Compression::ZSTD;
  return arrow::Compression::UNCOMPRESSED;
}

Result<PartContent> Scan(const std::string& path, Scanner* scanner) {
  ARROW_ASSIGN_OR_RAISE(auto file, arrow::io::ReadableFile::Open(path));
  ARROW_ASSIGN_OR_RAISE(const auto codec_type, DetectCodec(file));
  std::shared_ptr<arrow::io::InputStream> input = file;
  std::unique_ptr<arrow::util::Codec> codec;
  if (codec_type != arrow::Compression::UNCOMPRESSED) {
    ARROW_ASSIGN_OR_RAISE(codec, arrow::util::Codec::Create(codec_type));
    ARROW_ASSIGN_OR_RAISE(input, arrow::io::CompressedInputStream::Make(codec.get(), file));
  }
  std::string block(kBlockBytes, '\0');
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const int64_t got, input->Read(kBlockBytes, block.data()));
    if (got == 0) break;
    ARROW_RETURN_NOT_OK(scanner->Feed({block.data(), static_cast<size_t>(got)}));
  }
  return scanner->Finish();
}

}  // namespace

Result<PartContent> ScanCsvFile(const std::string& path, const std::string& described_options) {
  const auto options = nlohmann::json::parse(described_options, nullptr, false);
  const std::string delimiter =
      options.is_object() ? options.value("delimiter", std::string(",")) : ",";
  const bool header = !options.is_object() || options.value("header", true);
  Scanner scanner(delimiter.empty() ? ',' : delimiter[0], header);
  auto content = Scan(path, &scanner);
  if (content.ok()) return content;
  return PermanentError("'" + path + "' cannot be read: " + content.status().message());
}

}  // namespace bulkhaul
