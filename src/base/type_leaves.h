// Types below lists and structs.
#pragma once

#include <functional>
#include <memory>

#include <arrow/type.h>

namespace bulkhaul {

using LeafType =
    std::function<std::shared_ptr<arrow::DataType>(const std::shared_ptr<arrow::DataType>&)>;

// The type with leaf(t) in the place of each type t that is neither list nor struct. Names,
// nullability and metadata of the fields within stay. Pure where `leaf` is.
std::shared_ptr<arrow::DataType> MapLeaves(const std::shared_ptr<arrow::DataType>& type,
                                           const LeafType& leaf);
// The same for every field; the schema's metadata stays too.
std::shared_ptr<arrow::Schema> MapLeaves(const arrow::Schema& schema, const LeafType& leaf);

}  // namespace bulkhaul
