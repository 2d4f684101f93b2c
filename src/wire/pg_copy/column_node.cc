#include "wire/pg_copy/column_node.h"

#include <algorithm>
#include <limits>

#include <arrow/array.h>
#include <arrow/extension_type.h>
#include <arrow/util/bit_util.h>

#include "wire/pg_copy/decode_functions.h"

namespace bulkhaul::pg {
namespace {

constexpr int64_t kRowsFirst = 64;
constexpr int64_t kDataFirstBytes = 1024;
// Above this a buffer grows to what is needed and an eighth, not to twice its size.
constexpr int64_t kDoublingBytesMax = int64_t{32} << 20;

Status Grow(std::shared_ptr<arrow::ResizableBuffer>* buffer, int64_t bytes,
            arrow::MemoryPool* pool) {
  if (*buffer) return (*buffer)->Resize(bytes, /*shrink_to_fit=*/false);
  ARROW_ASSIGN_OR_RAISE(auto fresh, arrow::AllocateResizableBuffer(bytes, pool));
  *buffer = std::move(fresh);
  return Status::OK();
}

std::shared_ptr<arrow::Buffer> Share(const std::shared_ptr<arrow::ResizableBuffer>& buffer,
                                     int64_t bytes) {
  return arrow::SliceBuffer(buffer, 0, bytes);
}

bool IsFree(const std::shared_ptr<arrow::ResizableBuffer>& buffer, int64_t bytes_kept_max) {
  return buffer && buffer.use_count() == 1 && buffer->capacity() <= bytes_kept_max;
}

ColumnNode MakeLeaf(DecodeKind kind, std::shared_ptr<arrow::DataType> type, Storage storage,
                    int32_t width, arrow::MemoryPool* pool) {
  ColumnNode node;
  node.decode = DecodeFunctionFor(kind);
  node.type = std::move(type);
  node.storage = storage;
  node.width = width;
  node.pool = pool;
  return node;
}

// The children whose types the format itself fixes.
void AddFixedChildren(const DecodePlan& plan, arrow::MemoryPool* pool, ColumnNode* node) {
  if (plan.kind == DecodeKind::kInterval) {
    node->children.push_back(
        MakeLeaf(DecodeKind::kInt32, arrow::int32(), Storage::kFixed, 4, pool));
    node->children.push_back(
        MakeLeaf(DecodeKind::kInt32, arrow::int32(), Storage::kFixed, 4, pool));
    node->children.push_back(
        MakeLeaf(DecodeKind::kInt64, arrow::int64(), Storage::kFixed, 8, pool));
  } else if (plan.kind == DecodeKind::kRange) {
    node->children.push_back(MakeColumnNode(*plan.children[0], pool));
    for (int flag = 0; flag < 3; ++flag) {
      node->children.push_back(
          MakeLeaf(DecodeKind::kBool, arrow::boolean(), Storage::kBits, 0, pool));
    }
  }
}

Storage StorageOf(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::BOOL:
      return Storage::kBits;
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
      return Storage::kVariable;
    case arrow::Type::LIST:
    case arrow::Type::MAP:
      return Storage::kOffsets;
    case arrow::Type::STRUCT:
      return Storage::kStructure;
    default:
      return Storage::kFixed;
  }
}

int32_t WidthOf(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::DICTIONARY:
      return 4;
    case arrow::Type::EXTENSION:
      return WidthOf(*static_cast<const arrow::ExtensionType&>(type).storage_type());
    default:
      return type.bit_width() / 8;
  }
}

}  // namespace

bool DecodeContext::Malformed(const std::string& what) {
  return Fail(PermanentError("malformed binary COPY data: " + what));
}

