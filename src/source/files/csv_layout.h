// How the CSV files of a table are written, and what the user said about it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "plan/column_naming.h"
#include "plan/options.h"
#include "source/files/data_file.h"
#include "source/files/given_types.h"
#include "wire/csv/csv_decoder.h"

namespace bulkhaul::files {

class TextChunks;

struct CsvLayout {
  csv::CsvDialect dialect;
  bool header = true;
  std::string encoding = "utf-8";
  std::map<std::string, csv::CsvType> columns;  // without their Arrow type, which the schema has

  std::string ToJson() const;
  static Result<CsvLayout> FromJson(std::string_view json);
};

// The options about CSV, checked.
struct CsvWishes {
  csv::DialectWishes dialect;
  std::string header, encoding;  // "auto" …
  std::string date_format;       // "": auto
  std::map<std::string, std::string> date_formats;
  std::map<std::string, std::shared_ptr<arrow::DataType>> types;  // of `cast`
  NewNames new_names;
  std::vector<std::string> nulls;
  int decimal_precision = 0, decimal_scale = 0;
  int64_t sample_rows = 0;

  static Result<CsvWishes> Make(const Options& options);
  csv::InferenceWishes InferenceOf(const std::string& column) const;
  // Of `cast`, which speaks of columns by the names that they get; nullptr: none.
  std::shared_ptr<arrow::DataType> CastOf(const std::string& column) const;
  // Whether the column has the type that is given for it.
  bool ContractHolds(const std::string& column, const csv::ColumnInference& inference,
                     const TypeTrial& trial, bool lenient) const;
  // `contract`: the type that it gives the column, or nullptr.
  Result<csv::CsvType> TypeOf(const std::string& column, const csv::ColumnInference& inference,
                              const std::shared_ptr<arrow::DataType>& contract) const;
  bool IsNull(std::string_view value) const;
};

csv::CsvReading ReadingOf(const Options& options);
// Names for the columns that have none: column_1, column_2 …
std::vector<std::string> ColumnNames(std::vector<std::string> header);
// The delimiter that a first line `sep=;` declares, as Excel writes it, and past that line; NUL
// where there is none. At the begin of a file.
Result<char> TakeSeparatorLine(TextChunks& chunks);
// Encoding, dialect and header, from the begin of the file.
Status DetectLayout(const DataFile& file, const CsvWishes& wishes, int64_t row_bytes_max,
                    CsvLayout* layout);

}  // namespace bulkhaul::files
