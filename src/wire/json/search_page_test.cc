#include "wire/json/search_page.h"

#include <arrow/json/from_string.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/json/testing.h"

namespace bulkhaul::search {
namespace {

using testing::AppendPage;
using testing::Decode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::LayoutOf;
using testing::PageOf;
using testing::PageOfHits;

// The column of a field "f" with this definition, one row a document.
Result<std::shared_ptr<arrow::Array>> Column(const std::string& definition,
                                             const std::vector<std::string>& sources,
                                             const LayoutOptions& options = {}) {
  ARROW_ASSIGN_OR_RAISE(const PageLayout layout, LayoutOf("{\"f\":" + definition + "}", options));
  ARROW_ASSIGN_OR_RAISE(const auto batch, Decode(layout, PageOf(sources)));
  return batch->column(0);
}

// What a field of this type makes of these JSON values, as text.
std::vector<std::string> Values(const std::string& type, const std::vector<std::string>& values,
                                const LayoutOptions& options = {}) {
  std::vector<std::string> sources;
  for (const std::string& value : values) sources.push_back("{\"f\":" + value + "}");
  const auto column = Column("{\"type\":\"" + type + "\"}", sources, options);
  EXPECT_TRUE(column.ok()) << column.status();
  std::vector<std::string> texts;
  if (!column.ok()) return texts;
  for (int64_t row = 0; row < (*column)->length(); ++row) {
    const auto scalar = (*column)->GetScalar(row).ValueOrDie();
    texts.push_back(scalar->is_valid ? scalar->ToString() : "null");
  }
  return texts;
}

// The error that one JSON value in a field of this type makes.
std::string ErrorOf(const std::string& type, const std::string& value,
                    const LayoutOptions& options = {}) {
  const auto column = Column("{\"type\":\"" + type + "\"}", {"{\"f\":" + value + "}"}, options);
  EXPECT_FALSE(column.ok()) << value;
  if (column.ok()) return {};
  EXPECT_EQ(KindOf(column.status()), ErrorKind::kUser) << column.status();
  return MessageOf(column.status());
}

TEST(SearchPage, Integers) {
  EXPECT_THAT(Values("long", {"9007199254740993", "-9223372036854775808", "9223372036854775807",
                              "\"12\"", "12.0", "1e3", "null", "\"\"", "[5]", "[]"}),
              ElementsAre("9007199254740993", "-9223372036854775808", "9223372036854775807", "12",
                          "12", "1000", "null", "null", "5", "null"));
  EXPECT_THAT(Values("unsigned_long", {"18446744073709551615", "\"18446744073709551615\"", "0"}),
              ElementsAre("18446744073709551615", "18446744073709551615", "0"));
  EXPECT_THAT(Values("byte", {"127", "-128"}), ElementsAre("127", "-128"));
  EXPECT_THAT(ErrorOf("byte", "128"),
              HasSubstr("document 'd0' of index 'logs', field 'f': 128 is no integer from -128 to "
                        "127"));
  for (const std::string value :
       {"12.5", "\"abc\"", "true", "{\"x\":1}", "9223372036854775808", "1e-3", "\" 1\""}) {
    EXPECT_THAT(ErrorOf("long", value), HasSubstr("field 'f'")) << value;
  }
  EXPECT_THAT(ErrorOf("unsigned_long", "-1"), HasSubstr("-1"));
}

TEST(SearchPage, Reals) {
  EXPECT_THAT(Values("double", {"0.1", "\"2.5\"", "-1e300", "3", "null", "\"\""}),
              ElementsAre("0.1", "2.5", "-1e+300", "3", "null", "null"));
  EXPECT_THAT(Values("half_float", {"123.456789"}), ElementsAre("123.456789"));
  LayoutOptions options;
  options.floats = FloatForm::kMapped;
  EXPECT_THAT(Values("float", {"0.1"}, options), ElementsAre("0.1"));
  for (const std::string value : {"1e999", "\"NaN\"", "\"-inf\"", "false", "\"0x1p3\"", "\"1d\""}) {
    EXPECT_THAT(ErrorOf("double", value), HasSubstr("field 'f'")) << value;
  }
}

TEST(SearchPage, BooleansAreThoseOfTheServers) {
  EXPECT_THAT(Values("boolean", {"true", "false", "\"true\"", "\"false\"", "\"\"", "null"}),
              ElementsAre("true", "false", "true", "false", "false", "null"));
  EXPECT_THAT(ErrorOf("boolean", "1"), HasSubstr("neither true nor false"));
  EXPECT_THAT(ErrorOf("boolean", "\"True\""), HasSubstr("neither"));
}

TEST(SearchPage, Text) {
  EXPECT_THAT(Values("keyword", {R"("a")", R"("")", R"("q\"\\\/\n\u00e9\ud83c\udf88")", "12.50",
                                 "true", "null", "\"10.0.0.1\"", R"("grüße")"}),
              ElementsAre("a", "", "q\"\\/\né🎈", "12.50", "true", "null", "10.0.0.1", "grüße"));
  EXPECT_THAT(ErrorOf("keyword", R"("\ud800")"), HasSubstr("escapes"));
  EXPECT_THAT(ErrorOf("text", R"({"a":1})"), HasSubstr("an object"));
}

TEST(SearchPage, Dates) {
  EXPECT_THAT(Values("date", {"\"2024-03-01T00:00:00.123Z\"", "1709251200000",
                              "\"2024-03-01T00:00:00.123456+01:00\"", "\"2024-03-01\"", "null"}),
              ElementsAre("2024-03-01 00:00:00.123000Z", "2024-03-01 00:00:00.000000Z",
                          "2024-02-29 23:00:00.123456Z", "2024-03-01 00:00:00.000000Z", "null"));
  EXPECT_THAT(Values("date_nanos", {"\"2024-03-01T00:00:00.123456789Z\""}),
              ElementsAre("2024-03-01 00:00:00.123456789Z"));
  EXPECT_THAT(ErrorOf("date", "\"2024-03-01T00:00:00.123456789Z\""), HasSubstr("date_unit: ns"));
  EXPECT_THAT(ErrorOf("date", "\"yesterday\""), HasSubstr("is no date of the format"));
  EXPECT_THAT(ErrorOf("date_nanos", "\"9999-01-01\""), HasSubstr("range"));
  LayoutOptions options;
  options.excess_digits = OnExcessDigits::kTruncate;
  options.date_unit = DateUnit::kMilli;
  EXPECT_THAT(Values("date", {"\"1969-12-31T23:59:59.9999Z\""}, options),
              ElementsAre("1969-12-31 23:59:59.999Z"));
  options.dates = DateForm::kText;
  EXPECT_THAT(Values("date", {"\"yesterday\"", "1709251200000"}, options),
              ElementsAre("yesterday", "1709251200000"));
}

TEST(SearchPage, BinaryIsBase64) {
  const auto column = Column(R"({"type":"binary"})",
                             {R"({"f":"AP8Q"})", R"({"f":""})", R"({"f":"QQ=="})", R"({"f":"QQ"})"})
                          .ValueOrDie();
  const auto& binary = static_cast<const arrow::BinaryArray&>(*column);
  EXPECT_EQ(binary.GetView(0), std::string_view("\x00\xff\x10", 3));
  EXPECT_EQ(binary.GetView(1), "");
  EXPECT_EQ(binary.GetView(2), "A");
  EXPECT_EQ(binary.GetView(3), "A");
  for (const std::string value : {"\"A\"", "\"QR==\"", "\"Q_==\"", "7"}) {
    EXPECT_THAT(ErrorOf("binary", value), HasSubstr("base64")) << value;
  }
}

TEST(SearchPage, GeoPointsInEveryForm) {
  const std::string point = "{lat:double = 41.12, lon:double = -71.34}";
  EXPECT_THAT(
      Values("geo_point",
             {R"({"lat":41.12,"lon":-71.34})", R"({"lon":"-71.34","lat":"41.12"})",
              R"("41.12,-71.34")", R"("41.12, -71.34")", "[-71.34,41.12]", "[-71.34,41.12,100]",
              "\"POINT (-71.34 41.12)\"", "\"point(-71.34  41.12)\"",
              R"({"type":"Point","coordinates":[-71.34,41.12]})", "null", "[[-71.34,41.12]]"}),
      ElementsAre(point, point, point, point, point, point, point, point, point, "null", point));
  // The cell of "drm3btev3e86" holds the point; its centre is what the servers index.
  const auto column = Column(R"({"type":"geo_point"})",
                             {R"({"f":"drm3btev3e86"})", R"({"f":{"geohash":"drm3btev3e86"}})"})
                          .ValueOrDie();
  const auto& points = static_cast<const arrow::StructArray&>(*column);
  for (int64_t row = 0; row < 2; ++row) {
    EXPECT_NEAR(static_cast<const arrow::DoubleArray&>(*points.field(0)).Value(row), 41.12, 1e-6);
    EXPECT_NEAR(static_cast<const arrow::DoubleArray&>(*points.field(1)).Value(row), -71.34, 1e-6);
  }
  for (const std::string value :
       {"7", "\"a!\"", R"({"lat":1})", "[1]", "[1,2,3,4]", "[1,\"x\"]", R"({"lat":{},"lon":1})"}) {
    EXPECT_THAT(ErrorOf("geo_point", value), HasSubstr("point")) << value;
  }
  EXPECT_THAT(ErrorOf("geo_point", "[[1,2],[3,4]]"), HasSubstr("more than one value"));
}

TEST(SearchPage, VectorsAndTrees) {
  EXPECT_THAT(Values("dense_vector", {"[0.5,-1,2e1]", "null", "[]"}),
              ElementsAre("list<item: float>[0.5, -1, 20]", "null", "list<item: float>[]"));
  EXPECT_THAT(ErrorOf("knn_vector", "[1,[2]]"), HasSubstr("vector"));
  EXPECT_THAT(ErrorOf("knn_vector", "\"AAAA\""), HasSubstr("vector"));
  EXPECT_THAT(Values("flattened", {R"({ "b" : [1, 2.50 , {"c":null}],
                                        "a":"\u00e9" , "e":{}, "d":[] })",
                                   "null", "\"x\"", "18446744073709551616"}),
              ElementsAre(R"({"b":[1,2.50,{"c":null}],"a":"\u00e9","e":{},"d":[]})", "null",
                          "\"x\"", "18446744073709551616"));
  EXPECT_THAT(Values("integer_range", {R"({"gte":1,"lt":5})"}), ElementsAre(R"({"gte":1,"lt":5})"));
}

