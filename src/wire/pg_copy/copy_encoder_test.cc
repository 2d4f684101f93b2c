#include "wire/pg_copy/copy_encoder.h"

#include <random>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "wire/pg_copy/decoder_testing.h"
#include "wire/pg_copy/golden_values.h"

namespace bulkhaul::pg {
namespace {

using testing::ArrayOf;
using testing::Column;
using testing::ColumnOf;
using testing::DecodeAll;
using testing::DecoderOf;
using testing::FieldCount;
using testing::FromHex;

// The tuples of the batch as these columns of a server take them.
Result<std::string> EncodeTuples(const arrow::RecordBatch& batch,
                                 const std::vector<ColumnSpec>& targets,
                                 const EncodeOptions& options = {}, int64_t order_from = -1) {
  std::vector<EncodeColumn> columns;
  for (int i = 0; i < batch.num_columns(); ++i) {
    const ColumnSpec& target = targets[static_cast<size_t>(i)];
    ARROW_ASSIGN_OR_RAISE(auto plan,
                          PlanEncoding(*batch.schema()->field(i)->type(), target, options));
    columns.push_back({target.name, i, std::move(plan)});
  }
  CopyEncoder encoder(std::move(columns), order_from);
  ByteBuffer out;
  ARROW_RETURN_NOT_OK(encoder.Encode(batch, 0, batch.num_rows(), &out));
  EXPECT_EQ(encoder.rows(), batch.num_rows());
  return std::string(reinterpret_cast<const char*>(out.data()), out.size());
}

std::shared_ptr<arrow::RecordBatch> BatchOf(const std::shared_ptr<arrow::Array>& array) {
  const int64_t rows = array->length();
  return arrow::RecordBatch::Make(arrow::schema({arrow::field("c", array->type())}), rows, {array});
}

Result<std::string> EncodeOne(const std::shared_ptr<arrow::Array>& array, const ColumnSpec& target,
                              const EncodeOptions& options = {}) {
  return EncodeTuples(*BatchOf(array), {target}, options);
}

std::string ErrorOf(const std::shared_ptr<arrow::Array>& array, const ColumnSpec& target) {
  const auto encoded = EncodeOne(array, target);
  return encoded.ok() ? "no error" : encoded.status().message();
}

template <typename Builder, typename... Values>
std::shared_ptr<arrow::Array> ArrayWith(Builder builder, Values... values) {
  for (const auto& value : {values...}) EXPECT_TRUE(builder.Append(value).ok());
  return builder.Finish().ValueOrDie();
}

TEST(CopyEncoder, GivesBackTheBytesThatTheServerSent) {
  int compared = 0;
  for (const auto& golden : testing::kGoldenValues) {
    SCOPED_TRACE(golden.sql);
    const ColumnSpec column = Column("c", golden.oid, golden.typmod, golden.dimensions);
    const std::string field = FromHex(golden.bytes);
    auto decoded = testing::DecodeOne(column, field);
    if (!decoded.ok()) continue;  // infinities, which need an option to be read at all
    ASSERT_OK_AND_ASSIGN(const std::string tuples, EncodeOne(*decoded, column));
    ASSERT_OK_AND_ASSIGN(const auto again, testing::DecodeOne(column, tuples.substr(2)));
    EXPECT_TRUE(again->Equals(*decoded, arrow::EqualOptions::Defaults().nans_equal(true)))
        << again->ToString();
    // An array says whether it has NULLs; we always say that it may.
    if (BuiltinType(golden.oid)->element == nullptr) EXPECT_EQ(tuples.substr(2), field);
    ++compared;
  }
  EXPECT_GT(compared, 100);
}

TEST(CopyEncoder, WritesTypesThatUsersMake) {
  const auto nest = ColumnOf(testing::Nest());
  auto pair = arrow::struct_({arrow::field("a", arrow::int32()), arrow::field("b", arrow::utf8()),
                              arrow::field("c", arrow::decimal128(6, 2))});
  auto type = arrow::struct_({arrow::field("p", pair), arrow::field("d", arrow::int32()),
                              arrow::field("m", arrow::utf8()),
                              arrow::field("xs", arrow::list(arrow::utf8()))});
  auto builder = arrow::MakeBuilder(type).ValueOrDie();
  auto& outer = static_cast<arrow::StructBuilder&>(*builder);
  auto& inner = static_cast<arrow::StructBuilder&>(*outer.field_builder(0));
  auto& list = static_cast<arrow::ListBuilder&>(*outer.field_builder(3));
  for (int row = 0; row < 3; ++row) {
    if (row == 1) {
      ASSERT_OK(outer.AppendNull());
      continue;
    }
    ASSERT_OK(outer.Append());
    ASSERT_OK(inner.Append());
    ASSERT_OK(static_cast<arrow::Int32Builder&>(*inner.field_builder(0)).Append(row));
    ASSERT_OK(static_cast<arrow::StringBuilder&>(*inner.field_builder(1)).Append("b"));
    ASSERT_OK(static_cast<arrow::Decimal128Builder&>(*inner.field_builder(2))
                  .Append(arrow::Decimal128(-123450 - row)));
    ASSERT_OK(static_cast<arrow::Int32Builder&>(*outer.field_builder(1)).Append(7));
    ASSERT_OK(static_cast<arrow::StringBuilder&>(*outer.field_builder(2)).Append("ok"));
    ASSERT_OK(list.Append());
    auto& items = static_cast<arrow::StringBuilder&>(*list.value_builder());
    if (row == 0) continue;
    ASSERT_OK(items.Append("x"));
    ASSERT_OK(items.AppendNull());
  }
  const auto array = builder->Finish().ValueOrDie();
  ASSERT_OK_AND_ASSIGN(const std::string tuples, EncodeOne(array, nest));
  auto decoder = DecoderOf({nest});
  ASSERT_OK_AND_ASSIGN(const auto batches, DecodeAll(*decoder, testing::Stream(tuples)));
  EXPECT_TRUE(batches.at(0)->column(0)->Equals(*array)) << batches.at(0)->column(0)->ToString();
  // A slice begins in the middle of every child.
  ASSERT_OK_AND_ASSIGN(const std::string tail, EncodeOne(array->Slice(2), nest));
  EXPECT_EQ(tail, tuples.substr(tuples.size() - tail.size()));
}

// Any numbers, NULLs among them, over several blocks and from any offset: they come back.
TEST(CopyEncoder, RowsComeBackAsTheyWere) {
  EXPECT_TRUE(rc::check([] {
    const auto seed = *rc::gen::arbitrary<uint32_t>();
    std::mt19937_64 random(seed);
    const int64_t rows = static_cast<int64_t>(random() % 2500);
    const int null_of_ten = static_cast<int>(random() % 4);
    const int32_t scale = static_cast<int32_t>(random() % 11);
    arrow::Int64Builder integers;
    arrow::StringBuilder texts;
    arrow::Decimal128Builder decimals(arrow::decimal128(38, scale));
    arrow::TimestampBuilder times(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"),
                                  arrow::default_memory_pool());
    arrow::BooleanBuilder flags;
    for (int64_t row = 0; row < rows; ++row) {
      const auto null = [&] { return static_cast<int>(random() % 10) < null_of_ten; };
      const auto any = static_cast<int64_t>(random()) >> (random() % 64);
      RC_ASSERT((null() ? integers.AppendNull() : integers.Append(any)).ok());
      RC_ASSERT((null() ? texts.AppendNull() : texts.Append(std::string(random() % 40, 'x'))).ok());
      const arrow::Decimal128 wide(random() % 3 == 0 ? any % 1'000'000'000 : (any < 0 ? -1 : 0),
                                   static_cast<uint64_t>(any));
      RC_ASSERT((null() ? decimals.AppendNull() : decimals.Append(wide)).ok());
      RC_ASSERT((null() ? times.AppendNull() : times.Append(any >> 6)).ok());
      RC_ASSERT((null() ? flags.AppendNull() : flags.Append(any % 2 == 0)).ok());
    }
    const arrow::ArrayVector arrays = {*integers.Finish(), *texts.Finish(), *decimals.Finish(),
                                       *times.Finish(), *flags.Finish()};
    arrow::FieldVector fields;
    for (const auto& array : arrays) fields.push_back(arrow::field("c", array->type()));
    const int64_t from =
        rows == 0 ? 0 : static_cast<int64_t>(random() % static_cast<uint64_t>(rows));
    const auto batch = arrow::RecordBatch::Make(arrow::schema(fields), rows, arrays)->Slice(from);
    const std::vector<ColumnSpec> targets = {Column("i", kInt8Oid), Column("t", kTextOid),
                                             Column("d", kNumericOid, ((38 << 16) | scale) + 4),
                                             Column("at", kTimestamptzOid), Column("b", kBoolOid)};
    const auto tuples = EncodeTuples(*batch, targets);
    RC_ASSERT(tuples.ok());
    auto decoder = DecoderOf(targets);
    const auto batches = DecodeAll(*decoder, testing::Stream(*tuples));
    RC_ASSERT(batches.ok());
    const auto table = *arrow::Table::FromRecordBatches(decoder->schema(), *batches);
    RC_ASSERT(table->num_rows() == batch->num_rows());
    if (batch->num_rows() == 0) return;
    const auto whole = *table->CombineChunksToBatch();
    for (int i = 0; i < batch->num_columns(); ++i) {
      RC_ASSERT(whole->column(i)->Equals(*batch->column(i)));
    }
  }));
}

TEST(CopyEncoder, WritesNumbersIntoNumeric) {
  const ColumnSpec any = Column("n", kNumericOid);
  const auto text_of = [&](const std::shared_ptr<arrow::Array>& array) -> std::string {
    auto tuples = EncodeOne(array, any);
    if (!tuples.ok()) return tuples.status().message();
    return testing::DecodeOne(any, tuples->substr(2))
        .ValueOrDie()
        ->GetScalar(0)
        .ValueOrDie()
        ->ToString();
  };
  EXPECT_EQ(text_of(ArrayWith(arrow::UInt64Builder(), UINT64_MAX)), "18446744073709551615");
  EXPECT_EQ(text_of(ArrayWith(arrow::Int64Builder(), INT64_MIN)), "-9223372036854775808");
  EXPECT_EQ(text_of(ArrayWith(arrow::Int8Builder(), int8_t{0})), "0");
  EXPECT_EQ(text_of(ArrayWith(arrow::DoubleBuilder(), 1.5e-7)), "0.00000015");
  EXPECT_EQ(text_of(ArrayWith(arrow::DoubleBuilder(), 1e22)), "10000000000000000000000");
  for (const char* text : {"12345678901234567890123456789.000120", "-0.00000001", "0.000", "NaN",
                           "100000000", "-Infinity", "9999.9999"}) {
    EXPECT_EQ(text_of(ArrayWith(arrow::StringBuilder(), text)), text);
  }
  EXPECT_EQ(text_of(ArrayWith(arrow::StringBuilder(), " +1.50E+3 ")), "1500");
  EXPECT_NE(text_of(ArrayWith(arrow::StringBuilder(), "1,5")).find("'1,5' is not a number"),
            std::string::npos);
  arrow::Decimal128Builder thousands(arrow::decimal128(5, -3));
  EXPECT_EQ(text_of(ArrayWith(std::move(thousands), arrow::Decimal128(12))), "12000");
}

TEST(CopyEncoder, RoundsNothing) {
  const auto nanos = [](int64_t value) {
    arrow::TimestampBuilder builder(arrow::timestamp(arrow::TimeUnit::NANO),
                                    arrow::default_memory_pool());
    return ArrayWith(std::move(builder), int64_t{0}, value);
  };
  const auto stamp = Column("at", kTimestampOid);
  EXPECT_EQ(
      ErrorOf(nanos(1001), stamp),
      "column \"at\", row 2: the value does not fit into timestamp without time zone; PostgreSQL's "
      "have six digits of a second: cast: at: string keeps all");
  EXPECT_EQ(ErrorOf(nanos(1000), stamp), "no error");
  EXPECT_NE(ErrorOf(nanos(1000), Column("at", kTimestampOid, 3)).find("row 2"), std::string::npos);
  EXPECT_NE(ErrorOf(ArrayWith(arrow::Int64Builder(), int64_t{40000}), Column("n", kInt2Oid))
                .find("does not fit into smallint"),
            std::string::npos);
  EXPECT_NE(ErrorOf(ArrayWith(arrow::Int8Builder(), int8_t{-1}), Column("o", kOidOid))
                .find("does not fit into oid"),
            std::string::npos);
  const ColumnSpec cents = Column("n", kNumericOid, ((10 << 16) | 2) + 4);
  EXPECT_EQ(ErrorOf(ArrayWith(arrow::StringBuilder(), "1.500"), cents), "no error");
  EXPECT_NE(ErrorOf(ArrayWith(arrow::StringBuilder(), "1.005"), cents)
                .find("more than the 2 digits after the point that numeric(10,2) keeps"),
            std::string::npos);
}

TEST(CopyEncoder, RefusesTextThatPostgresCannotHold) {
  const auto text = Column("t", kTextOid);
  const std::string nul("a\0b", 3);
  EXPECT_NE(ErrorOf(ArrayWith(arrow::StringBuilder(), std::string("fine"), nul), text)
                .find("column \"t\", row 2: the value holds a NUL byte"),
            std::string::npos);
  EXPECT_NE(ErrorOf(ArrayWith(arrow::LargeStringBuilder(), std::string("\xff")), text)
                .find("row 1: the value is not valid UTF-8"),
            std::string::npos);
  ASSERT_OK_AND_ASSIGN(const auto stripped, EncodeOne(ArrayWith(arrow::StringBuilder(), nul), text,
                                                      {.strip_nul = true}));
  EXPECT_EQ(stripped, FieldCount(1) + testing::Field("ab"));
  const std::string json = R"({"a": "x\u0000y", "b": "\\u0000"})";
  ASSERT_OK_AND_ASSIGN(const auto cleaned, EncodeOne(ArrayWith(arrow::StringBuilder(), json),
                                                     Column("j", kJsonbOid), {.strip_nul = true}));
  EXPECT_EQ(cleaned, FieldCount(1) + testing::Field("\x01"
                                                    R"({"a": "xy", "b": "\\u0000"})"));
  // json keeps them.
  EXPECT_EQ(*EncodeOne(ArrayWith(arrow::StringBuilder(), json), Column("j", kJsonOid),
                       {.strip_nul = true}),
            FieldCount(1) + testing::Field(json));
  // A bytea may hold anything.
  EXPECT_EQ(ErrorOf(ArrayWith(arrow::BinaryBuilder(), nul), Column("b", kByteaOid)), "no error");
}

TEST(CopyEncoder, TakesEveryLayoutOfText) {
  const auto text = Column("t", kTextOid);
  const std::string longer = "longer than twelve bytes";
  ASSERT_OK_AND_ASSIGN(
      const auto plain,
      EncodeOne(ArrayWith(arrow::StringBuilder(), std::string("a"), longer), text));
  EXPECT_EQ(*EncodeOne(ArrayWith(arrow::LargeStringBuilder(), std::string("a"), longer), text),
            plain);
  EXPECT_EQ(*EncodeOne(ArrayWith(arrow::StringViewBuilder(), std::string("a"), longer), text),
            plain);
  arrow::StringDictionaryBuilder dictionary;
  ASSERT_OK(dictionary.Append("a"));
  ASSERT_OK(dictionary.Append(longer));
  EXPECT_EQ(*EncodeOne(dictionary.Finish().ValueOrDie(), text), plain);
}

TEST(CopyEncoder, SaysWhatHasNoWay) {
  const auto plan = PlanEncoding(*arrow::utf8(), Column("when", kDateOid), {});
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(CodeOf(plan.status()), "type_mismatch");
  EXPECT_NE(
      plan.status().message().find("column \"when\" is string and cannot be loaded into date"),
      std::string::npos);
  arrow::ListBuilder lists(
      arrow::default_memory_pool(),
      std::make_shared<arrow::ListBuilder>(arrow::default_memory_pool(),
                                           std::make_shared<arrow::Int32Builder>()));
  auto& inner = static_cast<arrow::ListBuilder&>(*lists.value_builder());
  auto& items = static_cast<arrow::Int32Builder&>(*inner.value_builder());
  ASSERT_OK(lists.Append());
  ASSERT_OK(inner.Append());
  ASSERT_OK(items.Append(1));
  ASSERT_OK(inner.Append());
  EXPECT_NE(ErrorOf(lists.Finish().ValueOrDie(), ColumnOf(ArrayOf(BuiltinType(kInt4Oid), 1007)))
                .find("lists of different lengths"),
            std::string::npos);
}

TEST(CopyEncoder, CountsRowsInAColumnOfItsOwn) {
  ASSERT_OK_AND_ASSIGN(const auto tuples,
                       EncodeTuples(*BatchOf(ArrayWith(arrow::Int32Builder(), 5, 6)),
                                    {Column("c", kInt4Oid)}, {}, 40));
  EXPECT_EQ(tuples, FieldCount(2) + testing::Field(testing::BigEndian(5, 4)) +
                        testing::Field(testing::BigEndian(40, 8)) + FieldCount(2) +
                        testing::Field(testing::BigEndian(6, 4)) +
                        testing::Field(testing::BigEndian(41, 8)));
}

}  // namespace
}  // namespace bulkhaul::pg
