#include "wire/json/date_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bulkhaul::search {
namespace {

constexpr int64_t kMarchFirst = 1709251200;  // 2024-03-01T00:00:00Z

std::optional<Instant> Parse(std::string_view format, std::string_view text) {
  return DateFormat::Make(format).ValueOrDie().Parse(text);
}
Instant At(int64_t seconds, int32_t nanos = 0) { return {seconds, nanos}; }

TEST(DateFormat, DefaultTakesIsoAndMillis) {
  const auto parse = [](std::string_view text) { return Parse(kDefaultDateFormat, text); };
  EXPECT_EQ(parse("2024-03-01T00:00:00Z"), At(kMarchFirst));
  EXPECT_EQ(parse("2024-03-01T00:00:01.5Z"), At(kMarchFirst + 1, 500'000'000));
  EXPECT_EQ(parse("2024-03-01T00:00:00.123456789Z"), At(kMarchFirst, 123'456'789));
  EXPECT_EQ(parse("2024-03-01T00:00:00,5Z"), At(kMarchFirst, 500'000'000));
  EXPECT_EQ(parse("2024-03-01T02:00:00+02:00"), At(kMarchFirst));
  EXPECT_EQ(parse("2024-03-01T02:00:00+0200"), At(kMarchFirst));
  EXPECT_EQ(parse("2024-02-29T22:00:00-02"), At(kMarchFirst));
  EXPECT_EQ(parse("2024-03-01T00:00:00"), At(kMarchFirst));
  EXPECT_EQ(parse("2024-03-01T00:00"), At(kMarchFirst));
  EXPECT_EQ(parse("2024-03-01T00"), At(kMarchFirst));
  EXPECT_EQ(parse("2024-03-01"), At(kMarchFirst));
  EXPECT_EQ(parse("2024-03"), At(kMarchFirst));
  EXPECT_EQ(parse("2024"), At(1704067200));
  EXPECT_EQ(parse("1709251200123"), At(kMarchFirst, 123'000'000));
  EXPECT_EQ(parse("-1"), At(-1, 999'000'000));
  EXPECT_EQ(parse("0.25"), At(0, 250'000));
  EXPECT_EQ(parse("1969-12-31T23:59:59.999Z"), At(-1, 999'000'000));
}

TEST(DateFormat, DefaultRefusesWhatTheServersRefuse) {
  for (const std::string_view text :
       {"", "x", "2024-3-1", "2024-02-30", "2024-13-01", "2024-03-01T25:00:00Z",
        "2024-03-01T00:60:00Z", "2024-03-01 00:00:00", "2024-03-01T00:00:00Zx",
        "2024-03-01T00:00:00.Z", "2024-03-01T00:00:00.1234567891Z", "1e3", "--5", "-", "5."}) {
    EXPECT_EQ(Parse(kDefaultDateFormat, text), std::nullopt) << text;
  }
}

TEST(DateFormat, LenientNamesTakeFewerDigits) {
  EXPECT_EQ(Parse("date_optional_time", "2024-3-1T0:0:0Z"), At(kMarchFirst));
  EXPECT_EQ(Parse("strict_date_optional_time", "2024-3-1"), std::nullopt);
  EXPECT_EQ(Parse("date", "2024-3-1"), At(kMarchFirst));
  EXPECT_EQ(Parse("strict_date", "2024-3-1"), std::nullopt);
}

TEST(DateFormat, EpochSeconds) {
  EXPECT_EQ(Parse("epoch_second", "1709251200"), At(kMarchFirst));
  EXPECT_EQ(Parse("epoch_second", "1709251200.000000001"), At(kMarchFirst, 1));
  EXPECT_EQ(Parse("epoch_second", "-0.5"), At(-1, 500'000'000));
  EXPECT_EQ(Parse("epoch_second", "99999999999999999999"), std::nullopt);
}

TEST(DateFormat, WeeksOfIso8601) {
  constexpr int64_t kDay = 86'400, kMonday = 1704067200;  // 2024-01-01, the first day of its week 1
  EXPECT_EQ(Parse("week_date", "2024-W01-1"), At(kMonday));
  EXPECT_EQ(Parse("week_date", "2024-W9-5"), At(kMarchFirst));
  EXPECT_EQ(Parse("strict_week_date", "2024-W09-5"), At(kMarchFirst));
  EXPECT_EQ(Parse("strict_week_date", "2024-W9-5"), std::nullopt);
  EXPECT_EQ(Parse("basic_week_date", "2024W095"), At(kMarchFirst));
  EXPECT_EQ(Parse("weekyear", "2024"), At(kMonday));
  EXPECT_EQ(Parse("weekyear_week", "2024-W02"), At(kMonday + 7 * kDay));
  EXPECT_EQ(Parse("weekyear_week_day", "2024-W02-7"), At(kMonday + 13 * kDay));
  EXPECT_EQ(Parse("week_date_time", "2024-W09-5T01:00:00.25+01:00"), At(kMarchFirst, 250'000'000));
  EXPECT_EQ(Parse("strict_week_date_time_no_millis", "2024-W09-5T00:00:00Z"), At(kMarchFirst));
  EXPECT_EQ(Parse("basic_week_date_time", "2024W095T000000.5Z"), At(kMarchFirst, 500'000'000));
  EXPECT_EQ(Parse("basic_week_date_time_no_millis", "2024W095T000000Z"), At(kMarchFirst));
  // 2020 has 53 weeks, the last into January; 2021 and 2022 begin in their first days of January.
  EXPECT_EQ(Parse("week_date", "2020-W53-7"), At(1609632000));  // 2021-01-03
  EXPECT_EQ(Parse("week_date", "2021-W01-1"), At(1609718400));  // 2021-01-04
  EXPECT_EQ(Parse("week_date", "1970-W01-1"), At(-3 * kDay));
  for (const std::string_view text : {"2021-W53-1", "2024-W00-1", "2024-W01-8", "2024-W01-0"}) {
    EXPECT_EQ(Parse("week_date", text), std::nullopt) << text;
  }
}

TEST(DateFormat, NamedFormats) {
  EXPECT_EQ(Parse("basic_date", "20240301"), At(kMarchFirst));
  EXPECT_EQ(Parse("basic_date_time", "20240301T000000.25Z"), At(kMarchFirst, 250'000'000));
  EXPECT_EQ(Parse("strict_date_hour_minute_second", "2024-03-01T00:00:07"), At(kMarchFirst + 7));
  EXPECT_EQ(Parse("ordinal_date", "2024-061"), At(kMarchFirst));
  EXPECT_EQ(Parse("ordinal_date", "2023-366"), std::nullopt);
  EXPECT_EQ(Parse("hour_minute", "01:30"), At(5400));
  EXPECT_EQ(Parse("date_time", "2024-03-01T01:00:00.000+01:00"), At(kMarchFirst));
}

TEST(DateFormat, Patterns) {
  EXPECT_EQ(Parse("yyyy-MM-dd HH:mm:ss", "2024-03-01 00:00:05"), At(kMarchFirst + 5));
  EXPECT_EQ(Parse("yyyy/MM/dd HH:mm:ss.SSS||yyyy/MM/dd", "2024/03/01"), At(kMarchFirst));
  EXPECT_EQ(Parse("dd/MMM/yyyy:HH:mm:ss Z", "01/Mar/2024:01:00:00 +0100"), At(kMarchFirst));
  EXPECT_EQ(Parse("EEE MMM dd HH:mm:ss yyyy", "Fri Mar 01 00:00:00 2024"), At(kMarchFirst));
  EXPECT_EQ(Parse("d. MMMM yyyy", "1. march 2024"), At(kMarchFirst));
  EXPECT_EQ(Parse("M/d/yy h:mm a", "3/1/24 12:05 AM"), At(kMarchFirst + 300));
  EXPECT_EQ(Parse("M/d/yy h:mm a", "3/1/24 12:05 PM"), At(kMarchFirst + 43200 + 300));
  EXPECT_EQ(Parse("uuuu-MM-dd'T'HH:mm[:ss][XX"
                  "X]",
                  "2024-03-01T00:00"),
            At(kMarchFirst));
  EXPECT_EQ(Parse("uuuu-MM-dd'T'HH:mm[:ss][XX"
                  "X]",
                  "2024-03-01T00:00:01Z"),
            At(kMarchFirst + 1));
  EXPECT_EQ(Parse("yyyyMMddHHmmss", "20240301000000"), At(kMarchFirst));
  EXPECT_EQ(Parse("yyyy 'o''clock'", "2024 o'clock"), std::nullopt);
  EXPECT_EQ(Parse("yyyy ''", "2024 '"), At(1704067200));
  EXPECT_EQ(Parse("yyyy-MM-dd", "2024-03-01x"), std::nullopt);
  EXPECT_EQ(Parse("MM/dd", "13/01"), std::nullopt);
}

TEST(DateFormat, SaysWhatIsNotSupported) {
  for (const std::string_view format :
       {"", "YYYY-ww", "YYYY-'W'ww-e", "yyyy-ww", "QQQ", "yyyy[", "yyyy]", "yyyy'", "yyyy||"}) {
    const auto made = DateFormat::Make(format);
    ASSERT_FALSE(made.ok()) << format;
    EXPECT_EQ(KindOf(made.status()), ErrorKind::kUser);
  }
  EXPECT_FALSE(DateFormat::Make("dd MMM yyyy", "fr").ok());
  EXPECT_TRUE(DateFormat::Make("dd MM yyyy", "fr").ok());
  EXPECT_TRUE(DateFormat::Make("dd MMM yyyy", "en_US").ok());
}

}  // namespace
}  // namespace bulkhaul::search
