// Column types of CSV from a sample of values.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/type.h>

#include "base/error.h"
#include "wire/json/date_format.h"

namespace bulkhaul::csv {

// How one column's text becomes values.
struct CsvType {
  std::shared_ptr<arrow::DataType> type = arrow::utf8();
  // Pattern of dates that are not ISO 8601, as DateFormat takes it; "" for ISO 8601.
  std::string date_format;
  std::vector<std::string> nulls;  // texts of NULL beside the empty one
  bool given = false;              // by the user: no sample finds another type
  bool contract = false;           // given by the contract or the table that rows go into
};

struct InferenceWishes {
  std::string date_format;                       // "": auto
  int decimal_precision = 0, decimal_scale = 0;  // 0: double
  std::string cast_name = {};                    // CsvColumn::cast_name
};

// What all values of a column have in common. Not thread-safe.
class ColumnInference {
 public:
  explicit ColumnInference(const InferenceWishes& wishes);
  // A value that is not NULL. `quoted` values count as unquoted ones do.
  void Add(std::string_view value);
  // kUser where dates leave open which part is the day; `column` is for the message.
  Result<CsvType> Decide(const std::string& column) const;
  const std::vector<std::string>& nulls() const { return nulls_; }
  bool seen() const { return values_ > 0; }  // a value
  // Whether every value is of the pattern that was wished for.
  bool FitsWishedPattern() const;

 private:
  struct Pattern {
    std::string format;
    std::shared_ptr<const search::DateFormat> parser;
    bool date_only;
    bool fits = true;
  };
  void AddDate(std::string_view value);

  InferenceWishes wishes_;
  int64_t values_ = 0;
  bool integer_ = true, number_ = true, whole_ = true, boolean_ = true, date_ = true,
       timestamp_ = true, zoned_ = true, time_ = true, patterns_alive_ = true;
  int digits_ = 0, scale_ = 0, significant_ = 0, fraction_digits_ = 0;
  bool exponent_ = false;
  bool exact_ = true;  // as doubles
  std::string first_;  // value, for messages
  std::vector<std::string> nulls_;
  std::vector<Pattern> patterns_;
};

// Whether the text is a value of a type that CSV is read as (IsCsvType), without a date pattern.
bool IsValueOf(const arrow::DataType& type, std::string_view text);

// Whether values of a pattern are days, without a time.
bool IsDatePattern(std::string_view format);

// Texts that stand for NULL in columns of another type than text.
bool MayMeanNull(std::string_view value);

}  // namespace bulkhaul::csv
