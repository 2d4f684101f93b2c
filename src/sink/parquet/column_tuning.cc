#include "sink/parquet/column_tuning.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <unordered_set>

#include <arrow/array.h>
#include <arrow/array/concatenate.h>
#include <arrow/extension_type.h>
#include <arrow/type_traits.h>
#include <arrow/util/checked_cast.h>
#include <arrow/util/decimal.h>

namespace bulkhaul {
namespace {

using arrow::internal::checked_cast;

constexpr int64_t kHugeValueBytes = 64 << 10;
constexpr int64_t kRuns = 8;
constexpr int64_t kRunRows = 512;
// Rows over which a dictionary's own bytes are spread: a row group of a usual unit.
constexpr double kRowGroupRows = 256 << 10;
// Above this a dictionary would outgrow its page limit and be given up half way.
constexpr double kDictionaryBytesMax = 768 << 10;
// Floats: the hash table over them takes up to 96 bytes a value in each open writer, six megabytes
// for one column of 40,000 values, to make of 64 bits hardly less than 40.
constexpr double kDistinctFloatsMax = 16 << 10;
// A dictionary costs a hash lookup a value, so it must save this much over the next best.
constexpr double kDictionaryAdvantage = 0.9;
// Texts are in no order when neighbours differ this often, and rise about as often as they fall.
constexpr double kNoOrderChangesMin = 0.3;
constexpr double kNoOrderSlopeMax = 0.2;
// DELTA_BINARY_PACKED packs blocks of this many deltas with one width each.
// Source: Apache Parquet, Encodings.md, "Delta encoding".
constexpr int64_t kMiniblock = 32;

// Distinct values of the whole column from those of a sample, were all values equally likely:
// d = D (1 − e^(−n/D)), solved for D by bisection. Infinite when nothing repeats.
double EstimateDistinct(double sample_rows, double sample_distinct) {
  if (sample_distinct >= sample_rows * 0.999) return std::numeric_limits<double>::infinity();
  double low = sample_distinct;
  double high = sample_rows * sample_rows;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (middle * (1 - std::exp(-sample_rows / middle)) < sample_distinct ? low : high) = middle;
  }
  return high;
}

double IndexBits(double distinct) { return std::max(1.0, std::ceil(std::log2(distinct))); }

// Bits a value takes in DELTA_BINARY_PACKED, over runs of neighbours.
double DeltaBits(const std::vector<int64_t>& values) {
  double bits = 0;
  int64_t counted = 0;
  for (size_t start = 1; start + kMiniblock <= values.size(); start += kMiniblock) {
    if (start / kRunRows != (start + kMiniblock - 1) / kRunRows) continue;  // across two runs
    uint64_t lowest = std::numeric_limits<uint64_t>::max();
    uint64_t highest = 0;
    constexpr uint64_t kSign = uint64_t{1} << 63;  // so that unsigned order is signed order
    for (size_t i = start; i < start + kMiniblock; ++i) {
      const uint64_t delta =
          (static_cast<uint64_t>(values[i]) - static_cast<uint64_t>(values[i - 1])) ^ kSign;
      lowest = std::min(lowest, delta);
      highest = std::max(highest, delta);
    }
    bits += static_cast<double>(std::bit_width(highest - lowest)) * kMiniblock;
    counted += kMiniblock;
  }
  return counted == 0 ? 64 : bits / static_cast<double>(counted) + 0.6;  // headers of blocks
}

ColumnTuning ChooseForIntegers(const std::vector<int64_t>& values, double width_bits) {
  if (values.empty()) return {ColumnEncoding::kDictionary};
  const std::unordered_set<int64_t> seen(values.begin(), values.end());
  const double distinct =
      EstimateDistinct(static_cast<double>(values.size()), static_cast<double>(seen.size()));
  const double delta = std::min(DeltaBits(values), width_bits);
  if (distinct * width_bits / 8 < kDictionaryBytesMax) {
    const double dictionary = IndexBits(distinct) + distinct * width_bits / kRowGroupRows;
    if (dictionary < delta * kDictionaryAdvantage) return {ColumnEncoding::kDictionary};
  }
  return {ColumnEncoding::kDelta};
}

template <typename Array>
std::vector<int64_t> IntegersOf(const arrow::Array& array) {
  const auto& typed = checked_cast<const Array&>(array);
  std::vector<int64_t> values;
  values.reserve(static_cast<size_t>(array.length()));
  for (int64_t i = 0; i < array.length(); ++i) {
    if (!array.IsNull(i)) values.push_back(static_cast<int64_t>(typed.Value(i)));
  }
  return values;
}

// Decimals of at most 18 digits, which Parquet stores as integers.
template <typename Array, typename Decimal>
std::vector<int64_t> SmallDecimalsOf(const arrow::Array& array) {
  const auto& typed = checked_cast<const Array&>(array);
  std::vector<int64_t> values;
  for (int64_t i = 0; i < array.length(); ++i) {
    if (array.IsNull(i)) continue;
    int64_t value = 0;
    std::memcpy(&value, typed.GetValue(i), std::min<size_t>(8, Decimal::kByteWidth));
    if constexpr (Decimal::kByteWidth == 4) value = static_cast<int32_t>(value);
    values.push_back(value);
  }
  return values;
}

template <typename Array>
ColumnTuning ChooseForTexts(const arrow::Array& array) {
  const auto& typed = checked_cast<const Array&>(array);
  std::unordered_set<std::string_view> seen;
  int64_t rows = 0;
  int64_t rising = 0;
  int64_t falling = 0;
  std::string_view previous;
  double bytes = 0;
  for (int64_t i = 0; i < array.length(); ++i) {
    if (array.IsNull(i)) continue;
    const std::string_view value = typed.GetView(i);
    ++rows;
    const int order = value.compare(previous);
    rising += order > 0;
    falling += order < 0;
    previous = value;
    if (seen.insert(value).second) bytes += static_cast<double>(value.size());
  }
  if (rows == 0) return {ColumnEncoding::kDictionary};
  const double distinct =
      EstimateDistinct(static_cast<double>(rows), static_cast<double>(seen.size()));
  const double average = bytes / static_cast<double>(seen.size());
  const bool repeats =
      distinct * (average + 4) < kDictionaryBytesMax && distinct < kRowGroupRows / 4;
  const auto changes = static_cast<double>(rising + falling);
  const auto slope = static_cast<double>(std::abs(rising - falling));
  const bool ordered = changes < kNoOrderChangesMin * static_cast<double>(rows) ||
                       slope > kNoOrderSlopeMax * changes;
  return {repeats ? ColumnEncoding::kDictionary : ColumnEncoding::kDeltaLength, true, ordered};
}

// Floats: a dictionary where values repeat, else plain. BYTE_STREAM_SPLIT would be smaller, but
// Spark's vectorised reader does not know it.
template <typename Array>
ColumnTuning ChooseForFloats(const arrow::Array& array) {
  const auto& typed = checked_cast<const Array&>(array);
  std::unordered_set<double> seen;
  int64_t rows = 0;
  for (int64_t i = 0; i < array.length(); ++i) {
    if (array.IsNull(i)) continue;
    ++rows;
    seen.insert(static_cast<double>(typed.Value(i)));
  }
  const double distinct =
      EstimateDistinct(static_cast<double>(rows), static_cast<double>(seen.size()));
  return {distinct < kDistinctFloatsMax ? ColumnEncoding::kDictionary : ColumnEncoding::kPlain};
}

ColumnTuning Choose(const arrow::Array& array) {
  using arrow::Type;
  switch (array.type_id()) {
    case Type::INT8:
      return ChooseForIntegers(IntegersOf<arrow::Int8Array>(array), 32);
    case Type::INT16:
      return ChooseForIntegers(IntegersOf<arrow::Int16Array>(array), 32);
    case Type::INT32:
      return ChooseForIntegers(IntegersOf<arrow::Int32Array>(array), 32);
    case Type::INT64:
      return ChooseForIntegers(IntegersOf<arrow::Int64Array>(array), 64);
    case Type::UINT8:
      return ChooseForIntegers(IntegersOf<arrow::UInt8Array>(array), 32);
    case Type::UINT16:
      return ChooseForIntegers(IntegersOf<arrow::UInt16Array>(array), 32);
    case Type::UINT32:
      return ChooseForIntegers(IntegersOf<arrow::UInt32Array>(array), 32);
    case Type::DATE32:
      return ChooseForIntegers(IntegersOf<arrow::Date32Array>(array), 32);
    case Type::TIME64:
      return ChooseForIntegers(IntegersOf<arrow::Time64Array>(array), 64);
    case Type::TIMESTAMP:
      return ChooseForIntegers(IntegersOf<arrow::TimestampArray>(array), 64);
    case Type::DECIMAL32:
      return ChooseForIntegers(SmallDecimalsOf<arrow::Decimal32Array, arrow::Decimal32>(array), 32);
    case Type::DECIMAL64:
      return ChooseForIntegers(SmallDecimalsOf<arrow::Decimal64Array, arrow::Decimal64>(array), 64);
    case Type::DECIMAL128: {
      const int precision = checked_cast<const arrow::DecimalType&>(*array.type()).precision();
      if (precision > 18) return {};
      return ChooseForIntegers(SmallDecimalsOf<arrow::Decimal128Array, arrow::Decimal128>(array),
                               precision > 9 ? 64 : 32);
    }
    case Type::FLOAT:
      return ChooseForFloats<arrow::FloatArray>(array);
    case Type::DOUBLE:
      return ChooseForFloats<arrow::DoubleArray>(array);
    case Type::STRING:
    case Type::BINARY:
      return ChooseForTexts<arrow::BinaryArray>(array);
    case Type::LARGE_STRING:
    case Type::LARGE_BINARY:
      return ChooseForTexts<arrow::LargeBinaryArray>(array);
    case Type::EXTENSION: {
      const auto& storage = *checked_cast<const arrow::ExtensionArray&>(array).storage();
      // UUIDs do not repeat.
      if (storage.type_id() == Type::FIXED_SIZE_BINARY) return {ColumnEncoding::kPlain};
      return Choose(storage);
    }
    default:
      return {};
  }
}

}  // namespace

