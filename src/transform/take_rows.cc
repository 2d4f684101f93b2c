#include "transform/take_rows.h"

#include <arrow/array/array_binary.h>
#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/compute/api_vector.h>
#include <arrow/compute/exec.h>
#include <arrow/datum.h>
#include <arrow/type_traits.h>

namespace bulkhaul {

Result<std::shared_ptr<arrow::Array>> TakeRows(const std::shared_ptr<arrow::Array>& array,
                                               const std::shared_ptr<arrow::Int64Array>& places,
                                               arrow::MemoryPool* pool) {
  if (!arrow::is_binary_view_like(array->type_id())) {
    arrow::compute::ExecContext context(pool);
    context.set_use_threads(false);
    ARROW_ASSIGN_OR_RAISE(
        const auto taken,
        arrow::compute::Take(array, places, arrow::compute::TakeOptions::NoBoundsCheck(),
                             &context));
    return taken.make_array();
  }
  const auto& views = static_cast<const arrow::BinaryViewArray&>(*array);
  arrow::BinaryViewBuilder builder(array->type(), pool);
  ARROW_RETURN_NOT_OK(builder.Reserve(places->length()));
  for (int64_t i = 0; i < places->length(); ++i) {
    if (places->IsNull(i) || views.IsNull(places->Value(i))) {
      builder.UnsafeAppendNull();
    } else {
      ARROW_RETURN_NOT_OK(builder.Append(views.GetView(places->Value(i))));
    }
  }
  ARROW_ASSIGN_OR_RAISE(const auto taken, builder.Finish());
  const auto data = taken->data()->Copy();
  data->type = array->type();
  return arrow::MakeArray(data);
}

Result<std::shared_ptr<arrow::Array>> Decoded(const arrow::DictionaryArray& array,
                                              arrow::MemoryPool* pool) {
  arrow::Int64Builder places(pool);
  ARROW_RETURN_NOT_OK(places.Reserve(array.length()));
  for (int64_t i = 0; i < array.length(); ++i) {
    if (array.IsNull(i)) {
      places.UnsafeAppendNull();
    } else {
      places.UnsafeAppend(array.GetValueIndex(i));
    }
  }
  ARROW_ASSIGN_OR_RAISE(const auto finished, places.Finish());
  return TakeRows(array.dictionary(), std::static_pointer_cast<arrow::Int64Array>(finished), pool);
}

}  // namespace bulkhaul
