#include "client/postgres/sql_text.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace bulkhaul::postgres {
namespace {

std::vector<std::string> Called(std::string_view sql) {
  std::vector<std::string> names;
  for (const auto& word : WordsOf(sql)) {
    if (word.called) names.push_back(word.text);
  }
  return names;
}

bool Has(std::string_view sql, std::string_view name) {
  const auto words = WordsOf(sql);
  return std::any_of(words.begin(), words.end(),
                     [&](const Word& word) { return word.text == name; });
}

TEST(SqlTextTest, QuotesWhateverANameHolds) {
  EXPECT_EQ(QuoteIdentifier("order"), "\"order\"");
  EXPECT_EQ(QuoteIdentifier("a\"b\nc"), "\"a\"\"b\nc\"");
  EXPECT_EQ(QuoteQualified("s.1", "t\""), "\"s.1\".\"t\"\"\"");
  EXPECT_EQ(QuoteLiteral("it's"), "'it''s'");
  EXPECT_EQ(QuoteLiteral("a\\b'"), " E'a\\\\b'''");
}

TEST(SqlTextTest, WordsLeaveOutLiteralsAndComments) {
  const char* sql =
      "SELECT a, \"Odd Name\" -- random()\n FROM t /* limit /* nested */ offset */ "
      "WHERE x = 'limit' AND y = E'\\' tablesample' AND z = $tag$ fetch $tag$ AND f (1) > 0";
  for (const char* hidden :
       {"random", "limit", "offset", "tablesample", "fetch", "nested", "tag"}) {
    EXPECT_FALSE(Has(sql, hidden)) << hidden;
  }
  EXPECT_TRUE(Has(sql, "Odd Name"));
  EXPECT_TRUE(Has(sql, "z"));
  EXPECT_EQ(Called(sql), std::vector<std::string>{"f"});
}

TEST(SqlTextTest, CallsAreFound) {
  EXPECT_EQ(Called("select Random(), pg_catalog.now ( ), \"My Func\"(1)"),
            (std::vector<std::string>{"random", "now", "My Func"}));
  EXPECT_EQ(Called("select (a) + (b)"), (std::vector<std::string>{"select"}));
}

TEST(SqlTextTest, TerminatorsGo) {
  EXPECT_EQ(WithoutTerminator("SELECT 1 ;\n ; "), "SELECT 1");
  EXPECT_EQ(WithoutTerminator(" ; "), "");
  EXPECT_EQ(WithoutTerminator("SELECT 1; -- the end;\n/* and /* so */ on */"), "SELECT 1");
  EXPECT_EQ(WithoutTerminator("SELECT '--;', $a$;--$a$ -- no"), "SELECT '--;', $a$;--$a$");
  EXPECT_EQ(WithoutTerminator("SELECT E'\\'--;'; --"), "SELECT E'\\'--;'");
  EXPECT_EQ(WithoutTerminator("SELECT 1 AS \"--\";"), "SELECT 1 AS \"--\"");
}

}  // namespace
}  // namespace bulkhaul::postgres
