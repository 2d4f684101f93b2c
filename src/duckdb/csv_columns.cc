#include "duckdb/csv_columns.h"

#include <charconv>
#include <map>
#include <set>

#include <fmt/format.h>

#include "base/text.h"
#include "duckdb/attachments.h"

namespace bulkhaul::duckdb {
namespace {

constexpr char kText[] = "VARCHAR";
constexpr int kDecimalDigitsMax = 38;

// "decimal128(24, 4)"
std::string DecimalType(std::string_view arrow_type) {
  std::string_view digits = arrow_type.substr(arrow_type.find('(') + 1);
  int precision = 0, scale = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), precision);
  digits.remove_prefix(static_cast<size_t>(read.ptr - digits.data()));
  if (!digits.starts_with(", ")) return kText;
  digits.remove_prefix(2);
  std::from_chars(digits.data(), digits.data() + digits.size(), scale);
  const bool has = precision <= kDecimalDigitsMax && scale >= 0 && scale <= precision;
  return has ? fmt::format("DECIMAL({}, {})", precision, scale) : kText;
}

}  // namespace

std::string DuckdbTypeOf(std::string_view arrow_type) {
  static const std::map<std::string_view, const char*> kTypes = {
      {"bool", "BOOLEAN"},
      {"int8", "TINYINT"},
      {"int16", "SMALLINT"},
      {"int32", "INTEGER"},
      {"int64", "BIGINT"},
      {"uint8", "UTINYINT"},
      {"uint16", "USMALLINT"},
      {"uint32", "UINTEGER"},
      {"uint64", "UBIGINT"},
      {"halffloat", "FLOAT"},
      {"float", "FLOAT"},
      {"double", "DOUBLE"},
      {"binary", "BLOB"},
      {"large_binary", "BLOB"},
      {"date32[day]", "DATE"},
      {"time32[s]", "TIME"},
      {"time32[ms]", "TIME"},
      {"time64[us]", "TIME"},
      {"time64[ns]", "TIME_NS"},
      {"timestamp[s]", "TIMESTAMP"},
      {"timestamp[ms]", "TIMESTAMP"},
      {"timestamp[us]", "TIMESTAMP"},
      {"timestamp[ns]", "TIMESTAMP_NS"},
      {"extension<arrow.uuid>", "UUID"},
  };
  if (const auto found = kTypes.find(arrow_type); found != kTypes.end()) return found->second;
  if (arrow_type.starts_with("decimal")) return DecimalType(arrow_type);
  if (arrow_type.starts_with("fixed_size_binary[")) return "BLOB";
  // Nothing in DuckDB has a zone and nanoseconds.
  for (const char* zoned : {"timestamp[s, ", "timestamp[ms, ", "timestamp[us, "}) {
    if (arrow_type.starts_with(zoned)) return "TIMESTAMP WITH TIME ZONE";
  }
  constexpr std::string_view kDictionary = "dictionary<values=";
  if (arrow_type.starts_with(kDictionary)) {
    arrow_type.remove_prefix(kDictionary.size());
    return DuckdbTypeOf(arrow_type.substr(0, arrow_type.rfind(", indices=")));
  }
  return kText;
}

std::string SelectFromCsv(const std::string& files, const std::vector<CsvColumn>& columns,
                          const std::string& dialect) {
  std::set<std::string> taken;
  std::string types, bytes;
  for (const auto& column : columns) {
    std::string name = column.name;
    for (int i = 1; !taken.insert(AsciiLower(name)).second; ++i) {
      name = fmt::format("{}_{}", column.name, i);
    }
    std::string type = DuckdbTypeOf(column.arrow_type);
    if (type == "BLOB") {
      type = kText;
      bytes += fmt::format("{}unhex({}[3:]) AS {}", bytes.empty() ? "" : ", ", QuotedName(name),
                           QuotedName(name));
    }
    types += fmt::format("{}{}: {}", types.empty() ? "" : ", ", QuotedText(name), QuotedText(type));
  }
  return fmt::format(
      "SELECT *{} FROM read_csv([{}], auto_detect = false, columns = {{{}}}, quote = '\"', escape "
      "= "
      "'\"', allow_quoted_nulls = false{})",
      bytes.empty() ? "" : fmt::format(" REPLACE ({})", bytes), files, types, dialect);
}

}  // namespace bulkhaul::duckdb
