// For tests: Arrow values written as PostgreSQL prints them, and COPY streams made by hand. A way
// of its own to the text, so that decoding can be compared with the server's output functions.
#pragma once

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>

#include <arrow/api.h>
#include <fmt/format.h>

#include "wire/pg_copy/builtin_types.h"
#include "wire/pg_copy/types.h"

namespace bulkhaul::pg::testing {

// The stream that the server sends for one COPY: `tuples` are field counts, length words, values.
inline std::string Stream(std::string_view tuples) {
  std::string stream("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", 19);
  stream += tuples;
  stream += "\xff\xff";
  return stream;
}

inline std::string BigEndian(uint64_t number, int bytes) {
  std::string result;
  for (int byte = bytes - 1; byte >= 0; --byte) result += static_cast<char>(number >> (8 * byte));
  return result;
}
inline std::string FieldCount(int fields) { return BigEndian(fields, 2); }
inline std::string Field(std::string_view value) {
  return BigEndian(value.size(), 4) + std::string(value);
}
inline std::string NullField() { return BigEndian(0xffffffff, 4); }

inline std::string FromHex(std::string_view hex) {
  std::string bytes;
  for (size_t place = 0; place + 1 < hex.size(); place += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(place, 2)), nullptr, 16));
  }
  return bytes;
}

// A decimal's integer with the point put in.
inline std::string PlaceScale(std::string digits, int32_t scale) {
  const bool negative = !digits.empty() && digits[0] == '-';
  if (negative) digits.erase(0, 1);
  if (scale > 0) {
    if (static_cast<int32_t>(digits.size()) <= scale) {
      digits.insert(0, scale + 1 - digits.size(), '0');
    }
    digits.insert(digits.size() - scale, ".");
  }
  return (negative ? "-" : "") + digits;
}

// "1.50e+22" as "1.5e+22".
inline std::string WithoutEndingZeros(std::string scientific) {
  const size_t exponent = scientific.find('e');
  size_t last = scientific.find_last_not_of('0', exponent - 1);
  if (scientific[last] == '.') --last;
  return scientific.erase(last + 1, exponent - last - 1);
}

// As float4out() and float8out() with extra_float_digits 1: the shortest digits, an exponent below
// -4 and from `exponent_from` on.
template <typename T>
std::string FloatText(T value, int exponent_from) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  char text[64];
  const auto end = std::to_chars(text, text + sizeof(text), value, std::chars_format::scientific);
  std::string result(text, end.ptr);
  size_t mark = result.find('e');
  // Digits right in the middle of two numbers are read back rightly, yet PostgreSQL (its Ryu does
  // not accept bounds) prints one more.
  const auto is_middle = [&](const std::string& digits) {
    for (const T direction :
         {-std::numeric_limits<T>::infinity(), std::numeric_limits<T>::infinity()}) {
      const long double other = std::nextafter(value, direction);
      // Compared as text: a long double would round the digits, and find middles that are none.
      char middle[128];
      std::snprintf(middle, sizeof(middle), "%.60Le", (value + other) / 2);
      if (WithoutEndingZeros(middle) == WithoutEndingZeros(digits)) return true;
    }
    return false;
  };
  for (int places = static_cast<int>(mark); value != 0 && is_middle(result); ++places) {
    const auto longer =
        std::to_chars(text, text + sizeof(text), value, std::chars_format::scientific, places - 2);
    result.assign(text, longer.ptr);
    mark = result.find('e');
  }
  const int exponent = std::stoi(result.substr(mark + 1));
  if (exponent < -4 || exponent >= exponent_from) return result;
  const auto fixed = std::to_chars(text, text + sizeof(text), value, std::chars_format::fixed);
  return std::string(text, fixed.ptr);
}

