#include "duckdb/csv_columns.h"

#include <arrow/extension/uuid.h>
#include <arrow/type.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bulkhaul::duckdb {
namespace {

using arrow::TimeUnit;

TEST(CsvColumns, EveryTypeThatDuckdbHas) {
  const std::vector<std::pair<std::shared_ptr<arrow::DataType>, std::string>> cases = {
      {arrow::boolean(), "BOOLEAN"},
      {arrow::int8(), "TINYINT"},
      {arrow::uint64(), "UBIGINT"},
      {arrow::float16(), "FLOAT"},
      {arrow::float32(), "FLOAT"},
      {arrow::float64(), "DOUBLE"},
      {arrow::decimal32(5, 2), "DECIMAL(5, 2)"},
      {arrow::decimal128(38, 0), "DECIMAL(38, 0)"},
      {arrow::decimal256(38, 38), "DECIMAL(38, 38)"},
      {arrow::decimal256(39, 2), "VARCHAR"},
      {arrow::decimal128(5, -2), "VARCHAR"},
      {arrow::decimal128(2, 5), "VARCHAR"},
      {arrow::utf8(), "VARCHAR"},
      {arrow::large_utf8(), "VARCHAR"},
      {arrow::binary(), "BLOB"},
      {arrow::large_binary(), "BLOB"},
      {arrow::fixed_size_binary(6), "BLOB"},
      {arrow::extension::uuid(), "UUID"},
      {arrow::date32(), "DATE"},
      {arrow::time32(TimeUnit::MILLI), "TIME"},
      {arrow::time64(TimeUnit::MICRO), "TIME"},
      {arrow::time64(TimeUnit::NANO), "TIME_NS"},
      {arrow::timestamp(TimeUnit::SECOND), "TIMESTAMP"},
      {arrow::timestamp(TimeUnit::MICRO), "TIMESTAMP"},
      {arrow::timestamp(TimeUnit::NANO), "TIMESTAMP_NS"},
      {arrow::timestamp(TimeUnit::MICRO, "Europe/Berlin"), "TIMESTAMP WITH TIME ZONE"},
      {arrow::timestamp(TimeUnit::NANO, "UTC"), "VARCHAR"},
      {arrow::duration(TimeUnit::SECOND), "VARCHAR"},
      {arrow::month_day_nano_interval(), "VARCHAR"},
      {arrow::dictionary(arrow::int32(), arrow::utf8()), "VARCHAR"},
      {arrow::dictionary(arrow::int8(), arrow::decimal128(9, 1)), "DECIMAL(9, 1)"},
      {arrow::list(arrow::int64()), "VARCHAR"},
      {arrow::struct_({arrow::field("a", arrow::int64())}), "VARCHAR"},
      {arrow::null(), "VARCHAR"},
  };
  for (const auto& [type, expected] : cases) {
    EXPECT_EQ(DuckdbTypeOf(type->ToString()), expected) << type->ToString();
  }
}

TEST(CsvColumns, NamesThatDifferInCaseOnlyAreToldApart) {
  EXPECT_THAT(SelectFromCsv("'f'", {{"a", "int8"}, {"A", "int8"}, {"a_1", "int8"}}, ""),
              testing::HasSubstr("{'a': 'TINYINT', 'A_1': 'TINYINT', 'a_1_1': 'TINYINT'}"));
}

}  // namespace
}  // namespace bulkhaul::duckdb
