#include "transform/accumulator.h"

#include <fmt/format.h>

#include "plan/type_name.h"
#include "transform/accumulator_kinds.h"

namespace bulkhaul {
namespace {

// Count of rows, or of values that are not NULL.
class Count : public PlainState {
 public:
  arrow::FieldVector PartialFields() const override {
    return {arrow::field("count", arrow::int64(), false)};
  }
  std::shared_ptr<arrow::DataType> type() const override { return arrow::int64(); }
  bool nullable() const override { return false; }
  void Resize(size_t groups) override { counts_.resize(groups, 0); }

  Status Update(const arrow::Array* input, std::span<const uint32_t> groups) override {
    const bool nulls = input != nullptr && input->null_count() > 0;
    for (size_t i = 0; i < groups.size(); ++i) {
      counts_[groups[i]] += !nulls || input->IsValid(static_cast<int64_t>(i));
    }
    return Status::OK();
  }
  Status Merge(std::span<const std::shared_ptr<arrow::Array>> partial,
               std::span<const uint32_t> groups) override {
    const auto* counts = static_cast<const arrow::Int64Array&>(*partial[0]).raw_values();
    for (size_t i = 0; i < groups.size(); ++i) counts_[groups[i]] += counts[i];
    return Status::OK();
  }
  Result<std::shared_ptr<arrow::Array>> EmitFinal(std::span<const uint32_t> groups,
                                                  arrow::MemoryPool* pool) const override {
    const std::vector<int64_t>* all_valid = nullptr;
    return GatherFixed(arrow::int64(), groups, counts_, all_valid, pool);
  }
  int64_t bytes_per_group() const override { return sizeof(int64_t); }

 private:
  std::vector<int64_t> counts_;
};

}  // namespace

Result<std::unique_ptr<Accumulator>> Accumulator::Make(const Aggregate& aggregate,
                                                       const arrow::DataType* input) {
  std::unique_ptr<Accumulator> made;
  switch (aggregate.function) {
    case AggregateFunction::kCount:
      return std::make_unique<Count>();
    case AggregateFunction::kSum:
    case AggregateFunction::kMean:
      made = MakeSum(aggregate, *input);
      break;
    case AggregateFunction::kMin:
    case AggregateFunction::kMax:
      made = MakeExtreme(aggregate, *input);
      break;
  }
  if (made != nullptr) return made;
  return UserError(
      fmt::format("aggregates: {} has no meaning for column '{}', which is {}; cast "
                  "it to a type that has one",
                  AggregateFunctionName(aggregate.function), aggregate.column, TypeName(*input)));
}

}  // namespace bulkhaul