TEST(SearchPage, KeysWithDotsAreObjects) {
  constexpr char kObjects[] = R"({"a":{"properties":{"b":{"properties":{"c":{"type":"long"}}}}}})";
  const auto batch =
      Decode(LayoutOf(kObjects).ValueOrDie(),
             PageOf({R"({"a":{"b":{"c":1}}})", R"({"a.b.c":2})", R"({"a.b":{"c":3}})",
                     R"({"a":{"b.c":4}})", R"({"a":[{"b":{"c":5}}]})",
                     R"({"\u0061":{"b":{"c":6}}})", R"({"a":null})", R"({"a":{}})"}))
          .ValueOrDie();
  const auto& column = static_cast<const arrow::Int64Array&>(*batch->column(0));
  for (int64_t row = 0; row < 6; ++row) EXPECT_EQ(column.Value(row), row + 1);
  EXPECT_TRUE(column.IsNull(6));
  EXPECT_TRUE(column.IsNull(7));
}

TEST(SearchPage, ArraysThatBreakTheGuessAreErrors) {
  EXPECT_THAT(ErrorOf("long", "[1,2]"),
              HasSubstr("document 'd0' of index 'logs', field 'f': the document has more than one "
                        "value"));
  EXPECT_THAT(Values("long", {"[null,7]", "[[8]]"}), ElementsAre("7", "8"));
  constexpr char kObjects[] = R"({"a":{"properties":{"x":{"type":"long"}}}})";
  const auto broken =
      Decode(LayoutOf(kObjects).ValueOrDie(), PageOf({R"({"a":[{"x":1},{"x":2}]})"}));
  ASSERT_FALSE(broken.ok());
  EXPECT_THAT(MessageOf(broken.status()), HasSubstr("field 'a.x'"));
  // Not even an option for values that do not fit hides a second one.
  LayoutOptions options;
  options.misfit = OnMisfitValue::kNull;
  EXPECT_THAT(ErrorOf("long", "[1,2]", options), HasSubstr("more than one value"));
}

