#include "source/files/csv_cuts.h"

#include <algorithm>
#include <thread>

#include <arrow/io/file.h>

#include "base/text.h"
#include "plan/parallelism.h"
#include "source/files/csv_layout.h"
#include "source/files/text_stream.h"
#include "wire/csv/csv_scanner.h"

namespace bulkhaul::files {
namespace {

constexpr int64_t kScanBytes = 1 << 20;

struct Piece {
  int64_t begin = 0, end = 0;  // bytes of the file
  csv::CsvScanState state;     // behind it
  int64_t lines = 0;           // that end in it
  std::vector<TextCut> cuts;   // `line`: as if the piece began with line 0
};

class CutFinder {
 public:
  CutFinder(arrow::io::ReadableFile& file, const csv::CsvDialect& dialect,
            const std::vector<int64_t>& offsets, const std::stop_token& stop)
      : file_(file), dialect_(dialect), offsets_(offsets), stop_(stop) {}

  Result<std::vector<TextCut>> Find(int64_t threads_max, int64_t piece_bytes_min) {
    ARROW_ASSIGN_OR_RAISE(auto pieces, Divide(threads_max, piece_bytes_min));
    ARROW_RETURN_NOT_OK(ScanAtOnce(pieces));
    std::vector<TextCut> cuts;
    csv::CsvScanState state;
    int64_t line = 1;
    for (Piece& piece : pieces) {
      if (!state.AtRowBegin()) {
        ARROW_RETURN_NOT_OK(Scan(&piece, state, cuts.empty() ? 0 : Behind(cuts.back().offset)));
      }
      for (const TextCut& cut : piece.cuts) cuts.push_back({cut.offset, line + cut.line});
      line += piece.lines;
      state = piece.state;
    }
    // Behind the last row nothing begins.
    while (!cuts.empty() && cuts.back().offset >= bytes_) cuts.pop_back();
    return cuts;
  }

 private:
  // Each but the first begins behind a byte that ends a row, or would if it were not quoted.
  Result<std::vector<Piece>> Divide(int64_t threads_max, int64_t piece_bytes_min) {
    ARROW_ASSIGN_OR_RAISE(bytes_, file_.GetSize());
    std::string buffer(kScanBytes, '\0');
    ARROW_ASSIGN_OR_RAISE(const std::string_view head, Read(0, bytes_, &buffer));
    std::vector<Piece> pieces(1);
    pieces[0].begin = static_cast<int64_t>(ByteOrderMarkBytes(head));
    const int64_t looked_at = std::min(offsets_.back(), bytes_);
    const int64_t count = std::clamp<int64_t>(looked_at / piece_bytes_min, 1, threads_max);
    for (int64_t i = 1; i < count; ++i) {
      const int64_t from = looked_at / count * i;
      if (from <= pieces.back().begin) continue;
      ARROW_ASSIGN_OR_RAISE(const std::string_view text, Read(from, bytes_, &buffer));
      const size_t row_end = text.find(dialect_.row_end);
      if (row_end == std::string_view::npos) continue;
      pieces.back().end = from + static_cast<int64_t>(row_end) + 1;
      pieces.emplace_back().begin = pieces.back().end;
    }
    pieces.back().end = bytes_;
    return pieces;
  }

  // As if each began with a row.
  Status ScanAtOnce(std::vector<Piece>& pieces) {
    std::vector<Status> done(pieces.size());
    const auto scan = [&](size_t i) {
      done[i] = Scan(&pieces[i], {}, i == 0 ? 0 : Behind(pieces[i].begin));
    };
    {
      std::vector<std::jthread> threads;
      for (size_t i = 1; i < pieces.size(); ++i) threads.emplace_back(scan, i);
      scan(0);
    }
    for (const Status& status : done) ARROW_RETURN_NOT_OK(status);
    return Status::OK();
  }

  // The first offset behind a place.
  size_t Behind(int64_t place) const {
    return static_cast<size_t>(std::upper_bound(offsets_.begin(), offsets_.end(), place) -
                               offsets_.begin());
  }

  // Cuts for the offsets from number `next` on, up to the piece's end.
  Status Scan(Piece* piece, csv::CsvScanState state, size_t next) {
    piece->lines = 0;
    piece->cuts.clear();
    std::string buffer(kScanBytes, '\0');
    for (int64_t at = piece->begin; at < piece->end;) {
      if (stop_.stop_requested()) return CancelledError();
      ARROW_ASSIGN_OR_RAISE(std::string_view text, Read(at, piece->end, &buffer));
      if (text.empty()) break;
      while (!text.empty()) {
        const bool wanted = next < offsets_.size() && offsets_[next] <= piece->end;
        if (!wanted && piece->end == bytes_) return Status::OK();
        // The row end before the first row that begins at or after the offset.
        const size_t from = wanted
                                ? static_cast<size_t>(std::max<int64_t>(0, offsets_[next] - 1 - at))
                                : text.size();
        const size_t found = csv::ScanToRowEnd(text, dialect_, from, &state);
        const size_t used = found == std::string_view::npos ? text.size() : found + 1;
        piece->lines += static_cast<int64_t>(CountByte(text.substr(0, used), dialect_.row_end));
        text.remove_prefix(used);
        at += static_cast<int64_t>(used);
        if (found == std::string_view::npos) break;
        piece->cuts.push_back({at, piece->lines});
        while (next < offsets_.size() && offsets_[next] <= at) ++next;
      }
    }
    piece->state = state;
    return Status::OK();
  }

  Result<std::string_view> Read(int64_t at, int64_t end, std::string* buffer) {
    ARROW_ASSIGN_OR_RAISE(const int64_t read,
                          file_.ReadAt(at, std::min(kScanBytes, end - at), buffer->data()));
    return std::string_view(buffer->data(), static_cast<size_t>(read));
  }

  arrow::io::ReadableFile& file_;
  const csv::CsvDialect& dialect_;
  const std::vector<int64_t>& offsets_;
  const std::stop_token& stop_;
  int64_t bytes_ = 0;
};

}  // namespace

Result<std::vector<TextCut>> FindCsvCuts(const std::string& layout, const DataFile& file,
                                         const std::vector<int64_t>& offsets,
                                         const std::stop_token& stop, const CsvCutting& cutting) {
  ARROW_ASSIGN_OR_RAISE(const auto how, CsvLayout::FromJson(layout));
  // The rows of other encodings are found by reading all of it.
  if (how.encoding != "utf-8" || offsets.empty()) return std::vector<TextCut>();
  ARROW_ASSIGN_OR_RAISE(auto plain, arrow::io::ReadableFile::Open(file.path));
  CutFinder finder(*plain, how.dialect, offsets, stop);
  return finder.Find(cutting.threads > 0 ? cutting.threads : AvailableCores(),
                     cutting.piece_bytes_min);
}

}  // namespace bulkhaul::files