ColumnNode MakeColumnNode(const DecodePlan& plan, arrow::MemoryPool* pool, int level) {
  ColumnNode node;
  node.plan = &plan;
  node.pool = pool;
  node.decode = DecodeFunctionFor(plan.kind);
  node.type = plan.type;
  for (int depth = 0; depth < level; ++depth) node.type = node.type->field(0)->type();
  node.storage = StorageOf(*node.type);
  if (node.storage == Storage::kFixed) node.width = WidthOf(*node.type);
  if (plan.kind == DecodeKind::kList && level + 1 < plan.dimensions) {
    node.children.push_back(MakeColumnNode(plan, pool, level + 1));
    return node;
  }
  for (const PlanPtr& child : plan.children) node.children.push_back(MakeColumnNode(*child, pool));
  AddFixedChildren(plan, pool, &node);
  return node;
}

Status ColumnNode::EnsureRows(int64_t rows) {
  if (rows <= capacity) return Status::OK();
  if (rows > std::numeric_limits<int32_t>::max()) {
    return PermanentError("more than 2^31 values in one batch");
  }
  const int64_t grown =
      arrow::bit_util::RoundUpToMultipleOf64(std::max({rows, capacity * 2, kRowsFirst}));
  switch (storage) {
    case Storage::kBits:
      ARROW_RETURN_NOT_OK(Grow(&values_buffer, grown / 8, pool));
      values = values_buffer->mutable_data();
      break;
    case Storage::kFixed:
      ARROW_RETURN_NOT_OK(Grow(&values_buffer, grown * width, pool));
      values = values_buffer->mutable_data();
      break;
    case Storage::kVariable:
    case Storage::kOffsets:
      ARROW_RETURN_NOT_OK(Grow(&offsets_buffer, (grown + 1) * 4, pool));
      offsets = reinterpret_cast<int32_t*>(offsets_buffer->mutable_data());
      if (capacity == 0) offsets[0] = 0;
      break;
    case Storage::kStructure:
      for (ColumnNode& child : children) ARROW_RETURN_NOT_OK(child.EnsureRows(grown));
      break;
  }
  if (validity != nullptr) {
    ARROW_RETURN_NOT_OK(Grow(&validity_buffer, grown / 8, pool));
    validity = validity_buffer->mutable_data();
    std::memset(validity + capacity / 8, 0xff, (grown - capacity) / 8);
  }
  capacity = grown;
  return Status::OK();
}

Status ColumnNode::EnsureData(int64_t bytes) {
  const int64_t needed = data_size + bytes;
  if (needed + kDataSlack <= data_capacity) return Status::OK();
  if (needed > std::numeric_limits<int32_t>::max()) {
    return PermanentError("more than 2 GiB of text or bytes in one batch of a column");
  }
  const int64_t twice =
      data_capacity < kDoublingBytesMax ? data_capacity * 2 : data_capacity + data_capacity / 8;
  // A first huge value gets just its room.
  const int64_t grown = std::max({needed + kDataSlack, twice, kDataFirstBytes});
  ARROW_RETURN_NOT_OK(Grow(&data_buffer, grown, pool));
  data = data_buffer->mutable_data();
  data_capacity = grown;
  return Status::OK();
}

Status ColumnNode::MarkNull() {
  if (validity == nullptr) {
    ARROW_RETURN_NOT_OK(Grow(&validity_buffer, capacity / 8, pool));
    validity = validity_buffer->mutable_data();
    // All ones, so that values that are there need not touch the bitmap.
    std::memset(validity, 0xff, capacity / 8);
  }
  arrow::bit_util::ClearBit(validity, length);
  ++null_count;
  return Status::OK();
}

Status ColumnNode::AppendNull() {
  ARROW_RETURN_NOT_OK(MarkNull());
  switch (storage) {
    case Storage::kBits:
      AppendBit(false);
      break;
    case Storage::kFixed:
      std::memset(values + length * width, 0, width);
      ++length;
      break;
    case Storage::kVariable:
    case Storage::kOffsets:
      offsets[length + 1] = offsets[length];
      ++length;
      break;
    case Storage::kStructure:
      for (ColumnNode& child : children) ARROW_RETURN_NOT_OK(child.AppendNull());
      ++length;
      break;
  }
  return Status::OK();
}

