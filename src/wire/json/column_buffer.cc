#include "wire/json/column_buffer.h"

#include <algorithm>

#include <arrow/type.h>

namespace bulkhaul::search {

namespace {

bool HasOffsets(const arrow::DataType& type) {
  return type.id() == arrow::Type::STRING || type.id() == arrow::Type::BINARY;
}

std::shared_ptr<arrow::DataType> ElementType(const ColumnSpec& spec) {
  auto type = PageLayout().TypeOf(spec);
  return type->id() == arrow::Type::LIST ? static_cast<const arrow::ListType&>(*type).value_type()
                                         : type;
}

Result<std::shared_ptr<arrow::Buffer>> TakeValidity(arrow::TypedBufferBuilder<bool>* validity,
                                                    int64_t null_count) {
  if (null_count == 0) return nullptr;
  return validity->Finish(false);
}

}  // namespace

ValueBuffer::ValueBuffer(ColumnKind kind, std::shared_ptr<arrow::DataType> type,
                         arrow::MemoryPool* pool)
    : kind_(kind),
      type_(std::move(type)),
      type_has_offsets_(HasOffsets(*type_)),
      width_(type_has_offsets_ || type_->id() == arrow::Type::STRUCT ? 0 : type_->byte_width()),
      values_(pool),
      longitudes_(pool),
      offsets_(pool),
      bits_(pool),
      validity_(pool) {}

Status ValueBuffer::AppendOffset() {
  if (values_.length() > std::numeric_limits<int32_t>::max()) {
    return PermanentError("a column of one batch has more than 2 GiB of text");
  }
  return offsets_.Append(static_cast<int32_t>(values_.length()));
}

Status ValueBuffer::AppendBool(bool value) {
  ARROW_RETURN_NOT_OK(bits_.Append(value));
  return MarkValid();
}

Status ValueBuffer::AppendBytes(std::string_view bytes) {
  ARROW_RETURN_NOT_OK(AppendOffset());
  ARROW_RETURN_NOT_OK(values_.Append(bytes.data(), static_cast<int64_t>(bytes.size())));
  return MarkValid();
}

Status ValueBuffer::AppendPoint(double latitude, double longitude) {
  ARROW_RETURN_NOT_OK(values_.Append(&latitude, sizeof(double)));
  ARROW_RETURN_NOT_OK(longitudes_.Append(&longitude, sizeof(double)));
  return MarkValid();
}

Status ValueBuffer::AppendNulls(int64_t count) {
  if (count == 0) return Status::OK();
  if (null_count_ == 0) ARROW_RETURN_NOT_OK(validity_.Append(length_, true));
  ARROW_RETURN_NOT_OK(validity_.Append(count, false));
  if (type_has_offsets_) {
    ARROW_RETURN_NOT_OK(offsets_.Append(count, static_cast<int32_t>(values_.length())));
  } else if (kind_ == ColumnKind::kBool) {
    ARROW_RETURN_NOT_OK(bits_.Append(count, false));
  } else if (kind_ == ColumnKind::kGeoPoint) {
    ARROW_RETURN_NOT_OK(values_.Append(count * 8, uint8_t{0}));
    ARROW_RETURN_NOT_OK(longitudes_.Append(count * 8, uint8_t{0}));
  } else {
    ARROW_RETURN_NOT_OK(values_.Append(count * width_, uint8_t{0}));
  }
  length_ += count;
  null_count_ += count;
  return Status::OK();
}

Result<uint8_t*> ValueBuffer::Room(int64_t bytes) {
  ARROW_RETURN_NOT_OK(values_.Reserve(bytes));
  return values_.mutable_data() + values_.length();
}

Status ValueBuffer::AppendWritten(int64_t bytes) {
  ARROW_RETURN_NOT_OK(AppendOffset());
  values_.UnsafeAdvance(bytes);
  return MarkValid();
}

std::string_view ValueBuffer::LastText() const {
  const int32_t begin = offsets_.data()[length_ - 1];
  return {reinterpret_cast<const char*>(values_.data()) + begin,
          static_cast<size_t>(values_.length() - begin)};
}

Status ValueBuffer::RewriteLastText(int64_t kept, std::string_view text) {
  values_.Rewind(offsets_.data()[length_ - 1] + kept);
  return values_.Append(text.data(), static_cast<int64_t>(text.size()));
}

int64_t ValueBuffer::bytes() const {
  return values_.length() + longitudes_.length() + (type_has_offsets_ ? length_ * 4 : 0) +
         (kind_ == ColumnKind::kBool ? length_ / 8 : 0) + (null_count_ > 0 ? length_ / 8 : 0);
}

int64_t ValueBuffer::buffered_bytes() const {
  return values_.capacity() + longitudes_.capacity() +
         offsets_.capacity() * static_cast<int64_t>(sizeof(int32_t)) +
         (bits_.capacity() + validity_.capacity()) / 8;
}

Result<std::shared_ptr<arrow::ArrayData>> ValueBuffer::Finish() {
  if (values_.length() > std::numeric_limits<int32_t>::max()) {
    return PermanentError("a column of one batch has more than 2 GiB of text");
  }
  ARROW_ASSIGN_OR_RAISE(auto validity, TakeValidity(&validity_, null_count_));
  std::shared_ptr<arrow::ArrayData> data;
  const int64_t values_bytes = values_.length();
  if (kind_ == ColumnKind::kGeoPoint) {
    ARROW_ASSIGN_OR_RAISE(auto latitudes, values_.Finish(false));
    ARROW_ASSIGN_OR_RAISE(auto longitudes, longitudes_.Finish(false));
    data = arrow::ArrayData::Make(type_, length_, {validity}, null_count_);
    for (const auto& buffer : {latitudes, longitudes}) {
      data->child_data.push_back(
          arrow::ArrayData::Make(arrow::float64(), length_, {nullptr, buffer}, 0));
    }
  } else if (kind_ == ColumnKind::kBool) {
    ARROW_ASSIGN_OR_RAISE(auto bits, bits_.Finish(false));
    data = arrow::ArrayData::Make(type_, length_, {validity, bits}, null_count_);
  } else if (type_has_offsets_) {
    ARROW_RETURN_NOT_OK(offsets_.Append(static_cast<int32_t>(values_bytes)));
    ARROW_ASSIGN_OR_RAISE(auto offsets, offsets_.Finish(false));
    ARROW_ASSIGN_OR_RAISE(auto text, values_.Finish(false));
    data = arrow::ArrayData::Make(type_, length_, {validity, offsets, text}, null_count_);
  } else {
    ARROW_ASSIGN_OR_RAISE(auto values, values_.Finish(false));
    data = arrow::ArrayData::Make(type_, length_, {validity, values}, null_count_);
  }
  Clear();
  last_bytes_ = values_bytes;
  return data;
}

Status ValueBuffer::BeginBatch() {
  constexpr int64_t kReservedBytesMax = 4 << 20;
  return values_.Reserve(std::min(last_bytes_, kReservedBytesMax));
}

void ValueBuffer::Clear() {
  length_ = null_count_ = 0;
  values_.Reset();
  longitudes_.Reset();
  offsets_.Reset();
  bits_.Reset();
  validity_.Reset();
}

Status ListRows::Open(int64_t length) {
  ARROW_RETURN_NOT_OK(offsets_.Append(static_cast<int32_t>(length)));
  ++rows_;
  return null_rows_ == 0 ? Status::OK() : validity_.Append(true);
}

Status ListRows::AppendNulls(int64_t count, int64_t length) {
  if (null_rows_ == 0) ARROW_RETURN_NOT_OK(validity_.Append(rows_, true));
  ARROW_RETURN_NOT_OK(validity_.Append(count, false));
  rows_ += count;
  null_rows_ += count;
  return offsets_.Append(count, static_cast<int32_t>(length));
}

Result<std::shared_ptr<arrow::ArrayData>> ListRows::Finish(
    std::shared_ptr<arrow::DataType> type, std::shared_ptr<arrow::ArrayData> elements) {
  ARROW_RETURN_NOT_OK(offsets_.Append(static_cast<int32_t>(elements->length)));
  ARROW_ASSIGN_OR_RAISE(auto offsets, offsets_.Finish(false));
  ARROW_ASSIGN_OR_RAISE(auto validity, TakeValidity(&validity_, null_rows_));
  auto data = arrow::ArrayData::Make(std::move(type), rows_, {validity, offsets},
                                     {std::move(elements)}, null_rows_);
  Clear();
  return data;
}

void ListRows::Clear() {
  rows_ = null_rows_ = 0;
  offsets_.Reset();
  validity_.Reset();
}

ColumnBuffer::ColumnBuffer(const ColumnSpec& spec, arrow::MemoryPool* pool)
    : spec_(&spec),
      kind_(spec.kind),
      type_(PageLayout().TypeOf(spec)),
      is_list_(type_->id() == arrow::Type::LIST),
      values_(spec.kind, ElementType(spec), pool),
      list_(pool) {}

Result<std::unique_ptr<ColumnBuffer>> ColumnBuffer::Make(const ColumnSpec& spec,
                                                         arrow::MemoryPool* pool) {
  std::unique_ptr<ColumnBuffer> buffer(new ColumnBuffer(spec, pool));
  if (spec.kind == ColumnKind::kTimestamp) {
    ARROW_ASSIGN_OR_RAISE(buffer->date_format_, DateFormat::Make(spec.format));
  }
  return buffer;
}

Status ColumnBuffer::AppendNullRows(int64_t count) {
  rows_ += count;
  return is_list_ ? list_.AppendNulls(count, values_.length()) : values_.AppendNulls(count);
}

Status ColumnBuffer::OpenList(int64_t row) {
  if (occupied(row)) return Status::OK();
  ARROW_RETURN_NOT_OK(BeginRow(row));
  ++rows_;
  return list_.Open(values_.length());
}

Status ColumnBuffer::AppendJson(int64_t row, std::string_view json) {
  if (!occupied(row)) {
    ARROW_RETURN_NOT_OK(BeginRow(row));
    ARROW_RETURN_NOT_OK(values_.AppendBytes(json));
    EndRow();
    return Status::OK();
  }
  const std::string_view last = values_.LastText();
  const auto last_bytes = static_cast<int64_t>(last.size());
  std::string behind;
  if (gathered_row_ != row) {
    behind.append("[").append(last);
    ARROW_RETURN_NOT_OK(values_.RewriteLastText(0, behind));
    behind.clear();
    gathered_row_ = row;
    behind.append(",").append(json).append("]");
    return values_.RewriteLastText(last_bytes + 1, behind);
  }
  behind.append(",").append(json).append("]");
  return values_.RewriteLastText(last_bytes - 1, behind);  // in place of its "]"
}

int64_t ColumnBuffer::buffered_bytes() const {
  return values_.buffered_bytes() + list_.buffered_bytes();
}

Result<std::shared_ptr<arrow::ArrayData>> ColumnBuffer::Finish(int64_t rows) {
  ARROW_RETURN_NOT_OK(BeginRow(rows));
  if (values_.length() >= std::numeric_limits<int32_t>::max()) {
    return PermanentError("a column of one batch has more than 2 billion values");
  }
  ARROW_ASSIGN_OR_RAISE(auto data, values_.Finish());
  if (is_list_) {
    ARROW_ASSIGN_OR_RAISE(data, list_.Finish(type_, std::move(data)));
  }
  ForgetRows();
  return data;
}

void ColumnBuffer::Clear() {
  values_.Clear();
  ForgetRows();
}

void ColumnBuffer::ForgetRows() {
  rows_ = 0;
  gathered_row_ = -1;
  list_.Clear();
}

}  // namespace bulkhaul::search
