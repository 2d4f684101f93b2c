#include "wire/csv/csv_value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/digits.h"

namespace bulkhaul::csv {
namespace {

constexpr double kPowersOfTen[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
constexpr uint64_t kWholeDoubleMax = uint64_t{1} << 53;

bool EqualsFolded(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((text[i] | 0x20) != lower[i]) return false;
  }
  return true;
}

bool TwoDigits(const char* at, int* value) {
  if (!IsDigit(at[0]) || !IsDigit(at[1])) return false;
  *value = (at[0] - '0') * 10 + (at[1] - '0');
  return true;
}

// Days since 1970-01-01. Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
int32_t DaysFromCivil(int year, int month, int day) {
  year -= month <= 2;
  const int era = (year >= 0 ? year : year - 399) / 400;
  const auto year_of_era = static_cast<unsigned>(year - era * 400);
  const auto day_of_year =
      static_cast<unsigned>((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1);
  const unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + static_cast<int32_t>(day_of_era) - 719468;
}

int DaysOfMonth(int year, int month) {
  static constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : kDays[month - 1];
}

// HH:mm[:ss[.fraction]] from the begin of the text, which is moved behind it.
bool TakeTime(std::string_view* text, bool seconds_needed, int64_t* seconds, int32_t* nanos) {
  int hour, minute, second = 0;
  if (text->size() < 5 || !TwoDigits(text->data(), &hour) || (*text)[2] != ':' ||
      !TwoDigits(text->data() + 3, &minute)) {
    return false;
  }
  text->remove_prefix(5);
  *nanos = 0;
  if (text->size() >= 3 && (*text)[0] == ':') {
    if (!TwoDigits(text->data() + 1, &second)) return false;
    text->remove_prefix(3);
    if (text->size() >= 2 && ((*text)[0] == '.' || (*text)[0] == ',') && IsDigit((*text)[1])) {
      text->remove_prefix(1);
      int digits = 0;
      while (!text->empty() && IsDigit(text->front())) {
        if (digits < 9) {
          *nanos = *nanos * 10 + (text->front() - '0');
        } else if (text->front() != '0') {
          return false;
        }
        ++digits;
        text->remove_prefix(1);
      }
      for (; digits < 9; ++digits) *nanos *= 10;
    }
  } else if (seconds_needed) {
    return false;
  }
  if (hour > 23 || minute > 59 || second > 59) return false;
  *seconds = hour * 3600 + minute * 60 + second;
  return true;
}

// Z, +01, +0100, +01:00: seconds east.
bool ParseZone(std::string_view text, int* seconds) {
  if (text == "Z" || text == "z") {
    *seconds = 0;
    return true;
  }
  int hour, minute = 0;
  if (text.size() < 3 || (text[0] != '+' && text[0] != '-') || !TwoDigits(text.data() + 1, &hour)) {
    return false;
  }
  if (text.size() == 6 && text[3] == ':') {
    if (!TwoDigits(text.data() + 4, &minute)) return false;
  } else if (text.size() == 5) {
    if (!TwoDigits(text.data() + 3, &minute)) return false;
  } else if (text.size() != 3) {
    return false;
  }
  if (hour > 23 || minute > 59) return false;
  *seconds = (hour * 3600 + minute * 60) * (text[0] == '-' ? -1 : 1);
  return true;
}

}  // namespace

bool ParseUnsigned(std::string_view text, uint64_t* value) {
  if (text.starts_with('+')) text.remove_prefix(1);
  if (text.empty()) return false;
  if (text.size() > 19) {
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
    return error == std::errc() && stop == text.data() + text.size();
  }
  uint64_t sum = 0;
  for (const char c : text) {
    if (!IsDigit(c)) return false;
    sum = sum * 10 + static_cast<uint64_t>(c - '0');
  }
  *value = sum;
  return true;
}

bool ParseInteger(std::string_view text, int64_t* value) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (text.starts_with('+') && negative) return false;
  uint64_t magnitude;
  if (!ParseUnsigned(text, &magnitude)) return false;
  if (magnitude > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) + negative)
    return false;
  *value = static_cast<int64_t>(negative ? 0 - magnitude : magnitude);
  return true;
}

