#include "transform/transform.h"

#include <cmath>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "plan/column_naming.h"
#include "plan/type_name.h"
#include "transform/cast.h"
#include "transform/drop.h"
#include "transform/exact_cast.h"
#include "transform/naming.h"

namespace bulkhaul {
namespace {

template <typename Builder, typename... Values>
std::shared_ptr<arrow::Array> ArrayOf(Builder builder, Values... values) {
  const auto append = [&](auto value) {
    if constexpr (std::is_same_v<decltype(value), std::nullptr_t>) {
      EXPECT_TRUE(builder.AppendNull().ok());
    } else {
      EXPECT_TRUE(builder.Append(value).ok());
    }
  };
  (append(values), ...);
  return builder.Finish().ValueOrDie();
}

std::shared_ptr<arrow::RecordBatch> TwoColumns() {
  const auto schema =
      arrow::schema({arrow::field("id", arrow::int64(), false,
                                  arrow::key_value_metadata({kSourceTypeKey}, {"INTEGER"})),
                     arrow::field("name", arrow::utf8())});
  return arrow::RecordBatch::Make(schema, 3,
                                  {ArrayOf(arrow::Int64Builder(), 1, 2, 3),
                                   ArrayOf(arrow::StringBuilder(), "a", nullptr, "300")});
}

Dataset DatasetWith(const Options& options) {
  Dataset dataset;
  dataset.id = {"", "t"};
  dataset.schema = TwoColumns()->schema();
  dataset.options = options;
  return dataset;
}

// All transforms of the options over the two columns.
Result<std::shared_ptr<arrow::RecordBatch>> Transformed(const Options& options) {
  ARROW_ASSIGN_OR_RAISE(const auto transforms, MakeTransforms(DatasetWith(options)));
  auto batch = TwoColumns();
  for (const auto& transform : transforms) {
    ARROW_ASSIGN_OR_RAISE(const auto schema, transform->Bind(batch->schema()));
    ARROW_ASSIGN_OR_RAISE(batch, transform->Apply(batch, arrow::default_memory_pool()));
    EXPECT_TRUE(batch->schema()->Equals(schema, true));
    EXPECT_TRUE(batch->ValidateFull().ok());
  }
  return batch;
}

std::string UserMessage(const Options& options) {
  const auto result = Transformed(options);
  if (result.ok()) return "accepted";
  EXPECT_EQ(KindOf(result.status()), ErrorKind::kUser);
  return MessageOf(result.status());
}

Options With(const char* name, OptionValue value) {
  Options options;
  EXPECT_TRUE(options.Set(name, std::move(value)).ok());
  return options;
}

TEST(Transforms, NoneWithoutOptions) {
  EXPECT_TRUE(MakeTransforms(DatasetWith({})).ValueOrDie().empty());
}

TEST(Transforms, SelectKeepsTheOrderAskedFor) {
  const auto batch = Transformed(With("columns", StringList{"name", "id"})).ValueOrDie();
  EXPECT_EQ(batch->schema()->field_names(), (std::vector<std::string>{"name", "id"}));
  EXPECT_TRUE(batch->column(1)->Equals(TwoColumns()->column(0)));
  EXPECT_NE(UserMessage(With("columns", StringList{"nam"})).find("'name'"), std::string::npos);
}

TEST(Transforms, SelectIsLeftOutWhereTheSourceDidIt) {
  const auto options = With("columns", StringList{"id", "name"});
  EXPECT_TRUE(MakeTransforms(DatasetWith(options)).ValueOrDie().empty());
}

TEST(Transforms, RenameKeepsMetadataAndCanSwap) {
  const auto batch =
      Transformed(With("rename", StringPairs{{"id", "name"}, {"name", "id"}})).ValueOrDie();
  EXPECT_EQ(batch->schema()->field_names(), (std::vector<std::string>{"name", "id"}));
  EXPECT_EQ(batch->schema()->field(0)->metadata()->Get(kSourceTypeKey).ValueOrDie(), "INTEGER");
  EXPECT_FALSE(batch->schema()->field(0)->nullable());
}

TEST(Transforms, RenameMistakes) {
  const auto rename = [](StringPairs pairs) { return With("rename", std::move(pairs)); };
  EXPECT_NE(UserMessage(rename({{"idd", "x"}})).find("'id'"), std::string::npos);
  EXPECT_NE(UserMessage(rename({{"id", "name"}})).find("two columns"), std::string::npos);
  EXPECT_NE(UserMessage(rename({{"id", ""}})).find("new name"), std::string::npos);
  EXPECT_NE(UserMessage(rename({{"id", "a"}, {"id", "b"}})).find("two names"), std::string::npos);
}

TEST(Transforms, CastChecksEachValue) {
  const auto cast = [](StringPairs pairs) { return With("cast", std::move(pairs)); };
  const auto batch = Transformed(cast({{"id", "int8"}})).ValueOrDie();
  EXPECT_TRUE(batch->column(0)->Equals(ArrayOf(arrow::Int8Builder(), 1, 2, 3)));
  const auto message = UserMessage(cast({{"name", "int16"}}));
  EXPECT_NE(message.find("'name' holds a"), std::string::npos) << message;
  EXPECT_NE(UserMessage(cast({{"id", "int99"}})).find("not a type"), std::string::npos);
  EXPECT_NE(UserMessage(cast({{"id", "strin"}})).find("'string'"), std::string::npos);
  EXPECT_NE(UserMessage(cast({{"id", "int8"}, {"id", "int16"}})).find("two types"),
            std::string::npos);
}

TEST(Transforms, CastComesAfterRename) {
  Options options = With("rename", StringPairs{{"id", "key"}});
  ASSERT_TRUE(options.Set("cast", StringPairs{{"key", "string"}}).ok());
  const auto batch = Transformed(options).ValueOrDie();
  EXPECT_EQ(batch->schema()->field(0)->name(), "key");
  EXPECT_EQ(batch->schema()->field(0)->type()->id(), arrow::Type::STRING);
}

TEST(Transforms, ContradictionsAreRefused) {
  EXPECT_NE(UserMessage(With("shrink_float_tolerance", 0.1)).find("shrink"), std::string::npos);
  EXPECT_NE(UserMessage(With("shrink_float_tolerance", 2.0)).find("below 1"), std::string::npos);
}

struct CastCase {
  std::shared_ptr<arrow::Array> array;
  const char* type;
  bool fits;
};

std::shared_ptr<arrow::Array> DictionaryOf(const std::shared_ptr<arrow::Array>& values) {
  return arrow::DictionaryArray::FromArrays(ArrayOf(arrow::Int32Builder(), 0), values).ValueOrDie();
}

TEST(Transforms, NothingIsLostByACast) {
  const auto micros = arrow::timestamp(arrow::TimeUnit::MICRO);
  const auto stamps = [&](auto... values) {
    return ArrayOf(arrow::TimestampBuilder(micros, arrow::default_memory_pool()), values...);
  };
  const auto decimals = [](const std::vector<std::string>& texts, int precision, int scale) {
    arrow::StringBuilder builder;
    EXPECT_TRUE(builder.AppendValues(texts).ok());
    return CastExactly(builder.Finish().ValueOrDie(), arrow::decimal128(precision, scale), "c",
                       arrow::default_memory_pool())
        .ValueOrDie();
  };
  const std::vector<CastCase> cases = {
      {ArrayOf(arrow::Int64Builder(), 127, nullptr), "int8", true},
      {ArrayOf(arrow::Int64Builder(), 128), "int8", false},
      {ArrayOf(arrow::Int64Builder(), -1), "uint64", false},
      {ArrayOf(arrow::Int64Builder(), (int64_t{1} << 53) + 1), "double", false},
      {ArrayOf(arrow::DoubleBuilder(), 1.5), "int32", false},
      {ArrayOf(arrow::DoubleBuilder(), 2.0), "int32", true},
      {ArrayOf(arrow::DoubleBuilder(), 0.1), "float", false},
      {ArrayOf(arrow::DoubleBuilder(), 0.5, NAN, INFINITY, nullptr), "float", true},
      {stamps(86'400'000'000), "date", true},
      {stamps(86'400'000'001), "date", false},
      {stamps(1'000'000), "timestamp(s)", true},
      {stamps(1'000'001), "timestamp(s)", false},
      {stamps(INT64_MAX / 10), "timestamp(ns)", false},
      {ArrayOf(arrow::StringBuilder(), "12.50"), "decimal(4,2)", true},
      {ArrayOf(arrow::StringBuilder(), "123.45"), "decimal(4,2)", false},
      {ArrayOf(arrow::StringBuilder(), "2024-02-30"), "date", false},
      {ArrayOf(arrow::BinaryBuilder(), "\xff"), "string", false},
      // Integers beyond 2^53 that a double holds, and those it does not.
      {ArrayOf(arrow::Int64Builder(), int64_t{1} << 60), "double", true},
      {ArrayOf(arrow::Int64Builder(), INT64_MAX), "double", false},
      {ArrayOf(arrow::Int32Builder(), 16'777'217), "float", false},
      {ArrayOf(arrow::UInt64Builder(), UINT64_MAX), "double", false},
      {decimals({"0.1", "-12345678901234.5", "0"}, 38, 10), "double", true},
      {decimals({"0.1"}, 38, 30), "double", true},
      {decimals({"1152921504606846976"}, 38, 2), "double", true},  // 2^60
      {decimals({"1234567890123456789.25"}, 38, 2), "double", false},
      {decimals({"-0.12345678901234567891"}, 38, 20), "double", false},
      {decimals({"0.1"}, 9, 2), "float", true},
      {decimals({"16777217"}, 9, 0), "float", false},
      {ArrayOf(arrow::StringBuilder(), "1.10", "1e3", "nan", "-inf", "0.10000000000000001", "0"),
       "double", true},
      {ArrayOf(arrow::StringBuilder(), "0.1000000000000000001"), "double", false},
      {ArrayOf(arrow::StringBuilder(), "16777217"), "float", false},
      {ArrayOf(arrow::StringBuilder(), "1e-999"), "double", false},
      {ArrayOf(arrow::Int64Builder(), 0, 1, nullptr), "bool", true},
      {ArrayOf(arrow::Int64Builder(), 2), "bool", false},
      {ArrayOf(arrow::DoubleBuilder(), 1.0, 0.0), "bool", true},
      {ArrayOf(arrow::DoubleBuilder(), 0.1), "bool", false},
      {ArrayOf(arrow::DoubleBuilder(), NAN), "bool", false},
      {ArrayOf(arrow::DoubleBuilder(), 0.1, 12.25), "decimal(5,2)", true},
      {ArrayOf(arrow::DoubleBuilder(), 1.239), "decimal(5,2)", false},
      {DictionaryOf(decimals({"1234567890123456789.25"}, 38, 2)), "double", false},
      {DictionaryOf(ArrayOf(arrow::Int64Builder(), 2)), "bool", false},
      {DictionaryOf(ArrayOf(arrow::Int64Builder(), 7)), "int64", true},
  };
  for (const auto& one : cases) {
    const auto type = ParseTypeName(one.type).ValueOrDie();
    const auto result = CastExactly(one.array, type, "c", arrow::default_memory_pool());
    EXPECT_EQ(result.ok(), one.fits) << one.array->ToString() << one.type << result.status();
    if (result.ok()) continue;
    EXPECT_EQ(KindOf(result.status()), ErrorKind::kUser);
  }
}

TEST(Transforms, TheFirstValueThatDoesNotFitIsNamed) {
  arrow::Int64Builder builder;
  for (int64_t i = 0; i < 1000; ++i) ASSERT_TRUE(builder.Append(i == 777 ? 40'000 : i).ok());
  const auto status = CastExactly(builder.Finish().ValueOrDie(), arrow::int16(), "price",
                                  arrow::default_memory_pool())
                          .status();
  ASSERT_FALSE(status.ok());
  EXPECT_NE(MessageOf(status).find("column 'price' holds 40000"), std::string::npos) << status;
}

TEST(Transforms, ACastSaysWhatKeepsTheDigits) {
  const auto status = CastExactly(ArrayOf(arrow::Int64Builder(), (int64_t{1} << 53) + 1),
                                  arrow::float64(), "n", arrow::default_memory_pool())
                          .status();
  EXPECT_EQ(MessageOf(status),
            "cast: column 'n' holds 9007199254740993, which is not a double: it has more digits "
            "than a double holds; string or decimal(p,s) keeps them");
}

TEST(Transforms, DecimalsBecomeTheNearestDoubles) {
  for (const char* text : {"0.1", "-0.3", "123456789012345.6", "0.00001", "12345678901.2345"}) {
    const auto decimal = CastExactly(ArrayOf(arrow::StringBuilder(), text),
                                     arrow::decimal128(38, 10), "c", arrow::default_memory_pool())
                             .ValueOrDie();
    const auto real =
        CastExactly(decimal, arrow::float64(), "c", arrow::default_memory_pool()).ValueOrDie();
    EXPECT_EQ(static_cast<const arrow::DoubleArray&>(*real).Value(0), std::stod(text)) << text;
  }
}

TEST(Transforms, CastsThatNoValueSurvivesAreRefusedWhenBound) {
  const auto micros = arrow::timestamp(arrow::TimeUnit::MICRO);
  const auto time = arrow::time64(arrow::TimeUnit::MICRO);
  EXPECT_FALSE(CanCastExactly(*micros, *time));
  EXPECT_FALSE(CanCastExactly(*arrow::dictionary(arrow::int32(), micros), *time));
  EXPECT_FALSE(CanCastExactly(*arrow::list(arrow::int32()), *arrow::int32()));
  EXPECT_TRUE(CanCastExactly(*micros, *arrow::date32()));
  EXPECT_TRUE(CanCastExactly(*arrow::float16(), *arrow::float64()));
  EXPECT_TRUE(CanCastExactly(*arrow::decimal128(5, 2), *arrow::float64()));
}

TEST(Transforms, TypeMismatchNullTakesNullForWhatDoesNotFit) {
  Options options = With("cast", StringPairs{{"id", "bool"}});
  ASSERT_TRUE(options.Set("type_mismatch", "null").ok());
  const auto batch = Transformed(options).ValueOrDie();
  EXPECT_TRUE(batch->column(0)->Equals(ArrayOf(arrow::BooleanBuilder(), true, nullptr, nullptr)))
      << batch->column(0)->ToString();
  std::vector<int64_t> misfits;
  const auto array = CastOrNull(ArrayOf(arrow::Int64Builder(), 1, 300, -1, nullptr, 200, 7),
                                arrow::int8(), arrow::default_memory_pool(), &misfits)
                         .ValueOrDie();
  EXPECT_TRUE(array->Equals(ArrayOf(arrow::Int8Builder(), 1, nullptr, -1, nullptr, nullptr, 7)));
  EXPECT_EQ(misfits, (std::vector<int64_t>{1, 4}));
}

TEST(Transforms, TypeNamesRoundTrip) {
  for (const char* name :
       {"int8",         "uint64",        "double",          "float",
        "bool",         "string",        "binary",          "date",
        "time",         "timestamp",     "timestamptz",     "decimal(15,2)",
        "large_string", "large_binary",  "binary(16)",      "time(ms)",
        "time(ns)",     "timestamp(ms)", "timestamptz(ns)", "decimal256(70,2)"}) {
    EXPECT_EQ(TypeName(*ParseTypeName(name).ValueOrDie()), name);
  }
  EXPECT_TRUE(ParseTypeName("decimal256(76,3)").ok());
  EXPECT_TRUE(ParseTypeName("bigint").ValueOrDie()->Equals(arrow::int64()));
  EXPECT_TRUE(ParseTypeName("text").ValueOrDie()->Equals(arrow::utf8()));
  EXPECT_TRUE(ParseTypeName("numeric(15,2)").ValueOrDie()->Equals(arrow::decimal128(15, 2)));
  for (const char* bad : {"", "decimal(39,0)", "decimal(5)", "decimal(5,6)", "timestamp(h)",
                          "time(h)", "binary(0)", "binary(x)"}) {
    EXPECT_FALSE(ParseTypeName(bad).ok()) << bad;
  }
}

TEST(NamingTransform, StylesAndCollisions) {
  EXPECT_EQ(NameInStyle("OrderID", "snake"), "order_id");
  EXPECT_EQ(NameInStyle("HTTPServer name-2", "snake"), "http_server_name_2");
  EXPECT_EQ(NameInStyle("oRDER", "capitalize"), "Order");
  EXPECT_EQ(NameInStyle("\u00c4a", "upper"), "\u00c4A");
  NamingTransform lower("lower", {"KEPT"});
  const auto schema =
      arrow::schema({arrow::field("Id", arrow::int64()), arrow::field("KEPT", arrow::int64())});
  EXPECT_EQ(lower.Bind(schema).ValueOrDie()->field_names(),
            (std::vector<std::string>{"id", "KEPT"}));
  const auto both =
      arrow::schema({arrow::field("Id", arrow::int64()), arrow::field("ID", arrow::int64())});
  const auto refused = lower.Bind(both);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(CodeOf(refused.status()), "name_collision");
}

TEST(DropTransform, LeavesColumnsOut) {
  DropTransform drop({"b"});
  const auto schema =
      arrow::schema({arrow::field("a", arrow::int64()), arrow::field("b", arrow::int64())});
  EXPECT_EQ(drop.Bind(schema).ValueOrDie()->field_names(), (std::vector<std::string>{"a"}));
  EXPECT_FALSE(DropTransform({"c"}).Bind(schema).ok());
  EXPECT_FALSE(DropTransform({"a", "b"}).Bind(schema).ok());
}

}  // namespace
}  // namespace bulkhaul