Tuning ChooseEncodings(const arrow::RecordBatch& batch) {
  Tuning tuning;
  for (const auto& column : batch.columns()) tuning.push_back(Choose(*column));
  return tuning;
}

Tuning ChooseForHugeValues(const arrow::RecordBatch& batch) {
  Tuning tuning(batch.num_columns());
  bool any = false;
  for (int i = 0; i < batch.num_columns(); ++i) {
    const arrow::Array& column = *batch.column(i);
    int64_t bytes = 0;
    if (arrow::is_base_binary_like(column.type_id())) {
      bytes = arrow::is_large_binary_like(column.type_id())
                  ? checked_cast<const arrow::LargeBinaryArray&>(column).total_values_length()
                  : checked_cast<const arrow::BinaryArray&>(column).total_values_length();
    }
    if (bytes <= kHugeValueBytes * std::max<int64_t>(1, batch.num_rows())) continue;
    tuning[i].encoding = ColumnEncoding::kPlain;
    tuning[i].statistics = false;
    any = true;
  }
  return any ? tuning : Tuning();
}

Result<std::shared_ptr<arrow::RecordBatch>> SampleRows(const arrow::RecordBatch& batch) {
  if (batch.num_rows() <= kRuns * kRunRows) return batch.Slice(0);
  std::vector<std::shared_ptr<arrow::Array>> columns;
  for (const auto& column : batch.columns()) {
    arrow::ArrayVector runs;
    for (int64_t run = 0; run < kRuns; ++run) {
      const int64_t start = (batch.num_rows() - kRunRows) * run / (kRuns - 1);
      runs.push_back(column->Slice(start, kRunRows));
    }
    ARROW_ASSIGN_OR_RAISE(auto joined, arrow::Concatenate(runs));
    columns.push_back(std::move(joined));
  }
  return arrow::RecordBatch::Make(batch.schema(), kRuns * kRunRows, std::move(columns));
}

}  // namespace bulkhaul
