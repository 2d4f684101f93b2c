#include "base/secret.h"

#include <sstream>

#include <gtest/gtest.h>

namespace bulkhaul {
namespace {

TEST(Secret, PrintsAsStars) {
  std::ostringstream out;
  out << Secret("hunter2");
  EXPECT_EQ(out.str(), "***");
}

TEST(Redact, Uris) {
  EXPECT_EQ(Redact("postgres://bob:hunter2@h:5432/db?x=1"), "postgres://bob:***@h:5432/db?x=1");
  EXPECT_EQ(Redact("postgres://bob:p:w/d@h/db"), "postgres://bob:***@h/db");
  EXPECT_EQ(Redact("postgres://bob@h/db"), "postgres://bob@h/db");
  EXPECT_EQ(Redact("postgres://bob:p@ss@h/db"), "postgres://bob:***@h/db");
  EXPECT_EQ(Redact("postgres://h:5432/db and a@b"), "postgres://h:5432/db and a@b");
  EXPECT_EQ(Redact("see https://host/path"), "see https://host/path");
}

TEST(Redact, Keywords) {
  EXPECT_EQ(Redact(R"(host=h password='it\'s' user=bob)"), "host=h password=*** user=bob");
  EXPECT_EQ(Redact("host=h password=hunter2 user=bob"), "host=h password=*** user=bob");
}

TEST(Redact, JsonAndQueries) {
  EXPECT_EQ(Redact(R"({"password": "x y", "user": "bob"})"), R"({"password": ***, "user": "bob"})");
  EXPECT_EQ(Redact("postgres://h/db?password=abc&user=bob"),
            "postgres://h/db?password=***&user=bob");
}

TEST(Redact, OrdinaryTextStaysAndHugeTextIsFine) {
  EXPECT_EQ(Redact("SELECT a::text, b FROM t WHERE c = 'x:y'"),
            "SELECT a::text, b FROM t WHERE c = 'x:y'");
  const std::string huge(10 << 20, 'x');
  EXPECT_EQ(Redact(huge), huge);
}

}  // namespace
}  // namespace bulkhaul
