// Sums and means.
#include <cmath>
#include <cstring>
#include <limits>

#include <arrow/type_traits.h>
#include <arrow/util/decimal.h>
#include <fmt/format.h>

#include "transform/accumulator_kinds.h"

namespace bulkhaul {
namespace {

using Int128 = __int128;

Status Overflow(const Aggregate& aggregate, const std::string& what) {
  return UserError(fmt::format("aggregates: {}({}) {}", AggregateFunctionName(aggregate.function),
                               aggregate.column, what),
                   "overflow");
}

constexpr Int128 PowerOfTen(int exponent) {
  Int128 power = 1;
  for (int i = 0; i < exponent; ++i) power *= 10;
  return power;
}

// Two doubles whose exact sum is what was added, but for about 106 bits.
struct DoubleDouble {
  double high = 0, low = 0;

  void Add(double value, double value_low) {
    const double sum = high + value;
    if (!std::isfinite(sum)) {
      high = sum;
      low = 0;
      return;
    }
    const double part = sum - high;
    const double error = (high - (sum - part)) + (value - part) + low + value_low;
    high = sum + error;
    low = error - (high - sum);
  }
};

// Integers and decimals, in 128 bits.
class ExactSum : public Accumulator {
 public:
  ExactSum(Aggregate aggregate, std::shared_ptr<arrow::DataType> sum_type, int32_t scale)
      : aggregate_(std::move(aggregate)), sum_type_(std::move(sum_type)), scale_(scale) {}

  arrow::FieldVector PartialFields() const override {
    return {arrow::field("sum", arrow::fixed_size_binary(sizeof(Int128)), false),
            arrow::field("count", arrow::int64(), false)};
  }
  std::shared_ptr<arrow::DataType> type() const override {
    return mean() ? arrow::float64() : sum_type_;
  }
  void Resize(size_t groups) override {
    sums_.resize(groups, 0);
    counts_.resize(groups, 0);
  }

  Status Update(const arrow::Array* input, std::span<const uint32_t> groups) override {
    switch (input->type_id()) {
      case arrow::Type::INT8:
        return Add<int8_t>(*input, groups);
      case arrow::Type::INT16:
        return Add<int16_t>(*input, groups);
      case arrow::Type::INT32:
        return Add<int32_t>(*input, groups);
      case arrow::Type::INT64:
        return Add<int64_t>(*input, groups);
      case arrow::Type::UINT8:
        return Add<uint8_t>(*input, groups);
      case arrow::Type::UINT16:
        return Add<uint16_t>(*input, groups);
      case arrow::Type::UINT32:
        return Add<uint32_t>(*input, groups);
      case arrow::Type::UINT64:
        return Add<uint64_t>(*input, groups);
      case arrow::Type::DECIMAL32:
        return Add<int32_t>(*input, groups);
      case arrow::Type::DECIMAL64:
        return Add<int64_t>(*input, groups);
      default:
        return Add<Int128>(*input, groups);
    }
  }
  Status Merge(std::span<const std::shared_ptr<arrow::Array>> partial,
               std::span<const uint32_t> groups) override {
    const auto* sums = static_cast<const arrow::FixedSizeBinaryArray&>(*partial[0]).raw_values();
    const auto* counts = static_cast<const arrow::Int64Array&>(*partial[1]).raw_values();
    for (size_t i = 0; i < groups.size(); ++i) {
      Int128 sum = 0;
      std::memcpy(&sum, sums + i * sizeof(sum), sizeof(sum));
      ARROW_RETURN_NOT_OK(AddOne(groups[i], sum));
      counts_[groups[i]] += counts[i];
    }
    return Status::OK();
  }
  Status EmitPartial(std::span<const uint32_t> groups, arrow::MemoryPool* pool,
                     arrow::ArrayVector* out) const override {
    ARROW_ASSIGN_OR_RAISE(auto sums,
                          GatherFixed(PartialFields()[0]->type(), groups, sums_, kAllValid, pool));
    ARROW_ASSIGN_OR_RAISE(auto counts,
                          GatherFixed(arrow::int64(), groups, counts_, kAllValid, pool));
    out->push_back(std::move(sums));
    out->push_back(std::move(counts));
    return Status::OK();
  }
  Result<std::shared_ptr<arrow::Array>> EmitFinal(std::span<const uint32_t> groups,
                                                  arrow::MemoryPool* pool) const override {
    if (mean()) return EmitMeans(groups, pool);
    for (const uint32_t group : groups) ARROW_RETURN_NOT_OK(CheckRange(sums_[group]));
    if (sum_type_->id() == arrow::Type::DECIMAL128) {
      return GatherFixed(sum_type_, groups, sums_, &counts_, pool);
    }
    std::vector<uint64_t> narrow(groups.size());  // the low half, signed or not
    std::vector<uint32_t> places(groups.size());
    std::vector<int64_t> counts(groups.size());
    for (size_t i = 0; i < groups.size(); ++i) {
      narrow[i] = static_cast<uint64_t>(sums_[groups[i]]);
      places[i] = static_cast<uint32_t>(i);
      counts[i] = counts_[groups[i]];
    }
    return GatherFixed(sum_type_, places, narrow, &counts, pool);
  }
  int64_t bytes_per_group() const override { return sizeof(Int128) + sizeof(int64_t); }

