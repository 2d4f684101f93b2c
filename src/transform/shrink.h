// The narrowest types that hold every value of a table, decided once from all its units.
//
// Integers to fewer bytes; decimals to fewer digits, or to integers when none has a fraction;
// doubles to float32 when each value is exact there or within the tolerance; strings to a
// dictionary when values come at least twice on average. A column without values keeps its type.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "transform/column_statistics.h"
#include "transform/dictionary_builder.h"
#include "transform/transform.h"

namespace bulkhaul {

class ShrinkTransform : public Transform {
 public:
  explicit ShrinkTransform(double float_tolerance) : float_tolerance_(float_tolerance) {}
  std::string name() const override { return "shrink"; }
  Scope scope() const override { return Scope::kJob; }
  Result<std::shared_ptr<arrow::Schema>> Bind(
      const std::shared_ptr<arrow::Schema>& schema) override;
  Result<std::shared_ptr<arrow::RecordBatch>> Apply(
      const std::shared_ptr<arrow::RecordBatch>& batch, arrow::MemoryPool* pool) override;
  Result<std::string> FinishUnit() override;
  // Bind must have been called with the schema that the units had.
  Result<std::string> Merge(std::span<const std::string> states) override;
  Status Decide(const std::string& decision) override;
  std::vector<std::string> Explain() const override;

 private:
  struct Choice {
    std::string column;
    std::shared_ptr<arrow::DataType> before, after;
    int64_t bytes_before = 0, bytes_after = 0;
  };

  const double float_tolerance_;
  std::shared_ptr<arrow::Schema> schema_;     // as it comes in
  std::vector<ColumnStatistics> statistics_;  // while observing
  bool decided_ = false;
  std::vector<Choice> choices_;  // one a column, once decided
  std::shared_ptr<arrow::Schema> shrunk_schema_;
  std::map<size_t, DictionaryBuilder> dictionaries_;  // by column
};

}  // namespace bulkhaul
