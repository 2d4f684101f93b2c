#include "transform/shrink.h"

#include <cmath>
#include <random>

#include <arrow/api.h>
#include <arrow/compute/cast.h>
#include <arrow/type_traits.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace bulkhaul {
namespace {

using arrow::Decimal128;

std::shared_ptr<arrow::Array> Finished(arrow::ArrayBuilder&& builder) {
  return builder.Finish().ValueOrDie();
}

template <typename Builder, typename Value>
std::shared_ptr<arrow::Array> Built(const std::vector<std::optional<Value>>& values,
                                    Builder builder = Builder()) {
  for (const auto& value : values) {
    EXPECT_TRUE((value ? builder.Append(*value) : builder.AppendNull()).ok());
  }
  return Finished(std::move(builder));
}

// Observes the column cut into units, then shrinks it whole.
struct Shrunk {
  std::string decision;
  std::shared_ptr<arrow::Array> array;
  std::vector<std::string> explained;
};

Shrunk Shrink(const std::shared_ptr<arrow::Array>& array, const std::vector<int64_t>& cuts = {},
              double tolerance = 0) {
  const auto schema = arrow::schema({arrow::field("c", array->type())});
  std::vector<std::string> states;
  int64_t begin = 0;
  auto ends = cuts;
  ends.push_back(array->length());
  for (const int64_t end : ends) {
    ShrinkTransform unit(tolerance);
    EXPECT_TRUE(unit.Bind(schema).ok());
    const auto batch =
        arrow::RecordBatch::Make(schema, end - begin, {array->Slice(begin, end - begin)});
    EXPECT_EQ(unit.Apply(batch, arrow::default_memory_pool()).ValueOrDie(), batch);
    states.push_back(unit.FinishUnit().ValueOrDie());
    begin = end;
  }
  // The order in which units finish must not matter.
  std::reverse(states.begin(), states.end());
  ShrinkTransform merger(tolerance);
  EXPECT_TRUE(merger.Bind(schema).ok());
  Shrunk result;
  result.decision = merger.Merge(states).ValueOrDie();
  ShrinkTransform shrinker(tolerance);
  EXPECT_TRUE(shrinker.Decide(result.decision).ok());
  const auto shrunk_schema = shrinker.Bind(schema).ValueOrDie();
  const auto batch = shrinker
                         .Apply(arrow::RecordBatch::Make(schema, array->length(), {array}),
                                arrow::default_memory_pool())
                         .ValueOrDie();
  EXPECT_TRUE(batch->schema()->Equals(shrunk_schema));
  EXPECT_TRUE(batch->ValidateFull().ok());
  EXPECT_EQ(shrinker.FinishUnit().ValueOrDie(), "");
  result.array = batch->column(0);
  result.explained = shrinker.Explain();
  return result;
}

std::shared_ptr<arrow::Array> CastBack(const std::shared_ptr<arrow::Array>& array,
                                       const std::shared_ptr<arrow::DataType>& type) {
  return arrow::compute::Cast(*array, type).ValueOrDie();
}

bool Same(const arrow::Array& one, const arrow::Array& other) {
  return one.Equals(other, arrow::EqualOptions::Defaults().nans_equal(true));
}

std::shared_ptr<arrow::DataType> TypeOfInts(const std::vector<std::optional<int64_t>>& values) {
  return Shrink(Built<arrow::Int64Builder>(values)).array->type();
}

TEST(Shrink, IntegersTakeTheNarrowestTypeAtItsBounds) {
  EXPECT_TRUE(TypeOfInts({-128, 127, std::nullopt})->Equals(arrow::int8()));
  EXPECT_TRUE(TypeOfInts({-129})->Equals(arrow::int16()));
  EXPECT_TRUE(TypeOfInts({128})->Equals(arrow::int16()));
  EXPECT_TRUE(TypeOfInts({32768})->Equals(arrow::int32()));
  EXPECT_TRUE(TypeOfInts({INT32_MAX, INT32_MIN})->Equals(arrow::int32()));
  EXPECT_TRUE(TypeOfInts({int64_t{INT32_MAX} + 1})->Equals(arrow::int64()));
  EXPECT_TRUE(TypeOfInts({INT64_MIN, INT64_MAX})->Equals(arrow::int64()));
}

TEST(Shrink, NothingSeenChangesNothing) {
  EXPECT_TRUE(TypeOfInts({})->Equals(arrow::int64()));
  EXPECT_TRUE(TypeOfInts({std::nullopt, std::nullopt})->Equals(arrow::int64()));
  EXPECT_TRUE(Shrink(Built<arrow::StringBuilder, std::string>({})).explained.empty());
}

TEST(Shrink, UnsignedStaysUnsigned) {
  const auto array = Built<arrow::UInt64Builder, uint64_t>({0, 255});
  EXPECT_TRUE(Shrink(array).array->type()->Equals(arrow::uint8()));
  const auto large = Built<arrow::UInt64Builder, uint64_t>({UINT64_MAX});
  EXPECT_TRUE(Shrink(large).array->type()->Equals(arrow::uint64()));
}

TEST(Shrink, DoublesOnlyWhereEveryValueIsExact) {
  const auto exact = Built<arrow::DoubleBuilder, double>({0.5, -0.0, NAN, INFINITY, std::nullopt});
  const auto shrunk = Shrink(exact);
  EXPECT_TRUE(shrunk.array->type()->Equals(arrow::float32()));
  EXPECT_TRUE(Same(*CastBack(shrunk.array, arrow::float64()), *exact));
  const auto inexact = Built<arrow::DoubleBuilder, double>({0.5, 0.1});
  EXPECT_TRUE(Shrink(inexact).array->type()->Equals(arrow::float64()));
  EXPECT_TRUE(Shrink(inexact, {}, 1e-3).array->type()->Equals(arrow::float32()));
  // Above float32's range no tolerance helps; below it everything is lost.
  for (const double value : {1e300, 1e-300}) {
    const auto out = Built<arrow::DoubleBuilder, double>({value});
    EXPECT_TRUE(Shrink(out, {}, 1e-3).array->type()->Equals(arrow::float64())) << value;
  }
}

std::shared_ptr<arrow::Array> Decimals(int32_t precision, int32_t scale,
                                       const std::vector<std::optional<Decimal128>>& values) {
  return Built(values, arrow::Decimal128Builder(arrow::decimal128(precision, scale)));
}

TEST(Shrink, DecimalsBecomeNarrowerOrIntegers) {
  const auto whole = Decimals(15, 2, {Decimal128(1700), std::nullopt, Decimal128(-5000)});
  const auto shrunk = Shrink(whole);
  EXPECT_TRUE(shrunk.array->type()->Equals(arrow::int8()));
  EXPECT_TRUE(shrunk.array->Equals(Built<arrow::Int8Builder, int8_t>({17, std::nullopt, -50})));
  ASSERT_EQ(shrunk.explained.size(), 2u);
  EXPECT_EQ(shrunk.explained[0], "c: decimal(15,2) → int8, 94 % smaller");
  const auto fraction = Decimals(38, 2, {Decimal128(12345), Decimal128(-1)});
  EXPECT_TRUE(Shrink(fraction).array->type()->Equals(arrow::decimal128(5, 2)));
  const auto small = Decimals(10, 4, {Decimal128(1)});
  EXPECT_TRUE(Shrink(small).array->type()->Equals(arrow::decimal128(4, 4)));
  const auto huge = Decimals(38, 0, {Decimal128("99999999999999999999999999999999999999")});
  EXPECT_TRUE(Shrink(huge).array->type()->Equals(arrow::decimal128(38, 0)));
}

TEST(Shrink, StringsBecomeADictionaryWhereTheyRepeat) {
  std::vector<std::optional<std::string>> values;
  for (int i = 0; i < 1000; ++i) values.push_back("value " + std::to_string(i % 300));
  const auto repeated = Built<arrow::StringBuilder>(values);
  const auto shrunk = Shrink(repeated, {100, 500});
  EXPECT_TRUE(shrunk.array->type()->Equals(arrow::dictionary(arrow::int16(), arrow::utf8())));
  EXPECT_TRUE(CastBack(shrunk.array, arrow::utf8())->Equals(repeated));
  for (int i = 0; i < 1000; ++i) values[static_cast<size_t>(i)] = std::to_string(i);
  EXPECT_TRUE(Shrink(Built<arrow::StringBuilder>(values)).array->type()->Equals(arrow::utf8()));
}

TEST(Shrink, TheDictionaryGrowsAndIsKeptWhenNothingIsNew) {
  DictionaryBuilder builder;
  auto* pool = arrow::default_memory_pool();
  const auto encode = [&](std::vector<std::optional<std::string>> values) {
    return std::static_pointer_cast<arrow::DictionaryArray>(
        builder
            .Encode(*Built<arrow::StringBuilder>(values),
                    arrow::dictionary(arrow::int32(), arrow::utf8()), pool)
            .ValueOrDie());
  };
  const auto first = encode({"a", "b", std::nullopt, "a"});
  const auto second = encode({"c", "a"});
  const auto third = encode({"b", "c"});
  EXPECT_EQ(first->dictionary()->length(), 2);
  EXPECT_EQ(first->null_count(), 1);
  EXPECT_TRUE(second->dictionary()->Slice(0, 2)->Equals(first->dictionary()));
  EXPECT_EQ(third->data()->dictionary, second->data()->dictionary);
}

TEST(Shrink, TheIndicesOfADictionaryAreAsNarrowAsItsValuesAllow) {
  const auto index_of = [](int distinct, int rows) {
    std::vector<std::optional<std::string>> values;
    for (int i = 0; i < rows; ++i) values.push_back("value " + std::to_string(i % distinct));
    const auto column = Built<arrow::StringBuilder>(values);
    const auto shrunk = Shrink(column, {rows / 2}).array;
    EXPECT_TRUE(CastBack(shrunk, arrow::utf8())->Equals(column)) << distinct;
    return static_cast<const arrow::DictionaryType&>(*shrunk->type()).index_type()->ToString();
  };
  EXPECT_EQ(index_of(3, 100), "int8");
  EXPECT_EQ(index_of(127, 1000), "int16");
  EXPECT_EQ(index_of(40'000, 100'000), "int32");
}

TEST(Shrink, MoreValuesThanTheIndicesCanCountAreAnError) {
  std::vector<std::optional<std::string>> values;
  for (int i = 0; i < 128; ++i) values.push_back(std::to_string(i));
  const auto type = arrow::dictionary(arrow::int8(), arrow::utf8());
  DictionaryBuilder builder;
  auto* pool = arrow::default_memory_pool();
  EXPECT_TRUE(builder.Encode(*Built<arrow::StringBuilder>(values), type, pool).ok());
  values.push_back("one more");
  EXPECT_EQ(KindOf(builder.Encode(*Built<arrow::StringBuilder>(values), type, pool).status()),
            ErrorKind::kBug);
}

TEST(Shrink, OtherTypesStay) {
  const auto flags = Built<arrow::BooleanBuilder, bool>({true, false});
  EXPECT_TRUE(Shrink(flags).array->Equals(flags));
  const auto blobs = Built<arrow::BinaryBuilder, std::string>({"x", "x", "x"});
  EXPECT_TRUE(Shrink(blobs).array->Equals(blobs));
}

TEST(Shrink, DamagedStatesAndDecisionsAreRefused) {
  const auto schema = arrow::schema({arrow::field("c", arrow::int64())});
  ShrinkTransform shrink(0);
  ASSERT_TRUE(shrink.Bind(schema).ok());
  for (const std::string state : {"", "[]", "{}", "[\"{}\"]"}) {
    EXPECT_FALSE(shrink.Merge(std::vector<std::string>{state}).ok()) << state;
  }
  for (const std::string decision : {"", "[]", "{}", "{\"before\":\"x\"}"}) {
    EXPECT_FALSE(ShrinkTransform(0).Decide(decision).ok()) << decision;
  }
  const auto decision = shrink.Merge(std::vector<std::string>{}).ValueOrDie();
  ShrinkTransform other(0);
  ASSERT_TRUE(other.Decide(decision).ok());
  EXPECT_FALSE(other.Bind(arrow::schema({arrow::field("d", arrow::int64())})).ok());
}

// Values of one magnitude, so that narrow types are hit often.
template <typename Value>
std::vector<std::optional<Value>> RandomValues(const std::function<Value(uint64_t)>& make) {
  const auto seed = *rc::gen::arbitrary<uint32_t>();
  const auto count = *rc::gen::inRange(0, 400);
  const auto shift = *rc::gen::inRange(0, 64);
  std::mt19937_64 random(seed);
  std::vector<std::optional<Value>> values;
  for (int i = 0; i < count; ++i) {
    const uint64_t bits = random() >> shift;
    if (random() % 10 == 0)
      values.push_back(std::nullopt);
    else
      values.push_back(make(bits));
  }
  return values;
}

// The decision is the same however the rows are cut, and the values are the same after it.
void CheckInvariants(const std::shared_ptr<arrow::Array>& array) {
  std::vector<int64_t> cuts;
  for (const int cut : *rc::gen::container<std::vector<int>>(
           *rc::gen::inRange(0, 5),
           rc::gen::inRange<int>(0, static_cast<int>(array->length()) + 1))) {
    cuts.push_back(cut);
  }
  std::sort(cuts.begin(), cuts.end());
  const Shrunk whole = Shrink(array);
  const Shrunk cut = Shrink(array, cuts);
  RC_ASSERT(cut.decision == whole.decision);
  const auto& type = *whole.array->type();
  const auto back = arrow::is_integer(type.id()) && arrow::is_decimal(array->type_id())
                        ? CastBack(CastBack(whole.array, arrow::decimal128(38, 0)), array->type())
                        : CastBack(whole.array, array->type());
  RC_ASSERT(Same(*back, *array));
}

TEST(Shrink, AnyCutGivesTheSameDecisionAndValues) {
  EXPECT_TRUE(rc::check("integers", [] {
    CheckInvariants(Built<arrow::Int64Builder>(RandomValues<int64_t>(
        [](uint64_t bits) { return static_cast<int64_t>(bits % 2 == 0 ? bits : ~bits); })));
  }));
  EXPECT_TRUE(rc::check("doubles", [] {
    CheckInvariants(Built<arrow::DoubleBuilder>(
        RandomValues<double>([](uint64_t bits) { return static_cast<double>(bits) / 64 - 100; })));
  }));
  EXPECT_TRUE(rc::check("decimals", [] {
    const auto step = *rc::gen::element<int64_t>(1, 100, 1000);
    CheckInvariants(Decimals(30, 2, RandomValues<Decimal128>([&](uint64_t bits) {
                               return Decimal128(static_cast<int64_t>(bits >> 2)) *
                                      Decimal128(bits % 2 == 0 ? step : -step);
                             })));
  }));
  EXPECT_TRUE(rc::check("strings", [] {
    CheckInvariants(Built<arrow::StringBuilder>(
        RandomValues<std::string>([](uint64_t bits) { return std::to_string(bits % 500); })));
  }));
}

TEST(HyperLogLog, EstimatesAreNear) {
  for (const int64_t count : {0, 1, 10, 1000, 10'000, 200'000}) {
    HyperLogLog sketch;
    std::mt19937_64 random(static_cast<uint64_t>(count));
    for (int64_t i = 0; i < count; ++i) {
      const uint64_t hash = random();
      sketch.Add(hash);
      sketch.Add(hash);
    }
    EXPECT_NEAR(sketch.Estimate(), static_cast<double>(count),
                0.06 * static_cast<double>(count) + 0.5);
  }
}

}  // namespace
}  // namespace bulkhaul