 private:
  static constexpr const std::vector<int64_t>* kAllValid = nullptr;
  bool mean() const { return aggregate_.function == AggregateFunction::kMean; }

  Status AddOne(uint32_t group, Int128 value) {
    if (!__builtin_add_overflow(sums_[group], value, &sums_[group])) return Status::OK();
    return Overflow(aggregate_, "is beyond 38 digits; cast the column to double");
  }

  template <typename T>
  Status Add(const arrow::Array& input, std::span<const uint32_t> groups) {
    const auto& data = *input.data();
    if (data.buffers[1] == nullptr) return Status::OK();
    const uint8_t* values = data.buffers[1]->data() + static_cast<size_t>(data.offset) * sizeof(T);
    const bool nulls = input.null_count() > 0;
    for (size_t i = 0; i < groups.size(); ++i) {
      if (nulls && input.IsNull(static_cast<int64_t>(i))) continue;
      T value;
      std::memcpy(&value, values + i * sizeof(T), sizeof(T));
      if constexpr (sizeof(T) < sizeof(Int128)) {
        sums_[groups[i]] += value;  // 2^64 rows would be needed to leave 128 bits
      } else {
        ARROW_RETURN_NOT_OK(AddOne(groups[i], value));
      }
      ++counts_[groups[i]];
    }
    return Status::OK();
  }

  Status CheckRange(Int128 sum) const {
    if (sum_type_->id() == arrow::Type::DECIMAL128) {
      constexpr Int128 kBound = PowerOfTen(38);
      if (sum < kBound && sum > -kBound) return Status::OK();
      return Overflow(aggregate_, "is beyond 38 digits; cast the column to double");
    }
    const bool fits = sum_type_->id() == arrow::Type::UINT64
                          ? sum <= std::numeric_limits<uint64_t>::max()
                          : sum >= std::numeric_limits<int64_t>::min() &&
                                sum <= std::numeric_limits<int64_t>::max();
    if (fits) return Status::OK();
    return Overflow(aggregate_, "does not fit 64 bits; cast the column to decimal(38,0)");
  }

  double Mean(Int128 sum, int64_t count) const {
    constexpr Int128 kExact = Int128{1} << 53;
    const auto divisor =
        static_cast<long double>(count) * static_cast<long double>(PowerOfTen(std::max(0, scale_)));
    if (sum < kExact && sum > -kExact && divisor < static_cast<long double>(kExact)) {
      return static_cast<double>(sum) / static_cast<double>(divisor);
    }
    return static_cast<double>(static_cast<long double>(sum) / divisor);
  }

  Result<std::shared_ptr<arrow::Array>> EmitMeans(std::span<const uint32_t> groups,
                                                  arrow::MemoryPool* pool) const {
    arrow::DoubleBuilder means(pool);
    ARROW_RETURN_NOT_OK(means.Reserve(static_cast<int64_t>(groups.size())));
    for (const uint32_t group : groups) {
      if (counts_[group] == 0)
        means.UnsafeAppendNull();
      else
        means.UnsafeAppend(Mean(sums_[group], counts_[group]));
    }
    return means.Finish();
  }

  const Aggregate aggregate_;
  const std::shared_ptr<arrow::DataType> sum_type_;
  const int32_t scale_;
  std::vector<Int128> sums_;
  std::vector<int64_t> counts_;
};

class FloatSum : public Accumulator {
 public:
  explicit FloatSum(Aggregate aggregate) : aggregate_(std::move(aggregate)) {}

  arrow::FieldVector PartialFields() const override {
    return {arrow::field("high", arrow::float64(), false),
            arrow::field("low", arrow::float64(), false),
            arrow::field("count", arrow::int64(), false)};
  }
  std::shared_ptr<arrow::DataType> type() const override { return arrow::float64(); }
  void Resize(size_t groups) override {
    sums_.resize(groups);
    counts_.resize(groups, 0);
  }

