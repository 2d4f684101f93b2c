// Single values out of CSV text, exactly or not at all.
#pragma once

#include <cstdint>
#include <string_view>

#include <arrow/type.h>
#include <arrow/util/decimal.h>

namespace bulkhaul::csv {

// Significant digits of the shortest text that reads back as the same double.
constexpr int kDoubleDigitsMax = 17;

// Digits with a '-' or '+'; false beyond int64.
bool ParseInteger(std::string_view text, int64_t* value);
bool ParseUnsigned(std::string_view text, uint64_t* value);
// The nearest double. False for more significant digits than any double is written with, and
// for whole numbers that no double is. nan, inf and infinity are taken in any case.
bool ParseDouble(std::string_view text, double* value);
// Exactly, at this scale: "1.50" is 150 at scale 2, "1.505" does not fit.
bool ParseDecimal(std::string_view text, int precision, int scale, arrow::Decimal128* value);
// true, false in any case; t, f, yes, no, 1, 0 only with `loose`.
bool ParseBoolean(std::string_view text, bool loose, bool* value);
// yyyy-MM-dd as days since 1970.
bool ParseDate(std::string_view text, int32_t* days);
// yyyy-MM-dd, a space or T, HH:mm[:ss[.fraction]], then a zone (Z, +01, +01:00) exactly when
// `zoned`. False for digits of a second that the unit cannot hold.
bool ParseTimestamp(std::string_view text, arrow::TimeUnit::type unit, bool zoned, int64_t* value);
// HH:mm:ss[.fraction] as microseconds.
bool ParseTime(std::string_view text, int64_t* micros);

// What digits a number is written with.
struct NumberShape {
  bool number = false;  // without leading zeros and without '+'
  bool whole = false;   // neither point nor exponent
  bool exponent = false;
  int digits = 0;  // before the point
  int scale = 0;   // behind it
  int significant = 0;
};
NumberShape ShapeOf(std::string_view text);

}  // namespace bulkhaul::csv