TEST(SearchPage, ArraysAsListsFirstValuesAndJson) {
  LayoutOptions options;
  options.arrays = ArrayForm::kList;
  EXPECT_THAT(Values("long", {"[1,null,3]", "4", "null", "[]", "[[5],[6]]"}, options),
              ElementsAre("list<item: int64>[1, null, 3]", "list<item: int64>[4]", "null",
                          "list<item: int64>[]", "list<item: int64>[5, 6]"));
  EXPECT_THAT(
      Values("geo_point", {"[[1,2],\"3,4\"]", "[5,6]"}, options),
      ElementsAre("list<item: struct<lat: double, lon: double>>[{lat:double = 2, lon:double "
                  "= 1}, {lat:double = 3, lon:double = 4}]",
                  "list<item: struct<lat: double, lon: double>>[{lat:double = 6, lon:double "
                  "= 5}]"));
  options.arrays = ArrayForm::kFirst;
  EXPECT_THAT(Values("long", {"[null,1,2]", "3"}, options), ElementsAre("1", "3"));
  options.arrays = ArrayForm::kJson;
  options.array_fields = {"f"};
  EXPECT_THAT(Values("keyword", {"[\"a\", \"b\"]", "\"c\""}, options),
              ElementsAre("[\"a\",\"b\"]", "\"c\""));
}

TEST(SearchPage, ObjectsInArraysGatherTheirFields) {
  constexpr char kObjects[] = R"({"a":{"properties":{"x":{"type":"long"},"j":{"type":"nested"}}}})";
  LayoutOptions options;
  options.array_fields = {"a.x"};
  const auto batch =
      Decode(LayoutOf(kObjects, options).ValueOrDie(),
             PageOf({R"({"a":[{"x":1,"j":{"k":1}},{"x":[2,3]},{"j":[2]},{"j":3}],"a.x":4})",
                     R"({"a":{"j":[1]}})"}))
          .ValueOrDie();
  EXPECT_EQ(batch->column(0)->GetScalar(0).ValueOrDie()->ToString(), R"([{"k":1},[2],3])");
  EXPECT_EQ(batch->column(1)->GetScalar(0).ValueOrDie()->ToString(),
            "list<item: int64>[1, 2, 3, 4]");
  EXPECT_EQ(batch->column(0)->GetScalar(1).ValueOrDie()->ToString(), "[1]");
}

TEST(SearchPage, MisfitsBecomeNullOnRequest) {
  LayoutOptions options;
  options.misfit = OnMisfitValue::kNull;
  EXPECT_THAT(Values("long", {"\"x\"", "1", "{\"y\":[1]}"}, options),
              ElementsAre("null", "1", "null"));
  auto decoder =
      SearchPageDecoder::Make(
          LayoutOf(R"({"f":{"type":"ip"},"g":{"type":"geo_point"}})", options).ValueOrDie(),
          arrow::default_memory_pool())
          .ValueOrDie();
  ASSERT_TRUE(
      AppendPage(*decoder, PageOf({R"({"f":{},"g":{"coordinates":[1,2],"lat":"x"}})"})).ok());
  EXPECT_EQ(decoder->counters().at("misfit_nulled"), 2);
  const auto batch = decoder->Flush().ValueOrDie();
  EXPECT_EQ(batch->column(1)->null_count(), 1);
  options.arrays = ArrayForm::kList;
  EXPECT_THAT(Values("long", {"[1,\"x\",3]"}, options),
              ElementsAre("list<item: int64>[1, null, 3]"));
}

TEST(SearchPage, DigitsThatTheColumnHasNotAreNoMisfit) {
  LayoutOptions options;
  options.misfit = OnMisfitValue::kNull;
  constexpr char kFiner[] = "\"2024-03-06T00:00:00.1234567Z\"";
  EXPECT_THAT(ErrorOf("date", kFiner, options), HasSubstr("date_digits: truncate"));
  EXPECT_THAT(Values("date", {"\"no date\""}, options), ElementsAre("null"));
  options.arrays = ArrayForm::kList;
  EXPECT_THAT(ErrorOf("date", kFiner, options), HasSubstr("date_digits: truncate"));
}

