#include "source/generator/generator_spec.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include <arrow/extension/uuid.h>
#include <arrow/type_traits.h>
#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>

#include "base/text.h"
#include "plan/type_name.h"
#include "plan/values.h"
#include "source/generator/generate_column.h"

namespace bulkhaul {
namespace {

constexpr int64_t kRowsMax = int64_t{1} << 40;

// Splits at separators that stand outside of () and <>.
std::vector<std::string_view> SplitOutside(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  int depth = 0;
  size_t begin = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '(' || text[i] == '<') ++depth;
    if (text[i] == ')' || text[i] == '>') --depth;
    if (text[i] == separator && depth == 0) {
      parts.push_back(text.substr(begin, i - begin));
      begin = i + 1;
    }
  }
  parts.push_back(text.substr(begin));
  return parts;
}

template <typename Number>
Result<Number> ParseNumber(std::string_view text, std::string_view what) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return UserError(fmt::format("generator: {} wants a number, not '{}'", what, text));
  }
  return value;
}

// Days since 1970-01-01 (Hinnant: "chrono-compatible low-level date algorithms").
int64_t DaysFromCivil(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
         719468;
}

Result<int64_t> ParseBound(const arrow::DataType& type, std::string_view text) {
  const bool date = type.id() == arrow::Type::DATE32;
  if (!date && type.id() != arrow::Type::TIMESTAMP) return ParseNumber<int64_t>(text, "min or max");
  const auto parts = SplitOutside(text, '-');
  if (parts.size() != 3) return UserError(fmt::format("generator: '{}' is not a date", text));
  int64_t numbers[3];
  for (int i = 0; i < 3; ++i) {
    ARROW_ASSIGN_OR_RAISE(numbers[i], ParseNumber<int64_t>(parts[i], "a date"));
  }
  const int64_t days = DaysFromCivil(numbers[0], numbers[1], numbers[2]);
  return date ? days : days * 86'400'000'000;
}

Result<GeneratorColumn> ParseColumn(std::string_view text);

// `text` is what stands between the outer brackets of `head`.
Status ParseNestedType(std::string_view head, std::string_view text, GeneratorColumn* column) {
  if (head == "list") {
    ARROW_ASSIGN_OR_RAISE(auto item, ParseColumn(fmt::format("item:{}", text)));
    column->type = arrow::list(arrow::field("item", item.type, item.null_fraction > 0));
    column->children.push_back(std::move(item));
    column->length_max = 5;
    return Status::OK();
  }
  ARROW_ASSIGN_OR_RAISE(column->children, ParseGeneratorColumns(text));
  arrow::FieldVector fields;
  for (const auto& child : column->children) {
    fields.push_back(arrow::field(child.name, child.type, child.null_fraction > 0));
  }
  column->type = arrow::struct_(fields);
  return Status::OK();
}

Status ParseType(std::string_view text, GeneratorColumn* column) {
  column->type_text = text;
  if (text == "uuid") {
    column->type = arrow::extension::uuid();
    return Status::OK();
  }
  const size_t open = text.find_first_of("(<");
  const std::string_view head = text.substr(0, open);
  if (open != std::string_view::npos && (text.back() == ')' || text.back() == '>')) {
    const std::string_view inside = text.substr(open + 1, text.size() - open - 2);
    if (head == "list" || head == "struct") return ParseNestedType(head, inside, column);
  }
  auto plain = ParseTypeName(text);
  if (!plain.ok()) {
    return UserError(
        fmt::format("generator: column '{}': {}", column->name, MessageOf(plain.status())));
  }
  column->type = *plain;
  const bool other_unit =
      column->type->id() == arrow::Type::TIMESTAMP &&
      static_cast<const arrow::TimestampType&>(*column->type).unit() != arrow::TimeUnit::MICRO;
  if (!other_unit && column->type->id() != arrow::Type::DECIMAL256) return Status::OK();
  return UserError(
      fmt::format("generator: column '{}' has the type '{}', which is not generated; "
                  "take timestamp, timestamptz or decimal(p,s) with p up to 38",
                  column->name, text));
}

