// Dates, times and decimals from the text and number forms in which SQLite databases keep them.
// Pure; each returns nullopt for whatever it cannot give exactly.
//
// Forms: https://www.sqlite.org/lang_datefunc.html ("Time Values") and
// https://www.sqlite.org/datatype3.html#date_and_time_datatype.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <arrow/util/decimal.h>

namespace bulkhaul {

// "2024-01-31", or with a time of day that is midnight. Days since 1970-01-01.
std::optional<int32_t> DateFromText(std::string_view text);
// "10:15", "10:15:30", "10:15:30.123456". Microseconds since midnight.
std::optional<int64_t> TimeFromText(std::string_view text);
// "2024-01-31", "2024-01-31 10:15[:30[.123456]]", with 'T' for the blank, and "Z" or "+00:00" at
// the end. With `offsets` any offset is taken, and the result is UTC; without, one that is not zero
// gives nullopt, because the column cannot keep it. Microseconds since 1970-01-01.
std::optional<int64_t> TimestampFromText(std::string_view text, bool offsets);

// Seconds since 1970 from 0000-01-01 to 9999-12-31, as SQLite's 'unixepoch'; milliseconds therefore
// fall outside, but for a few days around 1970.
std::optional<int64_t> TimestampFromSeconds(int64_t seconds);
// A Julian day number from 0 to 5373484.5, rounded to the millisecond as SQLite does, else seconds
// since 1970 with a fraction: SQLite's 'auto'.
std::optional<int64_t> TimestampFromReal(double value);
// A timestamp that is midnight. Days since 1970-01-01.
std::optional<int32_t> DateFromTimestamp(std::optional<int64_t> microseconds);

// "-12.50", "1e3" is not taken. nullopt when digits would be lost or the precision is exceeded.
std::optional<arrow::Decimal128> DecimalFromText(std::string_view text, int32_t precision,
                                                 int32_t scale);
std::optional<arrow::Decimal128> DecimalFromInteger(int64_t value, int32_t precision,
                                                    int32_t scale);
// The decimal of `scale` digits that a double of this value stands for: what was written before
// NUMERIC affinity made a REAL of it. nullopt when there is none, or several.
std::optional<arrow::Decimal128> DecimalFromReal(double value, int32_t precision, int32_t scale);

// "1.5", "1.0", "1e+300": the shortest text that reads back as the same double, never without '.',
// 'e' or letters, so that it differs from an integer's text. At most 32 characters.
size_t RealToText(double value, char* out);

// "true", "false", "t", "f" in any case.
std::optional<bool> BoolFromText(std::string_view text);

}  // namespace bulkhaul
