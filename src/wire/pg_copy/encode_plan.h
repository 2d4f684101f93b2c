// How the encoder writes one column, or one value inside another; internal to wire/pg_copy.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <arrow/array/data.h>
#include <arrow/type.h>

#include "wire/pg_copy/byte_buffer.h"
#include "wire/pg_copy/copy_encoder.h"

namespace bulkhaul::pg {

using EncodePlanPtr = std::shared_ptr<const EncodePlan>;

// Rows of one column that are encoded together.
struct EncodeSlice {
  const arrow::ArrayData* array;
  int64_t begin;  // from the array's own start, its offset not counted
  int64_t rows;
};

// Writes length words and values of a fixed size at the cursors, and moves them on. Gives the row
// of the first value that does not fit, or -1.
using EncodeFixed = int64_t (*)(const EncodePlan& plan, const EncodeSlice& slice,
                                uint8_t** cursors);
// Appends one value that is not NULL, without a length word. False: it has no form in the type;
// `why` says what is wrong with it.
using EncodeValue = bool (*)(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row,
                             ByteBuffer* out, std::string* why);

struct EncodePlan {
  // Columns with a loop of their own: fixed size, or bytes as they are. The others are made value
  // by value beside, and then copied.
  enum class Shape { kFixed, kBytes32, kBytes64, kDecimal, kValues };
  Shape shape = Shape::kValues;
  EncodeValue value = nullptr;  // always
  EncodeFixed fixed = nullptr;  // kFixed
  int32_t bytes = 0;            // kFixed
  bool text = false;            // must be UTF-8 without NUL bytes
  int32_t prefix = -1;          // kBytes: a first byte: the version of jsonb
  bool jsonb = false;
  bool strip_nul = false;
  int32_t scale = 0;       // of the Arrow decimal
  int32_t scale_max = -1;  // of numeric(p,s), and of money; -1: any
  int32_t zeros_min = 0;   // before the point: 2 of numeric(p,-2)
  int64_t multiple = 1;    // timestamps and times with fewer digits: microseconds
  int32_t money_scale = 2;
  bool cidr = false;
  int32_t bits = -1;         // bit(n), for the message only
  uint32_t element_oid = 0;  // lists
  int32_t dimensions = 1;
  int32_t lower_bound = 1;
  std::vector<EncodePlanPtr> children;
  std::vector<uint32_t> child_oids;  // composites
  std::string type_name;             // as PostgreSQL prints it, for messages
};

// Decimal integers as numeric. False: more digits after the point than the column takes.
bool AppendNumericDigits(const EncodePlan& plan, bool negative, std::string_view digits,
                         int64_t scale, ByteBuffer* out, std::string* why);
bool AppendNumericText(const EncodePlan& plan, std::string_view text, ByteBuffer* out,
                       std::string* why);
// `unscaled` × 10^-scale; scale not negative.
bool AppendNumericSmall(const EncodePlan& plan, int64_t unscaled, int32_t scale, ByteBuffer* out,
                        std::string* why);
// True when the decimal in this row fits 64 bits.
inline bool SmallDecimal(const arrow::ArrayData& array, int64_t row, int64_t* value) {
  switch (array.type->id()) {
    case arrow::Type::DECIMAL32:
      *value = array.GetValues<int32_t>(1)[row];
      return true;
    case arrow::Type::DECIMAL64:
      *value = array.GetValues<int64_t>(1)[row];
      return true;
    case arrow::Type::DECIMAL128: {
      const int64_t* const words = array.GetValues<int64_t>(1, 0) + (array.offset + row) * 2;
      *value = words[0];
      return words[1] == words[0] >> 63;
    }
    default: {
      const int64_t* const words = array.GetValues<int64_t>(1, 0) + (array.offset + row) * 4;
      *value = words[0];
      const int64_t fill = words[0] >> 63;
      return words[1] == fill && words[2] == fill && words[3] == fill;
    }
  }
}
bool EncodeDecimal(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row,
                   ByteBuffer* out, std::string* why);
bool EncodeIntegerAsNumeric(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row,
                            ByteBuffer* out, std::string* why);
bool EncodeFloatAsNumeric(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row,
                          ByteBuffer* out, std::string* why);
bool EncodeMoney(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row,
                 ByteBuffer* out, std::string* why);
bool EncodeTextAsNumeric(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row,
                         ByteBuffer* out, std::string* why);

// Fields of numeric that were written before, of one column. Prices, rates and quantities repeat,
// and copying a field costs a quarter of making it; where they do not, it soon looks no more, and
// tries again later. Not thread-safe.
class NumericMemo {
 public:
  // AppendNumericSmall with plan.scale, behind its length word.
  bool AppendField(const EncodePlan& plan, int64_t unscaled, ByteBuffer* out, std::string* why);

 private:
  static constexpr int kEntryBits = 8;
  struct Entry {
    int64_t unscaled = 0;
    uint32_t size = 0;  // of the field; 0: none
    uint8_t field[20];  // four groups of digits
  };
  std::array<Entry, size_t{1} << kEntryBits> entries_;
  int64_t tried_ = 0, found_ = 0, pause_ = 0;
};

// Types that Arrow does not have, from the texts that the decoder makes of them.
EncodeValue TextFormOf(uint32_t oid);  // nullptr: the type has none here

// The bytes of a text or binary value of any layout.
std::string_view BytesOf(const arrow::ArrayData& array, int64_t row);
inline bool IsNull(const arrow::ArrayData& array, int64_t row) {
  return array.type->id() == arrow::Type::NA || array.IsNull(row);
}
// A length word and the value; -1 for NULL.
bool AppendField(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row,
                 ByteBuffer* out, std::string* why);
// The value of `row` in `out` must be text that PostgreSQL takes; strips NULs when asked to.
bool CheckText(const EncodePlan& plan, std::string_view text, std::string* why);

}  // namespace bulkhaul::pg
