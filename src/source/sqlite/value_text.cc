#include "source/sqlite/value_text.h"

#include <strings.h>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

namespace bulkhaul {
namespace {

constexpr int64_t kMicrosecondsPerDay = 86'400'000'000;

// Reads parts of a text from left to right.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}
  bool Done() const { return at_ == text_.size(); }
  bool Take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  // Exactly `count` digits.
  bool Digits(int count, int64_t* value) {
    *value = 0;
    for (int i = 0; i < count; ++i) {
      const char c = Peek();
      if (c < '0' || c > '9') return false;
      *value = *value * 10 + (c - '0');
      ++at_;
    }
    return true;
  }
  // Digits after a '.'; zeros behind the sixth are dropped, others refused.
  bool Microseconds(int64_t* value) {
    *value = 0;
    int digits = 0;
    for (; Peek() >= '0' && Peek() <= '9'; ++at_, ++digits) {
      if (digits < 6)
        *value = *value * 10 + (Peek() - '0');
      else if (Peek() != '0')
        return false;
    }
    for (int i = digits; i < 6; ++i) *value *= 10;
    return digits > 0;
  }

 private:
  const std::string_view text_;
  size_t at_ = 0;
};

bool IsLeap(int64_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

// Hinnant: "chrono-compatible low-level date algorithms".
int64_t DaysFromCivil(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
         719468;
}

bool ScanDate(Scanner& in, int64_t* days) {
  static constexpr int kLengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int64_t year = 0, month = 0, day = 0;
  if (!in.Digits(4, &year) || !in.Take('-') || !in.Digits(2, &month) || !in.Take('-') ||
      !in.Digits(2, &day)) {
    return false;
  }
  if (month < 1 || month > 12 || day < 1) return false;
  if (day > kLengths[month - 1] + (month == 2 && IsLeap(year) ? 1 : 0)) return false;
  *days = DaysFromCivil(year, month, day);
  return true;
}

bool ScanTime(Scanner& in, int64_t* microseconds) {
  int64_t hour = 0, minute = 0, second = 0, fraction = 0;
  if (!in.Digits(2, &hour) || !in.Take(':') || !in.Digits(2, &minute)) return false;
  if (in.Take(':')) {
    if (!in.Digits(2, &second)) return false;
    if (in.Take('.') && !in.Microseconds(&fraction)) return false;
  }
  if (hour > 23 || minute > 59 || second > 59) return false;
  *microseconds = ((hour * 60 + minute) * 60 + second) * 1'000'000 + fraction;
  return true;
}

// "", "Z", "+01:00", "-05:30", "+0100". Minutes.
bool ScanOffset(Scanner& in, int64_t* minutes) {
  *minutes = 0;
  if (in.Done() || in.Take('Z') || in.Take('z')) return in.Done();
  in.Take(' ');
  const bool negative = in.Peek() == '-';
  if (!in.Take('+') && !in.Take('-')) return false;
  int64_t hours = 0, rest = 0;
  if (!in.Digits(2, &hours)) return false;
  in.Take(':');
  if (!in.Digits(2, &rest) || hours > 14 || rest > 59) return false;
  *minutes = (hours * 60 + rest) * (negative ? -1 : 1);
  return in.Done();
}

bool FitsPrecision(const arrow::Decimal128& value, int32_t precision) {
  return value.FitsInPrecision(precision);
}

// From the first digit that is not zero to the last one.
int SignificantDigits(std::string_view number) {
  int digits = 0, significant = 0;
  for (const char c : number) {
    if (c < '0' || c > '9') continue;
    if (digits > 0 || c != '0') ++digits;
    if (c != '0') significant = digits;
  }
  return significant;
}

}  // namespace

std::optional<int32_t> DateFromText(std::string_view text) {
  Scanner in(text);
  int64_t days = 0;
  if (!ScanDate(in, &days)) return std::nullopt;
  if (in.Done()) return static_cast<int32_t>(days);
  return DateFromTimestamp(TimestampFromText(text, false));
}

std::optional<int64_t> TimeFromText(std::string_view text) {
  Scanner in(text);
  int64_t microseconds = 0;
  if (!ScanTime(in, &microseconds) || !in.Done()) return std::nullopt;
  return microseconds;
}

std::optional<int64_t> TimestampFromText(std::string_view text, bool offsets) {
  Scanner in(text);
  int64_t days = 0, time = 0, minutes = 0;
  if (!ScanDate(in, &days)) return std::nullopt;
  if (!in.Done()) {
    if (!in.Take(' ') && !in.Take('T')) return std::nullopt;
    if (!ScanTime(in, &time) || !ScanOffset(in, &minutes)) return std::nullopt;
  }
  if (minutes != 0 && !offsets) return std::nullopt;
  return days * kMicrosecondsPerDay + time - minutes * 60'000'000;
}

std::optional<int64_t> TimestampFromSeconds(int64_t seconds) {
  if (seconds < -62'167'219'200 || seconds > 253'402'300'799) return std::nullopt;
  return seconds * 1'000'000;
}

std::optional<int64_t> TimestampFromReal(double value) {
  if (value >= 0 && value < 5373484.5) {
    const auto milliseconds = static_cast<int64_t>(std::floor(value * 86'400'000.0 + 0.5));
    return (milliseconds - 210'866'760'000'000) * 1000;  // Julian day 2440587.5 is 1970-01-01
  }
  if (!(value >= -62'167'219'200.0 && value < 253'402'300'800.0)) return std::nullopt;
  return std::llround(value * 1e6);
}

std::optional<int32_t> DateFromTimestamp(std::optional<int64_t> microseconds) {
  if (!microseconds || *microseconds % kMicrosecondsPerDay != 0) return std::nullopt;
  return static_cast<int32_t>(*microseconds / kMicrosecondsPerDay);
}

std::optional<arrow::Decimal128> DecimalFromText(std::string_view text, int32_t precision,
                                                 int32_t scale) {
  const bool negative = !text.empty() && text.front() == '-';
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) text.remove_prefix(1);
  arrow::Decimal128 value(0);
  int32_t fraction = -1, digits = 0, significant = 0;
  for (const char c : text) {
    if (c == '.' && fraction < 0) {
      fraction = 0;
      continue;
    }
    if (c < '0' || c > '9') return std::nullopt;
    ++digits;
    if (fraction >= 0 && ++fraction > scale) {
      if (c != '0') return std::nullopt;
      continue;
    }
    if (significant > 0 || c != '0') ++significant;
    if (significant > 38) return std::nullopt;
    value = arrow::Decimal128(value * arrow::Decimal128(10)) + arrow::Decimal128(c - '0');
  }
  if (digits == 0) return std::nullopt;
  const int32_t missing = scale - std::min(std::max(fraction, 0), scale);
  if (significant + missing > 38 && significant > 0) return std::nullopt;
  value = arrow::Decimal128(value.IncreaseScaleBy(missing));
  if (!FitsPrecision(value, precision)) return std::nullopt;
  return negative ? arrow::Decimal128(-value) : value;
}

