// Smallest and greatest values.
#include <cmath>
#include <cstring>
#include <string>
#include <string_view>

#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/type_traits.h>
#include <arrow/util/decimal.h>

#include "transform/accumulator_kinds.h"

namespace bulkhaul {
namespace {

// NaN is the greatest, and -0.0 is below 0.0: every set of values has one smallest and one
// greatest, whatever their order.
template <typename T>
bool Less(const T& a, const T& b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a)) return false;
    if (std::isnan(b)) return true;
    return a < b || (a == b && std::signbit(a) && !std::signbit(b));
  } else {
    return a < b;
  }
}

// The extreme of extremes is the extreme of all.
class Extreme : public PlainState {
 public:
  Extreme(bool greatest, std::shared_ptr<arrow::DataType> type)
      : greatest_(greatest), type_(std::move(type)) {}
  arrow::FieldVector PartialFields() const final { return {arrow::field("value", type_)}; }
  std::shared_ptr<arrow::DataType> type() const final { return type_; }
  Status Merge(std::span<const std::shared_ptr<arrow::Array>> partial,
               std::span<const uint32_t> groups) final {
    return Update(partial[0].get(), groups);
  }

 protected:
  const bool greatest_;
  const std::shared_ptr<arrow::DataType> type_;
};

// Values of fixed width; T orders as the type does.
template <typename T>
class FixedExtreme final : public Extreme {
 public:
  using Extreme::Extreme;
  void Resize(size_t groups) override {
    values_.resize(groups);
    seen_.resize(groups, 0);
  }

  Status Update(const arrow::Array* input, std::span<const uint32_t> groups) override {
    const auto& data = *input->data();
    if (data.buffers[1] == nullptr) return Status::OK();
    const uint8_t* values = data.buffers[1]->data() + static_cast<size_t>(data.offset) * sizeof(T);
    const bool nulls = input->null_count() > 0;
    for (size_t i = 0; i < groups.size(); ++i) {
      if (nulls && input->IsNull(static_cast<int64_t>(i))) continue;
      T value;
      std::memcpy(&value, values + i * sizeof(T), sizeof(T));
      T& kept = values_[groups[i]];
      uint8_t& seen = seen_[groups[i]];
      if (!seen || (greatest_ ? Less(kept, value) : Less(value, kept))) kept = value;
      seen = 1;
    }
    return Status::OK();
  }
  Result<std::shared_ptr<arrow::Array>> EmitFinal(std::span<const uint32_t> groups,
                                                  arrow::MemoryPool* pool) const override {
    return GatherFixed(type_, groups, values_, &seen_, pool);
  }
  int64_t bytes_per_group() const override { return sizeof(T) + 1; }

 private:
  std::vector<T> values_;
  std::vector<uint8_t> seen_;
};

class BoolExtreme final : public Extreme {
 public:
  using Extreme::Extreme;
  void Resize(size_t groups) override { states_.resize(groups, kNone); }

  Status Update(const arrow::Array* input, std::span<const uint32_t> groups) override {
    const auto& values = static_cast<const arrow::BooleanArray&>(*input);
    for (size_t i = 0; i < groups.size(); ++i) {
      const auto row = static_cast<int64_t>(i);
      if (values.IsNull(row)) continue;
      const uint8_t value = values.Value(row) ? kTrue : kFalse;
      uint8_t& kept = states_[groups[i]];
      if (kept == kNone || (greatest_ ? value > kept : value < kept)) kept = value;
    }
    return Status::OK();
  }
  Result<std::shared_ptr<arrow::Array>> EmitFinal(std::span<const uint32_t> groups,
                                                  arrow::MemoryPool* pool) const override {
    arrow::BooleanBuilder out(pool);
    ARROW_RETURN_NOT_OK(out.Reserve(static_cast<int64_t>(groups.size())));
    for (const uint32_t group : groups) {
      if (states_[group] == kNone)
        out.UnsafeAppendNull();
      else
        out.UnsafeAppend(states_[group] == kTrue);
    }
    return out.Finish();
  }
  int64_t bytes_per_group() const override { return 1; }

 private:
  static constexpr uint8_t kNone = 0, kFalse = 1, kTrue = 2;
  std::vector<uint8_t> states_;
};

// Text and bytes, by their bytes.
class TextExtreme final : public Extreme {
 public:
  using Extreme::Extreme;
  void Resize(size_t groups) override {
    if (groups == 0) outside_bytes_ = 0;
    states_.resize(groups);
  }

