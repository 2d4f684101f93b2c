#include "base/text.h"

#include <cctype>
#include <set>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace bulkhaul {
namespace {

TEST(Text, NearestName) {
  const std::vector<std::string> names = {"unit_bytes", "unit_rows", "where", "columns"};
  EXPECT_EQ(NearestName("unit_byte", names), "unit_bytes");
  EXPECT_EQ(NearestName("wheer", names), "where");
  EXPECT_EQ(NearestName("completely_else", names), std::nullopt);
  const std::vector<std::string> rates = {"bytes_per_second", "documents_per_second", "whenever",
                                          "where", "documents"};
  EXPECT_EQ(NearestName("docs_per_second", rates), "documents_per_second");
  EXPECT_EQ(NearestName("--docs-per-second", std::vector<std::string>{"--documents-per-second"}),
            "--documents-per-second");
  EXPECT_EQ(NearestName("byte_per_second", rates), "bytes_per_second");
  EXPECT_EQ(NearestName("wher", rates), "where");
  EXPECT_EQ(NearestName("ds_per_second", {rates.data() + 1, 1}), std::nullopt);
  EXPECT_EQ(NearestName("", rates), std::nullopt);
}

TEST(Text, Globs) {
  EXPECT_TRUE(GlobMatch("public.*", "public.orders"));
  EXPECT_TRUE(GlobMatch("*line*", "public.lineitem"));
  EXPECT_TRUE(GlobMatch("t_[0-9]?", "t_1é"));
  EXPECT_FALSE(GlobMatch("t_[!0-9]", "t_1"));
  EXPECT_TRUE(GlobMatch(R"(a\*b)", "a*b"));
  EXPECT_FALSE(GlobMatch(R"(a\*b)", "axb"));
  EXPECT_TRUE(GlobMatch("[x", "[x"));
  EXPECT_FALSE(GlobMatch("a", "ab"));
  EXPECT_TRUE(GlobMatch("**", ""));
  EXPECT_FALSE(GlobMatch("?", ""));
}

TEST(Text, SafeFileNames) {
  EXPECT_EQ(SafeFileName("../x"), "___x");
  EXPECT_EQ(SafeFileName("a/b"), "a_b");
  EXPECT_EQ(SafeFileName(""), "_");
  EXPECT_EQ(SafeFileName(".."), "__");
  EXPECT_EQ(SafeFileName("größe 🚚"), "größe_🚚");
  EXPECT_EQ(SafeFileName("a\nb\"c'd"), "a_b_c_d");
  EXPECT_LE(SafeFileName(std::string(500, 'x')).size(), 200u);
}

TEST(Text, SafeFileNameIsAlwaysOneHarmlessComponent) {
  EXPECT_TRUE(rc::check([](const std::string& text) {
    const std::string name = SafeFileName(text);
    RC_ASSERT(!name.empty() && name.size() <= 200 && name[0] != '.');
    RC_ASSERT(name.find('/') == std::string::npos && name.find('\0') == std::string::npos);
    RC_ASSERT(IsValidUtf8(name));
    RC_ASSERT(SafeFileName(name) == name);
  }));
}

TEST(Text, IdsDiffer) {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(NewId());
  EXPECT_EQ(ids.size(), 1000u);
  EXPECT_EQ(ids.begin()->size(), 12u);
}

TEST(Text, AsciiLowerLeavesOtherBytes) {
  EXPECT_EQ(AsciiLower("@AZ[`az{ 09_-"), "@az[`az{ 09_-");
  EXPECT_EQ(AsciiLower("GRÖßE \xC4\xDC"), "grÖße \xC4\xDC");
  EXPECT_EQ(AsciiLower(std::string_view("A\0B", 3)), std::string_view("a\0b", 3));
  EXPECT_EQ(AsciiLower(""), "");
  EXPECT_TRUE(rc::check("as the C locale's tolower does", [](const std::string& text) {
    std::string lower;
    for (const char c : text)
      lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    RC_ASSERT(AsciiLower(text) == lower);
  }));
}

TEST(Text, CountsABytesOccurrences) {
  EXPECT_EQ(CountByte("", 'a'), 0u);
  EXPECT_EQ(CountByte(std::string(100'000, 'a'), 'a'), 100'000u);
  EXPECT_TRUE(rc::check("as std::count does", [] {
    const auto text = *rc::gen::container<std::string>(rc::gen::element('a', 'b', '\0', '\xff'));
    const auto from = *rc::gen::inRange<size_t>(0, text.size() + 1);
    const auto tail = std::string_view(text).substr(from);
    RC_ASSERT(CountByte(tail, '\xff') ==
              static_cast<size_t>(std::count(tail.begin(), tail.end(), '\xff')));
  }));
}

TEST(Text, Utf8) {
  EXPECT_TRUE(IsValidUtf8("größe"));
  EXPECT_FALSE(IsValidUtf8("\xff"));
  EXPECT_FALSE(IsValidUtf8("\xed\xa0\x80")) << "surrogates are not UTF-8";
}

}  // namespace
}  // namespace bulkhaul