Status ParseLength(std::string_view value, GeneratorColumn* column) {
  const size_t dash = value.find('-');
  ARROW_ASSIGN_OR_RAISE(column->length_min, ParseNumber<int64_t>(value.substr(0, dash), "len"));
  column->length_max = column->length_min;
  if (dash != std::string_view::npos) {
    ARROW_ASSIGN_OR_RAISE(column->length_max, ParseNumber<int64_t>(value.substr(dash + 1), "len"));
  }
  if (column->length_min < 0 || column->length_max < column->length_min ||
      column->length_max > (1 << 29)) {
    return UserError(fmt::format("generator: len={} is not a range of lengths", value));
  }
  return Status::OK();
}

Status ParseModifier(std::string_view text, GeneratorColumn* column) {
  const size_t equals = text.find('=');
  const std::string_view key = text.substr(0, equals);
  const std::string_view value =
      equals == std::string_view::npos ? std::string_view() : text.substr(equals + 1);
  if (key == "serial")
    column->serial = true;
  else if (key == "skew")
    column->skew = true;
  else if (key == "unicode")
    column->unicode = true;
  else if (key == "len")
    return ParseLength(value, column);
  else if (key == "choices") {
    for (const auto choice : SplitOutside(value, '|')) column->choices.emplace_back(choice);
  } else if (key == "null") {
    ARROW_ASSIGN_OR_RAISE(column->null_fraction, ParseNumber<double>(value, key));
  } else if (key == "nan") {
    ARROW_ASSIGN_OR_RAISE(column->nan_fraction, ParseNumber<double>(value, key));
  } else if (key == "distinct") {
    ARROW_ASSIGN_OR_RAISE(column->distinct, ParseNumber<int64_t>(value, key));
    if (column->distinct < 1) return UserError("generator: distinct wants a number above 0");
  } else if (key == "min") {
    ARROW_ASSIGN_OR_RAISE(column->minimum, ParseBound(*column->type, value));
  } else if (key == "max") {
    ARROW_ASSIGN_OR_RAISE(column->maximum, ParseBound(*column->type, value));
  } else {
    const std::vector<std::string> names = {"serial", "skew",     "unicode", "len", "choices",
                                            "null",   "distinct", "nan",     "min", "max"};
    const auto nearest = NearestName(key, names);
    return UserError(fmt::format("generator: column '{}' has the unknown modifier '{}'{}",
                                 column->name, key,
                                 nearest ? ", do you mean '" + *nearest + "'?" : ""));
  }
  return Status::OK();
}

Result<GeneratorColumn> ParseColumn(std::string_view text) {
  GeneratorColumn column;
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) {
    return UserError(fmt::format("generator: column '{}' wants NAME:TYPE", text));
  }
  column.name = text.substr(0, colon);
  const auto parts = SplitOutside(text.substr(colon + 1), '/');
  ARROW_RETURN_NOT_OK(ParseType(parts[0], &column));
  for (size_t i = 1; i < parts.size(); ++i) ARROW_RETURN_NOT_OK(ParseModifier(parts[i], &column));
  if (!column.choices.empty() && column.type->id() != arrow::Type::STRING) {
    return UserError(fmt::format("generator: choices is for strings, not for '{}'", column.name));
  }
  if (column.serial && !arrow::is_integer(column.type->id())) {
    return UserError(fmt::format("generator: serial is for integers, not for '{}'", column.name));
  }
  if (column.minimum && column.maximum && *column.minimum > *column.maximum) {
    return UserError(fmt::format("generator: min is above max in column '{}'", column.name));
  }
  return column;
}

