#include "base/type_leaves.h"

namespace bulkhaul {
namespace {

arrow::FieldVector MapFields(const arrow::FieldVector& fields, const LeafType& leaf) {
  arrow::FieldVector mapped;
  for (const auto& field : fields)
    mapped.push_back(field->WithType(MapLeaves(field->type(), leaf)));
  return mapped;
}

}  // namespace

std::shared_ptr<arrow::DataType> MapLeaves(const std::shared_ptr<arrow::DataType>& type,
                                           const LeafType& leaf) {
  switch (type->id()) {
    case arrow::Type::LIST:
      return arrow::list(MapFields(type->fields(), leaf)[0]);
    case arrow::Type::STRUCT:
      return arrow::struct_(MapFields(type->fields(), leaf));
    default:
      return leaf(type);
  }
}

std::shared_ptr<arrow::Schema> MapLeaves(const arrow::Schema& schema, const LeafType& leaf) {
  return arrow::schema(MapFields(schema.fields(), leaf), schema.metadata());
}

}  // namespace bulkhaul
