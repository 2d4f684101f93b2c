// What a contract says of the columns of JSON lines.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "plan/options.h"
#include "source/files/data_file.h"
#include "source/files/given_types.h"
#include "source/files/json_sift.h"
#include "source/files/json_values.h"

namespace bulkhaul::files {

// How the files of a table are written, and which columns have their types by a contract.
struct JsonLayout {
  std::string encoding;
  std::set<std::string> contract;
  std::set<std::string> as_text;  // columns whose numbers are taken as text for it

  std::string ToJson() const;
  static JsonLayout From(std::string_view json);
  JsonCasts CastsOf(const Options& options) const;
};

// Whether a part of the type is not known, because it was NULL throughout.
bool HasUnknown(const arrow::DataType& type);

// The values of a sample against the types that are given for their columns. Not thread-safe.
class JsonTrials {
 public:
  explicit JsonTrials(const GivenTypes& given) : given_(given) {}

  // `lines` and `line`: the rows as they are in the file, and where the text that they are of
  // begins.
  void Add(const arrow::RecordBatch& batch, const DataFile& file, const SiftedLines& lines,
           int64_t line, JsonValues* values);
  // nullptr: none is given that JSON is read as.
  std::shared_ptr<arrow::DataType> TypeFor(const std::string& column) const;
  // Whether the column has that type, where Arrow finds `shown` in the sample.
  bool Holds(const std::string& column, const arrow::DataType& shown) const;
  // TypeTrial::misfit()
  std::string MisfitOf(const std::string& column) const;

 private:
  const GivenTypes& given_;
  std::map<std::string, TypeTrial> trials_;
};

}  // namespace bulkhaul::files