TEST(SearchPage, WidenedIntegersStayExactOrFail) {
  const auto mappings = ParseMappings(R"({
    "a":{"mappings":{"properties":{"f":{"type":"long"},"g":{"type":"long"}}}},
    "b":{"mappings":{"properties":{"f":{"type":"float"},"g":{"type":"unsigned_long"}}}}})");
  const PageLayout layout = MakeLayout(MergeMappings(*mappings), {}).ValueOrDie();
  const auto batch = Decode(layout, PageOf({R"({"f":9007199254740992,"g":18446744073709551615})",
                                            R"({"f":0.5,"g":-9223372036854775808})"}))
                         .ValueOrDie();
  EXPECT_EQ(batch->column(1)->ToString(), "[\n  18446744073709551615,\n  -9223372036854775808\n]");
  const auto broken = Decode(layout, PageOf({R"({"f":9007199254740993})"}));
  ASSERT_FALSE(broken.ok());
  EXPECT_THAT(MessageOf(broken.status()), HasSubstr("cannot hold exactly"));
}

TEST(SearchPage, MetadataColumns) {
  LayoutOptions options;
  options.id = options.index = options.routing = options.seq_no = true;
  const PageLayout layout = LayoutOf(R"({"f":{"type":"long"}})", options).ValueOrDie();
  const auto batch =
      Decode(layout, PageOfHits({R"({"_index":"i","_id":"a\"b","_routing":"r","_seq_no":7,)"
                                 R"("_primary_term":1,"_source":{"f":1}})",
                                 R"({"_index":"i","_id":"c","_seq_no":8,"_source":{}})"}))
          .ValueOrDie();
  EXPECT_EQ(batch->column(0)->GetScalar(0).ValueOrDie()->ToString(), "a\"b");
  EXPECT_EQ(batch->column(1)->GetScalar(1).ValueOrDie()->ToString(), "i");
  EXPECT_EQ(batch->column(2)->GetScalar(0).ValueOrDie()->ToString(), "r");
  EXPECT_TRUE(batch->column(2)->IsNull(1));
  EXPECT_EQ(batch->column(3)->GetScalar(1).ValueOrDie()->ToString(), "8");
  const auto missing = Decode(layout, PageOfHits({R"({"_index":"i","_id":"c","_source":{}})"}));
  ASSERT_FALSE(missing.ok());
  EXPECT_THAT(MessageOf(missing.status()), HasSubstr("field '_seq_no'"));
}

TEST(SearchPage, UnmappedFieldsAreCountedOrKept) {
  constexpr char kProperties[] =
      R"({"a":{"properties":{"x":{"type":"long"},"y":{"type":"long"}}}})";
  const std::string page =
      PageOf({R"({"a":{"x":1,"y":2,"new":[1, 2]},"b":{"c":"q\"r"},"d":null,"e.f":1})",
              R"({"a":[{"new":1},{"new":2}]})", R"({"a":{"x":1}})"});
  LayoutOptions options;
  options.exclude = {"a.y"};
  auto decoder = SearchPageDecoder::Make(LayoutOf(kProperties, options).ValueOrDie(),
                                         arrow::default_memory_pool())
                     .ValueOrDie();
  ASSERT_TRUE(AppendPage(*decoder, page).ok());
  EXPECT_EQ(decoder->counters().at("unmapped_values"), 5);
  options.extra = true;
  const auto batch = Decode(LayoutOf(kProperties, options).ValueOrDie(), page).ValueOrDie();
  EXPECT_EQ(batch->column(1)->GetScalar(0).ValueOrDie()->ToString(),
            R"({"a.new":[1,2],"b":{"c":"q\"r"},"d":null,"e.f":1})");
  EXPECT_EQ(batch->column(1)->GetScalar(1).ValueOrDie()->ToString(), R"({"a.new":[1,2]})");
  EXPECT_TRUE(batch->column(1)->IsNull(2));
}

// The column of this field alone, without and with _extra, of each way to write it.
void ExpectChosenAlone(const MergedMapping& merged, const std::string& field,
                       const std::vector<std::string>& sources, const std::string& expected) {
  for (const bool extra : {false, true}) {
    LayoutOptions options;
    options.include = {field};
    options.extra = extra;
    const auto batch = Decode(MakeLayout(merged, options).ValueOrDie(), PageOf(sources));
    ASSERT_TRUE(batch.ok()) << batch.status();
    const auto wanted = arrow::json::ArrayFromJSONString(arrow::int64(), expected).ValueOrDie();
    EXPECT_TRUE((*batch)->column(0)->Equals(wanted)) << (*batch)->column(0)->ToString();
    EXPECT_TRUE(!extra || (*batch)->column(1)->null_count() == wanted->length());
  }
}

TEST(SearchPage, AFieldBelowAnotherFieldMayBeChosenAlone) {
  const auto mappings = ParseMappings(
      R"({"i":{"mappings":{"properties":{"a":{"type":"long"},"a.b":{"type":"long"}}}}})");
  ExpectChosenAlone(MergeMappings(*mappings), "a.b",
                    {R"({"a":1,"a.b":2})", R"({"a":{"b":3}})", R"({"a.b":4,"a":[5,6]})",
                     R"({"a":"x"})", R"({"a":[1,{"b":7}]})", R"({"a":null})"},
                    "[2,3,4,null,7,null]");
}

