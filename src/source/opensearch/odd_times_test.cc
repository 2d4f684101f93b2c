#include "source/opensearch/odd_times.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bulkhaul::opensearch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Options Choices(const char* several, const char* missing) {
  Options options;
  EXPECT_TRUE(options.Set("time_several", several).ok());
  EXPECT_TRUE(options.Set("time_missing", missing).ok());
  return options;
}

TEST(OddTimes, NoneAreNothingToSay) {
  std::vector<std::string> warnings;
  EXPECT_TRUE(JudgeOddTimes({{"a"}, {"b"}}, "t", Choices("error", "error"), &warnings).ok());
  EXPECT_TRUE(JudgeOddTimes({}, "t", Choices("error", "error"), &warnings).ok());
  EXPECT_TRUE(warnings.empty());
}

TEST(OddTimes, AreCountedWithWhatBecomesOfThem) {
  std::vector<std::string> warnings;
  const std::vector<OddTimes> found = {{"a", 2, 0, 0}, {"b", 0, 3, 1}, {"c", 0, 1, 0}};
  EXPECT_TRUE(JudgeOddTimes(found, "t", Choices("any", "exclude"), &warnings).ok());
  EXPECT_THAT(warnings,
              ElementsAre("2 to 4 documents have several values of t (4 values beyond the first, "
                          "in b, c): each is taken once when any of them is in the range "
                          "(time_several: any)",
                          "2 documents have no t (in a): they are left out (time_missing: "
                          "exclude)"));
  warnings.clear();
  EXPECT_TRUE(JudgeOddTimes(found, "t", Choices("earliest", "include"), &warnings).ok());
  EXPECT_THAT(warnings[0], HasSubstr("the earliest one counts (time_several: earliest), which "
                                     "leaves out 1 documents"));
  EXPECT_THAT(warnings[1], HasSubstr("they are included"));
}

TEST(OddTimes, OneFurtherValueIsOneDocument) {
  std::vector<std::string> warnings;
  EXPECT_TRUE(JudgeOddTimes({{"a", 0, 1, 0}}, "t", Choices("latest", "exclude"), &warnings).ok());
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("1 documents have several values of t (1 value "
                                              "beyond the first, in a): the latest one counts")));
}

TEST(OddTimes, AreRefusedWhereTheOptionSaysSo) {
  std::vector<std::string> warnings;
  const auto several = JudgeOddTimes({{"a", 0, 1, 0}}, "t", Choices("error", "error"), &warnings);
  EXPECT_EQ(CodeOf(several), "time_several");
  const auto missing = JudgeOddTimes({{"a", 1, 0, 0}}, "t", Choices("error", "error"), &warnings);
  EXPECT_EQ(CodeOf(missing), "time_missing");
}

}  // namespace
}  // namespace bulkhaul::opensearch
