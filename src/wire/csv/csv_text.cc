#include "wire/csv/csv_text.h"

#include <charconv>
#include <cmath>

namespace bulkhaul::csv {
namespace {

constexpr char kDigits[] = "0123456789abcdef";

int64_t UnitsPerSecond(arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND:
      return 1;
    case arrow::TimeUnit::MILLI:
      return 1'000;
    case arrow::TimeUnit::MICRO:
      return 1'000'000;
    case arrow::TimeUnit::NANO:
      return 1'000'000'000;
  }
  return 1;
}

struct Quotient {
  int64_t quotient;
  int64_t remainder;  // never negative
};

Quotient FloorDivide(int64_t value, int64_t by) {
  int64_t quotient = value / by;
  int64_t remainder = value % by;
  if (remainder < 0) {
    --quotient;
    remainder += by;
  }
  return {quotient, remainder};
}

char* PutTwo(int64_t value, char* out) {
  *out++ = static_cast<char>('0' + value / 10);
  *out++ = static_cast<char>('0' + value % 10);
  return out;
}

// At least `width` digits.
char* PutPadded(int64_t value, int width, char* out) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  for (auto length = end - digits; length < width; ++length) *out++ = '0';
  std::memcpy(out, digits, static_cast<size_t>(end - digits));
  return out + (end - digits);
}

// ".5", ".123456": groups of three digits as far as they say something.
char* PutFraction(int64_t fraction, int64_t per_second, char* out) {
  if (fraction == 0) return out;
  int digits = per_second == 1'000 ? 3 : per_second == 1'000'000 ? 6 : 9;
  while (fraction % 1000 == 0) {
    fraction /= 1000;
    digits -= 3;
  }
  *out++ = '.';
  return PutPadded(fraction, digits, out);
}

// Civil date from a day number, counted in eras of 400 years that begin on 1 March.
// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
char* PutDate(int64_t days, char* out) {
  const auto [era, day_of_era] = FloorDivide(days + 719'468, 146'097);
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted_month = (5 * day_of_year + 2) / 153;  // from March
  const int64_t day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
  const int64_t month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  if (year < 0) {
    *out++ = '-';
    year = -year;
  }
  out = PutPadded(year, 4, out);
  *out++ = '-';
  out = PutTwo(month, out);
  *out++ = '-';
  return PutTwo(day, out);
}

char* PutTime(int64_t value, int64_t per_second, char* out) {
  const auto [seconds, fraction] = FloorDivide(value, per_second);
  out = PutTwo(seconds / 3600, out);
  *out++ = ':';
  out = PutTwo(seconds / 60 % 60, out);
  *out++ = ':';
  out = PutTwo(seconds % 60, out);
  return PutFraction(fraction, per_second, out);
}

// The part from T on, from a signed count of fractions of a second.
void AppendClockDuration(int64_t value, int64_t per_second, CsvBuffer* out) {
  if (value == 0) return;
  out->Append('T');
  const bool negative = value < 0;
  // The smallest int64 has no positive counterpart.
  const uint64_t magnitude =
      negative ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  const auto per = static_cast<uint64_t>(per_second);
  const uint64_t seconds = magnitude / per;
  const auto part = [&](uint64_t count, char letter) {
    if (count == 0) return;
    if (negative) out->Append('-');
    AppendUnsigned(count, out);
    out->Append(letter);
  };
  part(seconds / 3600, 'H');
  part(seconds / 60 % 60, 'M');
  const uint64_t fraction = magnitude % per;
  if (seconds % 60 == 0 && fraction == 0) return;
  if (negative) out->Append('-');
  AppendUnsigned(seconds % 60, out);
  char* room = out->Room(16);
  out->Advance(
      static_cast<size_t>(PutFraction(static_cast<int64_t>(fraction), per_second, room) - room));
  out->Append('S');
}

template <typename Number>
void AppendNumber(Number value, CsvBuffer* out) {
  char* room = out->Room(40);
  out->Advance(static_cast<size_t>(std::to_chars(room, room + 40, value).ptr - room));
}

template <typename Number>
void AppendFloating(Number value, CsvBuffer* out) {
  if (std::isnan(value)) return out->Append("nan");  // the sign of a NaN says nothing
  AppendNumber(value, out);
}

}  // namespace

