#include "sink/parquet/narrow_decimals.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <gtest/gtest.h>

namespace bulkhaul {
namespace {

std::shared_ptr<arrow::Array> Decimals(int precision) {
  arrow::Decimal128Builder builder(arrow::decimal128(precision, 2));
  for (const int64_t value : {int64_t{0}, int64_t{-1}, int64_t{999'999'999}}) {
    EXPECT_TRUE(builder.Append(arrow::Decimal128(value)).ok());
    EXPECT_TRUE(builder.AppendNull().ok());
  }
  EXPECT_TRUE(builder.Append(arrow::Decimal128(-999'999'999)).ok());
  return builder.Finish().ValueOrDie();
}

TEST(NarrowDecimals, ValuesAndNullsStayInSlicesToo) {
  const arrow::FieldVector fields = {arrow::field("p9", arrow::decimal128(9, 2)),
                                     arrow::field("p18", arrow::decimal128(18, 2)),
                                     arrow::field("p19", arrow::decimal128(19, 2))};
  const auto whole =
      arrow::RecordBatch::Make(arrow::schema(fields), 7, {Decimals(9), Decimals(18), Decimals(19)});
  const auto narrow_schema = NarrowDecimalSchema(*whole->schema());
  EXPECT_EQ(narrow_schema->field(0)->type()->ToString(), "decimal32(9, 2)");
  EXPECT_EQ(narrow_schema->field(1)->type()->ToString(), "decimal64(18, 2)");
  EXPECT_EQ(narrow_schema->field(2)->type()->ToString(), "decimal128(19, 2)");
  for (const int64_t offset : {0, 1, 3}) {
    const auto batch = whole->Slice(offset, 4);
    const auto narrow =
        NarrowDecimals(*batch, narrow_schema, arrow::default_memory_pool()).ValueOrDie();
    ASSERT_TRUE(narrow->ValidateFull().ok()) << narrow->ValidateFull();
    for (int column = 0; column < 3; ++column) {
      for (int64_t row = 0; row < 4; ++row) {
        EXPECT_EQ(narrow->column(column)->GetScalar(row).ValueOrDie()->ToString(),
                  batch->column(column)->GetScalar(row).ValueOrDie()->ToString())
            << column << " " << row << " of the slice from " << offset;
      }
    }
  }
}

}  // namespace
}  // namespace bulkhaul
