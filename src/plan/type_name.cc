#include "plan/type_name.h"

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
      {"binary", arrow::binary()},
      {"date", arrow::date32()},
      {"time", arrow::time64(arrow::TimeUnit::MICRO)},
      {"timestamp", arrow::timestamp(arrow::TimeUnit::MICRO)},
      {"timestamptz", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC")}};
  return *types;
}

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
  if (name == "decimal" || name == "decimal128" || name == "decimal256") {
    const auto numbers = TwoNumbers(arguments);
    const int32_t precision_max = name == "decimal256" ? kWideDigitsMax : kDigitsMax;
    if (!numbers || numbers->first < 1 || numbers->first > precision_max || numbers->second < 0 ||
        numbers->second > numbers->first) {
      return nullptr;
    }
    return name == "decimal256" ? arrow::decimal256(numbers->first, numbers->second)
                                : arrow::decimal128(numbers->first, numbers->second);
  }
  static const std::map<std::string_view, arrow::TimeUnit::type> kUnits = {
      {"s", arrow::TimeUnit::SECOND},
      {"ms", arrow::TimeUnit::MILLI},
      {"us", arrow::TimeUnit::MICRO},
      {"ns", arrow::TimeUnit::NANO}};
  const auto unit = kUnits.find(arguments);
  if (unit == kUnits.end()) return nullptr;
  if (name == "timestamp") return arrow::timestamp(unit->second);
  if (name == "timestamptz") return arrow::timestamp(unit->second, "UTC");
  return nullptr;
}

}  // namespace

Result<TypePtr> ParseTypeName(std::string_view text) {
  if (const auto found = PlainTypes().find(text); found != PlainTypes().end()) {
    return found->second;
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
    return fmt::format("decimal({},{})", decimal.precision(), decimal.scale());
  }
  if (type.id() == arrow::Type::DICTIONARY) {
    return "dictionary of " +
           TypeName(*static_cast<const arrow::DictionaryType&>(type).value_type());
  }
  return type.ToString();
}

}  // namespace bulkhaul
