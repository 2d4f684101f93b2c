#include "source/files/json_sift.h"

#include <algorithm>

#include "base/text.h"

namespace bulkhaul::files {
namespace {

void Sift(std::string_view text, size_t lines_max,
          const std::function<bool(std::string_view)>& fits, std::vector<std::string_view>* bad) {
  if (bad->size() >= lines_max) return;
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos || fits(text)) return;
  // Behind the line end that is nearest to the middle, and not the last one.
  const auto inner = text.substr(0, text.size() - 1);
  size_t end = inner.rfind('\n', inner.size() / 2);
  if (end == std::string_view::npos) end = inner.find('\n');
  if (end == std::string_view::npos) {
    bad->push_back(text);
    return;
  }
  Sift(text.substr(0, end + 1), lines_max, fits, bad);
  Sift(text.substr(end + 1), lines_max, fits, bad);
}

}  // namespace

std::vector<std::string_view> BadLines(std::string_view text, size_t lines_max,
                                       const std::function<bool(std::string_view)>& fits) {
  std::vector<std::string_view> bad;
  Sift(text, lines_max, fits, &bad);
  return bad;
}

SiftedLines::SiftedLines(std::string_view text, const std::vector<std::string_view>& bad) {
  text_.reserve(text.size());
  size_t at = 0;
  int64_t lines = 0;
  const auto keep = [&](size_t end) {
    const auto piece = text.substr(at, end - at);
    if (!piece.empty()) pieces_.emplace_back(text_.size(), lines);
    text_.append(piece);
    lines += static_cast<int64_t>(CountByte(piece, '\n'));
  };
  for (const auto line : bad) {
    const auto begin = static_cast<size_t>(line.data() - text.data());
    keep(begin);
    at = begin + line.size();
    ++lines;
  }
  keep(text.size());
}

int64_t SiftedLines::LinesBefore(size_t offset) const {
  const auto next =
      std::upper_bound(pieces_.begin(), pieces_.end(), offset,
                       [](size_t place, const auto& piece) { return place < piece.first; });
  if (next == pieces_.begin()) return 0;
  const auto& [begin, lines] = *(next - 1);
  return lines + static_cast<int64_t>(
                     CountByte(std::string_view(text_).substr(begin, offset - begin), '\n'));
}

}  // namespace bulkhaul::files