  Status Update(const arrow::Array* input, std::span<const uint32_t> groups) override {
    return input->type_id() == arrow::Type::FLOAT
               ? Add(static_cast<const arrow::FloatArray&>(*input), groups)
               : Add(static_cast<const arrow::DoubleArray&>(*input), groups);
  }
  Status Merge(std::span<const std::shared_ptr<arrow::Array>> partial,
               std::span<const uint32_t> groups) override {
    const auto* highs = static_cast<const arrow::DoubleArray&>(*partial[0]).raw_values();
    const auto* lows = static_cast<const arrow::DoubleArray&>(*partial[1]).raw_values();
    const auto* counts = static_cast<const arrow::Int64Array&>(*partial[2]).raw_values();
    for (size_t i = 0; i < groups.size(); ++i) {
      ARROW_RETURN_NOT_OK(AddOne(groups[i], highs[i], lows[i]));
      counts_[groups[i]] += counts[i];
    }
    return Status::OK();
  }
  Status EmitPartial(std::span<const uint32_t> groups, arrow::MemoryPool* pool,
                     arrow::ArrayVector* out) const override {
    arrow::DoubleBuilder highs(pool), lows(pool);
    ARROW_RETURN_NOT_OK(highs.Reserve(static_cast<int64_t>(groups.size())));
    ARROW_RETURN_NOT_OK(lows.Reserve(static_cast<int64_t>(groups.size())));
    for (const uint32_t group : groups) {
      highs.UnsafeAppend(sums_[group].high);
      lows.UnsafeAppend(sums_[group].low);
    }
    out->resize(out->size() + 2);
    ARROW_RETURN_NOT_OK(highs.Finish(&(*out)[out->size() - 2]));
    ARROW_RETURN_NOT_OK(lows.Finish(&(*out)[out->size() - 1]));
    const std::vector<int64_t>* all_valid = nullptr;
    ARROW_ASSIGN_OR_RAISE(auto counts,
                          GatherFixed(arrow::int64(), groups, counts_, all_valid, pool));
    out->push_back(std::move(counts));
    return Status::OK();
  }
  Result<std::shared_ptr<arrow::Array>> EmitFinal(std::span<const uint32_t> groups,
                                                  arrow::MemoryPool* pool) const override {
    const bool mean = aggregate_.function == AggregateFunction::kMean;
    arrow::DoubleBuilder out(pool);
    ARROW_RETURN_NOT_OK(out.Reserve(static_cast<int64_t>(groups.size())));
    for (const uint32_t group : groups) {
      if (counts_[group] == 0) {
        out.UnsafeAppendNull();
        continue;
      }
      const auto& sum = sums_[group];
      const auto divisor = static_cast<long double>(mean ? counts_[group] : 1);
      out.UnsafeAppend(static_cast<double>(
          (static_cast<long double>(sum.high) + static_cast<long double>(sum.low)) / divisor));
    }
    return out.Finish();
  }
  int64_t bytes_per_group() const override { return sizeof(DoubleDouble) + sizeof(int64_t); }

 private:
  Status AddOne(uint32_t group, double value, double low) {
    auto& sum = sums_[group];
    const bool finite = std::isfinite(sum.high) && std::isfinite(value);
    sum.Add(value, low);
    if (!finite || std::isfinite(sum.high)) return Status::OK();
    return Overflow(aggregate_, "of finite values is beyond what a double can hold");
  }

  template <typename Array>
  Status Add(const Array& input, std::span<const uint32_t> groups) {
    const auto* values = input.raw_values();
    const bool nulls = input.null_count() > 0;
    for (size_t i = 0; i < groups.size(); ++i) {
      if (nulls && input.IsNull(static_cast<int64_t>(i))) continue;
      ARROW_RETURN_NOT_OK(AddOne(groups[i], static_cast<double>(values[i]), 0));
      ++counts_[groups[i]];
    }
    return Status::OK();
  }

  const Aggregate aggregate_;
  std::vector<DoubleDouble> sums_;
  std::vector<int64_t> counts_;
};

}  // namespace

std::unique_ptr<Accumulator> MakeSum(const Aggregate& aggregate, const arrow::DataType& input) {
  const auto id = input.id();
  if (id == arrow::Type::FLOAT || id == arrow::Type::DOUBLE) {
    return std::make_unique<FloatSum>(aggregate);
  }
  if (arrow::is_integer(id)) {
    return std::make_unique<ExactSum>(
        aggregate, arrow::is_unsigned_integer(id) ? arrow::uint64() : arrow::int64(), 0);
  }
  if (id == arrow::Type::DECIMAL32 || id == arrow::Type::DECIMAL64 ||
      id == arrow::Type::DECIMAL128) {
    const int32_t scale = static_cast<const arrow::DecimalType&>(input).scale();
    return std::make_unique<ExactSum>(aggregate, arrow::decimal128(38, scale), scale);
  }
  return nullptr;
}

}  // namespace bulkhaul
