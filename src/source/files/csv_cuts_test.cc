#include "source/files/csv_cuts.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "source/files/csv_layout.h"

namespace bulkhaul::files {
namespace {

// A file of its own, gone at the end.
class TextFile {
 public:
  explicit TextFile(const std::string& text) {
    file.path =
        std::filesystem::temp_directory_path() / fmt::format("bulkhaul_csv_cuts_test_{}", getpid());
    std::ofstream(file.path, std::ios::binary) << text;
    file.bytes = static_cast<int64_t>(text.size());
  }
  ~TextFile() { std::filesystem::remove(file.path); }
  TextFile(const TextFile&) = delete;
  TextFile& operator=(const TextFile&) = delete;

  DataFile file;
};

// Byte after byte, by the rules of csv_scanner.h; `line` counts every line feed.
std::vector<TextCut> RowsOneByOne(const std::string& text, const csv::CsvDialect& dialect) {
  std::vector<TextCut> rows;
  bool quoted = false, may_open = true, escaped = false, at_begin = true;
  int64_t line = 1;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    line += c == '\n';
    if (escaped) {
      escaped = may_open = at_begin = false;
    } else if (dialect.escape != '\0' && c == dialect.escape) {
      escaped = true;
    } else if (c == '"' && (quoted || may_open)) {
      may_open = quoted;
      quoted = !quoted;
      at_begin = false;
    } else if (!quoted) {
      at_begin = c == ',' || c == '\n' || (dialect.trim && at_begin && c == ' ');
      may_open = at_begin;
      if (c == '\n' && i + 1 < text.size()) rows.push_back({static_cast<int64_t>(i) + 1, line});
    }
  }
  return rows;
}

std::vector<TextCut> CutsOneByOne(const std::string& text, const csv::CsvDialect& dialect,
                                  const std::vector<int64_t>& offsets) {
  std::vector<TextCut> cuts;
  for (const TextCut& row : RowsOneByOne(text, dialect)) {
    const int64_t before = cuts.empty() ? 0 : cuts.back().offset;
    const auto wish = std::upper_bound(offsets.begin(), offsets.end(), before);
    if (wish != offsets.end() && *wish <= row.offset) cuts.push_back(row);
  }
  return cuts;
}

bool Same(const std::vector<TextCut>& left, const std::vector<TextCut>& right) {
  return std::ranges::equal(left, right, [](const TextCut& a, const TextCut& b) {
    return a.offset == b.offset && a.line == b.line;
  });
}

TEST(FindCsvCuts, AreThoseOfOneReadHoweverManyThreadsLook) {
  EXPECT_TRUE(rc::check("as byte after byte", [] {
    const auto text = *rc::gen::container<std::string>(rc::gen::weightedElement<char>(
        {{12, 'a'}, {2, '"'}, {2, ' '}, {3, ','}, {3, '\n'}, {1, '\\'}}));
    RC_PRE(!text.empty());
    CsvLayout layout;
    layout.dialect.escape = *rc::gen::element('\0', '\\');
    layout.dialect.trim = *rc::gen::arbitrary<bool>();
    auto offsets = *rc::gen::nonEmpty(rc::gen::container<std::vector<int64_t>>(
        rc::gen::inRange<int64_t>(1, static_cast<int64_t>(text.size()) + 3)));
    std::ranges::sort(offsets);
    offsets.erase(std::ranges::unique(offsets).begin(), offsets.end());
    const TextFile written(text);
    const CsvCutting cutting = {*rc::gen::inRange(1, 6), *rc::gen::inRange<int64_t>(1, 20)};
    const auto cuts = FindCsvCuts(layout.ToJson(), written.file, offsets, {}, cutting);
    RC_ASSERT(Same(cuts.ValueOrDie(), CutsOneByOne(text, layout.dialect, offsets)));
  }));
}

TEST(FindCsvCuts, AQuoteOpenAcrossPiecesHidesItsLines) {
  // Every other line looks like a row in each piece but the first.
  std::string text = "1,\"";
  for (int i = 0; i < 200'000; ++i) text += fmt::format("line {},\"\"\n", i);
  text += "\"\n";
  const auto last = static_cast<int64_t>(text.size());
  for (int i = 0; i < 10; ++i) text += fmt::format("{},b\n", i);
  const TextFile written(text);
  const auto cuts =
      FindCsvCuts(CsvLayout().ToJson(), written.file, {1'000'000, 2'000'000, last + 1}, {}, {4, 1});
  ASSERT_TRUE(cuts.ok()) << cuts.status();
  EXPECT_TRUE(Same(*cuts, {{last, 200'002}, {last + 4, 200'003}}));
}

TEST(FindCsvCuts, AMarkOfTheByteOrderIsNoPartOfARow) {
  const TextFile written("\xEF\xBB\xBF\"a\nb\",c\nd,e\nf,g\n");
  const auto cuts = FindCsvCuts(CsvLayout().ToJson(), written.file, {2, 13}, {}, {3, 1});
  ASSERT_TRUE(cuts.ok()) << cuts.status();
  EXPECT_TRUE(Same(*cuts, {{11, 3}, {15, 4}}));
}

}  // namespace
}  // namespace bulkhaul::files