std::optional<arrow::Decimal128> DecimalFromInteger(int64_t value, int32_t precision,
                                                    int32_t scale) {
  const arrow::Decimal128 whole(value);
  if (!whole.FitsInPrecision(precision - scale)) return std::nullopt;
  return arrow::Decimal128(whole.IncreaseScaleBy(scale));
}

std::optional<arrow::Decimal128> DecimalFromReal(double value, int32_t precision, int32_t scale) {
  static constexpr double kPowers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                       1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                       1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  if (scale <= 22) {
    const double scaled = std::nearbyint(value * kPowers[scale]);
    // Both numbers are exact, so the division gives the double nearest to the decimal.
    if (std::fabs(scaled) <= 0x1p53 && scaled / kPowers[scale] == value) {
      const arrow::Decimal128 decimal(static_cast<int64_t>(scaled));
      if (FitsPrecision(decimal, precision)) return decimal;
      return std::nullopt;
    }
  }
  // Up to 15 digits come back from a double; of more, the last ones would be invented.
  char text[400];
  const auto [end, error] =
      std::to_chars(text, text + sizeof text, value, std::chars_format::fixed);
  if (error != std::errc() || !std::isfinite(value)) return std::nullopt;
  if (SignificantDigits({text, end}) > std::numeric_limits<double>::digits10) return std::nullopt;
  return DecimalFromText({text, end}, precision, scale);
}

size_t RealToText(double value, char* out) {
  char* end = std::to_chars(out, out + 30, value).ptr;
  if (std::string_view(out, end).find_first_not_of("-0123456789") == std::string_view::npos) {
    *end++ = '.';
    *end++ = '0';
  }
  return static_cast<size_t>(end - out);
}

std::optional<bool> BoolFromText(std::string_view text) {
  const auto is = [&](std::string_view word) {
    return text.size() == word.size() && strncasecmp(text.data(), word.data(), word.size()) == 0;
  };
  if (is("true") || is("t")) return true;
  if (is("false") || is("f")) return false;
  return std::nullopt;
}

}  // namespace bulkhaul
