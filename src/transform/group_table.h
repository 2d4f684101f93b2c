// Groups and the states of their aggregates, in memory.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <arrow/record_batch.h>

#include "plan/grouping.h"
#include "transform/accumulator.h"
#include "transform/group_keys.h"

namespace bulkhaul {

// A hash table with open addressing over the keys' bytes, which lie one after the other. Not
// thread-safe.
class GroupTable {
 public:
  // kUser, with the nearest name, when a column is not there or of a type that does not do.
  static Result<std::unique_ptr<GroupTable>> Make(const Grouping& grouping,
                                                  const std::shared_ptr<arrow::Schema>& input);
  // Keys, then the columns of each aggregate's state.
  const std::shared_ptr<arrow::Schema>& partial_schema() const { return partial_schema_; }
  const std::shared_ptr<arrow::Schema>& final_schema() const { return final_schema_; }

  // Rows of the input.
  Status Add(const arrow::RecordBatch& batch, arrow::MemoryPool* pool);
  // Rows of the partial schema.
  Status AddPartial(const arrow::RecordBatch& batch, arrow::MemoryPool* pool);
  // The group of all rows, also when there are none: for a grouping without keys.
  void AddGroupOfAll();
  void Clear();

  size_t groups() const { return hashes_.size(); }
  // Of all groups; their containers may have taken twice as much. Bytes.
  int64_t bytes() const;
  // Groups by their keys' order.
  std::vector<uint32_t> SortedGroups() const;
  // Groups by the bits of their hash from `bit` (of 64, from the top); partition p is
  // [begins[p], begins[p + 1]). Other bits than those that find a slot.
  std::vector<uint32_t> PartitionedGroups(int bit, int bits, std::vector<size_t>* begins) const;

  Result<std::shared_ptr<arrow::RecordBatch>> EmitPartial(std::span<const uint32_t> groups,
                                                          arrow::MemoryPool* pool) const;
  Result<std::shared_ptr<arrow::RecordBatch>> EmitFinal(std::span<const uint32_t> groups,
                                                        arrow::MemoryPool* pool) const;

 private:
  struct Slot {
    uint64_t hash;
    uint32_t group;
  };
  struct Input {
    int column = -1;  // of the input; -1: none
    int partial_begin = 0, partial_columns = 0;
  };
  static constexpr uint32_t kEmpty = UINT32_MAX;
  static constexpr size_t kSlotsMin = 1024;

  GroupTable() { Clear(); }
  // Fills groups_of_rows_ for encoded_.
  void FindGroups(int64_t rows);
  uint32_t FindOrAdd(std::string_view key, uint64_t hash);
  void Grow();
  std::string_view KeyOf(uint32_t group) const {
    return {reinterpret_cast<const char*>(keys_.data()) + key_begins_[group],
            key_begins_[group + 1] - key_begins_[group]};
  }
  Result<arrow::ArrayVector> DecodeKeys(std::span<const uint32_t> groups,
                                        arrow::MemoryPool* pool) const;

  std::unique_ptr<GroupKeys> group_keys_;
  std::vector<int> key_columns_;
  std::vector<Input> inputs_;
  std::vector<std::unique_ptr<Accumulator>> accumulators_;
  std::shared_ptr<arrow::Schema> partial_schema_, final_schema_;

  std::vector<Slot> slots_;  // a power of two of them, at most half of them taken
  std::vector<uint8_t> keys_;
  std::vector<size_t> key_begins_;  // one more than there are groups
  std::vector<uint64_t> hashes_;
  EncodedKeys encoded_;                   // scratch
  std::vector<uint32_t> groups_of_rows_;  // scratch
};

}  // namespace bulkhaul
