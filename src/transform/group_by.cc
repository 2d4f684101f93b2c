#include "transform/group_by.h"

#include <algorithm>
#include <numeric>

namespace bulkhaul {
namespace {

constexpr size_t kRowsOut = 16'384;  // of a batch that is given out or spilled
constexpr int kPartitionBits = 5;
// Groups that agree in so many bits are not told apart by more of them.
constexpr int kHashBitsMax = 40;

}  // namespace

Result<std::shared_ptr<arrow::Schema>> GroupByTransform::Bind(
    const std::shared_ptr<arrow::Schema>& schema) {
  if (!second_pass_) {
    ARROW_ASSIGN_OR_RAISE(table_, GroupTable::Make(grouping_, schema));
    return table_->partial_schema();
  }
  // The table knows from the first Bind what the states are made of.
  if (table_ == nullptr || !table_->partial_schema()->Equals(*schema, false)) {
    return BugError("group_by: the staged rows are not those that its first pass made");
  }
  return table_->final_schema();
}

std::shared_ptr<arrow::Schema> GroupByTransform::PlannedSchema() const {
  return table_ == nullptr ? nullptr : table_->final_schema();
}

Status GroupByTransform::Decide(const std::string&) {
  second_pass_ = true;
  return Status::OK();
}

Result<std::shared_ptr<arrow::RecordBatch>> GroupByTransform::Apply(
    const std::shared_ptr<arrow::RecordBatch>& batch, arrow::MemoryPool* pool) {
  rows_in_ += batch->num_rows();
  if (second_pass_) {
    ARROW_RETURN_NOT_OK(table_->AddPartial(*batch, pool));
    if (full()) ARROW_RETURN_NOT_OK(Spill(0, &partitions_, pool));
    return nullptr;
  }
  batch_ = batch;
  batch_done_ = 0;
  return nullptr;
}

Status GroupByTransform::End(arrow::MemoryPool* pool) {
  ended_ = true;
  if (!second_pass_) {
    BeginEmitting();
    return Status::OK();
  }
  if (grouping_.keys.empty()) table_->AddGroupOfAll();
  if (spill_ == nullptr) {
    BeginEmitting();
    return Status::OK();
  }
  return Spill(0, &partitions_, pool);
}

void GroupByTransform::BeginEmitting() {
  emitting_ = true;
  emitted_ = 0;
  if (second_pass_) {
    order_ = table_->SortedGroups();
  } else {
    order_.resize(table_->groups());
    std::iota(order_.begin(), order_.end(), 0);
  }
}

Result<std::shared_ptr<arrow::RecordBatch>> GroupByTransform::Next(arrow::MemoryPool* pool) {
  for (;;) {
    if (emitting_ && emitted_ < order_.size()) {
      const auto groups =
          std::span(order_).subspan(emitted_, std::min(kRowsOut, order_.size() - emitted_));
      ARROW_ASSIGN_OR_RAISE(auto batch, second_pass_ ? table_->EmitFinal(groups, pool)
                                                     : table_->EmitPartial(groups, pool));
      emitted_ += groups.size();
      rows_out_ += batch->num_rows();
      return batch;
    }
    if (emitting_) {
      emitting_ = false;
      order_ = {};
      table_->Clear();
    }
    if (batch_ != nullptr) {
      // In pieces: a narrow row may make a group of many times its size.
      const auto piece = batch_->Slice(batch_done_, static_cast<int64_t>(kRowsOut));
      ARROW_RETURN_NOT_OK(table_->Add(*piece, pool));
      batch_done_ += piece->num_rows();
      if (batch_done_ >= batch_->num_rows()) batch_.reset();
      if (full()) BeginEmitting();
      continue;
    }
    if (!ended_ || partitions_.empty()) return nullptr;
    ARROW_RETURN_NOT_OK(LoadPartition(pool));
  }
}

// All groups of the table, each to its partition; the table begins again.
Status GroupByTransform::Spill(int bit, std::deque<Partition>* partitions,
                               arrow::MemoryPool* pool) {
  if (spill_ == nullptr) {
    ARROW_ASSIGN_OR_RAISE(spill_, SpillFile::Create(resources_.spill_folder));
  }
  if (partitions->empty()) {
    partitions->resize(size_t{1} << kPartitionBits);
    for (auto& partition : *partitions) partition.bit = bit + kPartitionBits;
  }
  std::vector<size_t> begins;
  const auto order = table_->PartitionedGroups(bit, kPartitionBits, &begins);
  for (size_t p = 0; p + 1 < begins.size(); ++p) {
    for (size_t at = begins[p]; at < begins[p + 1]; at += kRowsOut) {
      const auto groups = std::span(order).subspan(at, std::min(kRowsOut, begins[p + 1] - at));
      ARROW_ASSIGN_OR_RAISE(const auto batch, table_->EmitPartial(groups, pool));
      ARROW_ASSIGN_OR_RAISE(const auto extent, spill_->Write(*batch, pool));
      (*partitions)[p].extents.push_back(extent);
    }
  }
  table_->Clear();
  return Status::OK();
}

// The first partition becomes the table's groups; or, when it is too large, partitions of its own.
Status GroupByTransform::LoadPartition(arrow::MemoryPool* pool) {
  const Partition partition = std::move(partitions_.front());
  partitions_.pop_front();
  std::deque<Partition> parts;
  for (const auto& extent : partition.extents) {
    ARROW_ASSIGN_OR_RAISE(const auto batch, spill_->Read(extent, table_->partial_schema(), pool));
    ARROW_RETURN_NOT_OK(table_->AddPartial(*batch, pool));
    spill_->Forget(extent);
    if (full() && partition.bit < kHashBitsMax) {
      ARROW_RETURN_NOT_OK(Spill(partition.bit, &parts, pool));
    }
  }
  if (parts.empty()) {
    BeginEmitting();
    return Status::OK();
  }
  ARROW_RETURN_NOT_OK(Spill(partition.bit, &parts, pool));
  partitions_.insert(partitions_.begin(), std::make_move_iterator(parts.begin()),
                     std::make_move_iterator(parts.end()));
  return Status::OK();
}

}  // namespace bulkhaul
