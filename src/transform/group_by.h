// group_by and aggregates: groups instead of rows.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "transform/group_table.h"
#include "transform/spill_file.h"
#include "transform/transform.h"

namespace bulkhaul {

// First pass: a unit's rows become partial rows, the states of its groups; when they outgrow their
// memory, what there is goes out and the table begins again. Second pass: the partial rows of all
// units become one row a group, sorted by the key. Groups that do not fit the memory are spilled by
// the bits of their hash, and partition after partition is finished, each sorted by itself.
class GroupByTransform : public Transform {
 public:
  explicit GroupByTransform(Grouping grouping) : grouping_(std::move(grouping)) {}
  std::string name() const override { return "group_by"; }
  Scope scope() const override { return Scope::kJob; }
  bool one_assembly() const override { return true; }
  void Use(const TransformResources& resources) override { resources_ = resources; }
  Result<std::shared_ptr<arrow::Schema>> Bind(
      const std::shared_ptr<arrow::Schema>& schema) override;
  std::shared_ptr<arrow::Schema> PlannedSchema() const override;
  Result<std::shared_ptr<arrow::RecordBatch>> Apply(
      const std::shared_ptr<arrow::RecordBatch>& batch, arrow::MemoryPool* pool) override;
  Status End(arrow::MemoryPool* pool) override;
  Result<std::shared_ptr<arrow::RecordBatch>> Next(arrow::MemoryPool* pool) override;
  int64_t RowBefore(int64_t) const override { return -1; }
  int64_t rows_merged() const override { return rows_in_ - rows_out_; }
  Status Decide(const std::string& decision) override;

 private:
  // Spilled groups whose hashes agree in the bits before `bit`.
  struct Partition {
    int bit = 0;
    std::vector<SpillFile::Extent> extents;
  };
  // Containers double, so that they may hold twice what is in them.
  bool full() const { return table_->bytes() > resources_.bytes_max / 2; }
  Status Spill(int bit, std::deque<Partition>* partitions, arrow::MemoryPool* pool);
  void BeginEmitting();
  Status LoadPartition(arrow::MemoryPool* pool);

  const Grouping grouping_;
  bool second_pass_ = false;
  TransformResources resources_;
  std::unique_ptr<GroupTable> table_;
  int64_t rows_in_ = 0, rows_out_ = 0;
  // First pass: the batch that Next() goes on with, and how far it is.
  std::shared_ptr<arrow::RecordBatch> batch_;
  int64_t batch_done_ = 0;
  // What Next() gives out: groups of the table, from `emitted_`.
  bool emitting_ = false;
  std::vector<uint32_t> order_;
  size_t emitted_ = 0;
  // Second pass, once the memory was full.
  std::unique_ptr<SpillFile> spill_;
  std::deque<Partition> partitions_;  // not yet finished, in order
  bool ended_ = false;
};

}  // namespace bulkhaul