TEST(SearchPage, AFieldOfAnObjectThatIsNoneInAnotherIndexMayBeChosenAlone) {
  const auto mappings = ParseMappings(R"({
    "a":{"mappings":{"properties":{"o":{"properties":{"z":{"type":"long"}}}}}},
    "b":{"mappings":{"properties":{"o":{"type":"keyword"}}}}})");
  ExpectChosenAlone(MergeMappings(*mappings), "o.z", {R"({"o":{"z":1}})", R"({"o":"x"})"},
                    "[1,null]");
}

TEST(SearchPage, DerivedDatesComeInTheirOwnFormat) {
  const auto mappings = ParseMappings(R"({"i":{"mappings":{"derived":{
    "d":{"type":"date"},"e":{"type":"date","format":"epoch_second"},"o":{"type":"object"}}}}})");
  const PageLayout layout = MakeLayout(MergeMappings(*mappings), {}).ValueOrDie();
  const auto batch =
      Decode(layout, PageOfHits({R"({"_index":"i","_id":"1","_source":{},"fields":{)"
                                 R"("d":["2024-03-01T00:00:00.123Z"],"e":["1709251200.123"],)"
                                 R"("o":["{\"a\": 1.10}"]}})"}))
          .ValueOrDie();
  for (int column : {0, 1}) {
    EXPECT_EQ(batch->column(column)->GetScalar(0).ValueOrDie()->ToString(),
              "2024-03-01 00:00:00.123000Z");
  }
  EXPECT_EQ(batch->column(2)->GetScalar(0).ValueOrDie()->ToString(), R"({"a": 1.10})");
}

TEST(SearchPage, ConstantsComeFromTheMapping) {
  const auto column = Column(R"({"type":"constant_keyword","value":"logs"})",
                             {R"({"f":"logs"})", "{}", R"({"f":null})"})
                          .ValueOrDie();
  for (int64_t row = 0; row < 3; ++row) {
    EXPECT_EQ(column->GetScalar(row).ValueOrDie()->ToString(), "logs");
  }
}

TEST(SearchPage, ComputedFieldsComeInFields) {
  const auto mappings = ParseMappings(R"({"i":{"mappings":{
    "runtime":{"day":{"type":"date"}},
    "properties":{"al":{"type":"alias","path":"o.f"},"o":{"properties":{"f":{"type":"long"}}}}}}})");
  const PageLayout layout = MakeLayout(MergeMappings(*mappings), {}).ValueOrDie();
  const auto batch =
      Decode(layout, PageOfHits({R"({"_index":"i","_id":"1","_source":{"o":{"f":3}},)"
                                 R"("fields":{"al":[3],"day":["2024-03-01T00:00:00.000Z"]}})",
                                 R"({"_index":"i","_id":"2","_source":{}})"}))
          .ValueOrDie();
  EXPECT_EQ(batch->schema()->ToString(false), "al: int64\nday: timestamp[us, tz=UTC]\no.f: int64");
  for (int column = 0; column < 3; ++column) EXPECT_EQ(batch->column(column)->null_count(), 1);
}

TEST(SearchPage, DocValuesInsteadOfSource) {
  LayoutOptions options;
  options.doc_values = true;
  const PageLayout layout =
      LayoutOf(R"({"o":{"properties":{"f":{"type":"long"}}},"t":{"type":"date"}})", options)
          .ValueOrDie();
  const auto batch =
      Decode(layout, PageOfHits({R"({"_index":"i","_score":null,"fields":{"o.f":[5],)"
                                 R"("t":["2024-03-01T00:00:00.000Z"]}})",
                                 R"({"_index":"i","_score":null})"}))
          .ValueOrDie();
  EXPECT_EQ(batch->num_rows(), 2);
  EXPECT_EQ(batch->column(0)->GetScalar(0).ValueOrDie()->ToString(), "5");
  EXPECT_EQ(batch->column(1)->GetScalar(0).ValueOrDie()->ToString(), "2024-03-01 00:00:00.000000Z");
  EXPECT_EQ(batch->column(0)->null_count(), 1);
}

TEST(SearchPage, ObjectsAsStructs) {
  LayoutOptions options;
  options.objects = ObjectForm::kStruct;
  options.id = true;
  const auto batch = Decode(LayoutOf(R"({"a":{"properties":{"x":{"type":"long"},
      "b":{"properties":{"y":{"type":"keyword"}}}}},"z":{"type":"boolean"}})",
                                     options)
                                .ValueOrDie(),
                            PageOf({R"({"a":{"x":1,"b":{"y":"q"}},"z":true})", "{}"}))
                         .ValueOrDie();
  EXPECT_EQ(batch->schema()->field(1)->type()->ToString(),
            "struct<b: struct<y: string>, x: int64>");
  EXPECT_EQ(batch->column(1)->GetScalar(0).ValueOrDie()->ToString(),
            "{b:struct<y: string> = {y:string = q}, x:int64 = 1}");
}

