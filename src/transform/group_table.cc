#include "transform/group_table.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "base/hash.h"
#include "transform/column_lookup.h"

namespace bulkhaul {

Result<std::unique_ptr<GroupTable>> GroupTable::Make(const Grouping& grouping,
                                                     const std::shared_ptr<arrow::Schema>& input) {
  auto table = std::unique_ptr<GroupTable>(new GroupTable());
  ARROW_ASSIGN_OR_RAISE(auto keys, GroupKeys::Make(grouping.keys, *input));
  for (const auto& key : grouping.keys) {
    ARROW_ASSIGN_OR_RAISE(const int index, FindColumn(*input, key.column, "group_by"));
    table->key_columns_.push_back(index);
  }
  auto partial = keys.fields();
  auto final_fields = partial;
  for (const auto& aggregate : grouping.aggregates) {
    Input from;
    const arrow::DataType* type = nullptr;
    if (!aggregate.column.empty()) {
      ARROW_ASSIGN_OR_RAISE(from.column, FindColumn(*input, aggregate.column, "aggregates"));
      type = input->field(from.column)->type().get();
    }
    ARROW_ASSIGN_OR_RAISE(auto accumulator, Accumulator::Make(aggregate, type));
    const auto fields = accumulator->PartialFields();
    from.partial_begin = static_cast<int>(partial.size());
    from.partial_columns = static_cast<int>(fields.size());
    for (const auto& field : fields) {
      partial.push_back(field->WithName(aggregate.name + ":" + field->name()));
    }
    final_fields.push_back(
        arrow::field(aggregate.name, accumulator->type(), accumulator->nullable()));
    table->inputs_.push_back(from);
    table->accumulators_.push_back(std::move(accumulator));
  }
  table->group_keys_ = std::make_unique<GroupKeys>(std::move(keys));
  table->partial_schema_ = arrow::schema(std::move(partial));
  table->final_schema_ = arrow::schema(std::move(final_fields));
  return table;
}

void GroupTable::Clear() {
  // Kept as large as it grew: what comes next is mostly of the same kind.
  slots_.assign(std::max(slots_.size(), kSlotsMin), Slot{0, kEmpty});
  keys_.clear();
  key_begins_.assign(1, 0);
  hashes_.clear();
  for (auto& accumulator : accumulators_) accumulator->Resize(0);
}

int64_t GroupTable::bytes() const {
  // Two slots a group: slots that a fuller table has left behind are not of these groups.
  const size_t bytes =
      keys_.size() + groups() * (2 * sizeof(Slot) + sizeof(size_t) + sizeof(uint64_t));
  auto total = static_cast<int64_t>(bytes);
  for (const auto& accumulator : accumulators_) {
    total += static_cast<int64_t>(groups()) * accumulator->bytes_per_group() +
             accumulator->outside_bytes();
  }
  return total;
}

void GroupTable::Grow() {
  std::vector<Slot> larger(slots_.size() * 2, Slot{0, kEmpty});
  const size_t mask = larger.size() - 1;
  for (size_t group = 0; group < hashes_.size(); ++group) {
    size_t at = hashes_[group] & mask;
    while (larger[at].group != kEmpty) at = (at + 1) & mask;
    larger[at] = {hashes_[group], static_cast<uint32_t>(group)};
  }
  slots_ = std::move(larger);
}

uint32_t GroupTable::FindOrAdd(std::string_view key, uint64_t hash) {
  const size_t mask = slots_.size() - 1;
  size_t at = hash & mask;
  for (; slots_[at].group != kEmpty; at = (at + 1) & mask) {
    if (slots_[at].hash == hash && KeyOf(slots_[at].group) == key) return slots_[at].group;
  }
  const auto group = static_cast<uint32_t>(hashes_.size());
  slots_[at] = {hash, group};
  keys_.insert(keys_.end(), key.begin(), key.end());
  key_begins_.push_back(keys_.size());
  hashes_.push_back(hash);
  if (hashes_.size() * 2 > slots_.size()) Grow();
  return group;
}

void GroupTable::FindGroups(int64_t rows) {
  groups_of_rows_.resize(static_cast<size_t>(rows));
  std::string_view before;
  for (int64_t row = 0; row < rows; ++row) {
    const std::string_view key = encoded_.Row(row);
    auto& group = groups_of_rows_[static_cast<size_t>(row)];
    // Neighbours often belong together: rows come by time, or by key.
    if (row > 0 && key == before) {
      group = groups_of_rows_[static_cast<size_t>(row) - 1];
    } else {
      group = FindOrAdd(key, Xxh3Of(key));
    }
    before = key;
  }
  for (auto& accumulator : accumulators_) accumulator->Resize(hashes_.size());
}

Status GroupTable::Add(const arrow::RecordBatch& batch, arrow::MemoryPool* pool) {
  if (batch.num_rows() == 0) return Status::OK();
  arrow::ArrayVector keys;
  for (const int column : key_columns_) keys.push_back(batch.column(column));
  ARROW_RETURN_NOT_OK(
      group_keys_->Encode(keys, batch.num_rows(), /*truncated=*/false, pool, &encoded_));
  FindGroups(batch.num_rows());
  for (size_t i = 0; i < accumulators_.size(); ++i) {
    const int column = inputs_[i].column;
    const auto input = column < 0 ? nullptr : batch.column(column);
    ARROW_RETURN_NOT_OK(accumulators_[i]->Update(input.get(), groups_of_rows_));
  }
  return Status::OK();
}

Status GroupTable::AddPartial(const arrow::RecordBatch& batch, arrow::MemoryPool* pool) {
  if (batch.num_rows() == 0) return Status::OK();
  const auto& columns = batch.columns();
  const std::span all(columns);
  ARROW_RETURN_NOT_OK(group_keys_->Encode(all.first(key_columns_.size()), batch.num_rows(),
                                          /*truncated=*/true, pool, &encoded_));
  FindGroups(batch.num_rows());
  for (size_t i = 0; i < accumulators_.size(); ++i) {
    const auto own = all.subspan(static_cast<size_t>(inputs_[i].partial_begin),
                                 static_cast<size_t>(inputs_[i].partial_columns));
    ARROW_RETURN_NOT_OK(accumulators_[i]->Merge(own, groups_of_rows_));
  }
  return Status::OK();
}

void GroupTable::AddGroupOfAll() {
  FindOrAdd({}, Xxh3Of({}));
  for (auto& accumulator : accumulators_) accumulator->Resize(hashes_.size());
}

std::vector<uint32_t> GroupTable::SortedGroups() const {
  // The first bytes beside the number settle most comparisons without a look at the key.
  struct Entry {
    uint64_t first;
    uint32_t group;
  };
  std::vector<Entry> entries(groups());
  for (size_t group = 0; group < entries.size(); ++group) {
    const auto key = KeyOf(static_cast<uint32_t>(group));
    uint64_t first = 0;
    for (size_t i = 0; i < sizeof(first); ++i) {
      first = first << 8 | (i < key.size() ? static_cast<uint8_t>(key[i]) : 0);
    }
    entries[group] = {first, static_cast<uint32_t>(group)};
  }
  std::sort(entries.begin(), entries.end(), [&](const Entry& a, const Entry& b) {
    return a.first != b.first ? a.first < b.first : KeyOf(a.group) < KeyOf(b.group);
  });
  std::vector<uint32_t> sorted(entries.size());
  for (size_t i = 0; i < entries.size(); ++i) sorted[i] = entries[i].group;
  return sorted;
}

std::vector<uint32_t> GroupTable::PartitionedGroups(int bit, int bits,
                                                    std::vector<size_t>* begins) const {
  const size_t partitions = size_t{1} << bits;
  const auto partition_of = [&](uint64_t hash) {
    return static_cast<size_t>(hash << bit >> (64 - bits));
  };
  begins->assign(partitions + 1, 0);
  for (const uint64_t hash : hashes_) ++(*begins)[partition_of(hash) + 1];
  for (size_t i = 0; i < partitions; ++i) (*begins)[i + 1] += (*begins)[i];
  std::vector<size_t> next(begins->begin(), begins->end() - 1);
  std::vector<uint32_t> order(hashes_.size());
  for (size_t group = 0; group < hashes_.size(); ++group) {
    order[next[partition_of(hashes_[group])]++] = static_cast<uint32_t>(group);
  }
  return order;
}

Result<arrow::ArrayVector> GroupTable::DecodeKeys(std::span<const uint32_t> groups,
                                                  arrow::MemoryPool* pool) const {
  std::vector<const uint8_t*> places;
  places.reserve(groups.size());
  for (const uint32_t group : groups) places.push_back(keys_.data() + key_begins_[group]);
  return group_keys_->Decode(std::move(places), pool);
}

Result<std::shared_ptr<arrow::RecordBatch>> GroupTable::EmitPartial(
    std::span<const uint32_t> groups, arrow::MemoryPool* pool) const {
  ARROW_ASSIGN_OR_RAISE(auto columns, DecodeKeys(groups, pool));
  for (const auto& accumulator : accumulators_) {
    ARROW_RETURN_NOT_OK(accumulator->EmitPartial(groups, pool, &columns));
  }
  return arrow::RecordBatch::Make(partial_schema_, static_cast<int64_t>(groups.size()),
                                  std::move(columns));
}

Result<std::shared_ptr<arrow::RecordBatch>> GroupTable::EmitFinal(std::span<const uint32_t> groups,
                                                                  arrow::MemoryPool* pool) const {
  ARROW_ASSIGN_OR_RAISE(auto columns, DecodeKeys(groups, pool));
  for (const auto& accumulator : accumulators_) {
    ARROW_ASSIGN_OR_RAISE(auto column, accumulator->EmitFinal(groups, pool));
    columns.push_back(std::move(column));
  }
  return arrow::RecordBatch::Make(final_schema_, static_cast<int64_t>(groups.size()),
                                  std::move(columns));
}

}  // namespace bulkhaul
