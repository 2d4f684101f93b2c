// What the columns of a CSV file that bulkhaul wrote are to DuckDB.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bulkhaul::duckdb {

struct CsvColumn {
  std::string name;
  std::string arrow_type;  // as arrow::DataType::ToString() writes it
};

// DuckDB's type that reads every value as it was written, "DECIMAL(24, 4)". VARCHAR, the text of
// the file, where it has none: wider decimals, intervals, durations, lists, structs and maps. BLOB
// stands in the file as \x and hexadecimal digits, which only unhex() reads. Pure.
std::string DuckdbTypeOf(std::string_view arrow_type);

// "SELECT …" for read_csv of `files`, an SQL list; `dialect` are its further options, ", delim =
// ','". Names that differ in case only get _1, _2 behind them, as DuckDB names them of Parquet
// files. Pure.
std::string SelectFromCsv(const std::string& files, const std::vector<CsvColumn>& columns,
                          const std::string& dialect);

}  // namespace bulkhaul::duckdb
