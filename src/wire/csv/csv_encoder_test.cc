#include "wire/csv/csv_encoder.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/array/util.h>
#include <arrow/extension/uuid.h>
#include <arrow/json/from_string.h>
#include <arrow/util/decimal.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "wire/csv/csv_text.h"

namespace bulkhaul {
namespace {

using arrow::json::ArrayFromJSONString;

std::shared_ptr<arrow::Array> Values(const std::shared_ptr<arrow::DataType>& type,
                                     const std::string& json) {
  auto array = ArrayFromJSONString(type, json);
  EXPECT_TRUE(array.ok()) << array.status();
  return array.ValueOrDie();
}

std::string Encode(const std::vector<std::shared_ptr<arrow::Array>>& columns,
                   CsvFormatOptions options = {.header = false}) {
  arrow::FieldVector fields;
  for (size_t i = 0; i < columns.size(); ++i) {
    fields.push_back(arrow::field("c" + std::to_string(i), columns[i]->type()));
  }
  const auto schema = arrow::schema(fields);
  auto encoder = CsvEncoder::Make(schema, options);
  EXPECT_TRUE(encoder.ok()) << encoder.status();
  CsvBuffer out;
  (*encoder)->AppendHeader(&out);
  const auto batch = arrow::RecordBatch::Make(schema, columns[0]->length(), columns);
  EXPECT_TRUE((*encoder)->AppendRows(*batch, 0, batch->num_rows(), &out).ok());
  return std::string(out.view());
}

std::string One(const std::shared_ptr<arrow::DataType>& type, const std::string& json) {
  return Encode({Values(type, json)});
}

TEST(CsvEncoder, Numbers) {
  EXPECT_EQ(One(arrow::int8(), "[-128, 127, null]"), "-128\n127\n\n");
  EXPECT_EQ(One(arrow::int64(), "[-9223372036854775808, 9223372036854775807]"),
            "-9223372036854775808\n9223372036854775807\n");
  EXPECT_EQ(One(arrow::uint64(), "[18446744073709551615]"), "18446744073709551615\n");
  EXPECT_EQ(One(arrow::boolean(), "[true, false, null]"), "true\nfalse\n\n");
  EXPECT_EQ(One(arrow::float64(), "[0.1, 1e300, -0.0, 5e-324, NaN, Inf, -Inf]"),
            "0.1\n1e+300\n-0\n5e-324\nnan\ninf\n-inf\n");
  EXPECT_EQ(One(arrow::float32(), "[0.1, 16777216]"), "0.1\n16777216\n");
}

TEST(CsvEncoder, Decimals) {
  EXPECT_EQ(One(arrow::decimal128(15, 2), R"(["0.01", "-0.01", "123.45", "-9999999999999.99"])"),
            "0.01\n-0.01\n123.45\n-9999999999999.99\n");
  EXPECT_EQ(One(arrow::decimal128(38, 0), R"(["99999999999999999999999999999999999999"])"),
            "99999999999999999999999999999999999999\n");
  EXPECT_EQ(One(arrow::decimal128(38, 20), R"(["-0.00000000000000000001", "0E-20"])"),
            "-0.00000000000000000001\n0.00000000000000000000\n");
  EXPECT_EQ(One(arrow::decimal64(18, 18), R"(["-0.999999999999999999"])"),
            "-0.999999999999999999\n");
  EXPECT_EQ(One(arrow::decimal32(9, 4), R"(["-12345.6789"])"), "-12345.6789\n");
  EXPECT_EQ(One(arrow::decimal256(60, 30),
                R"(["123456789012345678901234567890.123456789012345678901234567890"])"),
            "123456789012345678901234567890.123456789012345678901234567890\n");
  CsvBuffer negative_scale;
  csv::AppendSmallDecimal(-12, -3, &negative_scale);
  csv::AppendSmallDecimal(0, -3, &negative_scale);
  EXPECT_EQ(negative_scale.view(), "-120000");
}

TEST(CsvEncoder, DatesAndTimes) {
  EXPECT_EQ(One(arrow::date32(), "[0, -1, 11016, 2932896, 2932897, -719162, -719528, -719529]"),
            "1970-01-01\n1969-12-31\n2000-02-29\n9999-12-31\n10000-01-01\n0001-01-01\n"
            "0000-01-01\n-0001-12-31\n");
  EXPECT_EQ(One(arrow::time64(arrow::TimeUnit::MICRO), "[0, 86399999999, 86400000000, 1500000]"),
            "00:00:00\n23:59:59.999999\n24:00:00\n00:00:01.500\n");
  EXPECT_EQ(One(arrow::time32(arrow::TimeUnit::SECOND), "[3661]"), "01:01:01\n");
  EXPECT_EQ(
      One(arrow::timestamp(arrow::TimeUnit::MICRO), "[0, -1, 1000000000123456, 1000000000123000]"),
      "1970-01-01T00:00:00\n1969-12-31T23:59:59.999999\n2001-09-09T01:46:40.123456\n"
      "2001-09-09T01:46:40.123\n");
  EXPECT_EQ(One(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"), "[0]"), "1970-01-01T00:00:00Z\n");
  EXPECT_EQ(One(arrow::timestamp(arrow::TimeUnit::MICRO), "[-9223372036854775808]"),
            "-290308-12-21T19:59:05.224192\n");
  EXPECT_EQ(One(arrow::timestamp(arrow::TimeUnit::NANO), "[1]"), "1970-01-01T00:00:00.000000001\n");
}

TEST(CsvEncoder, Intervals) {
  EXPECT_EQ(One(arrow::month_day_nano_interval(),
                "[[0, 0, 0], [14, 3, 14706500000000], [-14, -3, -1500000000], [0, 1, -1]]"),
            "PT0S\nP1Y2M3DT4H5M6.500S\nP-1Y-2M-3DT-1.500S\nP1DT-0.000000001S\n");
  EXPECT_EQ(One(arrow::duration(arrow::TimeUnit::SECOND), "[90, 0]"), "PT1M30S\nPT0S\n");
  EXPECT_EQ(One(arrow::duration(arrow::TimeUnit::MICRO), "[-9223372036854775808]"),
            "PT-2562047788H-54.775808S\n");
}

TEST(CsvEncoder, TextIsQuotedWhereNeeded) {
  EXPECT_EQ(One(arrow::utf8(), R"(["plain", "a,b", "say \"hi\"", "two\nlines", "cr\r", "", null,
                                   "long text without anything", "long text with, a comma"])"),
            "plain\n\"a,b\"\n\"say \"\"hi\"\"\"\n\"two\nlines\"\n\"cr\r\"\n\"\"\n\n"
            "long text without anything\n\"long text with, a comma\"\n");
}

TEST(CsvEncoder, QuotingModes) {
  const auto columns =
      std::vector{Values(arrow::int32(), "[1, null]"), Values(arrow::utf8(), R"(["x", null])"),
                  Values(arrow::list(arrow::int32()), "[[1, 2], null]")};
  EXPECT_EQ(Encode(columns, {.quote = CsvFormatOptions::Quote::kAll}),
            "\"c0\",\"c1\",\"c2\"\n\"1\",\"x\",\"[1,2]\"\n,,\n");
  EXPECT_EQ(Encode(columns, {.quote = CsvFormatOptions::Quote::kStrings}),
            "\"c0\",\"c1\",\"c2\"\n1,\"x\",\"[1,2]\"\n,,\n");
  EXPECT_EQ(Encode(columns, {.delimiter = ';', .null_text = "\\N"}),
            "c0;c1;c2\n1;x;[1,2]\n\\N;\\N;\\N\n");
}

TEST(CsvEncoder, ValuesThatReadAsNullOrAsDelimiterAreQuoted) {
  EXPECT_EQ(Encode({Values(arrow::utf8(), R"(["NULL", "", null])")},
                   {.null_text = "NULL", .header = false}),
            "\"NULL\"\n\nNULL\n");
  EXPECT_EQ(Encode({Values(arrow::int32(), "[0, 1, null]")}, {.null_text = "0", .header = false}),
            "\"0\"\n1\n0\n");
  EXPECT_EQ(Encode({Values(arrow::float64(), "[0.5]"), Values(arrow::int8(), "[-1]")},
                   {.delimiter = '.', .header = false}),
            "\"0.5\".-1\n");
}

TEST(CsvEncoder, BinaryAndUuid) {
  arrow::BinaryBuilder builder;
  ASSERT_TRUE(builder.Append(std::string("\x00\xff\x7f", 3)).ok());
  EXPECT_EQ(Encode({builder.Finish().ValueOrDie()}), "\\x00ff7f\n");
  arrow::FixedSizeBinaryBuilder bytes(arrow::fixed_size_binary(16));
  ASSERT_TRUE(bytes
                  .Append(std::string("\x12\x3e\x45\x67\xe8\x9b\x12\xd3\xa4\x56\x42\x66\x14\x17"
                                      "\x40\x00",
                                      16))
                  .ok());
  const auto uuid =
      arrow::ExtensionType::WrapArray(arrow::extension::uuid(), bytes.Finish().ValueOrDie());
  EXPECT_EQ(Encode({uuid}), "123e4567-e89b-12d3-a456-426614174000\n");
}

TEST(CsvEncoder, NestedValuesAreJson) {
  const auto list = arrow::list(arrow::utf8());
  EXPECT_EQ(One(list, R"([["a", null, "q\"\n"], [], null])"),
            "\"[\"\"a\"\",null,\"\"q\\\"\"\\n\"\"]\"\n[]\n\n");
  const auto type =
      arrow::struct_({arrow::field("n", arrow::decimal128(10, 2)),
                      arrow::field("d", arrow::date32()), arrow::field("f", arrow::float64())});
  EXPECT_EQ(Encode({Values(type, R"([{"n": "1.50", "d": 0, "f": NaN}, null])")},
                   {.delimiter = '|', .header = false}),
            "\"{\"\"n\"\":1.50,\"\"d\"\":\"\"1970-01-01\"\",\"\"f\"\":\"\"nan\"\"}\"\n\n");
  EXPECT_EQ(
      Encode({Values(arrow::map(arrow::utf8(), arrow::int32()), R"([[["k", 1], ["l", null]]])")},
             {.delimiter = '|', .header = false}),
      "\"{\"\"k\"\":1,\"\"l\"\":null}\"\n");
  EXPECT_EQ(Encode({Values(arrow::list(arrow::list(arrow::int32())), "[[[1], [2, 3]]]")},
                   {.delimiter = '|', .header = false}),
            "[[1],[2,3]]\n");
}

TEST(CsvEncoder, DictionariesAndSlices) {
  const auto type = arrow::dictionary(arrow::int32(), arrow::utf8());
  EXPECT_EQ(One(type, R"(["red", "green", null, "red"])"), "red\ngreen\n\nred\n");
  const auto nested = Values(arrow::struct_({arrow::field("x", arrow::int32())}),
                             R"([{"x": 1}, {"x": 2}, {"x": 3}])");
  EXPECT_EQ(Encode({nested->Slice(1, 2)}, {.delimiter = '|', .header = false}),
            "\"{\"\"x\"\":2}\"\n\"{\"\"x\"\":3}\"\n");
}

TEST(CsvEncoder, HeaderIsQuotedLikeText) {
  const auto schema =
      arrow::schema({arrow::field("a,b", arrow::int32()), arrow::field("", arrow::int32())});
  auto encoder = CsvEncoder::Make(schema, {}).ValueOrDie();
  CsvBuffer out;
  encoder->AppendHeader(&out);
  EXPECT_EQ(out.view(), "\"a,b\",\"\"\n");
}

TEST(CsvEncoder, TypeWithoutTextIsAnErrorOfTheUser) {
  const auto schema =
      arrow::schema({arrow::field("u", arrow::dense_union({arrow::field("a", arrow::int8())}))});
  const auto made = CsvEncoder::Make(schema, {});
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(KindOf(made.status()), ErrorKind::kUser);
  EXPECT_NE(made.status().ToString().find("'u'"), std::string::npos);
}

RC_GTEST_PROP(CsvEncoder, FloatsReadBackToTheSameBits, (uint64_t bits)) {
  double value;
  std::memcpy(&value, &bits, sizeof(value));
  CsvBuffer out;
  csv::AppendDouble(value, &out);
  double back = 0;
  std::from_chars(out.view().data(), out.view().data() + out.view().size(), back);
  const bool same = std::isnan(value) ? std::isnan(back) : std::bit_cast<uint64_t>(back) == bits;
  RC_ASSERT(same);
}

RC_GTEST_PROP(CsvEncoder, DecimalsReadBack, (int64_t unscaled)) {
  const int scale = *rc::gen::inRange(0, 39);
  CsvBuffer out;
  csv::AppendSmallDecimal(unscaled, scale, &out);
  arrow::Decimal256 value;
  int32_t precision = 0;
  int32_t back_scale = 0;
  RC_ASSERT(arrow::Decimal256::FromString(out.view(), &value, &precision, &back_scale).ok());
  RC_ASSERT(back_scale == scale);
  RC_ASSERT(value == arrow::Decimal256(arrow::Decimal128(unscaled)));
}

RC_GTEST_PROP(CsvEncoder, TextReadsBack, (std::vector<std::string> texts)) {
  arrow::StringBuilder builder;
  for (auto& text : texts) {
    for (char& character : text) {
      // Mostly what has a meaning in CSV.
      static constexpr char kSpecial[] = ",\"\n\rab";
      character = kSpecial[static_cast<uint8_t>(character) % 6];
    }
    RC_ASSERT(builder.Append(text).ok());
  }
  const std::string csv = Encode({builder.Finish().ValueOrDie()});
  std::vector<std::string> back;
  size_t at = 0;
  while (at < csv.size()) {
    std::string text;
    if (csv[at] == '"') {
      for (++at; csv[at] != '"' || csv[at + 1] == '"'; ++at) {
        if (csv[at] == '"') ++at;
        text += csv[at];
      }
      ++at;
    } else {
      for (; csv[at] != '\n'; ++at) text += csv[at];
    }
    RC_ASSERT(csv[at] == '\n');
    ++at;
    back.push_back(text);
  }
  RC_ASSERT(back == texts);
}

}  // namespace
}  // namespace bulkhaul
