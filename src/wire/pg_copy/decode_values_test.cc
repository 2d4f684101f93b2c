#include "wire/pg_copy/copy_decoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "wire/pg_copy/decoder_testing.h"
#include "wire/pg_copy/golden_values.h"
#include "wire/pg_copy/testing.h"

namespace bulkhaul::pg {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the whole file is made of them
using ::testing::HasSubstr;

TEST(DecodeValues, DecodesGoldenBytesToWhatTheServerPrinted) {
  for (const auto& golden : testing::kGoldenValues) {
    SCOPED_TRACE(golden.sql);
    const ColumnSpec column = Column("c", golden.oid, golden.typmod, golden.dimensions);
    auto array = DecodeOne(column, FromHex(golden.bytes));
    ASSERT_TRUE(array.ok()) << array.status();
    if (std::string_view(golden.text) == "NULL") {
      EXPECT_TRUE((*array)->IsNull(0));
      continue;
    }
    ASSERT_FALSE((*array)->IsNull(0));
    // Lower bounds are counted, not kept.
    std::string expected = golden.text;
    if (expected.starts_with("[0:1]=")) expected = expected.substr(6);
    EXPECT_EQ(PostgresText(*column.type, **array, 0), expected);
  }
}

TEST(DecodeValues, DecodesUserTypesToWhatTheServerPrinted) {
  // CREATE TYPE mood AS ENUM ('sad','ok','happy äöü'); CREATE TYPE pair AS (a int, b text,
  // c numeric(6,2)); CREATE DOMAIN positive AS int CHECK (value>0); CREATE DOMAIN ints AS int[];
  // CREATE TYPE nest AS (p pair, d positive, m mood, xs text[]);
  // CREATE TYPE textrange AS RANGE (subtype=text); extensions hstore and citext.
  const struct {
    TypePtr type;
    const char* sql;
    const char* bytes;
    const char* text;
  } kCases[] = {
      {Mood(), "'happy äöü'::mood", "0000000c686170707920c3a4c3b6c3bc", "happy äöü"},
      {Pair(), "ROW(1,'x \"y\"',NULL)::pair",
       "000000250000000300000017000000040000000100000019000000057820227922000006a4ffffffff",
       "(1,\"x \"\"y\"\"\",)"},
      {Positive(), "5::positive", "0000000400000005", "5"},
      {IntsDomain(), "'{1,2}'::ints",
       "00000024000000010000000000000017000000020000000100000004000000010000000400000002", "{1,2}"},
      {Nest(), "ROW(ROW(7,NULL,1.5)::pair, 3, 'ok', ARRAY['a',NULL])::nest",
       "0000007300000004000040f70000002c0000000300000017000000040000000700000019ffffffff000006a400"
       "00000c000200000000000200011388000040f90000000400000003000040ef000000026f6b000003f10000001d"
       "00000001000000010000001900000002000000010000000161ffffffff",
       "(\"(7,,1.50)\",3,ok,\"{a,NULL}\")"},
      {Hstore(), "'a=>1, \"b c\"=>NULL'::hstore",
       "00000019000000020000000161000000013100000003622063ffffffff", "\"a\"=>\"1\", \"b c\"=>NULL"},
      {Hstore(), "''::hstore", "0000000400000000", ""},
      {Citext(), "'Abc'::citext", "00000003416263", "Abc"},
      {Textrange(), "textrange('a','b c','[]')", "0000000d06000000016100000003622063",
       "[a,\"b c\"]"},
      // As no server sends it: an end that is not there and belongs to the range.
      {Textrange(), "textrange('a',NULL,'[]')", "00000006160000000161", "[a,)"},
      {ArrayOf(Pair(), 16630), "ARRAY[ROW(1,'a',2)::pair, NULL]",
       "000000470000000100000001000040f700000002000000010000002b0000000300000017000000040000000100"
       "0000190000000161000006a40000000a00010000000000020002ffffffff",
       "{\"(1,a,2.00)\",NULL}"},
      {ArrayOf(Mood(), 16622), "ARRAY['sad','ok']::mood[]",
       "000000210000000100000000000040ef000000020000000100000003736164000000026f6b", "{sad,ok}"},
      {ArrayOf(Hstore(), 16395), "ARRAY['a=>1'::hstore]",
       "0000002600000001000000000000400600000001000000010000000e0000000100000001610000000131",
       "{\"\\\"a\\\"=>\\\"1\\\"\"}"},
  };
  for (const auto& test_case : kCases) {
    SCOPED_TRACE(test_case.sql);
    auto array = DecodeOne(ColumnOf(test_case.type), FromHex(test_case.bytes));
    ASSERT_TRUE(array.ok()) << array.status();
    EXPECT_EQ(PostgresText(*test_case.type, **array, 0), test_case.text);
  }
}

// Values that only an option lets through.

Result<std::pair<std::string, std::map<std::string, int64_t>>> DecodeWith(
    const ColumnSpec& column, std::string_view field, const MappingOptions& options) {
  auto decoder = DecoderOf({column}, options);
  ARROW_ASSIGN_OR_RAISE(auto batches,
                        DecodeAll(*decoder, Stream(FieldCount(1) + std::string(field))));
  const auto& array = *batches.at(0)->column(0);
  return std::pair(array.IsNull(0) ? "NULL" : PostgresText(*column.type, array, 0),
                   decoder->counters());
}

using Counts = std::map<std::string, int64_t>;

TEST(DecodeValues, InfiniteDatesFollowTheOption) {
  const std::string interval_infinity =
      BigEndian(INT64_MAX, 8) + BigEndian(INT32_MAX, 4) + BigEndian(INT32_MAX, 4);
  const struct {
    uint32_t oid;
    std::string value;
    const char* clamped;
    const char* message;
  } kCases[] = {
      {kDateOid, BigEndian(INT32_MAX, 4), "5874897-12-31", "the date infinity"},
      {kDateOid, BigEndian(0x80000000, 4), "4714-11-24 BC", "the date -infinity"},
      {kTimestampOid, BigEndian(INT64_MAX, 8), "294247-01-10 04:00:54.775807",
       "the timestamp infinity"},
      {kTimestampOid, BigEndian(1ULL << 63, 8), "4714-11-24 00:00:00 BC",
       "the timestamp -infinity"},
      // '294276-12-31 23:59:59.999999'::timestamptz, PostgreSQL's last.
      {kTimestamptzOid, BigEndian(9223371331199999999, 8), "294247-01-10 04:00:54.775807+00",
       "a timestamp after 294247-01-10"},
      {kTimeOid, BigEndian(86'400'000'000, 8), "23:59:59.999999", "the time 24:00:00"},
      // 178956970 years 7 mons 2147483647 days …: the interval that 17 calls infinity.
      {kIntervalOid, interval_infinity,
       "178956970 years 7 mons 2147483647 days 2562047788:00:54.775807", "the interval infinity"},
  };
  for (const auto& test_case : kCases) {
    SCOPED_TRACE(test_case.message);
    ColumnSpec column = Column("when", test_case.oid);
    column.nullable = false;
    MappingOptions options;
    const auto refused = DecodeWith(column, Field(test_case.value), options);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(KindOf(refused.status()), ErrorKind::kUser);
    EXPECT_THAT(refused.status().message(), HasSubstr(test_case.message));
    EXPECT_THAT(refused.status().message(), HasSubstr("option infinity"));
    options.infinity = OnMisfit::kNull;
    ASSERT_OK_AND_ASSIGN(auto nulled, DecodeWith(column, Field(test_case.value), options));
    EXPECT_EQ(nulled, std::pair(std::string("NULL"), Counts{{"infinity_nulled", 1}}));
    options.infinity = OnMisfit::kClamp;
    ASSERT_OK_AND_ASSIGN(auto clamped, DecodeWith(column, Field(test_case.value), options));
    EXPECT_EQ(clamped, std::pair(std::string(test_case.clamped), Counts{{"infinity_clamped", 1}}));
  }
}

TEST(DecodeValues, NumericNanFollowsTheOption) {
  const ColumnSpec decimal = Column("n", kNumericOid, ((10 << 16) | 2) + 4);
  const ColumnSpec wide = Column("n", kNumericOid, ((50 << 16) | 2) + 4);
  for (const int sign : {0xc000, 0xd000, 0xf000}) {
    const std::string value = Field(BigEndian(0, 4) + BigEndian(sign, 2) + BigEndian(0, 2));
    for (const ColumnSpec& column : {decimal, wide}) {
      MappingOptions options;
      options.wide_numeric_decimal256 = true;
      const auto refused = DecodeWith(column, value, options);
      ASSERT_FALSE(refused.ok());
      EXPECT_EQ(KindOf(refused.status()), ErrorKind::kUser);
      EXPECT_THAT(refused.status().message(), HasSubstr("numeric_nan"));
      options.numeric_nan = OnMisfit::kNull;
      ASSERT_OK_AND_ASSIGN(auto nulled, DecodeWith(column, value, options));
      EXPECT_EQ(nulled, std::pair(std::string("NULL"), Counts{{"numeric_nan_nulled", 1}}));
    }
  }
}

TEST(DecodeValues, DecimalsAreExactOrAnError) {
  ASSERT_OK_AND_ASSIGN(
      auto options, MappingOptions::FromText("decimal(6,2)", "string", "error", "error", "error"));
  ASSERT_OK_AND_ASSIGN(
      auto wide, MappingOptions::FromText("decimal(60,2)", "string", "error", "error", "error"));
  const auto numeric = [](std::vector<int> groups, int weight, int scale) {
    std::string value =
        BigEndian(groups.size(), 2) + BigEndian(weight, 2) + BigEndian(0, 2) + BigEndian(scale, 2);
    for (const int group : groups) value += BigEndian(group, 2);
    return Field(value);
  };
  const ColumnSpec column = Column("n", kNumericOid);
  const struct {
    std::string value;
    const char* text;
    bool narrow_fits;
    bool wide_fits;
  } kCases[] = {
      {numeric({1, 2300}, 0, 2), "1.23", true, true},
      {numeric({1, 2340}, 0, 3), "1.234", false, false},
      {numeric({1, 2300, 0, 0}, 0, 12), "1.23", true, true},
      {numeric({9999, 9900}, 0, 2), "9999.99", true, true},
      {numeric({1, 0, 0}, 1, 4), "10000.00", false, true},
      {numeric({1}, 1, 0), "10000.00", false, true},
      {numeric({1}, 32767, 0), "", false, false},
      {numeric({1}, -32768, 16383), "", false, false},
      {numeric({1}, -1, 4), "0.0001", false, false},
      {numeric({100}, -1, 4), "0.01", true, true},
      {numeric({}, 0, 0), "0.00", true, true},
      {numeric({0, 0, 5}, 2, 0), "5.00", true, true},
  };
  for (const auto& test_case : kCases) {
    SCOPED_TRACE(test_case.text);
    const auto narrow = DecodeWith(column, test_case.value, options);
    EXPECT_EQ(narrow.ok(), test_case.narrow_fits) << narrow.status();
    if (narrow.ok()) {
      EXPECT_EQ(narrow->first, test_case.text);
    }
    const auto large = DecodeWith(column, test_case.value, wide);
    EXPECT_EQ(large.ok(), test_case.wide_fits) << large.status();
    if (large.ok()) {
      EXPECT_EQ(large->first, test_case.text);
    }
    if (!narrow.ok()) {
      EXPECT_EQ(KindOf(narrow.status()), ErrorKind::kUser);
      EXPECT_THAT(narrow.status().message(), HasSubstr("option numeric"));
    }
  }
}

// A way of its own from an integer to numeric_send(): the server's digits for any scale.
std::string NumericBytes(__int128 scaled, int scale) {
  const bool negative = scaled < 0;
  unsigned __int128 magnitude = negative ? -scaled : scaled;
  // Whole groups stand on both sides of the point.
  for (int digits = scale; digits % 4 != 0; ++digits) magnitude *= 10;
  int weight = -(scale + 3) / 4 - 1;
  std::vector<int> groups;
  for (; magnitude > 0; magnitude /= 10'000, ++weight) {
    groups.insert(groups.begin(), static_cast<int>(magnitude % 10'000));
  }
  while (!groups.empty() && groups.back() == 0) groups.pop_back();
  std::string value = BigEndian(groups.size(), 2) + BigEndian(groups.empty() ? 0 : weight, 2) +
                      BigEndian(negative ? 0x4000 : 0, 2) + BigEndian(scale, 2);
  for (const int group : groups) value += BigEndian(group, 2);
  return value;
}

TEST(DecodeValues, NumericsOfEverySizeKeepTheirDigits) {
  EXPECT_TRUE(rc::check([] {
    const int scale = *rc::gen::inRange(0, 36);
    const int digits = *rc::gen::inRange(1, 36);
    __int128 scaled = 0;
    for (int digit = 0; digit < digits; ++digit) scaled = scaled * 10 + *rc::gen::inRange(0, 10);
    if (*rc::gen::arbitrary<bool>()) scaled = -scaled;
    const std::string field = Field(NumericBytes(scaled, scale));
    const arrow::Decimal128 expected(static_cast<int64_t>(scaled >> 64),
                                     static_cast<uint64_t>(scaled));
    const std::string text = testing::PlaceScale(expected.ToIntegerString(), scale);
    const ColumnSpec decimal = Column("n", kNumericOid, ((38 << 16) | scale) + 4);
    RC_ASSERT(DecodeWith(decimal, field, {})->first == text);
    RC_ASSERT(DecodeWith(Column("n", kNumericOid), field, {})->first == text);
    MappingOptions options;
    options.wide_numeric_decimal256 = true;
    const ColumnSpec wide = Column("n", kNumericOid, ((60 << 16) | scale) + 4);
    RC_ASSERT(DecodeWith(wide, field, options)->first == text);
    options.numeric = NumericForm::kDouble;
    RC_ASSERT(DecodeWith(Column("n", kNumericOid), field, options)->first ==
              testing::FloatText(std::strtod(text.c_str(), nullptr), 15));
  }));
}

TEST(DecodeValues, TextThatIsNotUtf8FollowsTheOption) {
  const struct {
    std::string value;
    const char* replaced;
    const char* place;
  } kCases[] = {
      {"caf\xe9", "caf\xef\xbf\xbd", "byte 0xe9 at offset 3"},
      {"\xc3\xa4 \xff\xfe|", "\xc3\xa4 \xef\xbf\xbd\xef\xbf\xbd|", "byte 0xff at offset 3"},
      {"\xe2\x82", "\xef\xbf\xbd", "byte 0xe2 at offset 0"},
      {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", "byte 0xed at offset 0"},
      {"\xf0\x9f\x98z\xc0\x80", "\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd", "byte 0xf0 at offset 0"},
      {std::string(200, 'a') + "\x80", nullptr, "byte 0x80 at offset 200"},
      {std::string(100'000, 'a') + "\x80", nullptr, "byte 0x80 at offset 100000"},
  };
  const ColumnSpec column = Column("t", kTextOid);
  for (const auto& test_case : kCases) {
    SCOPED_TRACE(test_case.place);
    MappingOptions options;
    const auto refused = DecodeWith(column, Field(test_case.value), options);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(KindOf(refused.status()), ErrorKind::kUser);
    EXPECT_THAT(refused.status().message(), HasSubstr(test_case.place));
    EXPECT_THAT(refused.status().message(), HasSubstr("option invalid_utf8"));
    options.invalid_utf8 = OnInvalidUtf8::kNull;
    ASSERT_OK_AND_ASSIGN(auto nulled, DecodeWith(column, Field(test_case.value), options));
    EXPECT_EQ(nulled, std::pair(std::string("NULL"), Counts{{"invalid_utf8_nulled", 1}}));
    options.invalid_utf8 = OnInvalidUtf8::kReplace;
    ASSERT_OK_AND_ASSIGN(auto replaced, DecodeWith(column, Field(test_case.value), options));
    EXPECT_EQ(replaced.second, (Counts{{"invalid_utf8_replaced", 1}}));
    EXPECT_EQ(replaced.first,
              test_case.replaced != nullptr
                  ? test_case.replaced
                  : test_case.value.substr(0, test_case.value.size() - 1) + "\xef\xbf\xbd");
  }
}

TEST(DecodeValues, TextOfEveryLengthKeepsItsBytes) {
  // The last one of a chunk too, where nothing may be read behind it.
  for (int size = 0; size < 300; ++size) {
    std::string text;
    for (int letter = 0; letter < size; ++letter) text += static_cast<char>('!' + letter % 90);
    if (size > 2) text.replace(size / 2, 2, "ä");
    for (const size_t chunk_bytes : {SIZE_MAX, size_t{31}}) {
      auto decoder = DecoderOf({Column("t", kTextOid)});
      ASSERT_OK_AND_ASSIGN(
          auto batches,
          DecodeAll(*decoder, Stream(FieldCount(1) + Field(text) + FieldCount(1) + Field(text)),
                    chunk_bytes));
      EXPECT_EQ(PostgresText(*BuiltinType(kTextOid), *batches[0]->column(0), 0), text);
      EXPECT_EQ(PostgresText(*BuiltinType(kTextOid), *batches[0]->column(0), 1), text);
    }
  }
}

TEST(DecodeValues, ArraysOfOtherDimensionsAreAnErrorThatSaysWhatToDo) {
  // SELECT '{{1}}'::int[]
  const std::string two = FromHex(
      "0000002400000002000000000000001700000001000000010000000100000001"
      "0000000400000001");
  const auto refused = DecodeOne(Column("a", 1007, -1, 1), two);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(KindOf(refused.status()), ErrorKind::kUser);
  EXPECT_THAT(refused.status().message(), HasSubstr("column \"a\" (integer[]), row 1"));
  EXPECT_THAT(refused.status().message(), HasSubstr("column::text"));
  ASSERT_OK_AND_ASSIGN(auto matching, DecodeWith(Column("a", 1007, -1, 2), two, {}));
  EXPECT_EQ(matching.first, "{{1}}");
}

TEST(DecodeValues, CountsLowerBoundsThatAListDoesNotKeep) {
  // SELECT '[0:1]={7,8}'::int[]
  const std::string value =
      FromHex("00000024000000010000000000000017000000020000000000000004000000070000000400000008");
  ASSERT_OK_AND_ASSIGN(auto decoded, DecodeWith(Column("a", 1007, -1, 1), value, {}));
  EXPECT_EQ(decoded, std::pair(std::string("{7,8}"), Counts{{"array_lower_bounds_dropped", 1}}));
}

TEST(DecodeValues, NamesTheFieldOfACompositeAndUnknownEnumLabels) {
  const std::string mood_row = BigEndian(1, 4) + BigEndian(16623, 4) + Field("no such mood");
  TypePtr composite = UserType('c', 99999, "one");
  Edit(composite).fields = {{"n", BuiltinType(kNumericOid), ((5 << 16) | 2) + 4, 0}};
  const std::string nan = BigEndian(0, 4) + BigEndian(0xc000, 2) + BigEndian(0, 2);
  const auto refused = DecodeOne(ColumnOf(composite),
                                 Field(BigEndian(1, 4) + BigEndian(kNumericOid, 4) + Field(nan)));
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.status().message(), HasSubstr("row 1: field n: the numeric NaN"));
  const auto unknown = DecodeOne(ColumnOf(Mood()), Field("no such mood"));
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(KindOf(unknown.status()), ErrorKind::kPermanent);
  EXPECT_THAT(unknown.status().message(), HasSubstr("'no such mood'"));
}

TEST(DecodeValues, CharAboveAsciiIsEscaped) {
  ASSERT_OK_AND_ASSIGN(auto high, DecodeWith(Column("c", kCharOid), Field("\xe4"), {}));
  EXPECT_EQ(high.first, "\\344");
  ASSERT_OK_AND_ASSIGN(auto zero,
                       DecodeWith(Column("c", kCharOid), Field(std::string(1, '\0')), {}));
  EXPECT_EQ(zero.first, "");
}

}  // namespace
}  // namespace bulkhaul::pg
