#include "transform/dictionary_builder.h"

#include <arrow/array/array_binary.h>
#include <arrow/array/array_dict.h>
#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_primitive.h>

namespace bulkhaul {

Result<std::shared_ptr<arrow::Array>> DictionaryBuilder::Encode(const arrow::Array& array,
                                                                arrow::MemoryPool* pool) {
  const auto& strings = static_cast<const arrow::StringArray&>(array);
  arrow::Int32Builder indices(pool);
  ARROW_RETURN_NOT_OK(indices.Reserve(array.length()));
  for (int64_t i = 0; i < array.length(); ++i) {
    if (strings.IsNull(i)) {
      indices.UnsafeAppendNull();
      continue;
    }
    const std::string_view value = strings.GetView(i);
    auto found = indices_.find(value);
    if (found == indices_.end()) {
      values_.emplace_back(value);
      found = indices_.emplace(values_.back(), static_cast<int32_t>(values_.size() - 1)).first;
    }
    indices.UnsafeAppend(found->second);
  }
  if (dictionary_ == nullptr || dictionary_->length() != static_cast<int64_t>(values_.size())) {
    arrow::StringBuilder dictionary(pool);
    for (const auto& value : values_) ARROW_RETURN_NOT_OK(dictionary.Append(value));
    ARROW_ASSIGN_OR_RAISE(dictionary_, dictionary.Finish());
  }
  ARROW_ASSIGN_OR_RAISE(const auto index_array, indices.Finish());
  return arrow::DictionaryArray::FromArrays(arrow::dictionary(arrow::int32(), arrow::utf8()),
                                            index_array, dictionary_);
}

}  // namespace bulkhaul
