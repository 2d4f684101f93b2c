#include "source/sqlite/column_type.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace bulkhaul {
namespace {

constexpr std::pair<Conversion, const char*> kNames[] = {
    {Conversion::kInt64, "int64"},         {Conversion::kDouble, "double"},
    {Conversion::kBool, "bool"},           {Conversion::kDecimal, "decimal"},
    {Conversion::kText, "text"},           {Conversion::kNumberText, "number_text"},
    {Conversion::kAnyText, "any_text"},    {Conversion::kBinary, "binary"},
    {Conversion::kDate, "date"},           {Conversion::kTime, "time"},
    {Conversion::kTimestamp, "timestamp"}, {Conversion::kTimestampUtc, "timestamp_utc"},
    {Conversion::kUndecided, "undecided"},
};

struct Declaration {
  std::string name;  // upper case, without the arguments
  std::optional<int32_t> precision;
  int32_t scale = 0;
};

std::string Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1));
}

std::optional<int32_t> SmallNumber(std::string_view text) {
  const std::string trimmed = Trimmed(text);
  int32_t value = 0;
  const auto [end, error] = std::from_chars(trimmed.data(), trimmed.data() + trimmed.size(), value);
  if (error != std::errc() || end != trimmed.data() + trimmed.size()) return std::nullopt;
  return value;
}

Declaration Parse(std::string_view declared) {
  Declaration result;
  const size_t open = declared.find('(');
  result.name = Trimmed(declared.substr(0, open));
  std::transform(result.name.begin(), result.name.end(), result.name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  const size_t close = declared.find(')', open == std::string_view::npos ? 0 : open);
  if (open == std::string_view::npos || close == std::string_view::npos) return result;
  const std::string_view arguments = declared.substr(open + 1, close - open - 1);
  const size_t comma = arguments.find(',');
  result.precision = SmallNumber(arguments.substr(0, comma));
  if (comma != std::string_view::npos) {
    result.scale = SmallNumber(arguments.substr(comma + 1)).value_or(-1);
  }
  // "TIMESTAMP(6) WITH TIME ZONE"
  const std::string rest = Trimmed(declared.substr(close + 1));
  if (!rest.empty()) {
    result.name += ' ';
    for (const unsigned char c : rest) result.name += static_cast<char>(std::toupper(c));
  }
  return result;
}

bool IsDecimal(const Declaration& declared) {
  return declared.precision && *declared.precision >= 1 && *declared.precision <= 38 &&
         declared.scale >= 0 && declared.scale <= *declared.precision;
}

ColumnType Decimal(const Declaration& declared) {
  return {Conversion::kDecimal, arrow::decimal128(*declared.precision, declared.scale)};
}

ColumnType Decided(Conversion conversion) { return {conversion, ArrowTypeOf(conversion)}; }

Result<ColumnType> UnconstrainedNumeric(const std::string& option) {
  if (option == "string") return Decided(Conversion::kNumberText);
  if (option == "double") return Decided(Conversion::kDouble);
  const Declaration wanted = Parse(option);
  if (wanted.name == "DECIMAL" && IsDecimal(wanted)) return Decimal(wanted);
  return UserError(fmt::format(
      "numeric: '{}' is not string, double or decimal(p,s) with 1 ≤ p ≤ 38 and 0 ≤ s ≤ p", option));
}

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

const char* ConversionName(Conversion conversion) {
  for (const auto& [value, name] : kNames) {
    if (value == conversion) return name;
  }
  return "undecided";
}

Result<Conversion> ConversionFromName(std::string_view name) {
  for (const auto& [value, text] : kNames) {
    if (name == text) return value;
  }
  return BugError(fmt::format("no conversion is called '{}'", name));
}

std::shared_ptr<arrow::DataType> ArrowTypeOf(Conversion conversion) {
  switch (conversion) {
    case Conversion::kInt64:
      return arrow::int64();
    case Conversion::kDouble:
      return arrow::float64();
    case Conversion::kBool:
      return arrow::boolean();
    case Conversion::kBinary:
      return arrow::binary();
    case Conversion::kDate:
      return arrow::date32();
    case Conversion::kTime:
      return arrow::time64(arrow::TimeUnit::MICRO);
    case Conversion::kTimestamp:
      return arrow::timestamp(arrow::TimeUnit::MICRO);
    case Conversion::kTimestampUtc:
      return arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
    case Conversion::kUndecided:
    case Conversion::kDecimal:
      return nullptr;
    default:
      return arrow::utf8();
  }
}

Result<ColumnType> TypeOfDeclaration(std::string_view declared, const Options& options) {
  const Declaration parsed = Parse(declared);
  const std::string& name = parsed.name;
  if (name == "BOOLEAN" || name == "BOOL") return Decided(Conversion::kBool);
  if (name == "DATE") return Decided(Conversion::kDate);
  if (name == "TIME") return Decided(Conversion::kTime);
  if (name.starts_with("DATETIME") || name.starts_with("TIMESTAMP")) {
    const bool zone = Contains(name, "TZ") || Contains(name, "WITH TIME ZONE");
    return Decided(zone ? Conversion::kTimestampUtc : Conversion::kTimestamp);
  }
  if (name == "JSON") return Decided(Conversion::kNumberText);
  // The order of these is SQLite's own, datatype3.html section 3.1.
  if (Contains(name, "INT")) return Decided(Conversion::kInt64);
  if (Contains(name, "CHAR") || Contains(name, "CLOB") || Contains(name, "TEXT")) {
    return Decided(Conversion::kText);
  }
  if (Contains(name, "BLOB")) return Decided(Conversion::kBinary);
  if (Contains(name, "REAL") || Contains(name, "FLOA") || Contains(name, "DOUB")) {
    return Decided(Conversion::kDouble);
  }
  if (name == "DECIMAL" || name == "NUMERIC" || name == "NUMBER" || name == "MONEY") {
    if (!parsed.precision) return UnconstrainedNumeric(options.GetString("numeric"));
    return IsDecimal(parsed) ? Decimal(parsed) : Decided(Conversion::kNumberText);
  }
  return ColumnType{};
}

Conversion ConversionOfValues(const SeenValues& seen) {
  const bool numbers = seen.integers > 0 || seen.reals > 0;
  const int kinds = (numbers ? 1 : 0) + (seen.texts > 0 ? 1 : 0) + (seen.blobs > 0 ? 1 : 0);
  if (kinds != 1) return Conversion::kText;
  if (seen.texts > 0) return Conversion::kText;
  if (seen.blobs > 0) return Conversion::kBinary;
  if (seen.reals == 0) return Conversion::kInt64;
  return seen.integers_exact_as_double ? Conversion::kDouble : Conversion::kNumberText;
}

}  // namespace bulkhaul