// Shops as everybody knows them, with keys that match between the tables.
Result<std::vector<GeneratorTable>> OrdersPreset(int64_t orders, uint64_t seed) {
  const int64_t customers = std::max<int64_t>(1, orders / 10);
  const int64_t products = std::clamp<int64_t>(orders / 100, 1, 100'000);
  const std::string dates = "/min=2019-01-01/max=2025-12-31";
  const std::vector<std::tuple<std::string, int64_t, std::string>> tables = {
      {"customers", customers,
       "customer_id:int64/serial,name:string/len=5-30/unicode,email:string/len=12-32/null=0.05,"
       "country:string/choices=DE|FR|NL|PL|ES|IT|US|GB|JP|BR,segment:string/choices=consumer|"
       "business|public/null=0.1,birthday:date/min=1940-01-01/max=2006-12-31/null=0.2,"
       "credit_limit:decimal(12,2)/min=0/max=50000,newsletter:bool,created_at:timestamptz" +
           dates},
      {"orders", orders,
       fmt::format("order_id:int64/serial,customer_id:int64/min=1/max={}/skew,"
                   "product_id:int32/min=1/max={}/skew,quantity:int16/min=1/max=50/skew,"
                   "unit_price:decimal(10,2)/min=1/max=2000,discount:double/min=0/max=1/null=0.3,"
                   "status:string/choices=open|paid|shipped|returned|cancelled,ordered_at:timestamp"
                   "{},shipped_on:date{}/null=0.15,gift:bool/null=0.02,comment:string/len=0-60/skew"
                   "/null=0.25,reference:uuid",
                   customers, products, dates, dates)},
      {"products", products,
       "product_id:int32/serial,sku:string/len=8,title:string/len=5-40/unicode,"
       "price:decimal(10,2)/min=1/max=2000,weight_kg:float/min=0/max=40/null=0.1,stock:int32/min=0"
       "/max=10000,tags:list<string/len=3-10>/len=0-4/null=0.1,size:struct<width:int16/min=1/max="
       "200,height:int16/min=1/max=200>/null=0.2,image:binary/len=0-64/null=0.5"}};
  std::vector<GeneratorTable> result;
  for (const auto& [name, rows, columns] : tables) {
    ARROW_ASSIGN_OR_RAISE(auto parsed, ParseGeneratorColumns(columns));
    result.push_back({name, rows, Mix(seed ^ Mix(result.size())), std::move(parsed)});
  }
  return result;
}

using Parameters = std::map<std::string, std::string>;

Result<Parameters> ParseParameters(std::string_view uri) {
  static const std::vector<std::string> kKeys = {"preset",    "rows",          "seed",
                                                 "tables",    "name",          "columns",
                                                 "fail_unit", "fail_times",    "fail_after_rows",
                                                 "fail_kind", "batch_delay_ms"};
  std::string_view rest = uri.substr(std::min(uri.size(), uri.find(':') + 1));
  while (!rest.empty() && (rest.front() == '/' || rest.front() == '?')) rest.remove_prefix(1);
  Parameters parameters;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const size_t equals = pair.find('=');
    const std::string key(pair.substr(0, equals));
    if (std::find(kKeys.begin(), kKeys.end(), key) == kKeys.end()) {
      const auto nearest = NearestName(key, kKeys);
      return UserError(fmt::format("generator: unknown key '{}'{}", key,
                                   nearest ? ", do you mean '" + *nearest + "'?" : ""));
    }
    parameters[key] =
        equals == std::string_view::npos ? "" : PercentDecode(pair.substr(equals + 1));
  }
  return parameters;
}

Result<int64_t> NumberOf(const Parameters& parameters, const std::string& key, int64_t otherwise,
                         int64_t maximum) {
  const auto found = parameters.find(key);
  if (found == parameters.end()) return otherwise;
  ARROW_ASSIGN_OR_RAISE(const auto number, ParseNumber<int64_t>(found->second, key));
  if (number < 0 || number > maximum) {
    return UserError(fmt::format("generator: {}={} is outside 0 … {}", key, number, maximum));
  }
  return number;
}

std::string TextOf(const Parameters& parameters, const std::string& key, std::string otherwise) {
  const auto found = parameters.find(key);
  return found == parameters.end() ? otherwise : found->second;
}