struct CalendarDay {
  int64_t year;
  int month, day;
  bool before_christ;
};
// Days since 1970 in the Gregorian calendar without a year zero.
inline CalendarDay DayOf(int64_t days) {
  days += 719'468;
  const int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const int64_t day_of_era = days - era * 146'097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted_month = (5 * day_of_year + 2) / 153;
  CalendarDay result{};
  result.day = static_cast<int>(day_of_year - (153 * shifted_month + 2) / 5 + 1);
  result.month = static_cast<int>(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
  result.year = year_of_era + era * 400 + (result.month <= 2 ? 1 : 0);
  result.before_christ = result.year <= 0;
  if (result.before_christ) result.year = 1 - result.year;
  return result;
}

inline std::string ClockText(int64_t micros) {
  const int64_t seconds = micros / 1'000'000;
  std::string text =
      fmt::format("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
  if (micros % 1'000'000 != 0) {
    text += fmt::format(".{:06}", micros % 1'000'000);
    text.erase(text.find_last_not_of('0') + 1);
  }
  return text;
}

inline std::string DateText(int64_t days) {
  const CalendarDay day = DayOf(days);
  return fmt::format("{:04}-{:02}-{:02}{}", day.year, day.month, day.day,
                     day.before_christ ? " BC" : "");
}

inline std::string TimestampText(int64_t micros, bool zoned) {
  constexpr int64_t kDay = 86'400'000'000;
  const int64_t days = micros >= 0 ? micros / kDay : -((-(micros + 1)) / kDay) - 1;
  const CalendarDay day = DayOf(days);
  return fmt::format("{:04}-{:02}-{:02} {}{}{}", day.year, day.month, day.day,
                     ClockText(micros - days * kDay), zoned ? "+00" : "",
                     day.before_christ ? " BC" : "");
}

// IntervalStyle postgres: EncodeInterval() in datetime.c.
inline std::string IntervalText(int32_t months, int32_t days, int64_t micros) {
  std::string text;
  bool after_negative = false;
  const auto part = [&](int64_t number, const char* unit) {
    if (number == 0) return;
    if (!text.empty()) text += ' ';
    text += fmt::format("{}{} {}{}", after_negative && number > 0 ? "+" : "", number, unit,
                        number == 1 ? "" : "s");
    after_negative = number < 0;
  };
  part(months / 12, "year");
  part(months % 12, "mon");
  part(days, "day");
  if (micros != 0 || text.empty()) {
    if (!text.empty()) text += ' ';
    if (micros < 0) text += '-';
    if (micros > 0 && after_negative) text += '+';
    const uint64_t magnitude = micros < 0 ? 0 - static_cast<uint64_t>(micros) : micros;
    text += ClockText(static_cast<int64_t>(magnitude));
  }
  return text;
}

inline std::string HexText(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += fmt::format("{:02x}", static_cast<uint8_t>(byte));
  return text;
}

inline std::string UuidText(std::string_view bytes) {
  std::string text = HexText(bytes);
  for (const size_t place : {20, 16, 12, 8}) text.insert(place, "-");
  return text;
}

inline std::string MoneyText(int64_t cents) {
  const uint64_t magnitude = cents < 0 ? 0 - static_cast<uint64_t>(cents) : cents;
  std::string whole = std::to_string(magnitude / 100);
  for (int place = static_cast<int>(whole.size()) - 3; place > 0; place -= 3) {
    whole.insert(place, ",");
  }
  return fmt::format("{}${}.{:02}", cents < 0 ? "-" : "", whole, magnitude % 100);
}

inline std::string QuoteElement(const std::string& text) {
  bool quote = text.empty() || (text.size() == 4 && ::strcasecmp(text.c_str(), "null") == 0);
  std::string quoted = "\"";
  for (const char letter : text) {
    if (std::string_view("{}\",\\ \t\n\r\v\f").find(letter) != std::string_view::npos) quote = true;
    if (letter == '"' || letter == '\\') quoted += '\\';
    quoted += letter;
  }
  return quote ? quoted + "\"" : text;
}

// record_out() and range_out() double what array_out() escapes.
inline std::string QuoteField(const std::string& text, std::string_view special) {
  bool quote = text.empty();
  std::string quoted = "\"";
  for (const char letter : text) {
    if (special.find(letter) != std::string_view::npos) quote = true;
    if (letter == '"' || letter == '\\') quoted += letter;
    quoted += letter;
  }
  return quote ? quoted + "\"" : text;
}

std::string PostgresText(const TypeInfo& type, const arrow::Array& array, int64_t row);

inline std::string ListText(const TypeInfo& element, const arrow::ListArray& list, int64_t row) {
  std::string text = "{";
  for (int64_t item = list.value_offset(row); item < list.value_offset(row + 1); ++item) {
    if (text.size() > 1) text += ',';
    const arrow::Array& values = *list.values();
    if (values.IsNull(item)) {
      text += "NULL";
    } else if (values.type_id() == arrow::Type::LIST &&
               (element.kind != 'm' ||
                values.type()->field(0)->type()->id() == arrow::Type::LIST)) {
      text += ListText(element, static_cast<const arrow::ListArray&>(values), item);
    } else {
      text += QuoteElement(PostgresText(element, values, item));
    }
  }
  return text + "}";
}

inline std::string CompositeText(const TypeInfo& type, const arrow::StructArray& array,
                                 int64_t row) {
  std::string text = "(";
  for (int field = 0; field < array.num_fields(); ++field) {
    if (field > 0) text += ',';
    if (array.field(field)->IsNull(row)) continue;
    text += QuoteField(PostgresText(*type.fields[field].type, *array.field(field), row),
                       "\",()\\ \t\n\r\v\f");
  }
  return text + ")";
}

inline std::string RangeText(const TypeInfo& type, const arrow::StructArray& array, int64_t row) {
  const auto flag = [&](int field) {
    return static_cast<const arrow::BooleanArray&>(*array.field(field)).Value(row);
  };
  if (flag(4)) return "empty";
  std::string text = flag(2) ? "[" : "(";
  for (int bound = 0; bound < 2; ++bound) {
    if (bound == 1) text += ',';
    if (array.field(bound)->IsNull(row)) continue;
    text +=
        QuoteField(PostgresText(*type.subtype, *array.field(bound), row), "\",()[]\\ \t\n\r\v\f");
  }
  return text + (flag(3) ? "]" : ")");
}

inline std::string MultirangeText(const TypeInfo& type, const arrow::ListArray& list, int64_t row) {
  std::string text = "{";
  for (int64_t item = list.value_offset(row); item < list.value_offset(row + 1); ++item) {
    if (text.size() > 1) text += ',';
    text += RangeText(*type.subtype, static_cast<const arrow::StructArray&>(*list.values()), item);
  }
  return text + "}";
}

inline std::string HstoreText(const arrow::MapArray& map, int64_t row) {
  const auto& keys = static_cast<const arrow::StringArray&>(*map.keys());
  const auto& items = static_cast<const arrow::StringArray&>(*map.items());
  const auto quoted = [](std::string_view text) {
    std::string result = "\"";
    for (const char letter : text) {
      if (letter == '"' || letter == '\\') result += '\\';
      result += letter;
    }
    return result + "\"";
  };
  std::string text;
  for (int64_t item = map.value_offset(row); item < map.value_offset(row + 1); ++item) {
    if (!text.empty()) text += ", ";
    text += quoted(keys.GetView(item)) + "=>";
    text += items.IsNull(item) ? "NULL" : quoted(items.GetView(item));
  }
  return text;
}

inline std::string BaseText(const TypeInfo& type, const arrow::Array& array, int64_t row) {
  const auto view = [&]() -> std::string_view {
    return static_cast<const arrow::BinaryArray&>(array).GetView(row);
  };
  switch (array.type_id()) {
    case arrow::Type::BOOL:
      return static_cast<const arrow::BooleanArray&>(array).Value(row) ? "t" : "f";
    case arrow::Type::INT16:
      return std::to_string(static_cast<const arrow::Int16Array&>(array).Value(row));
    case arrow::Type::INT32:
      return std::to_string(static_cast<const arrow::Int32Array&>(array).Value(row));
    case arrow::Type::INT64:
      return std::to_string(static_cast<const arrow::Int64Array&>(array).Value(row));
    case arrow::Type::UINT32:
      return std::to_string(static_cast<const arrow::UInt32Array&>(array).Value(row));
    case arrow::Type::UINT64:
      return std::to_string(static_cast<const arrow::UInt64Array&>(array).Value(row));
    case arrow::Type::FLOAT:
      return FloatText(static_cast<const arrow::FloatArray&>(array).Value(row), 6);
    case arrow::Type::DOUBLE:
      return FloatText(static_cast<const arrow::DoubleArray&>(array).Value(row), 15);
    case arrow::Type::DECIMAL128: {
      const arrow::Decimal128 value(
          static_cast<const arrow::Decimal128Array&>(array).GetValue(row));
      if (type.oid == kMoneyOid) return MoneyText(static_cast<int64_t>(value));
      return PlaceScale(value.ToIntegerString(),
                        static_cast<const arrow::DecimalType&>(*array.type()).scale());
    }
    case arrow::Type::DECIMAL256: {
      const arrow::Decimal256 value(
          static_cast<const arrow::Decimal256Array&>(array).GetValue(row));
      return PlaceScale(value.ToIntegerString(),
                        static_cast<const arrow::DecimalType&>(*array.type()).scale());
    }
    case arrow::Type::DATE32:
      return DateText(static_cast<const arrow::Date32Array&>(array).Value(row));
    case arrow::Type::TIME64:
      return ClockText(static_cast<const arrow::Time64Array&>(array).Value(row));
    case arrow::Type::TIMESTAMP:
      return TimestampText(static_cast<const arrow::TimestampArray&>(array).Value(row),
                           type.oid == kTimestamptzOid);
    case arrow::Type::STRUCT: {
      const auto& interval = static_cast<const arrow::StructArray&>(array);
      return IntervalText(static_cast<const arrow::Int32Array&>(*interval.field(0)).Value(row),
                          static_cast<const arrow::Int32Array&>(*interval.field(1)).Value(row),
                          static_cast<const arrow::Int64Array&>(*interval.field(2)).Value(row));
    }
    case arrow::Type::BINARY:
      return "\\x" + HexText(view());
    case arrow::Type::STRING:
      return std::string(view());
    case arrow::Type::EXTENSION: {
      const auto& storage = *static_cast<const arrow::ExtensionArray&>(array).storage();
      return UuidText(static_cast<const arrow::FixedSizeBinaryArray&>(storage).GetView(row));
    }
    case arrow::Type::DICTIONARY: {
      const auto& dictionary = static_cast<const arrow::DictionaryArray&>(array);
      return std::string(static_cast<const arrow::StringArray&>(*dictionary.dictionary())
                             .GetView(dictionary.GetValueIndex(row)));
    }
    default:
      return "no text for " + array.type()->ToString();
  }
}

// What the type's output function prints with DateStyle ISO, TimeZone UTC, IntervalStyle postgres,
// bytea_output hex and lc_monetary C. The value must not be NULL.
inline std::string PostgresText(const TypeInfo& type, const arrow::Array& array, int64_t row) {
  if (type.kind == 'd') return PostgresText(*type.base, array, row);
  switch (array.type_id()) {
    case arrow::Type::LIST: {
      const auto& list = static_cast<const arrow::ListArray&>(array);
      if (type.kind == 'm') return MultirangeText(type, list, row);
      if (type.oid == kInt2VectorOid || type.oid == kOidVectorOid) {
        std::string text = ListText(*type.element, list, row);
        for (char& letter : text) letter = letter == ',' ? ' ' : letter;
        return text.substr(1, text.size() - 2);
      }
      return ListText(*type.element, list, row);
    }
    case arrow::Type::MAP:
      return HstoreText(static_cast<const arrow::MapArray&>(array), row);
    case arrow::Type::STRUCT:
      if (type.kind == 'c') {
        return CompositeText(type, static_cast<const arrow::StructArray&>(array), row);
      }
      if (type.kind == 'r') {
        return RangeText(type, static_cast<const arrow::StructArray&>(array), row);
      }
      return BaseText(type, array, row);
    default:
      return BaseText(type, array, row);
  }
}

}  // namespace bulkhaul::pg::testing
