// Group keys as bytes: equal keys have equal bytes, and bytes sort as keys do.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/array.h>
#include <arrow/record_batch.h>

#include "plan/grouping.h"
#include "transform/time_truncation.h"

namespace bulkhaul {

// The keys of one batch's rows.
struct EncodedKeys {
  std::vector<uint8_t> bytes;
  std::vector<size_t> begins;  // one more than there are rows
  std::string_view Row(int64_t row) const {
    const auto at = static_cast<size_t>(row);
    return {reinterpret_cast<const char*>(bytes.data()) + begins[at], begins[at + 1] - begins[at]};
  }
};

// One column of the key. A byte says whether there is a value (NULL sorts last), then the value:
// numbers, times and decimals big-endian with their sign turned, so that memcmp sorts them; floats
// in IEEE total order, with one zero and one NaN, which is the greatest; text with its zero bytes
// escaped and a terminator. Text sorts by its bytes.
class KeyColumn {
 public:
  // `input` is the column as it arrives; kUser when its type cannot be a key.
  static Result<KeyColumn> Make(const GroupKey& key, const arrow::Field& input);
  // The column of the result: dictionaries become their values.
  const std::shared_ptr<arrow::Field>& field() const { return field_; }
  // The array in the result's type; times are not yet cut.
  Result<std::shared_ptr<arrow::Array>> Prepare(const std::shared_ptr<arrow::Array>& array,
                                                arrow::MemoryPool* pool) const;
  // Adds each row's length in bytes to `lengths`; the array is Prepare()d.
  void Measure(const arrow::Array& array, std::span<size_t> lengths) const;
  // Writes each row's bytes at places[row] and moves it on. `truncated`: the times are cut already.
  Status Encode(const arrow::Array& array, bool truncated, std::span<uint8_t*> places);
  // Reads one value of each key and moves it on.
  Result<std::shared_ptr<arrow::Array>> Decode(std::span<const uint8_t*> places,
                                               arrow::MemoryPool* pool) const;

 private:
  enum class Form { kBool, kFixed, kFloat, kText, kBytes };
  KeyColumn() = default;

  std::string column_;
  TimePart part_ = TimePart::kNone;
  std::shared_ptr<arrow::Field> field_;
  std::shared_ptr<arrow::DataType> storage_;  // of the values as they are encoded
  Form form_ = Form::kFixed;
  size_t width_ = 0;      // of fixed values. Bytes.
  bool signed_ = false;   // the sign bit is turned
  bool reverse_ = false;  // little-endian in Arrow
  std::optional<TimeTruncation> truncation_;
};

// All columns of the key.
class GroupKeys {
 public:
  static Result<GroupKeys> Make(const std::vector<GroupKey>& keys, const arrow::Schema& input);
  arrow::FieldVector fields() const;
  // `columns` in the order of the keys; `truncated`: they are those of partial rows.
  Status Encode(std::span<const std::shared_ptr<arrow::Array>> columns, int64_t rows,
                bool truncated, arrow::MemoryPool* pool, EncodedKeys* out);
  Result<arrow::ArrayVector> Decode(std::vector<const uint8_t*> keys,
                                    arrow::MemoryPool* pool) const;

 private:
  std::vector<KeyColumn> columns_;
  std::vector<size_t> lengths_;   // scratch
  std::vector<uint8_t*> places_;  // scratch
};

}  // namespace bulkhaul