Status ParseFaults(const Parameters& parameters, GeneratorSpec* spec) {
  auto& fault = spec->fault;
  if (parameters.contains("fail_unit")) {
    ARROW_ASSIGN_OR_RAISE(fault.unit, NumberOf(parameters, "fail_unit", 0, kRowsMax));
  }
  ARROW_ASSIGN_OR_RAISE(fault.times, NumberOf(parameters, "fail_times", 1, kRowsMax));
  ARROW_ASSIGN_OR_RAISE(fault.after_rows, NumberOf(parameters, "fail_after_rows", 0, kRowsMax));
  ARROW_ASSIGN_OR_RAISE(fault.kind,
                        ErrorKindFromName(TextOf(parameters, "fail_kind", "transient")));
  ARROW_ASSIGN_OR_RAISE(spec->batch_delay_ms, NumberOf(parameters, "batch_delay_ms", 0, 60'000));
  return Status::OK();
}

}  // namespace

Result<std::vector<GeneratorColumn>> ParseGeneratorColumns(std::string_view text) {
  std::vector<GeneratorColumn> columns;
  std::set<std::string> names;
  for (const auto part : SplitOutside(text, ',')) {
    ARROW_ASSIGN_OR_RAISE(auto column, ParseColumn(part));
    if (!names.insert(column.name).second) {
      return UserError(fmt::format("generator: two columns are called '{}'", column.name));
    }
    columns.push_back(std::move(column));
  }
  return columns;
}

Result<GeneratorSpec> ParseGeneratorUri(std::string_view uri) {
  ARROW_ASSIGN_OR_RAISE(const auto parameters, ParseParameters(uri));
  ARROW_ASSIGN_OR_RAISE(const auto rows, NumberOf(parameters, "rows", 1000, kRowsMax));
  ARROW_ASSIGN_OR_RAISE(const auto seed, NumberOf(parameters, "seed", 1, INT64_MAX));
  ARROW_ASSIGN_OR_RAISE(const auto tables, NumberOf(parameters, "tables", 1, 100'000));
  GeneratorSpec spec;
  ARROW_RETURN_NOT_OK(ParseFaults(parameters, &spec));
  const std::string preset = TextOf(parameters, "preset", "");
  const std::string columns =
      TextOf(parameters, "columns", "id:int64/serial,name:string,value:double/null=0.1");
  spec.description = fmt::format("seed={}&rows={}&", seed, rows);
  if (preset == "orders") {
    if (parameters.contains("columns") || parameters.contains("tables")) {
      return UserError("generator: preset=orders has its own tables and columns");
    }
    ARROW_ASSIGN_OR_RAISE(spec.tables, OrdersPreset(rows, static_cast<uint64_t>(seed)));
    spec.description += "preset=orders";
    return spec;
  }
  if (!preset.empty()) {
    return UserError(fmt::format("generator: there is no preset '{}', only 'orders'", preset));
  }
  ARROW_ASSIGN_OR_RAISE(const auto parsed, ParseGeneratorColumns(columns));
  const std::string name = TextOf(parameters, "name", "table");
  for (int64_t i = 1; i <= tables; ++i) {
    const bool alone = tables == 1 && parameters.contains("name");
    spec.tables.push_back({alone ? name : fmt::format("{}_{}", name, i), rows,
                           Mix(static_cast<uint64_t>(seed) ^ Mix(static_cast<uint64_t>(i))),
                           parsed});
  }
  spec.description += "columns=" + columns;
  return spec;
}

std::shared_ptr<arrow::Schema> GeneratorSchema(const std::vector<GeneratorColumn>& columns) {
  arrow::FieldVector fields;
  for (const auto& column : columns) {
    fields.push_back(arrow::field(column.name, column.type, column.null_fraction > 0,
                                  arrow::key_value_metadata({kSourceTypeKey}, {column.type_text})));
  }
  return arrow::schema(std::move(fields));
}

double GeneratorWidth(const GeneratorColumn& column) {
  const double share = column.skew ? 0.25 : 0.5;
  const double length = static_cast<double>(column.length_min) +
                        share * static_cast<double>(column.length_max - column.length_min);
  switch (column.type->id()) {
    case arrow::Type::BOOL:
      return 0.25;
    case arrow::Type::STRING:
      return 4 + length * (column.unicode ? 2 : 1);
    case arrow::Type::BINARY:
      return 4 + length;
    case arrow::Type::LIST:
      return 4 + length * GeneratorWidth(column.children[0]);
    case arrow::Type::STRUCT: {
      double width = 0;
      for (const auto& child : column.children) width += GeneratorWidth(child);
      return width;
    }
    case arrow::Type::EXTENSION:
      return 16;
    default:
      return column.type->byte_width();
  }
}

}  // namespace bulkhaul
