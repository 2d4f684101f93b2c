#include "wire/csv/date_pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bulkhaul::csv {
namespace {

std::string Said(const std::string& format) {
  const Status status = CheckDatePattern(format);
  return status.ok() ? "" : MessageOf(status);
}

TEST(DatePattern, SaysEnough) {
  for (const char* format : {"dd/MM/yyyy",
                             "d.M.yy",
                             "yyyyMMdd",
                             "yyyy/M/d H:mm[:ss]",
                             "dd MMM yyyy",
                             "EEE, d MMM yyyy",
                             "MM/dd/yyyy hh:mm a",
                             "yyyyDDD",
                             "yyyy-MM",
                             "yyyy",
                             "dd.MM.yyyy HH",
                             "yyyy-MM-dd[ HH:mm]",
                             "yyyy-MM-dd'T'HH:mm:ss.SSSXX",
                             "dd/MM/yyyy||MM-dd-yyyy",
                             "[dd/MM/yyyy][yyyy-MM-dd]",
                             "iso8601",
                             "epoch_millis",
                             "epoch_second",
                             "strict_date_optional_time",
                             "basic_date_time",
                             "strict_week_date",
                             "year_month"}) {
    EXPECT_EQ(Said(format), "") << format;
  }
}

TEST(DatePattern, SaysTooLittle) {
  using testing::HasSubstr;
  EXPECT_THAT(Said("dd/mm/yyyy"),
              HasSubstr("'dd/mm/yyyy' has a day without a month: mm is minutes, "
                        "MM the month"));
  EXPECT_THAT(Said("yyyy-mm"), HasSubstr("minutes without hours: mm is minutes, MM the month"));
  EXPECT_THAT(Said("dd/mm/yyyy HH:mm"), HasSubstr("has mm twice"));
  EXPECT_THAT(Said("dd/MM/yyyy HH:MM"), HasSubstr("has MM twice: mm is minutes, MM the month"));
  EXPECT_THAT(Said("H:mm"), HasSubstr("has no date: a time alone is HH:mm:ss"));
  EXPECT_THAT(Said("hour_minute"), HasSubstr("has no date"));
  EXPECT_THAT(Said("dd/MM"), HasSubstr("no year"));
  EXPECT_THAT(Said("MM"), HasSubstr("no year"));
  EXPECT_THAT(Said("DDD"), HasSubstr("no year"));
  EXPECT_THAT(Said("EEEE"), HasSubstr("no date"));
  EXPECT_THAT(Said("dd.yyyy"), HasSubstr("a day without a month"));
  EXPECT_THAT(Said("yyyy-MM HH:mm"), HasSubstr("a time without a day"));
  EXPECT_THAT(Said("yyyy-MM-dd mm:ss"), HasSubstr("minutes without hours"));
  EXPECT_THAT(Said("yyyy-MM-dd HH:ss"), HasSubstr("seconds without minutes"));
  EXPECT_THAT(Said("yyyy-MM-dd HH:mm.SSS"), HasSubstr("without seconds"));
  EXPECT_THAT(Said("yyyy-MM-dd hh:mm"), HasSubstr("without AM or PM"));
  EXPECT_THAT(Said("yyyy-MM-dd HH:mm a"), HasSubstr("without hours of half a day"));
  EXPECT_THAT(Said("dd/MM/yyyy||mm/dd/yyyy"), HasSubstr("a day without a month"));
  EXPECT_THAT(Said("yyyy-QQ"), HasSubstr("not supported"));
}

}  // namespace
}  // namespace bulkhaul::csv