  Status Update(const arrow::Array* input, std::span<const uint32_t> groups) override {
    const auto id = input->type_id();
    if (id == arrow::Type::LARGE_STRING || id == arrow::Type::LARGE_BINARY) {
      Add(static_cast<const arrow::LargeBinaryArray&>(*input), groups);
    } else if (id == arrow::Type::FIXED_SIZE_BINARY) {
      Add(static_cast<const arrow::FixedSizeBinaryArray&>(*input), groups);
    } else {
      Add(static_cast<const arrow::BinaryArray&>(*input), groups);
    }
    return Status::OK();
  }
  Result<std::shared_ptr<arrow::Array>> EmitFinal(std::span<const uint32_t> groups,
                                                  arrow::MemoryPool* pool) const override {
    std::unique_ptr<arrow::ArrayBuilder> builder;
    ARROW_RETURN_NOT_OK(arrow::MakeBuilder(pool, type_, &builder));
    const auto append = [&](const std::string& value) -> Status {
      if (arrow::is_large_binary_like(type_->id())) {
        return static_cast<arrow::LargeBinaryBuilder&>(*builder).Append(value);
      }
      if (type_->id() == arrow::Type::FIXED_SIZE_BINARY) {
        return static_cast<arrow::FixedSizeBinaryBuilder&>(*builder).Append(value);
      }
      return static_cast<arrow::BinaryBuilder&>(*builder).Append(value);
    };
    for (const uint32_t group : groups) {
      const State& state = states_[group];
      ARROW_RETURN_NOT_OK(state.seen ? append(state.value) : builder->AppendNull());
    }
    return builder->Finish();
  }
  int64_t bytes_per_group() const override { return sizeof(State); }
  int64_t outside_bytes() const override { return outside_bytes_; }

 private:
  struct State {
    std::string value;
    bool seen = false;
  };

  template <typename Array>
  void Add(const Array& input, std::span<const uint32_t> groups) {
    for (size_t i = 0; i < groups.size(); ++i) {
      const auto row = static_cast<int64_t>(i);
      if (input.IsNull(row)) continue;
      const std::string_view value = input.GetView(row);
      State& kept = states_[groups[i]];
      const int order = value.compare(kept.value);
      if (kept.seen && (greatest_ ? order <= 0 : order >= 0)) continue;
      constexpr size_t kInside = 15;  // std::string keeps these in itself
      const auto outside = [](size_t capacity) {
        return capacity > kInside ? static_cast<int64_t>(capacity) + 16 : 0;
      };
      const int64_t before = outside(kept.value.capacity());
      kept.value.assign(value);
      outside_bytes_ += outside(kept.value.capacity()) - before;
      kept.seen = true;
    }
  }

  std::vector<State> states_;
  int64_t outside_bytes_ = 0;
};

template <typename T>
std::unique_ptr<Accumulator> Fixed(bool greatest, const arrow::DataType& type) {
  return std::make_unique<FixedExtreme<T>>(greatest, type.GetSharedPtr());
}

}  // namespace

std::unique_ptr<Accumulator> MakeExtreme(const Aggregate& aggregate, const arrow::DataType& input) {
  const bool greatest = aggregate.function == AggregateFunction::kMax;
  switch (input.id()) {
    case arrow::Type::BOOL:
      return std::make_unique<BoolExtreme>(greatest, input.GetSharedPtr());
    case arrow::Type::INT8:
      return Fixed<int8_t>(greatest, input);
    case arrow::Type::INT16:
      return Fixed<int16_t>(greatest, input);
    case arrow::Type::INT32:
    case arrow::Type::DATE32:
    case arrow::Type::TIME32:
    case arrow::Type::DECIMAL32:
      return Fixed<int32_t>(greatest, input);
    case arrow::Type::INT64:
    case arrow::Type::DATE64:
    case arrow::Type::TIME64:
    case arrow::Type::TIMESTAMP:
    case arrow::Type::DURATION:
    case arrow::Type::DECIMAL64:
      return Fixed<int64_t>(greatest, input);
    case arrow::Type::UINT8:
      return Fixed<uint8_t>(greatest, input);
    case arrow::Type::UINT16:
      return Fixed<uint16_t>(greatest, input);
    case arrow::Type::UINT32:
      return Fixed<uint32_t>(greatest, input);
    case arrow::Type::UINT64:
      return Fixed<uint64_t>(greatest, input);
    case arrow::Type::FLOAT:
      return Fixed<float>(greatest, input);
    case arrow::Type::DOUBLE:
      return Fixed<double>(greatest, input);
    case arrow::Type::DECIMAL128:
      return Fixed<__int128>(greatest, input);
    case arrow::Type::DECIMAL256:
      return Fixed<arrow::BasicDecimal256>(greatest, input);
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY:
    case arrow::Type::FIXED_SIZE_BINARY:
      return std::make_unique<TextExtreme>(greatest, input.GetSharedPtr());
    default:
      return nullptr;
  }
}

}  // namespace bulkhaul