// Whether a hit is read in one walk or by tokens, which a blank before its first key asks for.
TEST(SearchPage, AnObjectWithoutValuesIsNull) {
  LayoutOptions options;
  options.objects = ObjectForm::kStruct;
  const auto layout = LayoutOf(R"({"a":{"properties":{"x":{"type":"long"},
      "b":{"properties":{"y":{"type":"keyword"},"t":{"type":"boolean"}}}}},
      "n":{"type":"nested","properties":{"o":{"properties":{"p":{"type":"long"}}}}}})",
                               options)
                          .ValueOrDie();
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"a":{"x":1,"b":{"y":"q","t":true}}})", R"({"a":{"x":1,"b":{"y":"q","t":true}}})"},
      {"{}", "{}"},
      {R"({"a":null})", "{}"},
      {R"({"a":{}})", "{}"},
      {R"({"a":[]})", "{}"},
      {R"({"a":{"x":null,"b":{"y":null}}})", "{}"},
      {R"({"a":{"x":2}})", R"({"a":{"x":2}})"},
      {R"({"a":{"b":{"t":false}}})", R"({"a":{"b":{"t":false}}})"},
      {R"({"a.b.y":""})", R"({"a":{"b":{"y":""}}})"},
      {R"({"a":[{"x":3},{"b":null}]})", R"({"a":{"x":3}})"},
      {R"({"n":[{"o":{"p":1}},{"o":null},{},null]})",
       R"({"n":[{"o":{"p":1}},{"o":null},{"o":null},null]})"}};
  for (const bool by_tokens : {false, true}) {
    std::vector<std::string> hits;
    std::string rows;
    for (const auto& [source, row] : cases) {
      hits.push_back(testing::HitOf(source, static_cast<int>(hits.size())));
      if (by_tokens) hits.back().insert(1, " ");
      rows += (rows.empty() ? "[" : ",") + row;
    }
    const auto batch = Decode(layout, PageOfHits(hits)).ValueOrDie();
    const auto found = batch->ToStructArray().ValueOrDie();
    const auto wanted = arrow::json::ArrayFromJSONString(found->type(), rows + "]").ValueOrDie();
    EXPECT_TRUE(found->Equals(*wanted)) << found->ToString();
  }
  // One that every document has needs no bits.
  const auto whole = Decode(layout, PageOf({R"({"a":{"x":1}})", R"({"a":{"x":2}})"})).ValueOrDie();
  EXPECT_EQ(whole->column(0)->null_bitmap(), nullptr);
}

constexpr char kNested[] = R"({"n":{"type":"nested","properties":{
    "z":{"type":"long"},"k":{"type":"keyword"},"t":{"type":"date"},"list":{"type":"integer"},
    "o":{"properties":{"p":{"type":"unsigned_long"}}},"j":{"type":"flattened"},
    "m":{"type":"nested","properties":{"x":{"type":"double"}}}}},
  "o":{"properties":{"n":{"type":"nested","properties":{"y":{"type":"boolean"}}}}}})";

// What these documents become, against rows as JSON: objects of columns.
void ExpectNested(const std::vector<std::string>& sources, const std::string& rows,
                  LayoutOptions options = {}) {
  options.array_fields.insert("n.list");
  const auto layout = LayoutOf(kNested, options).ValueOrDie();
  const auto batch = Decode(PageLayout::FromJson(layout.ToJson()).ValueOrDie(), PageOf(sources));
  ASSERT_TRUE(batch.ok()) << batch.status();
  const auto wanted =
      arrow::json::ArrayFromJSONString(arrow::struct_((*batch)->schema()->fields()), rows);
  ASSERT_TRUE(wanted.ok()) << wanted.status();
  const auto found = (*batch)->ToStructArray().ValueOrDie();
  EXPECT_TRUE(found->Equals(**wanted)) << found->ToString();
}

TEST(SearchPage, NestedFieldsAreListsOfStructs) {
  LayoutOptions options;
  options.array_fields = {"n.list"};
  EXPECT_EQ(
      LayoutOf(kNested, options).ValueOrDie().Schema().ValueOrDie()->field(0)->type()->ToString(),
      "list<item: struct<j: string, k: string, list: list<item: int32>, m: list<item: "
      "struct<x: double>>, o.p: uint64, t: timestamp[us, tz=UTC], z: int64>>");
  ExpectNested({R"({"n":[{"z":9007199254740993,"k":"a","t":"1970-01-01"},{"z":2,"list":[1,2]}]})",
                R"({"n":{"z":3,"o":{"p":18446744073709551615},"j":{"a": [1]}}})", R"({"n":[]})",
                R"({"n":null})", R"({})", R"({"n":[null,{}]})",
                R"({"n":[[{"m":[{"x":1.5},{"x":null}]},{"m":{"x":2}}],{"m":[]}]})",
                R"({"n.z":4,"n.k":"b","n.m.x":3})", R"({"n":{"z":5},"n.z":6})",
                R"({"o":[{"n":{"y":true}},{"n":[{"y":false},{}]}]})"},
               R"([{"n":[{"z":9007199254740993,"k":"a","t":"1970-01-01"},{"z":2,"list":[1,2]}]},
          {"n":[{"z":3,"o.p":18446744073709551615,"j":"{\"a\":[1]}"}]}, {"n":[]}, {}, {},
          {"n":[null,{}]}, {"n":[{"m":[{"x":1.5},{"x":null}]},{"m":[{"x":2}]},{"m":[]}]},
          {"n":[{"z":4},{"k":"b"},{"m":[{"x":3}]}]}, {"n":[{"z":5},{"z":6}]},
          {"o.n":[{"y":true},{"y":false},{}]}])");
}

TEST(SearchPage, NestedFieldsInEveryForm) {
  const std::vector<std::string> sources = {
      R"({"n":[{"z":1,"k":"a","u": 2,"o":{"p":7}},{"u":3}]})"};
  LayoutOptions options;
  options.include = {"n.m", "n.z"};
  ExpectNested(sources, R"([{"n":[{"z":1},{}]}])", options);
  options = {};
  options.exclude = {"n.*", "o"};
  EXPECT_TRUE(LayoutOf(kNested, options).ValueOrDie().columns.empty());
  options = {};
  options.nested = NestedForm::kJson;
  ExpectNested(sources, R"([{"n":"[{\"z\":1,\"k\":\"a\",\"u\":2,\"o\":{\"p\":7}},{\"u\":3}]"}])",
               options);
  options = {};
  options.extra = true;
  ExpectNested(sources, R"([{"n":[{"z":1,"k":"a","o.p":7},{}],"_extra":"{\"n.u\":[2,3]}"}])",
               options);
  options = {};
  options.objects = ObjectForm::kStruct;
  ExpectNested(sources, R"([{"n":[{"z":1,"k":"a","o":{"p":7}},{}]}])", options);
}