void AppendInteger(int64_t value, CsvBuffer* out) { AppendNumber(value, out); }
void AppendUnsigned(uint64_t value, CsvBuffer* out) { AppendNumber(value, out); }
void AppendFloat(float value, CsvBuffer* out) { AppendFloating(value, out); }
void AppendDouble(double value, CsvBuffer* out) { AppendFloating(value, out); }

void AppendSmallDecimal(int64_t unscaled, int scale, CsvBuffer* out) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof(digits), unscaled).ptr;
  AppendDecimal({digits, static_cast<size_t>(end - digits)}, scale, out);
}

void AppendDecimal(std::string_view unscaled, int scale, CsvBuffer* out) {
  if (unscaled.starts_with('-')) {
    out->Append('-');
    unscaled.remove_prefix(1);
  }
  if (scale <= 0) {
    out->Append(unscaled);
    if (unscaled != "0") {
      for (int i = 0; i < -scale; ++i) out->Append('0');
    }
    return;
  }
  const auto fraction = static_cast<size_t>(scale);
  if (unscaled.size() > fraction) {
    out->Append(unscaled.substr(0, unscaled.size() - fraction));
    out->Append('.');
    return out->Append(unscaled.substr(unscaled.size() - fraction));
  }
  out->Append("0.");
  for (size_t i = unscaled.size(); i < fraction; ++i) out->Append('0');
  out->Append(unscaled);
}

void AppendDate(int64_t days, CsvBuffer* out) {
  char* room = out->Room(40);
  out->Advance(static_cast<size_t>(PutDate(days, room) - room));
}

void AppendTime(int64_t value, arrow::TimeUnit::type unit, CsvBuffer* out) {
  char* room = out->Room(40);
  out->Advance(static_cast<size_t>(PutTime(value, UnitsPerSecond(unit), room) - room));
}

void AppendTimestamp(int64_t value, arrow::TimeUnit::type unit, bool utc, CsvBuffer* out) {
  const int64_t per_second = UnitsPerSecond(unit);
  const auto [days, time] = FloorDivide(value, 86'400 * per_second);
  char* const room = out->Room(80);
  char* end = PutDate(days, room);
  *end++ = 'T';
  end = PutTime(time, per_second, end);
  if (utc) *end++ = 'Z';
  out->Advance(static_cast<size_t>(end - room));
}

void AppendInterval(int64_t months, int64_t days, int64_t nanoseconds, CsvBuffer* out) {
  if (months == 0 && days == 0 && nanoseconds == 0) return out->Append("PT0S");
  out->Append('P');
  const auto part = [&](int64_t count, char letter) {
    if (count == 0) return;
    AppendInteger(count, out);
    out->Append(letter);
  };
  part(months / 12, 'Y');
  part(months % 12, 'M');
  part(days, 'D');
  AppendClockDuration(nanoseconds, 1'000'000'000, out);
}

void AppendDuration(int64_t value, arrow::TimeUnit::type unit, CsvBuffer* out) {
  if (value == 0) return out->Append("PT0S");
  out->Append('P');
  AppendClockDuration(value, UnitsPerSecond(unit), out);
}

void AppendUuid(const uint8_t* bytes, CsvBuffer* out) {
  char* room = out->Room(36);
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *room++ = '-';
    *room++ = kDigits[bytes[i] >> 4];
    *room++ = kDigits[bytes[i] & 15];
  }
  out->Advance(36);
}

void AppendHex(std::string_view bytes, CsvBuffer* out) {
  char* room = out->Room(2 + bytes.size() * 2);
  *room++ = '\\';
  *room++ = 'x';
  for (const char byte : bytes) {
    *room++ = kDigits[static_cast<uint8_t>(byte) >> 4];
    *room++ = kDigits[static_cast<uint8_t>(byte) & 15];
  }
  out->Advance(2 + bytes.size() * 2);
}

void AppendJsonString(std::string_view text, CsvBuffer* out) {
  out->Append('"');
  for (const char character : text) {
    const auto byte = static_cast<uint8_t>(character);
    if (byte == '"' || byte == '\\') {
      out->Append('\\');
      out->Append(character);
    } else if (byte == '\n') {
      out->Append("\\n");
    } else if (byte == '\t') {
      out->Append("\\t");
    } else if (byte == '\r') {
      out->Append("\\r");
    } else if (byte < 0x20) {
      out->Append("\\u00");
      out->Append(kDigits[byte >> 4]);
      out->Append(kDigits[byte & 15]);
    } else {
      out->Append(character);
    }
  }
  out->Append('"');
}

}  // namespace bulkhaul::csv
