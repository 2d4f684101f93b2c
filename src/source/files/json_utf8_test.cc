#include "source/files/json_utf8.h"

#include <gtest/gtest.h>

namespace bulkhaul::files {
namespace {

std::string Repaired(std::string_view lines, BadJsonText policy, int64_t count) {
  int64_t counted = 0;
  std::string repaired = RepairJsonTexts(lines, policy, &counted);
  EXPECT_EQ(counted, count) << lines;
  return repaired;
}

TEST(RepairJsonTexts, ReplacesBytesWithinTexts) {
  const auto replace = BadJsonText::kReplace;
  EXPECT_EQ(Repaired("{\"a\":\"M\xfcller\"}\n{\"a\":\"\xff\xfe\",\"b\":1}\n", replace, 2),
            "{\"a\":\"M\xEF\xBF\xBDller\"}\n{\"a\":\"\xEF\xBF\xBD\xEF\xBF\xBD\",\"b\":1}\n");
  EXPECT_EQ(Repaired("{\"a\":\"ü\"}", replace, 0), "{\"a\":\"ü\"}");
  // A character that is cut off does not take the quote along; an escaped quote ends nothing.
  EXPECT_EQ(Repaired("[\"\xc3\",\"\\\"\xfc\\\\\"]", replace, 2),
            "[\"\xEF\xBF\xBD\",\"\\\"\xEF\xBF\xBD\\\\\"]");
  EXPECT_EQ(Repaired("{\"\xfc\":1}", replace, 1), "{\"\xEF\xBF\xBD\":1}");
}

TEST(RepairJsonTexts, NullStandsForValuesOnly) {
  const auto null = BadJsonText::kNull;
  EXPECT_EQ(Repaired("{\"a\":[\"\xfc\", \"b\"],\"c\":{\"d\":\"\xfc\"}}\n", null, 2),
            "{\"a\":[null, \"b\"],\"c\":{\"d\":null}}\n");
  EXPECT_EQ(Repaired("{\"\xfc\" : \"x\"}", null, 0), "{\"\xfc\" : \"x\"}");
}

TEST(RepairJsonTexts, LeavesAloneWhatIsNoText) {
  EXPECT_EQ(Repaired("{\"a\":\xfc}\n{\"a\":\"\xfc\n{\"b\":\"\xfc\"}", BadJsonText::kNull, 1),
            "{\"a\":\xfc}\n{\"a\":\"\xfc\n{\"b\":null}");
  EXPECT_EQ(Repaired("{\"a\":\"\xfc\"}", BadJsonText::kError, 0), "{\"a\":\"\xfc\"}");
}

}  // namespace
}  // namespace bulkhaul::files
