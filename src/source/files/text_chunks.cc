#include "source/files/text_chunks.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "base/text.h"
#include "base/units.h"
#include "source/files/text_stream.h"

namespace bulkhaul::files {

Result<std::unique_ptr<TextChunks>> TextChunks::Open(const FilePart& part,
                                                     const std::string& encoding,
                                                     int64_t chunk_bytes, int64_t row_bytes_max) {
  auto chunks = std::make_unique<TextChunks>();
  chunks->file_ = part.file;
  chunks->chunk_bytes_ = chunk_bytes;
  chunks->row_bytes_max_ = row_bytes_max;
  chunks->line_ = part.line;
  if (part.file->codec != FileCodec::kNone || encoding != "utf-8") {
    ARROW_ASSIGN_OR_RAISE(chunks->stream_, OpenText(*part.file, encoding, &chunks->stored_));
    return chunks;
  }
  ARROW_ASSIGN_OR_RAISE(chunks->plain_, arrow::io::ReadableFile::Open(part.file->path));
  ARROW_ASSIGN_OR_RAISE(const int64_t size, chunks->plain_->GetSize());
  chunks->stop_ = part.end < 0 ? size : std::min(part.end, size);
  chunks->from_ = chunks->next_ = std::min(part.begin, chunks->stop_);
  if (part.begin == 0) {
    char mark[3];
    ARROW_ASSIGN_OR_RAISE(const int64_t read, chunks->plain_->ReadAt(0, sizeof(mark), mark));
    chunks->next_ =
        static_cast<int64_t>(ByteOrderMarkBytes(std::string_view(mark, static_cast<size_t>(read))));
  }
  return chunks;
}

Status TextChunks::Fill() {
  if (ended_) return Status::OK();
  const size_t kept = end_ - begin_;
  // The \r of an end that is not all there yet is no part of the row.
  const bool half_end = kept > 0 && buffer_[end_ - 1] == '\r';
  if (static_cast<int64_t>(kept) - half_end > row_bytes_max_) return TooLong(line_);
  if (begin_ > 0 && kept > 0) std::memmove(buffer_.data(), buffer_.data() + begin_, kept);
  begin_ = 0;
  end_ = kept;
  // Doubled for a long row, so that it is not looked through again for each piece.
  const size_t wanted = std::max(static_cast<size_t>(chunk_bytes_), kept);
  if (buffer_.size() < kept + wanted) buffer_.resize(kept + wanted);
  auto room = static_cast<int64_t>(wanted);
  if (plain_ != nullptr) room = std::min(room, stop_ - next_);
  auto read = plain_ != nullptr ? plain_->ReadAt(next_, room, buffer_.data() + end_)
                                : stream_->Read(room, buffer_.data() + end_);
  if (!read.ok()) {
    return FileError(read.status(), fmt::format("{}: behind line {}", file_->path, line_));
  }
  end_ += static_cast<size_t>(*read);
  next_ += *read;
  ended_ = plain_ != nullptr ? next_ >= stop_ || *read == 0 : *read < room;
  return Status::OK();
}

Status TextChunks::TooLong(int64_t line) const {
  return PermanentError(
      fmt::format("{}: line {}: the row is longer than row_bytes_max ({}); is a quote not closed?",
                  file_->path, line, FormatBytes(row_bytes_max_)),
      "row_too_long");
}

void TextChunks::Consume(size_t bytes, char row_end) {
  line_ += static_cast<int64_t>(CountByte({buffer_.data() + begin_, bytes}, row_end));
  begin_ += bytes;
}

int64_t TextChunks::bytes_read() const { return stored_ ? *stored_ : next_ - from_; }

}  // namespace bulkhaul::files
