// Single values as text: numbers, dates, times, intervals.
#pragma once

#include <cstdint>
#include <string_view>

#include <arrow/type.h>

#include "wire/csv/csv_buffer.h"

namespace bulkhaul::csv {

void AppendInteger(int64_t value, CsvBuffer* out);
void AppendUnsigned(uint64_t value, CsvBuffer* out);
// Shortest text that reads back to the same bits; nan, inf, -inf.
void AppendFloat(float value, CsvBuffer* out);
void AppendDouble(double value, CsvBuffer* out);
// An unscaled integer of at most 18 digits with its point put in.
void AppendSmallDecimal(int64_t unscaled, int scale, CsvBuffer* out);
// The same from digits: "-12345", scale 2 → "-123.45"; a negative scale adds zeros.
void AppendDecimal(std::string_view unscaled, int scale, CsvBuffer* out);
// Days since 1970-01-01 in the proleptic Gregorian calendar.
void AppendDate(int64_t days, CsvBuffer* out);
// Time of day: hours may be 24.
void AppendTime(int64_t value, arrow::TimeUnit::type unit, CsvBuffer* out);
void AppendTimestamp(int64_t value, arrow::TimeUnit::type unit, bool utc, CsvBuffer* out);
// ISO 8601 durations, "P1Y2M3DT4H5M6.5S"; each component has its own sign; zero is "PT0S".
void AppendInterval(int64_t months, int64_t days, int64_t nanoseconds, CsvBuffer* out);
void AppendDuration(int64_t value, arrow::TimeUnit::type unit, CsvBuffer* out);
void AppendUuid(const uint8_t* bytes, CsvBuffer* out);
// \x and two lower-case digits a byte.
void AppendHex(std::string_view bytes, CsvBuffer* out);
// A JSON string with its quotes.
void AppendJsonString(std::string_view text, CsvBuffer* out);

}  // namespace bulkhaul::csv
