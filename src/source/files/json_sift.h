// Lines of JSON that no row can be made of, cut out of those around them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bulkhaul::files {

// The lines of `text` that do not pass by themselves, in their order, at most `lines_max`; found by
// halving, so that few of them cost few tries. Pure but for `fits`.
std::vector<std::string_view> BadLines(std::string_view text, size_t lines_max,
                                       const std::function<bool(std::string_view)>& fits);

// A text without some of its lines, and where the others were.
class SiftedLines {
 public:
  // `bad`: lines of `text`, in their order.
  SiftedLines(std::string_view text, const std::vector<std::string_view>& bad);
  const std::string& text() const { return text_; }
  // Of the lines before a place of text(), in the text as it was.
  int64_t LinesBefore(size_t offset) const;

 private:
  std::string text_;
  std::vector<std::pair<size_t, int64_t>> pieces_;  // where each begins in text_; lines before it
};

}  // namespace bulkhaul::files
