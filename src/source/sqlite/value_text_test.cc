#include "source/sqlite/value_text.h"

#include <charconv>
#include <cmath>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <sqlite3.h>

namespace bulkhaul {
namespace {

constexpr int64_t kDay = 86'400'000'000;

TEST(ValueText, Dates) {
  EXPECT_EQ(DateFromText("1970-01-01"), 0);
  EXPECT_EQ(DateFromText("2000-02-29"), 11016);
  EXPECT_EQ(DateFromText("1969-12-31"), -1);
  EXPECT_EQ(DateFromText("2024-01-31 00:00:00"), DateFromText("2024-01-31"));
  EXPECT_EQ(DateFromText("2024-01-31 00:00:01"), std::nullopt);
  for (const char* bad : {"", "2023-02-29", "2024-13-01", "2024-00-10", "2024-01-00", "2024-1-1",
                          "24-01-01", "2024-01-01x", "x2024-01-01", "20240101", "2024/01/01"}) {
    EXPECT_EQ(DateFromText(bad), std::nullopt) << bad;
  }
}

TEST(ValueText, Timestamps) {
  EXPECT_EQ(TimestampFromText("1970-01-02", false), kDay);
  EXPECT_EQ(TimestampFromText("1970-01-01 00:00", false), 0);
  EXPECT_EQ(TimestampFromText("1970-01-01T00:00:01Z", false), 1'000'000);
  EXPECT_EQ(TimestampFromText("1970-01-01 00:00:00.5", false), 500'000);
  EXPECT_EQ(TimestampFromText("1970-01-01 00:00:00.123456", false), 123'456);
  EXPECT_EQ(TimestampFromText("1970-01-01 00:00:00.123456000", false), 123'456);
  EXPECT_EQ(TimestampFromText("1970-01-01 00:00:00+00:00", false), 0);
  EXPECT_EQ(TimestampFromText("1970-01-01 02:00:00+02:00", true), 0);
  EXPECT_EQ(TimestampFromText("1970-01-01 02:00:00-0130", true), 3.5 * 3'600'000'000);
  // An offset that a column without a zone cannot keep, and digits below the microsecond.
  EXPECT_EQ(TimestampFromText("1970-01-01 02:00:00+02:00", false), std::nullopt);
  EXPECT_EQ(TimestampFromText("1970-01-01 00:00:00.1234567", false), std::nullopt);
  for (const char* bad : {"now", "1970-01-01 24:00:00", "1970-01-01 00:60", "1970-01-01 00:00:60",
                          "1970-01-01 ", "1970-01-01 00:00:00.", "1970-01-01 00:00:00 x"}) {
    EXPECT_EQ(TimestampFromText(bad, true), std::nullopt) << bad;
  }
}

TEST(ValueText, NumbersAsTimestamps) {
  EXPECT_EQ(TimestampFromSeconds(0), 0);
  EXPECT_EQ(TimestampFromSeconds(253'402'300'799), 253'402'300'799'000'000);
  EXPECT_EQ(TimestampFromSeconds(1'700'000'000'000), std::nullopt);  // milliseconds
  EXPECT_EQ(TimestampFromReal(2440587.5), 0);
  EXPECT_EQ(TimestampFromReal(2440588.0), kDay / 2);
  EXPECT_EQ(TimestampFromReal(1'700'000'000.25), 1'700'000'000'250'000);
  EXPECT_EQ(TimestampFromReal(1e300), std::nullopt);
  EXPECT_EQ(TimestampFromReal(std::nan("")), std::nullopt);
  EXPECT_EQ(DateFromTimestamp(kDay * 5), 5);
  EXPECT_EQ(DateFromTimestamp(kDay * 5 + 1), std::nullopt);
}

TEST(ValueText, Times) {
  EXPECT_EQ(TimeFromText("23:59:59.999999"), kDay - 1);
  EXPECT_EQ(TimeFromText("00:00"), 0);
  EXPECT_EQ(TimeFromText("24:00"), std::nullopt);
  EXPECT_EQ(TimeFromText("1:00"), std::nullopt);
}

TEST(ValueText, Decimals) {
  const auto text = [](std::optional<arrow::Decimal128> value, int32_t scale) {
    return value ? value->ToString(scale) : "none";
  };
  EXPECT_EQ(text(DecimalFromText("12.5", 10, 2), 2), "12.50");
  EXPECT_EQ(text(DecimalFromText("-0.01", 10, 2), 2), "-0.01");
  EXPECT_EQ(text(DecimalFromText("+7", 10, 2), 2), "7.00");
  EXPECT_EQ(text(DecimalFromText("1.500", 10, 2), 2), "1.50");
  EXPECT_EQ(text(DecimalFromText("1.505", 10, 2), 2), "none");
  EXPECT_EQ(text(DecimalFromText("123456789.00", 10, 2), 2), "none");
  EXPECT_EQ(text(DecimalFromText("12345678901234567890123456789012345678", 38, 0), 0),
            "12345678901234567890123456789012345678");
  EXPECT_EQ(text(DecimalFromText("123456789012345678901234567890123456789", 38, 0), 0), "none");
  for (const char* bad : {"", "-", ".", "1e3", "1.2.3", "abc", " 1", "1 ", "nan"}) {
    EXPECT_EQ(text(DecimalFromText(bad, 10, 2), 2), "none") << bad;
  }
  EXPECT_EQ(text(DecimalFromInteger(-3, 5, 2), 2), "-3.00");
  EXPECT_EQ(text(DecimalFromInteger(1000, 5, 2), 2), "none");
  EXPECT_EQ(text(DecimalFromReal(0.1, 10, 2), 2), "0.10");
  EXPECT_EQ(text(DecimalFromReal(12.34, 10, 2), 2), "12.34");
  EXPECT_EQ(text(DecimalFromReal(-0.0, 10, 2), 2), "0.00");
  EXPECT_EQ(text(DecimalFromReal(0.125, 10, 2), 2), "none");
  EXPECT_EQ(text(DecimalFromReal(0.125, 38, 30), 30), "0.125000000000000000000000000000");
  EXPECT_EQ(text(DecimalFromReal(1e20, 38, 0), 0), "100000000000000000000");
  EXPECT_EQ(text(DecimalFromReal(1.2345678901234567e37, 38, 0), 0), "none");
  EXPECT_EQ(text(DecimalFromReal(0.1 + 0.2, 10, 2), 2), "none");
  EXPECT_EQ(text(DecimalFromReal(1e300, 38, 2), 2), "none");
  EXPECT_EQ(text(DecimalFromReal(INFINITY, 38, 2), 2), "none");
  EXPECT_EQ(text(DecimalFromReal(std::nan(""), 38, 2), 2), "none");
}

TEST(ValueText, DecimalOfTheDoubleOfADecimalIsTheDecimal) {
  EXPECT_TRUE(rc::check("up to 15 digits survive the double", [] {
    const auto scale = *rc::gen::inRange(0, 10);
    const auto unscaled = *rc::gen::inRange<int64_t>(-999'999'999'999'999, 999'999'999'999'999);
    const arrow::Decimal128 decimal(unscaled);
    const std::string written = decimal.ToString(scale);
    double real = 0;
    std::from_chars(written.data(), written.data() + written.size(), real);
    const auto back = DecimalFromReal(real, 38, scale);
    RC_ASSERT(back.has_value());
    RC_ASSERT(*back == decimal);
  }));
}

TEST(ValueText, RealsReadBackAsTheSame) {
  char text[32];
  const auto shown = [&](double value) { return std::string(text, RealToText(value, text)); };
  EXPECT_EQ(shown(1), "1.0");
  EXPECT_EQ(shown(-2.5), "-2.5");
  EXPECT_EQ(shown(1e300), "1e+300");
  EXPECT_EQ(shown(INFINITY), "inf");
  EXPECT_TRUE(rc::check("round trip", [&](double value) {
    const std::string written = shown(value);
    double back = 0;
    std::from_chars(written.data(), written.data() + written.size(), back);
    RC_ASSERT(back == value || std::isnan(value));
    RC_ASSERT(written.find_first_not_of("-0123456789") != std::string::npos);
  }));
}

// The two independent ways: SQLite's own date functions, and ours.
TEST(ValueText, AgreesWithSqlite) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(":memory:", &database), SQLITE_OK);
  sqlite3_stmt* statement = nullptr;
  ASSERT_EQ(sqlite3_prepare_v2(database,
                               "SELECT datetime(?1, 'unixepoch'), date(?1, 'unixepoch'), "
                               "julianday(?1, 'unixepoch')",
                               -1, &statement, nullptr),
            SQLITE_OK);
  EXPECT_TRUE(rc::check("datetime()", [&] {
    const auto seconds = *rc::gen::inRange<int64_t>(-62'167'219'200, 253'402'300'799);
    sqlite3_reset(statement);
    sqlite3_bind_int64(statement, 1, seconds);
    RC_ASSERT(sqlite3_step(statement) == SQLITE_ROW);
    const std::string text = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    const std::string date = reinterpret_cast<const char*>(sqlite3_column_text(statement, 1));
    RC_ASSERT(TimestampFromText(text, false) == seconds * 1'000'000);
    RC_ASSERT(TimestampFromSeconds(seconds) == seconds * 1'000'000);
    RC_ASSERT(TimestampFromReal(sqlite3_column_double(statement, 2)) == seconds * 1'000'000);
    RC_ASSERT(*DateFromText(date) * kDay <= seconds * 1'000'000);
  }));
  sqlite3_finalize(statement);
  sqlite3_close(database);
}

TEST(ValueText, Booleans) {
  EXPECT_EQ(BoolFromText("TRUE"), true);
  EXPECT_EQ(BoolFromText("f"), false);
  EXPECT_EQ(BoolFromText("yes"), std::nullopt);
  EXPECT_EQ(BoolFromText(""), std::nullopt);
}

}  // namespace
}  // namespace bulkhaul
