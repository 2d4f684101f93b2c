// The values of JSON lines one by one, where Arrow's reader says too little: which value is not
// what its field holds, where a row begins, and what a value is as text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/type.h>

#include "plan/column_naming.h"
#include "plan/options.h"
#include "source/files/given_types.h"
#include "wire/json/json_tokens.h"

namespace bulkhaul::files {

// What `cast` says about the columns of files, which it calls by the names that they get.
class JsonCasts {
 public:
  // `contract`: of which it takes what is to be text; outlives it.
  explicit JsonCasts(const Options& options, const GivenTypes* given = nullptr);
  bool Has(const std::string& column) const { return types_.contains(NewName(column)); }
  // Whether the column's values are taken as they are written: as text, or as decimals, whose
  // digits a double would lose.
  bool AsText(const std::string& column) const;
  // Also columns, by their names in the file, that are to be text or decimals (GivenTypes): their
  // numbers and truth values are taken so.
  void AddScalarsAsText(const std::string& column) { scalars_as_text_.insert(column); }
  bool ScalarsAsText(const std::string& column) const;
  bool any_as_text() const;
  // By which `cast` calls the column.
  std::string NewName(const std::string& column) const { return new_names_.Of(column); }

 private:
  std::map<std::string, std::shared_ptr<arrow::DataType>> types_;  // null: the cast says why not
  NewNames new_names_;
  const GivenTypes* given_;
  std::set<std::string> scalars_as_text_;
};

struct JsonMisfit {
  size_t offset = 0, bytes = 0;  // of the value in the text
  std::string column;            // at the top
  std::string path;              // s.list[].x
  std::string what;              // is wrong: "'1.5' is no int64"
  std::string type;              // of the field
  bool unknown_field = false;
  bool wider_fits = false;  // a sample that has the value gives a type that holds it
  bool contract = false;    // which gave the type
};

// What is wrong, and what to do about it. `larger_sample`: ReadPlan's.
std::string MisfitText(const JsonMisfit& misfit, const JsonCasts& casts,
                       std::string_view larger_sample);

// A value for people: text without its quotes, of bounded length, valid UTF-8.
std::string JsonValueShown(std::string_view raw);

// Walks the values of texts and keeps its buffers. Not thread-safe.
class JsonValues {
 public:
  // Values that the fields of `schema` do not hold, or not exactly, in the order of the text; up to
  // text that is no JSON, of which the parser says what is wrong.
  std::vector<JsonMisfit> Misfits(std::string_view text, const arrow::Schema& schema,
                                  size_t misfits_max);
  // The same without a schema: values of another kind (text, number …) than the first one of their
  // field, in this text or those before it.
  std::vector<JsonMisfit> OtherKinds(std::string_view text, size_t misfits_max);
  // Makes what most of the text's values are the kind of each field that has none yet. Lines that
  // are no JSON do not count.
  void TakeUsualKinds(std::string_view text);
  // The first top-level field, and its raw value, that is not valid UTF-8; false: none is found.
  bool FindInvalidUtf8(std::string_view line, std::string* column, std::string_view* raw);
  // The text with null for each of them.
  static std::string WithNulls(std::string_view text, const std::vector<JsonMisfit>& misfits);
  // Makes strings of the values of columns that are to be taken as text. False: there was nothing
  // to do, and `out` is empty.
  bool Textify(std::string_view text, const JsonCasts& casts, std::string* out);
  // Where a row begins, from 0; the end of the text when it has no such row.
  size_t OffsetOfRow(std::string_view text, int64_t row);

 private:
  class Walk;

  search::TokenIndex index_;
  std::map<std::string, char> kinds_;  // by path
};

}  // namespace bulkhaul::files
