// A text file, or a part of one, piece by piece in one buffer that is used again.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <arrow/io/file.h>

#include "plan/context.h"
#include "source/files/file_reader.h"

namespace bulkhaul::files {

constexpr int64_t kTextChunkBytesMin = 64 << 10, kTextChunkBytesMax = 1 << 20;

// Of a chunk: half of what a batch may hold, within these bounds.
inline int64_t TextChunkBytes(int64_t batch_bytes_max) {
  return std::clamp(batch_bytes_max / 2, kTextChunkBytesMin, kTextChunkBytesMax);
}

// Not thread-safe.
class TextChunks {
 public:
  // A part that does not begin with the file, or ends before it, is one of plain UTF-8.
  static Result<std::unique_ptr<TextChunks>> Open(const FilePart& part, const std::string& encoding,
                                                  int64_t chunk_bytes, int64_t row_bytes_max);

  // What was read and not consumed. Stays until the next Fill().
  std::string_view text() const { return {buffer_.data() + begin_, end_ - begin_}; }
  // Whether nothing is behind text().
  bool last() const { return ended_; }
  // Reads another piece behind text(). kPermanent, naming the line, when text() is longer than a
  // row may be: call it only when no row ends in it.
  Status Fill();
  // kPermanent: the row on this line is longer than a row may be.
  Status TooLong(int64_t line) const;
  // Takes bytes from the begin of text(); `line` goes on by the row ends in them.
  void Consume(size_t bytes, char row_end);
  int64_t line() const { return line_; }  // of the first byte of text(), from 1
  int64_t bytes_read() const;             // of the file, as stored
  int64_t buffered_bytes() const { return static_cast<int64_t>(buffer_.capacity()); }

 private:
  const DataFile* file_ = nullptr;
  std::shared_ptr<arrow::io::ReadableFile> plain_;  // null: stream_ is read
  std::shared_ptr<arrow::io::InputStream> stream_;
  std::shared_ptr<int64_t> stored_;
  int64_t from_ = 0, next_ = 0, stop_ = 0;  // of plain_
  int64_t chunk_bytes_ = 0, row_bytes_max_ = 0;
  std::string buffer_;
  size_t begin_ = 0, end_ = 0;
  bool ended_ = false;
  int64_t line_ = 1;
};

}  // namespace bulkhaul::files
