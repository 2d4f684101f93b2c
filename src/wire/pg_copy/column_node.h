// The growing buffers of one column, or of one part of a nested column. Internal to wire/pg_copy.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <arrow/array/data.h>
#include <arrow/buffer.h>
#include <arrow/memory_pool.h>

#include "base/error.h"
#include "wire/pg_copy/decode_plan.h"

namespace bulkhaul::pg {

enum Counter {
  kInfinityClamped,
  kInfinityNulled,
  kNumericNanNulled,
  kInvalidUtf8Replaced,
  kInvalidUtf8Nulled,
  kArrayLowerBoundsDropped,
  kCounterCount,
};

// What the decode functions share while a stream is read.
struct DecodeContext {
  const uint8_t* input_end = nullptr;  // bytes before it may be read, beyond the value's own too
  int64_t expanded_bytes = 0;          // by which values came out larger than they came in
  std::array<int64_t, kCounterCount> counters{};
  Status error;

  bool Fail(Status status) {
    error = std::move(status);
    return false;
  }
  // Bytes that no server sends.
  bool Malformed(const std::string& what);
};

struct ColumnNode;
// Appends one value of `size` bytes. On false context.error says why and the node is not used
// again.
using DecodeFunction = bool (*)(DecodeContext& context, ColumnNode& node, const uint8_t* bytes,
                                int32_t size);

enum class Storage : uint8_t {
  kBits,       // values: one bit each
  kFixed,      // values: `width` bytes each
  kVariable,   // offsets and data
  kOffsets,    // offsets into children
  kStructure,  // nothing but children, of the same length
};

struct ColumnNode {
  // What a hot decode function touches stands together.
  DecodeFunction decode = nullptr;
  uint8_t* values = nullptr;
  int32_t* offsets = nullptr;
  uint8_t* data = nullptr;
  int64_t data_size = 0;
  int64_t data_capacity = 0;
  int64_t length = 0;
  uint8_t* validity = nullptr;  // nullptr until this batch's first NULL
  const DecodePlan* plan = nullptr;

  int64_t capacity = 0;  // values that fit; room for more is made before they are decoded
  int64_t null_count = 0;
  Storage storage = Storage::kFixed;
  int32_t width = 0;
  std::shared_ptr<arrow::DataType> type;
  std::vector<ColumnNode> children;
  arrow::MemoryPool* pool = nullptr;
  std::shared_ptr<arrow::ResizableBuffer> values_buffer, offsets_buffer, data_buffer,
      validity_buffer;

  // Writable bytes behind data_size that a decode function may scribble on.
  static constexpr int64_t kDataSlack = 16;

  // Room for `rows` values in all, in this node and in the children of a structure.
  Status EnsureRows(int64_t rows);
  // Room for `bytes` more in data. kPermanent beyond the 2 GiB that 32-bit offsets reach.
  Status EnsureData(int64_t bytes);
  Status AppendNull();
  // The values as Arrow data that shares the buffers.
  Result<std::shared_ptr<arrow::ArrayData>> Finish() const;
  // Empty again. Buffers that somebody still holds, or with more than `bytes_kept_max`, are
  // dropped.
  void Clear(int64_t bytes_kept_max);
  // Arrow bytes of the values now, and of the buffers that hold them.
  int64_t ValueBytes() const;
  int64_t BufferBytes() const;

  template <typename T>
  void AppendFixed(T value) {
    std::memcpy(values + length * sizeof(T), &value, sizeof(T));
    ++length;
  }
  void AppendBit(bool value) {
    uint8_t& byte = values[length >> 3];
    const int shift = length & 7;
    byte = static_cast<uint8_t>((shift == 0 ? 0 : byte) | (value << shift));
    ++length;
  }
  // `size` bytes were written behind data_size.
  void AppendWritten(int64_t size) {
    data_size += size;
    offsets[++length] = static_cast<int32_t>(data_size);
  }

 private:
  Status MarkNull();
  Result<std::shared_ptr<arrow::ArrayData>> FinishEntries() const;
};

// A node for `plan` with its children; `level` is the place inside a list of several dimensions.
ColumnNode MakeColumnNode(const DecodePlan& plan, arrow::MemoryPool* pool, int level = 0);

}  // namespace bulkhaul::pg
