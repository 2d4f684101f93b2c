#include "plan/type_name.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <utility>

#include <arrow/type_traits.h>
#include <fmt/format.h>

#include "base/text.h"

namespace bulkhaul {
namespace {

using TypePtr = std::shared_ptr<arrow::DataType>;

constexpr int32_t kDigitsMax = arrow::Decimal128Type::kMaxPrecision;
constexpr int32_t kWideDigitsMax = arrow::Decimal256Type::kMaxPrecision;

struct UnitName {
  std::string_view text;
  arrow::TimeUnit::type unit;
};
constexpr UnitName kUnits[] = {{"s", arrow::TimeUnit::SECOND},
                               {"ms", arrow::TimeUnit::MILLI},
                               {"us", arrow::TimeUnit::MICRO},
                               {"ns", arrow::TimeUnit::NANO}};

const std::map<std::string_view, TypePtr>& PlainTypes() {
  static const auto* const types = new std::map<std::string_view, TypePtr>{
      {"int8", arrow::int8()},
      {"int16", arrow::int16()},
      {"int32", arrow::int32()},
      {"int64", arrow::int64()},
      {"uint8", arrow::uint8()},
      {"uint16", arrow::uint16()},
      {"uint32", arrow::uint32()},
      {"uint64", arrow::uint64()},
      {"float", arrow::float32()},
      {"float32", arrow::float32()},
      {"double", arrow::float64()},
      {"float64", arrow::float64()},
      {"bool", arrow::boolean()},
      {"string", arrow::utf8()},
      {"large_string", arrow::large_utf8()},
      {"binary", arrow::binary()},
      {"large_binary", arrow::large_binary()},
      {"date", arrow::date32()},
      {"time", arrow::time64(arrow::TimeUnit::MICRO)},
      {"timestamp", arrow::timestamp(arrow::TimeUnit::MICRO)},
      {"timestamptz", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC")}};
  return *types;
}

// As SQL says it; never what a type is shown as.
constexpr std::pair<std::string_view, std::string_view> kSqlNames[] = {
    {"smallint", "int16"}, {"int", "int32"},    {"integer", "int32"},
    {"bigint", "int64"},   {"real", "float32"}, {"double precision", "float64"},
    {"boolean", "bool"},   {"text", "string"},  {"varchar", "string"},
    {"bytea", "binary"},
};

std::optional<std::pair<int32_t, int32_t>> TwoNumbers(std::string_view text) {
  int32_t first = 0, second = 0;
  const char* end = text.data() + text.size();
  auto parsed = std::from_chars(text.data(), end, first);
  if (parsed.ec != std::errc() || parsed.ptr == end || *parsed.ptr != ',') return std::nullopt;
  const char* next = parsed.ptr + 1;
  while (next != end && *next == ' ') ++next;
  parsed = std::from_chars(next, end, second);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return std::pair(first, second);
}

TypePtr WithArguments(std::string_view name, std::string_view arguments) {
  if (name == "decimal" || name == "numeric" || name == "decimal128" || name == "decimal256") {
    const auto numbers = TwoNumbers(arguments);
    const int32_t precision_max = name == "decimal256" ? kWideDigitsMax : kDigitsMax;
    if (!numbers || numbers->first < 1 || numbers->first > precision_max || numbers->second < 0 ||
        numbers->second > numbers->first) {
      return nullptr;
    }
    return name == "decimal256" ? arrow::decimal256(numbers->first, numbers->second)
                                : arrow::decimal128(numbers->first, numbers->second);
  }
  if (name == "binary") {
    int32_t width = 0;
    const char* end = arguments.data() + arguments.size();
    const auto parsed = std::from_chars(arguments.data(), end, width);
    if (parsed.ec != std::errc() || parsed.ptr != end || width < 1) return nullptr;
    return arrow::fixed_size_binary(width);
  }
  const auto unit = std::ranges::find(kUnits, arguments, &UnitName::text);
  if (unit == std::end(kUnits)) return nullptr;
  if (name == "timestamp") return arrow::timestamp(unit->unit);
  if (name == "timestamptz") return arrow::timestamp(unit->unit, "UTC");
  if (name != "time") return nullptr;
  return unit->unit < arrow::TimeUnit::MICRO ? arrow::time32(unit->unit)
                                             : arrow::time64(unit->unit);
}

std::string WithUnit(std::string_view name, arrow::TimeUnit::type unit) {
  return fmt::format("{}({})", name, std::ranges::find(kUnits, unit, &UnitName::unit)->text);
}

}  // namespace

Result<TypePtr> ParseTypeName(std::string_view text) {
  if (const auto found = PlainTypes().find(text); found != PlainTypes().end()) {
    return found->second;
  }
  for (const auto& [sql, name] : kSqlNames) {
    if (sql == text) return PlainTypes().at(name);
  }
  const size_t open = text.find('(');
  if (open != std::string_view::npos && text.ends_with(')')) {
    const auto type =
        WithArguments(text.substr(0, open), text.substr(open + 1, text.size() - open - 2));
    if (type != nullptr) return type;
  }
  const std::string_view head = text.substr(0, open);
  if (head == "decimal" || head == "decimal128" || head == "decimal256") {
    return UserError(
        fmt::format("'{}' is not a type: {}(p,s) has 1 to {} digits, of which s, 0 to p, "
                    "behind the point",
                    text, head, head == "decimal256" ? kWideDigitsMax : kDigitsMax));
  }
  std::vector<std::string> names = {"decimal(p,s)"};
  for (const auto& [name, type] : PlainTypes()) names.emplace_back(name);
  const auto nearest = NearestName(text, names);
  return UserError(fmt::format("'{}' is not a type{}", text,
                               nearest ? "; did you mean '" + *nearest + "'?"
                                       : "; examples: int32, decimal(15,2), string, timestamp"));
}

std::string TypeName(const arrow::DataType& type) {
  for (const auto& [name, plain] : PlainTypes()) {
    if (plain->Equals(type)) return std::string(name);
  }
  if (arrow::is_decimal(type.id())) {
    const auto& decimal = static_cast<const arrow::DecimalType&>(type);
    const bool wide = decimal.precision() > kDigitsMax;
    return fmt::format("decimal{}({},{})", wide ? "256" : "", decimal.precision(), decimal.scale());
  }
  if (arrow::is_time(type.id())) {
    return WithUnit("time", static_cast<const arrow::TimeType&>(type).unit());
  }
  if (type.id() == arrow::Type::TIMESTAMP) {
    const auto& timestamp = static_cast<const arrow::TimestampType&>(type);
    if (timestamp.timezone().empty()) return WithUnit("timestamp", timestamp.unit());
    if (timestamp.timezone() == "UTC") return WithUnit("timestamptz", timestamp.unit());
  }
  if (type.id() == arrow::Type::FIXED_SIZE_BINARY) {
    const auto& binary = static_cast<const arrow::FixedSizeBinaryType&>(type);
    return fmt::format("binary({})", binary.byte_width());
  }
  if (type.id() == arrow::Type::DICTIONARY) {
    return "dictionary of " +
           TypeName(*static_cast<const arrow::DictionaryType&>(type).value_type());
  }
  return type.ToString();
}

}  // namespace bulkhaul
