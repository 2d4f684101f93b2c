#include "source/files/text_stream.h"

#include <iconv.h>
#include <algorithm>
#include <cerrno>
#include <cstring>

#include <arrow/buffer.h>
#include <arrow/io/compressed.h>
#include <arrow/io/file.h>
#include <arrow/util/compression.h>
#include <fmt/format.h>

#include "source/files/file_reader.h"

namespace bulkhaul::files {
namespace {

constexpr int64_t kEncodingProbeBytes = 4096;
constexpr int64_t kReadBytes = 256 << 10;
constexpr std::string_view kUtf8Mark = "\xEF\xBB\xBF";

// What InputStream asks for beside Read.
class Reading : public arrow::io::InputStream {
 public:
  Status Close() override {
    closed_ = true;
    return Status::OK();
  }
  bool closed() const override { return closed_; }
  Result<int64_t> Tell() const override { return given_; }
  Result<int64_t> Read(int64_t bytes, void* out) override {
    ARROW_ASSIGN_OR_RAISE(const int64_t read, ReadSome(bytes, static_cast<char*>(out)));
    given_ += read;
    return read;
  }
  Result<std::shared_ptr<arrow::Buffer>> Read(int64_t bytes) override {
    ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateResizableBuffer(bytes));
    ARROW_ASSIGN_OR_RAISE(const int64_t read, Read(bytes, buffer->mutable_data()));
    ARROW_RETURN_NOT_OK(buffer->Resize(read, false));
    return std::shared_ptr<arrow::Buffer>(std::move(buffer));
  }

 protected:
  // Fewer than asked for only at the end.
  virtual Result<int64_t> ReadSome(int64_t bytes, char* out) = 0;

 private:
  int64_t given_ = 0;
  bool closed_ = false;
};

class Counted : public Reading {
 public:
  Counted(std::shared_ptr<arrow::io::InputStream> inner, std::shared_ptr<int64_t> count)
      : inner_(std::move(inner)), count_(std::move(count)) {}

 protected:
  Result<int64_t> ReadSome(int64_t bytes, char* out) override {
    ARROW_ASSIGN_OR_RAISE(const int64_t read, inner_->Read(bytes, out));
    *count_ += read;
    return read;
  }

 private:
  const std::shared_ptr<arrow::io::InputStream> inner_;
  const std::shared_ptr<int64_t> count_;
};

class Transcoded : public Reading {
 public:
  Transcoded(std::shared_ptr<arrow::io::InputStream> inner, std::string encoding, iconv_t converter)
      : inner_(std::move(inner)), encoding_(std::move(encoding)), converter_(converter) {}
  ~Transcoded() override { iconv_close(converter_); }

 protected:
  Result<int64_t> ReadSome(int64_t bytes, char* out) override {
    char* next = out;
    auto room = static_cast<size_t>(bytes);
    // A character takes up to four bytes: less room may stand still.
    while (room > 0) {
      if (!carry_.empty()) {
        const size_t taken = std::min(room, carry_.size());
        std::memcpy(next, carry_.data(), taken);
        carry_.erase(0, taken);
        next += taken;
        room -= taken;
        continue;
      }
      if (pending_.empty() && ended_) break;
      if (pending_.size() < 16 && !ended_) ARROW_RETURN_NOT_OK(Refill());
      char small[16];
      const bool narrow = room < sizeof(small);
      char* to = narrow ? small : next;
      size_t to_room = narrow ? sizeof(small) : room;
      char* from = pending_.data() + place_;
      size_t left = pending_.size() - place_;
      const size_t left_before = left;
      char* const to_begin = to;
      const size_t code = iconv(converter_, &from, &left, &to, &to_room);
      const int error = errno;
      place_ += left_before - left;
      const auto made = static_cast<size_t>(to - to_begin);
      if (narrow) {
        carry_.assign(small, made);
      } else {
        next += made;
        room -= made;
      }
      if (code == static_cast<size_t>(-1) && error != E2BIG) {
        const bool cut = error == EINVAL && !ended_;
        if (!cut) {
          return PermanentError(fmt::format("byte {} is no {} text", consumed_ + place_, encoding_),
                                "invalid_encoding");
        }
        ARROW_RETURN_NOT_OK(Refill());
      } else if (left == 0) {
        consumed_ += pending_.size();
        pending_.clear();
        place_ = 0;
        if (!ended_) ARROW_RETURN_NOT_OK(Refill());
      }
    }
    return next - out;
  }

 private:
  Status Refill() {
    consumed_ += place_;
    pending_.erase(0, place_);
    place_ = 0;
    const size_t before = pending_.size();
    pending_.resize(before + kReadBytes);
    ARROW_ASSIGN_OR_RAISE(const int64_t read, inner_->Read(kReadBytes, pending_.data() + before));
    pending_.resize(before + static_cast<size_t>(read));
    ended_ = read == 0;
    return Status::OK();
  }

  const std::shared_ptr<arrow::io::InputStream> inner_;
  const std::string encoding_;
  const iconv_t converter_;
  std::string pending_, carry_;
  size_t place_ = 0, consumed_ = 0;
  bool ended_ = false;
};

// Leaves a UTF-8 byte order mark out.
class WithoutMark : public Reading {
 public:
  explicit WithoutMark(std::shared_ptr<arrow::io::InputStream> inner) : inner_(std::move(inner)) {}