TEST(SearchPage, MisfitsInNestedFields) {
  const auto error = [](const std::string& source) {
    return MessageOf(Decode(LayoutOf(kNested).ValueOrDie(), PageOf({source})).status());
  };
  EXPECT_THAT(error(R"({"n":[{"z":1},{"z":"x"}]})"),
              HasSubstr("document 'd0' of index 'logs', field 'n.z'"));
  EXPECT_THAT(error(R"({"n":[5]})"),
              HasSubstr("field 'n': a single value stands where the mapping has an object"));
  EXPECT_THAT(error(R"({"n":{"k":["a","b"]}})"),
              HasSubstr("field 'n.k': the document has more than one value"));
  LayoutOptions options;
  options.misfit = OnMisfitValue::kNull;
  ExpectNested({R"({"n":[{"z":"x","k":"a"},5]})", R"({"n":"q"})", R"({"n":[{"z":1}]})"},
               R"([{"n":[{"k":"a"},null]},{"n":[null]},{"n":[{"z":1}]}])", options);
}

// A page that fails in the middle of an element leaves nothing behind.
TEST(SearchPage, ADecoderGoesOnAfterAnErrorInAnElement) {
  auto decoder =
      SearchPageDecoder::Make(LayoutOf(kNested).ValueOrDie(), arrow::default_memory_pool())
          .ValueOrDie();
  ASSERT_FALSE(AppendPage(*decoder, PageOf({R"({"n":[{"z":1,"m":[{"x":1},{"x":"q"}]}]})"})).ok());
  decoder->Reset();
  ASSERT_TRUE(AppendPage(*decoder, PageOf({R"({"n":[{"z":1,"m":[{"x":1}]}]})"})).ok());
  const auto batch = decoder->Flush().ValueOrDie();
  ASSERT_TRUE(batch->ValidateFull().ok());
  EXPECT_EQ(batch->num_rows(), 1);
}

TEST(SearchPage, SummaryOfAPage) {
  auto decoder = SearchPageDecoder::Make(LayoutOf(R"({"f":{"type":"long"}})").ValueOrDie(),
                                         arrow::default_memory_pool())
                     .ValueOrDie();
  const PageSummary page =
      AppendPage(*decoder, R"({"_scroll_id":"s\"1","pit_id":"p","took":7,"timed_out":true,
        "terminated_early":true,"_shards":{"total":3,"successful":1,"skipped":1,"failed":2,
        "failures":[{"shard":0,"index":"logs","node":"n","reason":{"type":
        "circuit_breaking_exception","reason":"Data too large"}}]},
        "hits":{"total":{"value":10000,"relation":"gte"},"max_score":null,"hits":[
        {"_index":"i","_id":"1","_source":{"f":1},"sort":[1,"a"]},
        {"_index":"i","_id":"2","_source":{"f":2},"sort":[2, "b"]}]},
        "aggregations":{"a":{"buckets":[{}]}}})")
          .ValueOrDie();
  EXPECT_EQ(page.scroll_id, "s\"1");
  EXPECT_EQ(page.pit_id, "p");
  EXPECT_EQ(page.took_ms, 7);
  EXPECT_TRUE(page.timed_out);
  EXPECT_TRUE(page.terminated_early);
  EXPECT_EQ(page.shards_total, 3);
  EXPECT_EQ(page.shards_successful, 1);
  EXPECT_EQ(page.shards_skipped, 1);
  EXPECT_EQ(page.shards_failed, 2);
  EXPECT_EQ(page.failure, "logs [0]: circuit_breaking_exception: Data too large");
  EXPECT_EQ(page.total, 10000);
  EXPECT_EQ(page.total_relation, "gte");
  EXPECT_EQ(page.hits, 2);
  EXPECT_EQ(page.last_sort, "[2, \"b\"]");
  const PageSummary old =
      AppendPage(*decoder, R"({"hits":{"total":5,"hits":[]},"timed_out":false})").ValueOrDie();
  EXPECT_EQ(old.total, 5);
  EXPECT_EQ(old.hits, 0);
  EXPECT_FALSE(old.terminated_early);
  EXPECT_EQ(AppendPage(*decoder, R"({"hits":{"hits":[]}})").ValueOrDie().total, -1);
  EXPECT_EQ(decoder->rows(), 2);
}

TEST(SearchPage, WhatIsNoPageIsTransient) {
  const std::string whole = PageOf({R"({"f":1,"g":{"x":[1,2,{"y":"z"}]}})", R"({"f":2})"});
  std::vector<std::string> pages = {"",
                                    " ",
                                    "<html><body>502</body></html>",
                                    "{}",
                                    "[]",
                                    "null",
                                    "nul",
                                    "\"x",
                                    R"({"error":{"type":"t","reason":"r"},"status":400})",
                                    R"({"hits":7})",
                                    R"({"hits":{"hits":{}}})",
                                    R"({"hits":{"hits":[7]}})",
                                    whole + "}",
                                    whole + whole};
  for (size_t bytes = 1; bytes < whole.size(); ++bytes) pages.push_back(whole.substr(0, bytes));
  const PageLayout layout =
      LayoutOf(R"({"f":{"type":"long"},"g":{"type":"flattened"}})").ValueOrDie();
  auto decoder = SearchPageDecoder::Make(layout, arrow::default_memory_pool()).ValueOrDie();
  for (const std::string& page : pages) {
    const auto result = AppendPage(*decoder, page);
    ASSERT_FALSE(result.ok()) << page;
    EXPECT_EQ(KindOf(result.status()), ErrorKind::kTransient) << page << result.status();
    EXPECT_FALSE(AppendPage(*decoder, whole).ok()) << "a failed decoder goes on";
    decoder->Reset();
  }
  EXPECT_TRUE(AppendPage(*decoder, whole).ok());
  EXPECT_EQ(decoder->Flush().ValueOrDie()->num_rows(), 2);
}

