// Makes Arrow arrays from hashes: each value is a pure function of its column and one 64-bit hash.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include <arrow/array/array_base.h>
#include <arrow/memory_pool.h>

#include "source/generator/generator_spec.h"

namespace bulkhaul {

// The finaliser of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
// generators", 2014). A bijection.
constexpr uint64_t Mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

// The hashes of rows [first_row, first_row + hashes.size()) of one column.
void RowHashes(uint64_t table_seed, uint64_t column, int64_t first_row, std::span<uint64_t> hashes);

// One value for each hash. `first_row` is the row of hashes[0], for serial columns.
Result<std::shared_ptr<arrow::Array>> GenerateColumn(const GeneratorColumn& column,
                                                     std::span<const uint64_t> hashes,
                                                     int64_t first_row, arrow::MemoryPool* pool);

}  // namespace bulkhaul
