#include "wire/json/column_table.h"

#include <limits>

#include <arrow/util/bitmap_ops.h>

namespace bulkhaul::search {

namespace {

// Marks a struct as null in the rows where all of its members are. They begin at their first bit.
Status MarkRowsWithoutValues(arrow::ArrayData* data, arrow::MemoryPool* pool) {
  const int64_t rows = data->length;
  std::shared_ptr<arrow::Buffer> valid;
  bool copied = false;
  for (const auto& member : data->child_data) {
    const auto& bits = member->buffers[0];
    if (bits == nullptr || member->GetNullCount() == 0) return Status::OK();
    if (valid == nullptr) {
      valid = bits;
      continue;
    }
    if (!copied) {
      ARROW_ASSIGN_OR_RAISE(valid, arrow::internal::CopyBitmap(pool, valid->data(), 0, rows));
      copied = true;
    }
    arrow::internal::BitmapOr(valid->data(), 0, bits->data(), 0, rows, 0, valid->mutable_data());
  }
  if (valid == nullptr) return Status::OK();
  data->null_count = rows - arrow::internal::CountSetBits(valid->data(), 0, rows);
  if (data->GetNullCount() > 0) data->buffers[0] = std::move(valid);
  return Status::OK();
}

Result<std::shared_ptr<arrow::ArrayData>> Assemble(
    const StructGroup& group, const arrow::Field& field, int64_t rows,
    const std::vector<std::shared_ptr<arrow::ArrayData>>& columns, arrow::MemoryPool* pool) {
  if (group.column >= 0) return columns[group.column];
  auto data = arrow::ArrayData::Make(field.type(), rows, {nullptr}, 0);
  for (size_t child = 0; child < group.children.size(); ++child) {
    ARROW_ASSIGN_OR_RAISE(
        auto member, Assemble(group.children[child], *field.type()->field(static_cast<int>(child)),
                              rows, columns, pool));
    data->child_data.push_back(std::move(member));
  }
  ARROW_RETURN_NOT_OK(MarkRowsWithoutValues(data.get(), pool));
  return data;
}

// The types of columns, wherever objects: struct has put them.
void TypesOf(const StructGroup& group, const arrow::FieldVector& fields,
             std::vector<std::shared_ptr<arrow::DataType>>* types) {
  for (size_t child = 0; child < group.children.size(); ++child) {
    const auto& type = fields[child]->type();
    if (group.children[child].column >= 0) {
      (*types)[group.children[child].column] = type;
    } else {
      TypesOf(group.children[child], type->fields(), types);
    }
  }
}

}  // namespace

ColumnTable::~ColumnTable() = default;

Result<std::unique_ptr<ColumnTable>> ColumnTable::Make(const std::vector<ColumnSpec>& specs,
                                                       ObjectForm objects,
                                                       arrow::MemoryPool* pool) {
  std::unique_ptr<ColumnTable> table(new ColumnTable(pool));
  table->groups_ = GroupColumns(specs, objects);
  for (const ColumnSpec& spec : specs) {
    table->columns_.emplace_back();
    table->nested_.emplace_back();
    if (spec.kind == ColumnKind::kNested) {
      ARROW_ASSIGN_OR_RAISE(auto elements, Make(spec.children, objects, pool));
      table->nested_.back() = std::make_unique<NestedColumn>(std::move(elements), pool);
    } else {
      ARROW_ASSIGN_OR_RAISE(table->columns_.back(), ColumnBuffer::Make(spec, pool));
    }
  }
  return table;
}

Status ColumnTable::BeginBatch() {
  for (const auto& column : columns_) {
    if (column != nullptr) ARROW_RETURN_NOT_OK(column->values().BeginBatch());
  }
  for (const auto& nested : nested_) {
    if (nested != nullptr) ARROW_RETURN_NOT_OK(nested->elements().BeginBatch());
  }
  return Status::OK();
}

int64_t ColumnTable::bytes() const {
  int64_t total = 0;
  for (size_t i = 0; i < columns_.size(); ++i) {
    total += columns_[i] ? columns_[i]->bytes() : nested_[i]->bytes();
  }
  return total;
}

int64_t ColumnTable::buffered_bytes() const {
  int64_t total = 0;
  for (size_t i = 0; i < columns_.size(); ++i) {
    total += columns_[i] ? columns_[i]->buffered_bytes() : nested_[i]->buffered_bytes();
  }
  return total;
}

Result<std::vector<std::shared_ptr<arrow::ArrayData>>> ColumnTable::Finish(
    const arrow::FieldVector& fields) {
  std::vector<std::shared_ptr<arrow::DataType>> types(columns_.size());
  TypesOf(groups_, fields, &types);
  std::vector<std::shared_ptr<arrow::ArrayData>> columns(columns_.size());
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (columns_[i]) {
      ARROW_ASSIGN_OR_RAISE(columns[i], columns_[i]->Finish(rows_));
    } else {
      ARROW_ASSIGN_OR_RAISE(columns[i], nested_[i]->Finish(rows_, types[i]));
    }
  }
  std::vector<std::shared_ptr<arrow::ArrayData>> assembled;
  for (size_t child = 0; child < groups_.children.size(); ++child) {
    ARROW_ASSIGN_OR_RAISE(auto data,
                          Assemble(groups_.children[child], *fields[child], rows_, columns, pool_));
    assembled.push_back(std::move(data));
  }
  rows_ = 0;
  return assembled;
}

void ColumnTable::Clear() {
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (columns_[i]) {
      columns_[i]->Clear();
    } else {
      nested_[i]->Clear();
    }
  }
  rows_ = 0;
}

Status NestedColumn::Open(int64_t row) {
  if (list_.rows() > row) return Status::OK();
  if (list_.rows() < row) {
    ARROW_RETURN_NOT_OK(list_.AppendNulls(row - list_.rows(), elements_->rows()));
  }
  return list_.Open(elements_->rows());
}

Status NestedColumn::EndElement() {
  elements_->EndRow();
  if (elements_->rows() >= std::numeric_limits<int32_t>::max()) {
    return PermanentError("a column of one batch has more than 2 billion values");
  }
  return null_elements_ == 0 ? Status::OK() : validity_.Append(true);
}

Status NestedColumn::AppendNullElement() {
  if (null_elements_++ == 0) ARROW_RETURN_NOT_OK(validity_.Append(elements_->rows(), true));
  elements_->EndRow();
  return validity_.Append(false);
}

Result<std::shared_ptr<arrow::ArrayData>> NestedColumn::Finish(
    int64_t rows, std::shared_ptr<arrow::DataType> type) {
  if (list_.rows() < rows) {
    ARROW_RETURN_NOT_OK(list_.AppendNulls(rows - list_.rows(), elements_->rows()));
  }
  const auto& element_type = static_cast<const arrow::ListType&>(*type).value_type();
  const int64_t length = elements_->rows();
  std::shared_ptr<arrow::Buffer> validity;
  if (null_elements_ > 0) {
    ARROW_ASSIGN_OR_RAISE(validity, validity_.Finish(false));
  }
  ARROW_ASSIGN_OR_RAISE(auto members, elements_->Finish(element_type->fields()));
  auto elements = arrow::ArrayData::Make(element_type, length, {std::move(validity)},
                                         std::move(members), null_elements_);
  null_elements_ = 0;
  return list_.Finish(std::move(type), std::move(elements));
}

void NestedColumn::Clear() {
  elements_->Clear();
  list_.Clear();
  null_elements_ = 0;
  validity_.Reset();
}

}  // namespace bulkhaul::search