TEST(SearchPage, DocumentsWithoutSourceAreAnError) {
  const auto result = Decode(LayoutOf(R"({"f":{"type":"long"}})").ValueOrDie(),
                             PageOfHits({R"({"_index":"i","_id":"1"})"}));
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(KindOf(result.status()), ErrorKind::kUser);
  EXPECT_THAT(MessageOf(result.status()), HasSubstr("document '1' of index 'i': it comes without"));
}

TEST(SearchPage, BatchesAreApartAndColumnsOptional) {
  auto decoder = SearchPageDecoder::Make(
                     LayoutOf(R"({"f":{"type":"keyword"},"g":{"type":"long"}})").ValueOrDie(),
                     arrow::default_memory_pool())
                     .ValueOrDie();
  EXPECT_EQ(decoder->Flush().ValueOrDie(), nullptr);
  arrow::RecordBatchVector batches;
  for (int page = 0; page < 3; ++page) {
    ASSERT_TRUE(AppendPage(*decoder, PageOf({fmt::format(R"({{"f":"v{}"}})", page), "{}"})).ok());
    EXPECT_EQ(decoder->rows(), 2);
    EXPECT_GT(decoder->bytes(), 0);
    batches.push_back(decoder->Flush().ValueOrDie());
    EXPECT_EQ(decoder->rows(), 0);
  }
  for (int page = 0; page < 3; ++page) {
    EXPECT_EQ(batches[page]->column(0)->GetScalar(0).ValueOrDie()->ToString(),
              fmt::format("v{}", page));
    EXPECT_EQ(batches[page]->column(1)->null_count(), 2);
  }
  // No column at all: the rows are counted.
  LayoutOptions none;
  none.exclude = {"f"};
  const auto batch =
      Decode(LayoutOf(R"({"f":{"type":"long"}})", none).ValueOrDie(), PageOf({"{}", "{}"}));
  EXPECT_EQ((*batch)->num_rows(), 2);
  EXPECT_EQ((*batch)->num_columns(), 0);
}

TEST(SearchPage, DeepDocumentsDoNotOverflow) {
  constexpr int kLevels = 50'000;
  const std::string deep = std::string(kLevels, '[') + std::string(kLevels, ']');
  const auto layout =
      LayoutOf(
          R"({"f":{"type":"long"},"g":{"type":"flattened"},"o":{"properties":{"x":{"type":"long"}}}})")
          .ValueOrDie();
  for (const std::string field : {"f", "g", "o"}) {
    const auto result = Decode(layout, PageOf({"{\"" + field + "\":" + deep + "}"}));
    ASSERT_FALSE(result.ok()) << field;
    EXPECT_THAT(result.status().message(), HasSubstr("1000 levels"));
  }
  EXPECT_TRUE(Decode(layout, PageOf({"{\"unmapped\":" + deep + "}"})).ok());
}

TEST(FieldSampler, LooksBelowFieldsThatAreObjectsToo) {
  const auto mappings = ParseMappings(R"({
    "a":{"mappings":{"properties":{"k":{"type":"long"},"k.b":{"type":"long"},
                                   "o":{"properties":{"z":{"type":"long"}}}}}},
    "b":{"mappings":{"properties":{"o":{"type":"keyword"}}}}})");
  FieldSampler sampler(MergeMappings(*mappings));
  ASSERT_TRUE(sampler.Append(PageOf({R"({"k":{"b":[1,2]},"o":[{"z":1},{"z":2}]})"})).ok());
  EXPECT_TRUE(sampler.array_fields().contains("k.b"));
  EXPECT_TRUE(sampler.array_fields().contains("o.z"));
}

TEST(FieldSampler, FindsFieldsWithSeveralValues) {
  const auto mappings = ParseMappings(testing::MappingOf(R"({
    "tags":{"type":"keyword"},"one":{"type":"long"},"a":{"properties":{"x":{"type":"long"}}},
    "p":{"type":"geo_point"},"v":{"type":"dense_vector"},
    "n":{"type":"nested","properties":{"s":{"type":"long"},"l":{"type":"long"}}},
    "d":{"properties":{"e":{"type":"long"}}},"pp":{"type":"geo_point"}})"));
  FieldSampler sampler(MergeMappings(*mappings));
  ASSERT_TRUE(
      sampler
          .Append(PageOf(
              {R"({"tags":["a","b"],"one":[1],"a":[{"x":1},{"x":2}],"p":[1,2],)"
               R"("v":[1,2],"n":[{"s":1,"l":[1,2]},{"s":2}],"d.e":[1,2],"pp":[[1,2],[3,4]]})",
               R"({"tags":"a","one":[null,2],"a":{"x":[1]}})"}))
          .ok());
  EXPECT_THAT(sampler.array_fields(), ElementsAre("a.x", "d.e", "n.l", "pp", "tags"));
  EXPECT_FALSE(sampler.Append("<html>").ok());
}

}  // namespace
}  // namespace bulkhaul::search
