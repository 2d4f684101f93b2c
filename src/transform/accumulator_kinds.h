// What accumulator.cc puts together. Inside transform/ only.
#pragma once

#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include <arrow/buffer_builder.h>

#include "transform/accumulator.h"

namespace bulkhaul {

// nullptr when the type cannot be summed.
std::unique_ptr<Accumulator> MakeSum(const Aggregate& aggregate, const arrow::DataType& input);
// min and max; nullptr when the type has no order.
std::unique_ptr<Accumulator> MakeExtreme(const Aggregate& aggregate, const arrow::DataType& input);

// The bitmap of groups with a value; nullptr when all have one. `counts`: nullptr, all have one.
template <typename Counts>
Result<std::shared_ptr<arrow::Buffer>> ValidBitmap(std::span<const uint32_t> groups,
                                                   const Counts* counts, arrow::MemoryPool* pool,
                                                   int64_t* nulls) {
  *nulls = 0;
  if (counts == nullptr) return nullptr;
  arrow::TypedBufferBuilder<bool> valid(pool);
  ARROW_RETURN_NOT_OK(valid.Reserve(static_cast<int64_t>(groups.size())));
  for (const uint32_t group : groups) valid.UnsafeAppend((*counts)[group] != 0);
  *nulls = valid.false_count();
  if (*nulls == 0) return nullptr;
  return valid.Finish();
}

// An array of a type whose values are as wide as T, made of these groups' values.
template <typename T, typename Counts = std::vector<int64_t>>
Result<std::shared_ptr<arrow::Array>> GatherFixed(const std::shared_ptr<arrow::DataType>& type,
                                                  std::span<const uint32_t> groups,
                                                  const std::vector<T>& values,
                                                  const Counts* counts, arrow::MemoryPool* pool) {
  const auto rows = static_cast<int64_t>(groups.size());
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> buffer,
                        arrow::AllocateBuffer(rows * static_cast<int64_t>(sizeof(T)), pool));
  uint8_t* to = buffer->mutable_data();
  for (const uint32_t group : groups) {
    std::memcpy(to, &values[group], sizeof(T));
    to += sizeof(T);
  }
  int64_t nulls = 0;
  ARROW_ASSIGN_OR_RAISE(auto bitmap, ValidBitmap(groups, counts, pool, &nulls));
  return arrow::MakeArray(arrow::ArrayData::Make(type, rows, {bitmap, buffer}, nulls));
}

// One whose state is the result so far.
class PlainState : public Accumulator {
 public:
  Status EmitPartial(std::span<const uint32_t> groups, arrow::MemoryPool* pool,
                     arrow::ArrayVector* out) const final {
    ARROW_ASSIGN_OR_RAISE(auto array, EmitFinal(groups, pool));
    out->push_back(std::move(array));
    return Status::OK();
  }
};

}  // namespace bulkhaul
