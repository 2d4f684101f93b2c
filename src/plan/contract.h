// What a table's rows must be, as a file that people read and edit (docs/contracts.md).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <arrow/scalar.h>
#include <arrow/type.h>

#include "base/error.h"
#include "plan/values.h"

namespace bulkhaul {

struct ContractColumn {
  std::string name;
  std::string type;  // as TypeName() writes it; "": any
  bool nullable = true;
  bool unique = false;
  std::string min, max;                      // as written; "": none
  int64_t min_length = -1, max_length = -1;  // characters of text, bytes of binary; -1: none
  std::string pattern;                       // RE2 that the whole text must match; "": none
  std::vector<std::string> allowed;          // none: any value
  std::string note;                          // a comment that ToYaml() writes; not read back
  bool operator==(const ContractColumn&) const = default;
};

// One table's contract. Columns in their order. NULL breaks no rule but `nullable: false`.
struct Contract {
  std::vector<ContractColumn> columns;
  int64_t rows_min = -1, rows_max = -1;  // -1: none
  std::string freshness_column;          // its youngest value must be …
  int64_t freshness_ms = -1;             // … at most this old; -1: none
  bool operator==(const Contract&) const = default;

  const ContractColumn* Find(std::string_view column) const;
  // Whether something is only known when all rows are: unique, row counts, freshness.
  bool JudgesTable() const;
  // Whether rows are looked at one by one.
  bool JudgesRows() const;
  std::string ToYaml() const;
};

// A file may hold one contract for whatever table it is given to (name ""), or several by table
// patterns, of which the first that fits is taken.
struct ContractFile {
  std::vector<std::pair<std::string, Contract>> tables;

  // nullptr when there is none for this table.
  const Contract* For(const DatasetId& id) const;
  std::string ToYaml() const;
};

// Strict: an unknown key, a rule that does not fit the column's type or a bound that is no value of
// it is kUser with "file:line:column: …". Pure.
Result<ContractFile> ParseContract(std::string_view text, std::string_view file_name);
Result<ContractFile> LoadContract(const std::string& path);

// The contracts that options name, each file read once. Not thread-safe.
class Contracts {
 public:
  // The dataset's; nullptr where its options name none. kUser when the file says nothing of it. The
  // contract lives as long as this does.
  Result<const Contract*> For(const Options& options, const DatasetId& id);

 private:
  std::map<std::string, ContractFile> files_;
};

// A bound or allowed value as a value of the type. kUser when it is none. Pure.
Result<std::shared_ptr<arrow::Scalar>> ParseContractValue(
    const std::shared_ptr<arrow::DataType>& type, std::string_view text);
// Whether min and max mean something for values of the type; and lengths.
bool HasOrder(const arrow::DataType& type);
bool HasLength(const arrow::DataType& type);

}  // namespace bulkhaul