bool ParseDouble(std::string_view text, double* value) {
  const char* at = text.data();
  const char* const end = at + text.size();
  if (at == end) return false;
  const bool negative = *at == '-';
  if (*at == '-' || *at == '+') ++at;
  const char* const begin = at;
  uint64_t mantissa = 0;
  int scale = 0, digits = 0, significant = 0, zeros = 0;
  bool point = false;
  for (; at != end; ++at) {
    if (IsDigit(*at)) {
      ++digits;
      scale += point;
      if (*at == '0') {
        // Zeros count only between other digits.
        if (significant > 0) ++zeros;
        if (significant + zeros <= 19) mantissa *= 10;
        continue;
      }
      significant += zeros + 1;
      zeros = 0;
      if (significant <= 19) mantissa = mantissa * 10 + static_cast<uint64_t>(*at - '0');
    } else if (*at == '.' && !point) {
      point = true;
    } else {
      break;
    }
  }
  if (digits > 0 && at == end && significant + zeros <= 19) {
    if (mantissa <= kWholeDoubleMax && scale <= 22) {
      const double exact = static_cast<double>(mantissa) / kPowersOfTen[scale];
      *value = negative ? -exact : exact;
      return true;
    }
  }
  if (digits == 0) {
    const std::string_view word(begin, static_cast<size_t>(end - begin));
    if (EqualsFolded(word, "nan")) {
      *value = std::numeric_limits<double>::quiet_NaN();
      return true;
    }
    if (!EqualsFolded(word, "inf") && !EqualsFolded(word, "infinity")) return false;
    *value = negative ? -HUGE_VAL : HUGE_VAL;
    return true;
  }
  if (significant > kDoubleDigitsMax) return false;
  double real;
  const auto [stop, error] = std::from_chars(begin, end, real);
  if (error != std::errc() || stop != end) return false;
  if (!point && at == end && significant + zeros <= 19 && mantissa > kWholeDoubleMax) {
    if (real >= 18446744073709551616.0 || static_cast<uint64_t>(real) != mantissa) return false;
  }
  *value = negative ? -real : real;
  return true;
}

bool ParseDecimal(std::string_view text, int precision, int scale, arrow::Decimal128* value) {
  const char* at = text.data();
  const char* const end = at + text.size();
  if (at == end) return false;
  const bool negative = *at == '-';
  if (*at == '-' || *at == '+') ++at;
  int64_t low = 0;
  int digits = 0, behind = -1, taken = 0;
  bool simple = true;
  for (const char* c = at; c != end; ++c) {
    if (IsDigit(*c)) {
      if (behind >= 0 && ++behind > scale) {
        if (*c != '0') return false;
        continue;
      }
      low = low * 10 + (*c - '0');
      if (++taken > 17) simple = false;
      ++digits;
    } else if (*c == '.' && behind < 0) {
      behind = 0;
    } else {
      simple = false;
      break;
    }
    if (!simple) break;
  }
  if (simple && digits > 0) {
    int missing = scale - std::clamp(behind, 0, scale);
    if (taken + missing <= 18) {
      for (; missing > 0; --missing) low *= 10;
      *value = arrow::Decimal128(negative ? -low : low);
      return value->FitsInPrecision(precision);
    }
  }
  arrow::Decimal128 parsed;
  int32_t parsed_precision, parsed_scale;
  if (!arrow::Decimal128::FromString(text, &parsed, &parsed_precision, &parsed_scale).ok()) {
    return false;
  }
  const auto rescaled = parsed.Rescale(parsed_scale, scale);
  if (!rescaled.ok() || !rescaled->FitsInPrecision(precision)) return false;
  *value = *rescaled;
  return true;
}