Result<std::shared_ptr<arrow::ArrayData>> ColumnNode::FinishEntries() const {
  ARROW_ASSIGN_OR_RAISE(auto keys, children[0].Finish());
  ARROW_ASSIGN_OR_RAISE(auto items, children[1].Finish());
  return arrow::ArrayData::Make(static_cast<const arrow::MapType&>(*type).value_type(),
                                children[0].length, {nullptr}, {std::move(keys), std::move(items)},
                                0);
}

Result<std::shared_ptr<arrow::ArrayData>> ColumnNode::Finish() const {
  std::vector<std::shared_ptr<arrow::Buffer>> buffers;
  buffers.push_back(null_count > 0 ? Share(validity_buffer, arrow::bit_util::BytesForBits(length))
                                   : nullptr);
  // What never had a value has no buffer yet, and Arrow wants one; a single offset is zero.
  static const int32_t kZero = 0;
  const auto share = [](const auto& buffer, int64_t bytes) {
    return buffer
               ? Share(buffer, bytes)
               : std::make_shared<arrow::Buffer>(reinterpret_cast<const uint8_t*>(&kZero), bytes);
  };
  if (storage == Storage::kBits) {
    buffers.push_back(share(values_buffer, arrow::bit_util::BytesForBits(length)));
  } else if (storage == Storage::kFixed) {
    buffers.push_back(share(values_buffer, length * width));
  } else if (storage != Storage::kStructure) {
    buffers.push_back(share(offsets_buffer, (length + 1) * 4));
    if (storage == Storage::kVariable) buffers.push_back(share(data_buffer, data_size));
  }
  auto result = arrow::ArrayData::Make(type, length, std::move(buffers), null_count);
  if (type->id() == arrow::Type::MAP) {
    ARROW_ASSIGN_OR_RAISE(auto entries, FinishEntries());
    result->child_data.push_back(std::move(entries));
  } else {
    for (const ColumnNode& child : children) {
      ARROW_ASSIGN_OR_RAISE(auto data_of_child, child.Finish());
      result->child_data.push_back(std::move(data_of_child));
    }
  }
  if (type->id() == arrow::Type::DICTIONARY) {
    result->dictionary = plan->labels->dictionary()->data();
  }
  return result;
}

void ColumnNode::Clear(int64_t bytes_kept_max) {
  const bool fixed_free = !values_buffer || IsFree(values_buffer, bytes_kept_max);
  const bool offsets_free = !offsets_buffer || IsFree(offsets_buffer, bytes_kept_max);
  if (!fixed_free || !offsets_free) {
    values_buffer.reset();
    offsets_buffer.reset();
    values = nullptr;
    offsets = nullptr;
    capacity = 0;
  }
  if (!IsFree(data_buffer, bytes_kept_max)) {
    data_buffer.reset();
    data = nullptr;
    data_capacity = 0;
  }
  if (!IsFree(validity_buffer, bytes_kept_max)) validity_buffer.reset();
  validity = nullptr;
  null_count = 0;
  length = 0;
  data_size = 0;
  for (ColumnNode& child : children) child.Clear(bytes_kept_max);
  if (storage == Storage::kStructure) {
    capacity = children.empty() ? capacity : children[0].capacity;
    for (const ColumnNode& child : children) capacity = std::min(capacity, child.capacity);
  }
}

int64_t ColumnNode::ValueBytes() const {
  int64_t bytes = data_size + (null_count > 0 ? length / 8 : 0);
  if (storage == Storage::kBits) bytes += length / 8;
  if (storage == Storage::kFixed) bytes += length * width;
  if (storage == Storage::kVariable || storage == Storage::kOffsets) bytes += length * 4;
  for (const ColumnNode& child : children) bytes += child.ValueBytes();
  return bytes;
}

int64_t ColumnNode::BufferBytes() const {
  int64_t bytes = 0;
  for (const auto& buffer : {values_buffer, offsets_buffer, data_buffer, validity_buffer}) {
    if (buffer) bytes += buffer->capacity();
  }
  for (const ColumnNode& child : children) bytes += child.BufferBytes();
  return bytes;
}

}  // namespace bulkhaul::pg
