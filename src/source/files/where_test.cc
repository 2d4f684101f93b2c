#include "source/files/where.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "source/files/data_file.h"

namespace bulkhaul::files {
namespace {

std::shared_ptr<arrow::Schema> Columns() {
  return arrow::schema({arrow::field("id", arrow::int64()), arrow::field("na me", arrow::utf8()),
                        arrow::field("day", arrow::date32()), arrow::field("ok", arrow::boolean()),
                        arrow::field("price", arrow::decimal128(9, 2))});
}

std::shared_ptr<arrow::RecordBatch> Rows() {
  const auto column = [](const std::shared_ptr<arrow::DataType>& type,
                         const std::vector<const char*>& values) {
    auto builder = arrow::MakeBuilder(type).ValueOrDie();
    for (const char* value : values) {
      if (value == nullptr) {
        EXPECT_TRUE(builder->AppendNull().ok());
      } else {
        EXPECT_TRUE(builder->AppendScalar(*arrow::Scalar::Parse(type, value).ValueOrDie()).ok());
      }
    }
    return builder->Finish().ValueOrDie();
  };
  arrow::Decimal128Builder price(arrow::decimal128(9, 2));
  for (const int64_t cents : {100, 250, 999})
    EXPECT_TRUE(price.Append(arrow::Decimal128(cents)).ok());
  return arrow::RecordBatch::Make(
      Columns(), 3,
      {column(arrow::int64(), {"1", "2", nullptr}), column(arrow::utf8(), {"ab", nullptr, "it's"}),
       column(arrow::date32(), {"2024-01-01", "2024-02-01", "2024-03-01"}),
       column(arrow::boolean(), {"true", "false", nullptr}), price.Finish().ValueOrDie()});
}

int64_t Kept(const std::string& condition) {
  const auto where = Where::Parse(condition, Columns());
  EXPECT_TRUE(where.ok()) << condition << ": " << where.status();
  if (!where.ok()) return -1;
  const auto batch = where->Filter(Rows(), arrow::default_memory_pool());
  EXPECT_TRUE(batch.ok()) << batch.status();
  return batch.ok() ? (*batch)->num_rows() : -1;
}

TEST(Where, KeepsRowsForWhichItIsTrue) {
  EXPECT_EQ(Kept("id = 1"), 1);
  EXPECT_EQ(Kept("id <> 1"), 1);  // of NULL nothing is known
  EXPECT_EQ(Kept("not id = 1 or id is null"), 2);
  EXPECT_EQ(Kept("id > 1.5"), 1);
  EXPECT_EQ(Kept("\"na me\" = 'it''s'"), 1);
  EXPECT_EQ(Kept("\"na me\" like 'a%' and (id in (1, 7) or ok)"), 1);
  EXPECT_EQ(Kept("id not in (1)"), 1);
  EXPECT_EQ(Kept("day between '2024-01-15' and '2024-03-01'"), 2);
  EXPECT_EQ(Kept("ok"), 1);
  EXPECT_EQ(Kept("ok = FALSE"), 1);
  EXPECT_EQ(Kept("price >= 2.5"), 2);
}

std::string Many(int count, const std::string& one, const std::string& between) {
  std::string text;
  for (int i = 0; i < count; ++i) text += (i == 0 ? "" : between) + one;
  return text;
}

TEST(Where, TakesAnyNumberOfValues) {
  const std::string many = "(" + Many(30'000, "2", ", ") + ", 7)";
  EXPECT_EQ(Kept("id in " + many), 1);
  EXPECT_EQ(Kept("id not in " + many), 1);
  EXPECT_EQ(Kept("id in (1.5, 2, 1e0)"), 2);
  EXPECT_EQ(Kept("id not in (1.5, 2)"), 1);
  EXPECT_EQ(Kept("\"na me\" not in ('ab', 'x')"), 1);
  EXPECT_EQ(Kept("day in ('2024-01-01', '2024-03-01') and ok in (true, true)"), 1);
  EXPECT_EQ(Kept("price in (2.5, 9.99, 1000)"), 2);
}

TEST(Where, SaysWhatIsWrongAndWhere) {
  const auto refused = [](const std::string& condition, const std::string& part) {
    const auto where = Where::Parse(condition, Columns());
    ASSERT_FALSE(where.ok()) << condition;
    EXPECT_EQ(KindOf(where.status()), ErrorKind::kUser);
    EXPECT_NE(MessageOf(where.status()).find(part), std::string::npos) << where.status();
  };
  refused("", "a column");
  refused("id", "a comparison");
  refused("id = ", "where the text ends");
  refused("idd = 1", "did you mean 'id'");
  refused("id = 'x'", "'x' is no value of column 'id', which is int64");
  refused("id = null", "is null");
  refused("id = 1 id = 2", "character 8");
  refused("day like '2024%'", "like wants text");
  refused("'open", "not closed");
  refused(std::string(1000, '(') + "ok", "nested too deeply");
  refused(Many(20'000, "ok", " or "), "more than 1000 conditions; many values of one column");
  refused(Many(20'000, "not ok", " and "), "more than 1000 conditions");
  refused("id in (" + Many(20'000, "0.5", ",") + ")", "more than 1000 conditions");
}

TEST(Where, BoundsExcludeWhatCannotMatch) {
  const auto where = Where::Parse("id > 10 and ok", Columns()).ValueOrDie();
  const auto may = [&](int64_t min, int64_t max) {
    return where.MayMatch({{"id", arrow::MakeScalar(min), arrow::MakeScalar(max), /*nulls=*/true}})
        .ValueOrDie();
  };
  EXPECT_FALSE(may(1, 10));
  EXPECT_TRUE(may(1, 11));
  EXPECT_TRUE(where.MayMatch({}).ValueOrDie());
  const auto nulls = Where::Parse("id > 10 or id is null", Columns()).ValueOrDie();
  const auto one = arrow::MakeScalar(int64_t{1});
  EXPECT_TRUE(nulls.MayMatch({{"id", one, one, /*nulls=*/true}}).ValueOrDie());
  EXPECT_FALSE(nulls.MayMatch({{"id", one, one, /*nulls=*/false}}).ValueOrDie());
  const auto values = Where::Parse("id in (5, 7)", Columns()).ValueOrDie();
  EXPECT_TRUE(values.MayMatch({{"id", one, arrow::MakeScalar(int64_t{5}), true}}).ValueOrDie());
  EXPECT_FALSE(values.MayMatch({{"id", one, arrow::MakeScalar(int64_t{4}), true}}).ValueOrDie());
}

TEST(DataFile, TablesAreNamedAfterWhatIsFixed) {
  EXPECT_EQ(DatasetNameOf("/no/such/orders_*.csv"), "orders");
  EXPECT_EQ(DatasetNameOf("/no/such/orders/*.csv.gz"), "orders");
  EXPECT_EQ(DatasetNameOf("/no/such/year=*/**/*.parquet"), "such");
  EXPECT_EQ(DatasetNameOf("/no/such/orders.csv.gz"), "orders");
}

}  // namespace
}  // namespace bulkhaul::files