bool ParseBoolean(std::string_view text, bool loose, bool* value) {
  if (EqualsFolded(text, "true") ||
      (loose && (EqualsFolded(text, "t") || text == "1" || EqualsFolded(text, "yes")))) {
    *value = true;
    return true;
  }
  if (EqualsFolded(text, "false") ||
      (loose && (EqualsFolded(text, "f") || text == "0" || EqualsFolded(text, "no")))) {
    *value = false;
    return true;
  }
  return false;
}

bool ParseDate(std::string_view text, int32_t* days) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return false;
  int century, year, month, day;
  if (!TwoDigits(text.data(), &century) || !TwoDigits(text.data() + 2, &year) ||
      !TwoDigits(text.data() + 5, &month) || !TwoDigits(text.data() + 8, &day)) {
    return false;
  }
  year += century * 100;
  if (month < 1 || month > 12 || day < 1 || day > DaysOfMonth(year, month)) return false;
  *days = DaysFromCivil(year, month, day);
  return true;
}

bool ParseTimestamp(std::string_view text, arrow::TimeUnit::type unit, bool zoned, int64_t* value) {
  int32_t days;
  if (text.size() < 10 || !ParseDate(text.substr(0, 10), &days)) return false;
  text.remove_prefix(10);
  int64_t seconds = 0;
  int32_t nanos = 0;
  if (!text.empty()) {
    if (text[0] != 'T' && text[0] != ' ' && text[0] != 't') return false;
    text.remove_prefix(1);
    if (!TakeTime(&text, /*seconds_needed=*/false, &seconds, &nanos)) return false;
    if (zoned && text.starts_with(' ')) text.remove_prefix(1);
  }
  int east = 0;
  if (zoned ? !ParseZone(text, &east) : !text.empty()) return false;
  seconds += int64_t{days} * 86400 - east;
  static constexpr int64_t kPerSecond[] = {1, 1000, 1000000, 1000000000};
  const int64_t per_second = kPerSecond[static_cast<int>(unit)];
  const int64_t nanos_each = 1000000000 / per_second;
  if (nanos % nanos_each != 0) return false;
  int64_t scaled;
  if (__builtin_mul_overflow(seconds, per_second, &scaled)) return false;
  return !__builtin_add_overflow(scaled, nanos / nanos_each, value);
}

bool ParseTime(std::string_view text, int64_t* micros) {
  int64_t seconds;
  int32_t nanos;
  if (!TakeTime(&text, /*seconds_needed=*/true, &seconds, &nanos) || !text.empty()) return false;
  if (nanos % 1000 != 0) return false;
  *micros = seconds * 1000000 + nanos / 1000;
  return true;
}

NumberShape ShapeOf(std::string_view text) {
  NumberShape shape;
  size_t i = text.starts_with('-') ? 1 : 0;
  const size_t first = i;
  int zeros = 0;
  const auto take = [&](int* count) {
    for (; i < text.size() && IsDigit(text[i]); ++i) {
      ++*count;
      if (text[i] == '0') {
        if (shape.significant > 0) ++zeros;
      } else {
        shape.significant += zeros + 1;
        zeros = 0;
      }
    }
  };
  take(&shape.digits);
  const bool leading_zero = shape.digits > 1 && text[first] == '0';
  bool point = false;
  if (i < text.size() && text[i] == '.') {
    point = true;
    ++i;
    take(&shape.scale);
  }
  if (shape.digits + shape.scale == 0 || leading_zero) return shape;
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
    const size_t exponent = i;
    while (i < text.size() && IsDigit(text[i])) ++i;
    if (i == exponent) return shape;
    shape.exponent = true;
  }
  shape.number = i == text.size();
  shape.whole = shape.number && !point && !shape.exponent;
  return shape;
}

}  // namespace bulkhaul::csv
