// Documents in forms that the walk over the text reads by itself, and in forms that it leaves to
// tokens: the same rows, the same errors.
#include "wire/json/document_scan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/json/json_scan.h"
#include "wire/json/testing.h"

namespace bulkhaul::search {
namespace {

using testing::Decode;
using ::testing::HasSubstr;
using testing::HitOf;
using testing::LayoutOf;
using testing::PageOf;
using testing::PageOfHits;

constexpr char kProperties[] = R"({
  "s": {"type": "keyword"}, "i": {"type": "integer"}, "d": {"type": "double"},
  "b": {"type": "boolean"}, "t": {"type": "date"}, "j": {"type": "flattened"},
  "o": {"properties": {"s": {"type": "keyword"}, "i": {"type": "long"}}}})";

std::string Rows(const std::string& page, const LayoutOptions& options = {}) {
  const auto layout = LayoutOf(kProperties, options).ValueOrDie();
  const auto batch = Decode(layout, page);
  return batch.ok() ? (*batch)->ToString() : MessageOf(batch.status());
}

TEST(DocumentScan, EveryWayToWriteADocumentGivesTheSameRow) {
  const std::string plain =
      R"({"s":"a \"text\" in ü","i":-12,"d":1.5,"b":true,"t":"2024-03-01T12:34:56.789Z",)"
      R"("j":{"k":[1,"x"]},"o":{"s":"","i":9007199254740993}})";
  const std::string expected = Rows(PageOf({plain, "{}"}));
  for (
      const char* const form : {
          // White space wherever it may stand.
          R"( { "s" : "a \"text\" in ü" , "i" : -12 , "d" : 1.5 , "b" : true ,
                "t" : "2024-03-01T12:34:56.789Z" , "j" : { "k" : [ 1 , "x" ] } ,
                "o" : { "s" : "" , "i" : 9007199254740993 } } )",
          // Another order, dots in names, escapes in a key.
          R"({"o.i":9007199254740993,"j":{"k":[1,"x"]},"o":{"s":""},"\u0073":"a \"text\" in \u00fc",)"
          R"("b":true,"t":"2024-03-01T12:34:56.789Z","d":1.5,"i":-12})",
          // Other forms of the values, and arrays of one.
          R"({"s":["a \"text\" in ü"],"i":"-12","d":15e-1,"b":"true","t":1709296496789,)"
          R"("j":{"k":[1,"x"]},"o":[{"s":""},{"i":[9007199254740993]}]})",
      }) {
    EXPECT_EQ(Rows(PageOf({form, "{}"})), expected) << form;
  }
  // Members of hits that nobody asked for, or that stand elsewhere.
  EXPECT_EQ(
      Rows(PageOfHits(
          {R"({"_source":)" + plain + R"(,"_id":"x","_ignored":["s"],"_score":1})", HitOf("{}")})),
      expected);
}

TEST(DocumentScan, WhatIsNotMappedIsKeptOrCountedInEveryForm) {
  LayoutOptions options;
  options.extra = true;
  const std::string page =
      PageOf({R"({"s":"x","n":{"a":[1,"\u0041"]},"o":{"z":1.50},"\u006e":2})"});
  EXPECT_THAT(Rows(page, options), HasSubstr(R"({"\u006e":2,"n":{"a":[1,"\u0041"]},"o.z":1.50})"));
}

TEST(DocumentScan, WhatIsLeftOutIsLookedAtAllTheSame) {
  LayoutOptions options;
  options.include = {"i"};
  const std::string good = R"({"s":"x","i":1,"o":{"s":"y","i":2}})";
  const std::string expected = Rows(PageOf({good}), options);
  EXPECT_THAT(expected, HasSubstr("i:"));
  for (const std::string& broken : std::vector<std::string>{"\xFF", "\x01", "\\\xC3", "\\\x02"}) {
    for (const std::string& document :
         std::vector<std::string>{R"({"s":"x)" + broken + R"(","i":1})",
                                  R"({"i":1,"o":{"s":")" + broken + R"(","i":2}})"}) {
      const auto layout = LayoutOf(kProperties, options).ValueOrDie();
      const auto batch = Decode(layout, PageOf({document}));
      ASSERT_FALSE(batch.ok()) << document;
      EXPECT_EQ(KindOf(batch.status()), ErrorKind::kTransient);
    }
  }
}

TEST(DocumentScan, WhatIsNoJsonSaysWhere) {
  const auto layout = LayoutOf(kProperties).ValueOrDie();
  for (const char* const document :
       {R"({"s":"x" "i":1})", R"({"s" "x"})", R"({"i":1,})", R"({"i":})", R"({"i":1]})", R"({s:1})",
        R"({"i":01})", R"({"b":tru})", R"({"j":{"k":[1,}})"}) {
    const auto batch = Decode(layout, PageOf({R"({"i":1})", document}));
    ASSERT_FALSE(batch.ok()) << document;
    EXPECT_EQ(KindOf(batch.status()), ErrorKind::kTransient) << batch.status();
    EXPECT_THAT(MessageOf(batch.status()), HasSubstr("at byte")) << document;
  }
  const std::string page = PageOf({R"({"i":1})"});
  for (size_t size = 0; size < page.size(); ++size) {
    EXPECT_FALSE(Decode(layout, page.substr(0, size)).ok()) << size;
  }
}

TEST(DocumentScan, StringsEndWhereTheyEnd) {
  for (size_t length = 0; length < 70; ++length) {
    for (const std::string& middle : {std::string("\\\""), std::string("ü"), std::string()}) {
      const std::string inside = std::string(length, 'x') + middle;
      const std::string text = inside + "\"" + std::string(20, '"');
      StringContent content;
      const char* const end = StringEnd(text.data(), text.data() + text.size(), &content);
      ASSERT_EQ(end, text.data() + inside.size());
      EXPECT_EQ(content.escapes, middle == "\\\"");
      EXPECT_EQ(content.beyond_ascii, middle == "ü");
      EXPECT_EQ(StringEnd(text.data(), text.data() + inside.size(), &content), nullptr);
    }
  }
}

}  // namespace
}  // namespace bulkhaul::search
