#include "sink/key_range.h"

#include <arrow/extension_type.h>
#include <arrow/scalar.h>
#include <arrow/type_traits.h>
#include <arrow/util/checked_cast.h>

namespace bulkhaul {
namespace {

using arrow::internal::checked_cast;

Result<std::string> TextOf(const arrow::Array& array, int64_t index) {
  ARROW_ASSIGN_OR_RAISE(const auto scalar, array.GetScalar(index));
  if (array.type_id() == arrow::Type::STRING || array.type_id() == arrow::Type::LARGE_STRING) {
    return std::string(checked_cast<const arrow::BaseBinaryScalar&>(*scalar).view());
  }
  return scalar->ToString();
}

}  // namespace

template <typename Get>
Status KeyRange::ObserveWith(const arrow::Array& array, Get get) {
  int64_t lowest = -1;
  int64_t highest = -1;
  for (int64_t i = 0; i < array.length(); ++i) {
    if (array.IsNull(i)) continue;
    if (lowest < 0) {
      lowest = highest = i;
      continue;
    }
    const auto value = get(i);
    if (value < get(lowest)) lowest = i;
    if (get(highest) < value) highest = i;
  }
  if (lowest < 0) return Status::OK();
  using Kept = std::conditional_t<std::is_same_v<decltype(get(0)), std::string_view>, std::string,
                                  decltype(get(0))>;
  if (Value low = Kept(get(lowest)); !min_ || low < *min_) {
    min_ = std::move(low);
    ARROW_ASSIGN_OR_RAISE(min_text_, TextOf(array, lowest));
  }
  if (Value high = Kept(get(highest)); !max_ || *max_ < high) {
    max_ = std::move(high);
    ARROW_ASSIGN_OR_RAISE(max_text_, TextOf(array, highest));
  }
  return Status::OK();
}

Status KeyRange::Observe(const arrow::Array& array) {
  using arrow::Type;
  const auto integers = [&]<typename ArrayType, typename Kept>(Kept) {
    const auto& typed = checked_cast<const ArrayType&>(array);
    return ObserveWith(array, [&](int64_t i) { return static_cast<Kept>(typed.Value(i)); });
  };
  const auto texts = [&]<typename ArrayType>(const ArrayType& typed) {
    return ObserveWith(array, [&](int64_t i) { return std::string_view(typed.GetView(i)); });
  };
  switch (array.type_id()) {
    case Type::INT8:
      return integers.operator()<arrow::Int8Array>(int64_t{});
    case Type::INT16:
      return integers.operator()<arrow::Int16Array>(int64_t{});
    case Type::INT32:
      return integers.operator()<arrow::Int32Array>(int64_t{});
    case Type::INT64:
      return integers.operator()<arrow::Int64Array>(int64_t{});
    case Type::DATE32:
      return integers.operator()<arrow::Date32Array>(int64_t{});
    case Type::TIME32:
      return integers.operator()<arrow::Time32Array>(int64_t{});
    case Type::TIME64:
      return integers.operator()<arrow::Time64Array>(int64_t{});
    case Type::TIMESTAMP:
      return integers.operator()<arrow::TimestampArray>(int64_t{});
    case Type::UINT8:
      return integers.operator()<arrow::UInt8Array>(uint64_t{});
    case Type::UINT16:
      return integers.operator()<arrow::UInt16Array>(uint64_t{});
    case Type::UINT32:
      return integers.operator()<arrow::UInt32Array>(uint64_t{});
    case Type::UINT64:
      return integers.operator()<arrow::UInt64Array>(uint64_t{});
    case Type::FLOAT:
      return integers.operator()<arrow::FloatArray>(double{});
    case Type::DOUBLE:
      return integers.operator()<arrow::DoubleArray>(double{});
    case Type::DECIMAL32: {
      const auto& typed = checked_cast<const arrow::Decimal32Array&>(array);
      return ObserveWith(array, [&](int64_t i) {
        return static_cast<int64_t>(arrow::Decimal32(typed.GetValue(i)).value());
      });
    }
    case Type::DECIMAL64: {
      const auto& typed = checked_cast<const arrow::Decimal64Array&>(array);
      return ObserveWith(array, [&](int64_t i) {
        return static_cast<int64_t>(arrow::Decimal64(typed.GetValue(i)).value());
      });
    }
    case Type::DECIMAL128: {
      const auto& typed = checked_cast<const arrow::Decimal128Array&>(array);
      return ObserveWith(array, [&](int64_t i) { return arrow::Decimal128(typed.GetValue(i)); });
    }
    case Type::DECIMAL256: {
      const auto& typed = checked_cast<const arrow::Decimal256Array&>(array);
      return ObserveWith(array, [&](int64_t i) { return arrow::Decimal256(typed.GetValue(i)); });
    }
    case Type::STRING:
      return texts(checked_cast<const arrow::StringArray&>(array));
    case Type::LARGE_STRING:
      return texts(checked_cast<const arrow::LargeStringArray&>(array));
    case Type::BINARY:
      return texts(checked_cast<const arrow::BinaryArray&>(array));
    case Type::FIXED_SIZE_BINARY:
      return texts(checked_cast<const arrow::FixedSizeBinaryArray&>(array));
    case Type::EXTENSION:
      return Observe(*checked_cast<const arrow::ExtensionArray&>(array).storage());
    default:
      return Status::OK();
  }
}

}  // namespace bulkhaul
