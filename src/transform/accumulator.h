// One aggregate of many groups, a column of states.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <arrow/array.h>
#include <arrow/memory_pool.h>
#include <arrow/type.h>

#include "base/error.h"
#include "plan/grouping.h"

namespace bulkhaul {

// A virtual call a batch, never a row. Groups are numbers from 0. Not thread-safe.
//
// Sums of integers and decimals are exact, in 128 bits, so that neither order nor units change
// them; the result is int64, uint64 or decimal(38,s), and an error when it does not fit. Sums of
// floats are kept as two doubles (about 106 bits), so that order changes at most what is lost far
// below the last digit; finite values that sum to infinity are an error. A mean is its sum divided
// by its count, rounded to double once when the sum is below 2^53 (unscaled) and through 64 bits of
// mantissa above. Smallest and greatest: NaN is the greatest, -0.0 below 0.0, text by its bytes,
// false below true. NULLs are left out; of only NULLs everything but a count is NULL.
class Accumulator {
 public:
  virtual ~Accumulator() = default;
  // `input`: type of the column that is aggregated; nullptr for count of rows. kUser when the
  // function has no meaning for it.
  static Result<std::unique_ptr<Accumulator>> Make(const Aggregate& aggregate,
                                                   const arrow::DataType* input);
  // The columns that a state is written as, and of the result.
  virtual arrow::FieldVector PartialFields() const = 0;
  virtual std::shared_ptr<arrow::DataType> type() const = 0;
  virtual bool nullable() const { return true; }

  // New groups begin empty; Resize(0) forgets all.
  virtual void Resize(size_t groups) = 0;
  // Row i belongs to groups[i]. `input` is nullptr for count of rows.
  virtual Status Update(const arrow::Array* input, std::span<const uint32_t> groups) = 0;
  // The same with states: `partial` has the columns of PartialFields().
  virtual Status Merge(std::span<const std::shared_ptr<arrow::Array>> partial,
                       std::span<const uint32_t> groups) = 0;
  // The states of these groups, in this order.
  virtual Status EmitPartial(std::span<const uint32_t> groups, arrow::MemoryPool* pool,
                             arrow::ArrayVector* out) const = 0;
  virtual Result<std::shared_ptr<arrow::Array>> EmitFinal(std::span<const uint32_t> groups,
                                                          arrow::MemoryPool* pool) const = 0;
  virtual int64_t bytes_per_group() const = 0;
  // Memory of states outside of their column: long texts. Bytes.
  virtual int64_t outside_bytes() const { return 0; }
};

}  // namespace bulkhaul
