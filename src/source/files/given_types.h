// The types that a table's contract, or else the table that rows go into, gives columns whose files
// do not say what they hold: those of CSV and JSON lines, and of folders named "key=value".
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include <arrow/type.h>

#include "plan/column_naming.h"
#include "plan/contract.h"
#include "plan/options.h"
#include "plan/values.h"

namespace bulkhaul::files {

// A contract calls columns by the names that they get (`rename`, `column_naming`); the columns here
// are those of the files. Immutable.
class GivenTypes {
 public:
  GivenTypes() = default;  // none
  // `there`: the columns of the table that rows go into; nullptr: none. kUser when the contract
  // cannot be read or says nothing of the dataset.
  static Result<GivenTypes> Make(const Options& options, const DatasetId& id, Contracts* contracts,
                                 const arrow::Schema* there);

  bool empty() const { return types_.empty(); }
  // nullptr: nobody has a type for it, `cast` has one, or the column is not taken.
  std::shared_ptr<arrow::DataType> Of(const std::string& column) const;
  // Whether one value of another type is enough for the column to be what its values show: `drift`
  // lets it pass, or the table's server may read the text (infinity, 44-03-15 BC).
  bool Lenient(const std::string& column) const;

 private:
  struct Given {
    std::shared_ptr<arrow::DataType> type;
    bool lenient = false;
  };
  const Given* Find(const std::string& column) const;

  std::map<std::string, Given> types_;  // by new names
  NewNames new_names_;
  std::set<std::string> columns_, dropped_;  // names in the files; no columns: all
};

// The values of a sample against the type that is given for their column.
class TypeTrial {
 public:
  // nullptr: nothing is tried.
  explicit TypeTrial(std::shared_ptr<arrow::DataType> type = nullptr) : type_(std::move(type)) {}

  // A value that is not NULL.
  void Add(std::string_view value, const std::string& file, int64_t line);
  const std::shared_ptr<arrow::DataType>& type() const { return type_; }
  bool seen() const { return fits_ + misfits_ > 0; }
  // Whether the column has the type: a value that does not fit is one that is wrong. Not where no
  // value is of the type, or where any misfit may make another type: then the column has changed.
  bool Holds(bool lenient) const { return misfits_ == 0 || (fits_ > 0 && !lenient); }
  // The first that does not fit and where it is; "" when all do.
  const std::string& misfit() const { return misfit_; }

 private:
  std::shared_ptr<arrow::DataType> type_;
  int64_t fits_ = 0, misfits_ = 0;
  std::string misfit_;
};

}  // namespace bulkhaul::files
