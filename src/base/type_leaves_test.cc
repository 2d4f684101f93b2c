#include "base/type_leaves.h"

#include <gtest/gtest.h>

namespace bulkhaul {
namespace {

TEST(MapLeaves, ReachesBelowListsAndStructsAndKeepsTheRest) {
  const auto note = arrow::key_value_metadata({"k"}, {"v"});
  const auto inner = arrow::field("inner", arrow::int32(), /*nullable=*/false, note);
  const auto schema = arrow::schema(
      {arrow::field("plain", arrow::int32()),
       arrow::field("deep", arrow::list(arrow::field("item", arrow::struct_({inner})))),
       arrow::field("text", arrow::utf8())},
      note);
  const auto mapped = MapLeaves(*schema, [](const std::shared_ptr<arrow::DataType>& type) {
    return type->id() == arrow::Type::INT32 ? arrow::int64() : type;
  });
  const auto expected = arrow::schema(
      {arrow::field("plain", arrow::int64()),
       arrow::field("deep", arrow::list(arrow::field(
                                "item", arrow::struct_({inner->WithType(arrow::int64())})))),
       arrow::field("text", arrow::utf8())},
      note);
  EXPECT_TRUE(mapped->Equals(*expected, /*check_metadata=*/true)) << mapped->ToString();
}

}  // namespace
}  // namespace bulkhaul
