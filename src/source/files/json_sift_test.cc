#include "source/files/json_sift.h"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace bulkhaul::files {
namespace {

bool NoX(std::string_view text) { return text.find('x') == std::string_view::npos; }

std::vector<std::string> BadOf(std::string_view text, size_t lines_max = 100) {
  std::vector<std::string> bad;
  for (const auto line : BadLines(text, lines_max, NoX)) bad.emplace_back(line);
  return bad;
}

using Lines = std::vector<std::string>;

TEST(JsonSift, FindsTheLinesThatDoNotPass) {
  EXPECT_EQ(BadOf("a\nb\n"), Lines{});
  EXPECT_EQ(BadOf("x\n"), Lines{"x\n"});
  EXPECT_EQ(BadOf("x"), Lines{"x"});
  EXPECT_EQ(BadOf("\n"), Lines{});
  EXPECT_EQ(BadOf("a\nx1\n\nb\nx2"), (Lines{"x1\n", "x2"}));
  EXPECT_EQ(BadOf("x1\nx2\nx3\n", 2), (Lines{"x1\n", "x2\n"}));
}

TEST(JsonSift, FewBadLinesCostFewTries) {
  std::string text;
  for (int i = 0; i < 1 << 14; ++i) text += i == 5000 ? "x\n" : "good\n";
  int tries = 0;
  const auto bad = BadLines(text, 10, [&](std::string_view some) {
    ++tries;
    return NoX(some);
  });
  EXPECT_EQ(bad.size(), 1U);
  EXPECT_LT(tries, 40);
}

TEST(JsonSift, KeepsTheOtherLinesAndTheirNumbers) {
  EXPECT_TRUE(rc::check("lines that stay keep their numbers", [] {
    const auto kinds = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 3));
    std::string text, kept;
    std::vector<std::pair<size_t, int64_t>> places;
    Lines bad;
    for (size_t i = 0; i < kinds.size(); ++i) {
      const std::string number = std::to_string(i);
      const std::string line = (kinds[i] == 0 ? "x" + number : kinds[i] == 1 ? number : "") + "\n";
      if (kinds[i] == 0) {
        bad.push_back(line);
      } else {
        places.emplace_back(kept.size(), static_cast<int64_t>(i));
        kept += line;
      }
      text += line;
    }
    const auto found = BadLines(text, text.size(), NoX);
    RC_ASSERT((Lines(found.begin(), found.end()) == bad));
    const SiftedLines sifted(text, found);
    RC_ASSERT(sifted.text() == kept);
    for (const auto& [offset, line] : places) RC_ASSERT(sifted.LinesBefore(offset) == line);
  }));
}

}  // namespace
}  // namespace bulkhaul::files
