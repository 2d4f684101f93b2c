#include "transform/dictionary_builder.h"

#include <limits>

#include <arrow/array/array_binary.h>
#include <arrow/array/array_dict.h>
#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_primitive.h>
#include <fmt/format.h>

namespace bulkhaul {

template <typename Builder>
Result<std::shared_ptr<arrow::Array>> DictionaryBuilder::Indices(const arrow::StringArray& strings,
                                                                 arrow::MemoryPool* pool) {
  using Index = typename Builder::value_type;
  constexpr size_t kIndicesMax = size_t{std::numeric_limits<Index>::max()} + 1;
  Builder indices(pool);
  ARROW_RETURN_NOT_OK(indices.Reserve(strings.length()));
  for (int64_t i = 0; i < strings.length(); ++i) {
    if (strings.IsNull(i)) {
      indices.UnsafeAppendNull();
      continue;
    }
    const std::string_view value = strings.GetView(i);
    auto found = indices_.find(value);
    if (found == indices_.end()) {
      if (values_.size() == kIndicesMax) {
        return BugError(fmt::format("a dictionary has more than the {} values that were foreseen",
                                    kIndicesMax));
      }
      values_.emplace_back(value);
      found = indices_.emplace(values_.back(), static_cast<int32_t>(values_.size() - 1)).first;
    }
    indices.UnsafeAppend(static_cast<Index>(found->second));
  }
  return indices.Finish();
}

Result<std::shared_ptr<arrow::Array>> DictionaryBuilder::Encode(
    const arrow::Array& array, const std::shared_ptr<arrow::DataType>& type,
    arrow::MemoryPool* pool) {
  const auto& strings = static_cast<const arrow::StringArray&>(array);
  const auto width = static_cast<const arrow::DictionaryType&>(*type).index_type()->id();
  ARROW_ASSIGN_OR_RAISE(const auto indices, width == arrow::Type::INT8
                                                ? Indices<arrow::Int8Builder>(strings, pool)
                                            : width == arrow::Type::INT16
                                                ? Indices<arrow::Int16Builder>(strings, pool)
                                                : Indices<arrow::Int32Builder>(strings, pool));
  if (dictionary_ == nullptr || dictionary_->length() != static_cast<int64_t>(values_.size())) {
    arrow::StringBuilder dictionary(pool);
    for (const auto& value : values_) ARROW_RETURN_NOT_OK(dictionary.Append(value));
    ARROW_ASSIGN_OR_RAISE(dictionary_, dictionary.Finish());
  }
  return arrow::DictionaryArray::FromArrays(type, indices, dictionary_);
}

}  // namespace bulkhaul
