#include "wire/json/json_tokens.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace bulkhaul::search {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<uint32_t> Positions(std::string_view text) {
  TokenIndex index;
  const Status status = index.Build(text);
  EXPECT_TRUE(status.ok()) << status;
  return {index.positions(), index.positions() + index.count()};
}

// One byte after the other.
struct PlainScan {
  std::vector<uint32_t> positions;
  bool ends_in_string = false;
  bool control_in_string = false;

  explicit PlainScan(std::string_view text) {
    bool escaped = false, in_scalar = false;
    for (size_t at = 0; at < text.size(); ++at) {
      const char c = text[at];
      const bool quote = c == '"' && !escaped;
      escaped = c == '\\' && !escaped;
      if (ends_in_string) {
        control_in_string = control_in_string || static_cast<unsigned char>(c) < 0x20;
        if (quote) ends_in_string = in_scalar = false;
        continue;
      }
      const bool structural = std::string_view("{}[]:,").find(c) != std::string_view::npos;
      const bool white = std::string_view(" \t\n\r").find(c) != std::string_view::npos;
      if (structural || (!white && !in_scalar)) positions.push_back(static_cast<uint32_t>(at));
      in_scalar = !structural && !white && !quote;
      ends_in_string = quote;
    }
  }
};

RC_GTEST_PROP(TokenIndex, FindsWhatAPlainScanFinds, (uint64_t seed)) {
  std::mt19937_64 random(seed);
  // Rare and frequent: runs of backslashes, strings over the ends of blocks, long white space.
  const std::string_view alphabets[] = {"{}[]:,\"\\ \n1ae", "\"\\a", "\"abcdefgh \\", " \t\r\n[]1",
                                        "\"\x01{}a"};
  std::string text;
  for (uint64_t bytes = random() % 400; bytes > 0; --bytes) {
    const std::string_view alphabet = alphabets[random() % 5];
    for (uint64_t run = random() % 9; run > 0; --run) text += alphabet[random() % alphabet.size()];
  }
  const PlainScan plain(text);
  // At its exact size on the heap, so that each byte read beyond is seen.
  const std::vector<char> exact(text.begin(), text.end());
  TokenIndex index;
  const Status status = index.Build(std::string_view(exact.data(), exact.size()));
  RC_ASSERT(status.ok() == (!plain.ends_in_string && !plain.control_in_string));
  if (!status.ok()) return;
  RC_ASSERT(plain.positions ==
            std::vector<uint32_t>(index.positions(), index.positions() + index.count()));
}

TEST(TokenIndex, FindsTokens) {
  EXPECT_THAT(Positions(R"({"a b": [1, "x\"y",true]})"),
              ElementsAre(0, 1, 6, 8, 9, 10, 12, 18, 19, 23, 24));
  EXPECT_TRUE(Positions("").empty());
  EXPECT_TRUE(Positions(std::string(200, ' ')).empty());
}

TEST(TokenIndex, RefusesWhatCannotBeJson) {
  const auto error = [](std::string_view text) {
    TokenIndex index;
    const Status status = index.Build(text);
    EXPECT_FALSE(status.ok()) << text;
    EXPECT_EQ(KindOf(status), ErrorKind::kTransient);
    return status.message();
  };
  EXPECT_THAT(error("\"abc"), HasSubstr("inside a string"));
  EXPECT_THAT(error("\"abc\\\""), HasSubstr("inside a string"));
  EXPECT_THAT(error("\"a\tb\""), HasSubstr("control character"));
  EXPECT_THAT(error("\"\xff\""), HasSubstr("UTF-8"));
  EXPECT_THAT(error(std::string(100, ' ') + "\"\xed\xa0\x80\""), HasSubstr("UTF-8"));
}

TEST(Unescape, GivesTheCharactersOrNothing) {
  const auto unescape = [](std::string_view text) {
    std::string out(text.size(), '\0');
    const int64_t bytes = Unescape(text, out.data());
    return bytes < 0 ? "none" : out.substr(0, static_cast<size_t>(bytes));
  };
  EXPECT_EQ(unescape(R"(a\"\\\/\b\f\n\r\tz)"), "a\"\\/\b\f\n\r\tz");
  EXPECT_EQ(unescape(R"(\u0041\u00e9\u20AC\uD83C\uDF88)"), "Aé€🎈");
  EXPECT_EQ(unescape(R"(\u0000)"), std::string(1, '\0'));
  for (const std::string_view text : {R"(\)", R"(\x)", R"(\u12)", R"(\u12g4)", R"(\ud800)",
                                      R"(\ud800\u0041)", R"(\udc00)", R"(\ud800x)"}) {
    EXPECT_EQ(unescape(text), "none") << text;
  }
}

TEST(TokenCursor, CopiesValuesWithoutWhiteSpace) {
  const auto compact = [](std::string_view text) -> std::string {
    TokenIndex index;
    if (!index.Build(text).ok()) return "none";
    TokenCursor cursor(text, index);
    std::string out;
    if (!cursor.CopyCompact(&out).ok() || !cursor.at_end()) return "none";
    return out;
  };
  EXPECT_EQ(compact(" { \"a\" : [ 1 , { } , [ ] , \"x y\" ] , \"b\" : null } "),
            R"({"a":[1,{},[],"x y"],"b":null})");
  EXPECT_EQ(compact("-1.5e+3"), "-1.5e+3");
  for (const std::string_view text :
       {"",          "{",   "}",      "[1,]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{1:2}",
        "[1 2]",     "tru", "01",     "1.",   "-",       "+1",       "\"\\x\"",    "[1}",
        "{\"a\":1]", "1 2", "\"a\"b", "nan",  ".5",      "1e"}) {
    EXPECT_EQ(compact(text), "none") << text;
  }
}

TEST(TokenCursor, NumbersAreThoseOfJson) {
  for (const std::string_view text : {"0", "-0", "10", "1.5", "1e5", "1E-5", "-1.25e+10"}) {
    EXPECT_TRUE(IsJsonNumber(text)) << text;
  }
  for (const std::string_view text :
       {"", "-", "00", "01", "1.", ".1", "1e", "1e+", "0x1", "1a", "+1"}) {
    EXPECT_FALSE(IsJsonNumber(text)) << text;
  }
}

}  // namespace
}  // namespace bulkhaul::search