 protected:
  Result<int64_t> ReadSome(int64_t bytes, char* out) override {
    if (!begun_) {
      begun_ = true;
      begin_.resize(kUtf8Mark.size());
      ARROW_ASSIGN_OR_RAISE(const int64_t read,
                            inner_->Read(static_cast<int64_t>(begin_.size()), begin_.data()));
      begin_.resize(static_cast<size_t>(read));
      if (begin_ == kUtf8Mark) begin_.clear();
    }
    const auto kept = std::min(static_cast<size_t>(bytes), begin_.size());
    std::memcpy(out, begin_.data(), kept);
    begin_.erase(0, kept);
    ARROW_ASSIGN_OR_RAISE(const int64_t read,
                          inner_->Read(bytes - static_cast<int64_t>(kept), out + kept));
    return read + static_cast<int64_t>(kept);
  }

 private:
  const std::shared_ptr<arrow::io::InputStream> inner_;
  std::string begin_;
  bool begun_ = false;
};

}  // namespace

Result<std::shared_ptr<arrow::io::InputStream>> OpenStored(const DataFile& file,
                                                           std::shared_ptr<int64_t>* stored) {
  ARROW_ASSIGN_OR_RAISE(const auto plain, arrow::io::ReadableFile::Open(file.path));
  *stored = std::make_shared<int64_t>(0);
  std::shared_ptr<arrow::io::InputStream> counted = std::make_shared<Counted>(plain, *stored);
  arrow::Compression::type type;
  std::string_view begin;  // of what is packed so
  switch (file.codec) {
    case FileCodec::kNone:
      return counted;
    case FileCodec::kGzip:
      type = arrow::Compression::GZIP;
      begin = "\x1f\x8b";
      break;
    case FileCodec::kZstd:
      type = arrow::Compression::ZSTD;  // other frames may come first
      break;
    case FileCodec::kBz2:
      type = arrow::Compression::BZ2;
      begin = "BZh";
      break;
  }
  ARROW_ASSIGN_OR_RAISE(const auto first, plain->ReadAt(0, static_cast<int64_t>(begin.size())));
  if (first->size() > 0 && first->ToString() != begin) {
    return PermanentError("the file is not packed as its name says: give it the name of what it is",
                          "unreadable_file");
  }
  ARROW_RETURN_NOT_OK(plain->Seek(0));
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::util::Codec> codec,
                        arrow::util::Codec::Create(type));
  ARROW_ASSIGN_OR_RAISE(auto unpacked,
                        arrow::io::CompressedInputStream::Make(codec.get(), counted));
  return unpacked;
}

Result<std::shared_ptr<arrow::io::InputStream>> OpenText(const DataFile& file,
                                                         const std::string& encoding,
                                                         std::shared_ptr<int64_t>* stored) {
  ARROW_ASSIGN_OR_RAISE(auto bytes, OpenStored(file, stored));
  if (encoding == "utf-8" || encoding == "utf8") return std::make_shared<WithoutMark>(bytes);
  const iconv_t converter = iconv_open("UTF-8", encoding.c_str());
  // NOLINTNEXTLINE(performance-no-int-to-ptr): how iconv_open says no.
  if (converter == reinterpret_cast<iconv_t>(-1)) {
    return UserError(
        fmt::format("source_encoding: '{}' is not known here; names are those of "
                    "iconv --list, such as utf-8, windows-1252, latin1, utf-16le",
                    encoding));
  }
  auto text = std::make_shared<Transcoded>(std::move(bytes), encoding, converter);
  return std::make_shared<WithoutMark>(std::move(text));
}

std::string EncodingOf(std::string_view begin) {
  if (begin.starts_with(kUtf8Mark)) return "utf-8";
  if (begin.starts_with(std::string_view("\xFF\xFE", 2))) return "utf-16le";
  if (begin.starts_with(std::string_view("\xFE\xFF", 2))) return "utf-16be";
  // Text of Latin letters has a NUL in every other byte.
  size_t odd = 0, even = 0;
  const size_t looked_at = std::min<size_t>(begin.size(), 1024);
  for (size_t i = 0; i < looked_at; ++i) {
    if (begin[i] == '\0') ++(i % 2 == 0 ? even : odd);
  }
  if (looked_at >= 4 && odd > looked_at * 2 / 5 && even * 8 < odd) return "utf-16le";
  if (looked_at >= 4 && even > looked_at * 2 / 5 && odd * 8 < even) return "utf-16be";
  return "utf-8";
}

Result<std::string> EncodingOf(const DataFile& file) {
  std::shared_ptr<int64_t> stored;
  ARROW_ASSIGN_OR_RAISE(const auto stream, OpenStored(file, &stored));
  std::string begin(kEncodingProbeBytes, '\0');
  ARROW_ASSIGN_OR_RAISE(const int64_t read, stream->Read(kEncodingProbeBytes, begin.data()));
  begin.resize(static_cast<size_t>(read));
  return EncodingOf(std::string_view(begin));
}

size_t ByteOrderMarkBytes(std::string_view text) {
  return text.starts_with(kUtf8Mark) ? kUtf8Mark.size() : 0;
}

}  // namespace bulkhaul::files
