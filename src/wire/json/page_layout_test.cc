#include "wire/json/page_layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/json/testing.h"

namespace bulkhaul::search {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::LayoutOf;

std::vector<std::string> Names(const PageLayout& layout) {
  std::vector<std::string> names;
  for (const ColumnSpec& column : layout.columns) names.push_back(column.path);
  return names;
}

std::vector<std::string> NamesOf(std::string_view properties, const LayoutOptions& options) {
  return Names(LayoutOf(properties, options).ValueOrDie());
}

std::string ErrorOf(std::string_view properties, const LayoutOptions& options) {
  const auto layout = LayoutOf(properties, options);
  EXPECT_FALSE(layout.ok());
  if (layout.ok()) return {};
  EXPECT_EQ(KindOf(layout.status()), ErrorKind::kUser);
  return MessageOf(layout.status());
}

constexpr char kTree[] = R"({
  "a": {"properties": {"x": {"type": "long"}, "y": {"type": "keyword"}}},
  "b": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
  "n": {"type": "nested", "properties": {"z": {"type": "long"}}}})";

TEST(MakeLayout, EveryFieldTypeHasAColumn) {
  const PageLayout layout = LayoutOf(R"({
    "t01":{"type":"byte"},"t02":{"type":"short"},"t03":{"type":"integer"},"t04":{"type":"long"},
    "t05":{"type":"unsigned_long"},"t06":{"type":"half_float"},"t07":{"type":"scaled_float"},
    "t08":{"type":"boolean"},"t09":{"type":"keyword"},"t10":{"type":"version"},
    "t11":{"type":"binary"},"t12":{"type":"date"},"t13":{"type":"date_nanos"},
    "t14":{"type":"geo_point"},"t15":{"type":"geo_shape"},"t16":{"type":"nested"},
    "t17":{"type":"flattened"},"t18":{"type":"integer_range"},"t19":{"type":"dense_vector"},
    "t20":{"type":"rank_features"},"t21":{"type":"completion"},"t22":{"type":"percolator"},
    "t23":{"type":"some_type_of_a_plugin"},"t24":{"type":"ip"},"t25":{"type":"knn_vector"}})")
                                .ValueOrDie();
  std::vector<std::string> types;
  const auto schema = layout.Schema().ValueOrDie();
  for (const auto& field : schema->fields()) {
    types.push_back(field->type()->ToString());
  }
  EXPECT_THAT(types,
              ElementsAre("int8", "int16", "int32", "int64", "uint64", "double", "double", "bool",
                          "string", "string", "binary", "timestamp[us, tz=UTC]",
                          "timestamp[ns, tz=UTC]", "struct<lat: double, lon: double>", "string",
                          "string", "string", "string", "list<item: float>", "string", "string",
                          "string", "string", "string", "list<item: float>"));
}

TEST(MakeLayout, IncludesAndExcludesByNameObjectAndWildcard) {
  EXPECT_THAT(NamesOf(kTree, {}), ElementsAre("a.x", "a.y", "b", "n"));
  LayoutOptions options;
  options.include = {"a"};
  EXPECT_THAT(NamesOf(kTree, options), ElementsAre("a.x", "a.y"));
  EXPECT_THAT(LayoutOf(kTree, options).ValueOrDie().left_out, ElementsAre("b", "n.z"));
  options.exclude = {"*.y"};
  EXPECT_THAT(NamesOf(kTree, options), ElementsAre("a.x"));
  options.include = {};
  options.exclude = {"a", "nothing*"};
  EXPECT_THAT(NamesOf(kTree, options), ElementsAre("b", "n"));
}

TEST(MakeLayout, ANameThatIsAFieldIsThatFieldAlone) {
  constexpr char kDotted[] = R"({"app":{"type":"keyword"},"app.io":{"type":"keyword"},
    "app.io.name":{"type":"keyword"},"n":{"type":"nested","properties":{"x":{"type":"long"}}}})";
  const auto chosen = [&](std::vector<std::string> include, std::vector<std::string> exclude = {}) {
    LayoutOptions options;
    options.include = std::move(include);
    options.exclude = std::move(exclude);
    return NamesOf(kDotted, options);
  };
  EXPECT_THAT(chosen({"app"}), ElementsAre("app"));
  EXPECT_THAT(chosen({"app.io"}), ElementsAre("app.io"));
  EXPECT_THAT(chosen({}, {"app"}), ElementsAre("app.io", "app.io.name", "n"));
  EXPECT_THAT(chosen({}, {"app.io", "n"}), ElementsAre("app", "app.io.name"));
  EXPECT_THAT(chosen({}, {"*pp"}), ElementsAre("app.io", "app.io.name", "n"));
  EXPECT_THAT(chosen({"app*"}), ElementsAre("app", "app.io", "app.io.name"));
  // To the server, what begins with a name and a dot is in it.
  LayoutOptions options;
  options.exclude = {"app", "app.io.name", "n"};
  EXPECT_THAT(LayoutOf(kDotted, options).ValueOrDie().ServerExcludes(options.exclude),
              ElementsAre("app.io.name", "n"));
}

TEST(MakeLayout, RefusesUnknownFieldsWithTheNearestName) {
  LayoutOptions options;
  options.include = {"a.xx"};
  EXPECT_THAT(ErrorOf(kTree, options), HasSubstr("'a.xx'; did you mean 'a.x'?"));
  options.include = {"c*"};
  EXPECT_THAT(ErrorOf(kTree, options), HasSubstr("no mapping has a field like 'c*'"));
  options.include = {"n.z"};
  options.nested = NestedForm::kJson;
  EXPECT_THAT(ErrorOf(kTree, options), HasSubstr("inside 'n' of type nested"));
  options.include = {"b.raw"};
  EXPECT_THAT(ErrorOf(kTree, options), HasSubstr("name 'b'"));
  options.include = {};
  options.exclude = {"a.z"};
  EXPECT_THAT(ErrorOf(kTree, options), HasSubstr("no mapping has a field called 'a.z'"));
}

TEST(MakeLayout, AddsTheColumnsAskedFor) {
  LayoutOptions options;
  options.id = options.index = options.routing = options.seq_no = options.extra = true;
  const PageLayout layout = LayoutOf(R"({"f":{"type":"long"}})", options).ValueOrDie();
  EXPECT_THAT(Names(layout), ElementsAre("_id", "_index", "_routing", "_seq_no", "f", "_extra"));
  EXPECT_TRUE(layout.needs_seq_no());
  const auto schema = layout.Schema().ValueOrDie();
  EXPECT_FALSE(schema->field(0)->nullable());
  EXPECT_TRUE(schema->field(4)->nullable());
  EXPECT_EQ(schema->field(4)->metadata()->Get("bulkhaul.source_type").ValueOrDie(), "long");
  EXPECT_THAT(ErrorOf(R"({"_extra":{"type":"long"}})", options), HasSubstr("_extra"));
}

TEST(MakeLayout, ArraysFollowTheSampleOrTheWish) {
  LayoutOptions options;
  options.array_fields = {"a.x"};
  const auto type_of = [&](int column) {
    const auto layout = LayoutOf(kTree, options).ValueOrDie();
    return layout.Schema().ValueOrDie()->field(column)->type()->ToString();
  };
  EXPECT_EQ(type_of(0), "list<item: int64>");
  EXPECT_EQ(type_of(1), "string");
  options.arrays = ArrayForm::kJson;
  EXPECT_EQ(type_of(0), "string");
  options.arrays = ArrayForm::kFirst;
  EXPECT_EQ(type_of(0), "int64");
  options.arrays = ArrayForm::kList;
  EXPECT_EQ(type_of(1), "list<item: string>");
  EXPECT_EQ(type_of(3), "list<item: struct<z: list<item: int64>>>");
}

TEST(MakeLayout, ObjectsAsStructs) {
  LayoutOptions options;
  options.objects = ObjectForm::kStruct;
  EXPECT_EQ(LayoutOf(kTree, options).ValueOrDie().Schema().ValueOrDie()->ToString(),
            "a: struct<x: int64, y: string>\nb: string\nn: list<item: struct<z: int64>>");
  // A field that is a value and an object (subobjects: false) keeps its dots.
  EXPECT_EQ(LayoutOf(R"({"cpu":{"type":"double"},"cpu.user":{"type":"double"}})", options)
                .ValueOrDie()
                .Schema()
                .ValueOrDie()
                ->ToString(),
            "cpu: double\ncpu.user: double");
}

TEST(MakeLayout, ConflictsAreRefusedOrBecomeJson) {
  const auto mappings = ParseMappings(R"({
    "a":{"mappings":{"properties":{"host":{"type":"keyword"}}}},
    "b":{"mappings":{"properties":{"host":{"properties":{"name":{"type":"keyword"}}}}}}})");
  const MergedMapping merged = MergeMappings(*mappings);
  LayoutOptions options;
  const auto refused = MakeLayout(merged, options);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(MessageOf(refused.status()),
              HasSubstr("'host' is keyword in index 'a' and object in index 'b'"));
  options.conflicts = OnConflict::kJson;
  const PageLayout layout = MakeLayout(merged, options).ValueOrDie();
  EXPECT_THAT(Names(layout), ElementsAre("host"));
  EXPECT_EQ(layout.columns[0].kind, ColumnKind::kJson);
  options = {};
  options.exclude = {"host"};
  EXPECT_TRUE(MakeLayout(merged, options).ok());
}

TEST(MakeLayout, ObjectsWhereTheFieldIsNotReadFromDocumentsAreRefused) {
  // "fields" have no objects: as JSON they would be lost.
  for (const auto& [type, other] : std::vector<std::pair<std::string, std::string>>{
           {"keyword", R"({"properties":{"q":{"type":"long"}}})"},
           {"keyword", R"({"type":"nested"})"},
           {"flattened", R"({"properties":{"q":{"type":"long"}}})"}}) {
    const auto mappings = ParseMappings(fmt::format(
        R"({{"a":{{"mappings":{{"properties":{{"x":{{"type":"alias","path":"k"}},
              "k":{{"type":"{}"}}}}}}}},
            "b":{{"mappings":{{"properties":{{"x":{}}}}}}}}})",
        type, other));
    LayoutOptions options;
    options.conflicts = OnConflict::kJson;
    const auto refused = MakeLayout(MergeMappings(*mappings), options);
    ASSERT_FALSE(refused.ok());
    EXPECT_THAT(MessageOf(refused.status()),
                HasSubstr(fmt::format("field 'x' is {} in index 'a', ", type)));
    EXPECT_THAT(MessageOf(refused.status()), HasSubstr("leave it out with exclude_fields"));
    options.exclude = {"x"};
    EXPECT_TRUE(MakeLayout(MergeMappings(*mappings), options).ok());
  }
}

TEST(MakeLayout, DerivedDatesAreAskedForWithoutAFormat) {
  const auto layout_of = [](std::string_view other) {
    const auto mappings = ParseMappings(fmt::format(
        R"({{"a":{{"mappings":{{"derived":{{"d":{{"type":"date"}}}}}}}},
            "b":{{"mappings":{{"properties":{{"d":{}}}}}}}}})",
        other));
    return MakeLayout(MergeMappings(*mappings), {});
  };
  const PageLayout same = layout_of(R"({"type":"date"})").ValueOrDie();
  EXPECT_THAT(same.RequestedFields(), ElementsAre(std::pair<std::string, std::string>("d", "")));
  const PageLayout back = PageLayout::FromJson(same.ToJson()).ValueOrDie();
  EXPECT_EQ(back.RequestedFields(), same.RequestedFields());
  // Their own formats may show less than the documents have.
  for (const char* other : {R"({"type":"date_nanos"})", R"({"type":"date","format":"yyyy-MM"})"}) {
    const auto refused = layout_of(other);
    ASSERT_FALSE(refused.ok()) << other;
    EXPECT_THAT(MessageOf(refused.status()), HasSubstr("field 'd' is a derived date in index 'a'"))
        << other;
    EXPECT_THAT(MessageOf(refused.status()), HasSubstr("exclude_fields")) << other;
  }
}

TEST(MakeLayout, DateFormats) {
  constexpr char kWeeks[] = R"({"w":{"type":"date","format":"YYYY-ww"}})";
  EXPECT_THAT(ErrorOf(kWeeks, {}), HasSubstr("field 'w'"));
  LayoutOptions options;
  options.dates = DateForm::kText;
  EXPECT_EQ(LayoutOf(kWeeks, options).ValueOrDie().columns[0].kind, ColumnKind::kText);
}

TEST(MakeLayout, ComputedFieldsAreRequested) {
  const auto mappings = ParseMappings(R"({"i":{"mappings":{
    "runtime":{"day":{"type":"date"},"rt":{"type":"long"}},
    "properties":{"al":{"type":"alias","path":"f"},"f":{"type":"keyword"}}}}})");
  const PageLayout layout = MakeLayout(MergeMappings(*mappings), {}).ValueOrDie();
  EXPECT_THAT(layout.RequestedFields(), ElementsAre(std::pair<std::string, std::string>("al", ""),
                                                    std::pair<std::string, std::string>(
                                                        "day", "strict_date_optional_time_nanos"),
                                                    std::pair<std::string, std::string>("rt", "")));
}

TEST(MakeLayout, DocValuesOnlyWhereTheyAreWhatDocumentsHave) {
  const auto error = [](const std::string& field, LayoutOptions options = {}) {
    options.doc_values = true;
    return MessageOf(LayoutOf(R"({"f":)" + field + "}", options).status());
  };
  for (const char* same : {"keyword", "long", "unsigned_long", "double", "boolean", "date"}) {
    EXPECT_EQ(error(fmt::format(R"({{"type":"{}"}})", same)), "") << same;
  }
  for (const char* other :
       {"text", "float", "scaled_float", "ip", "geo_point", "nested", "binary"}) {
    EXPECT_THAT(error(fmt::format(R"({{"type":"{}"}})", other)),
                HasSubstr(fmt::format("field 'f': its doc values may be others than those of the "
                                      "documents: fields of type {}",
                                      other)));
  }
  EXPECT_THAT(error(R"({"type":"keyword","normalizer":"lowercase"})"), HasSubstr("normalizer"));
  EXPECT_THAT(error(R"({"type":"keyword","ignore_above":256})"), HasSubstr("ignore_above"));
  EXPECT_THAT(error(R"({"type":"long","null_value":0})"), HasSubstr("null_value"));
  EXPECT_THAT(error(R"({"type":"long","ignore_malformed":true})"), HasSubstr("ignore_malformed"));
  EXPECT_THAT(error(R"({"type":"long","doc_values":"false"})"), HasSubstr("doc_values: false"));
  EXPECT_THAT(error(R"({"type":"long"},"g":{"type":"long","copy_to":"f"})"), HasSubstr("copy_to"));
  LayoutOptions options;
  options.array_fields = {"f"};
  EXPECT_THAT(error(R"({"type":"keyword"})", options), HasSubstr("several values"));
  options = {};
  options.arrays = ArrayForm::kList;
  EXPECT_THAT(error(R"({"type":"keyword"})", options), HasSubstr("arrays: auto"));
  options = {};
  options.extra = true;
  EXPECT_THAT(error(R"({"type":"keyword"})", options), HasSubstr("extra"));
  options = {};
  options.dates = DateForm::kText;
  EXPECT_THAT(error(R"({"type":"date"})", options), HasSubstr("dates: text"));
  // Fields that are left out do not count.
  options = {};
  options.doc_values = true;
  options.include = {"f"};
  EXPECT_EQ(LayoutOf(R"({"f":{"type":"long"},"t":{"type":"text"}})", options)
                .ValueOrDie()
                .RequestedFields()
                .size(),
            1u);
}

TEST(PageLayout, SaysWhereTheServerMayFilterTheDocument) {
  const auto bears = [](std::string_view field, LayoutOptions options = {}) {
    return LayoutOf("{\"f\":" + std::string(field) + "}", options)
        .ValueOrDie()
        .bears_source_filter();
  };
  for (const char* field :
       {R"({"type":"integer"})", R"({"type":"double"})", R"({"type":"boolean"})",
        R"({"type":"ip"})", R"({"type":"date","format":"strict_date_optional_time"})"}) {
    EXPECT_TRUE(bears(field)) << field;
  }
  for (const char* field :
       {R"({"type":"keyword"})", R"({"type":"text"})", R"({"type":"long"})", R"({"type":"date"})",
        R"({"type":"date","format":"epoch_second"})", R"({"type":"flattened"})",
        R"({"type":"nested","properties":{"x":{"type":"double"}}})"}) {
    EXPECT_FALSE(bears(field)) << field;
  }
  LayoutOptions options;
  options.extra = true;
  EXPECT_FALSE(bears(R"({"type":"double"})", options));
}

TEST(PageLayout, JsonThereAndBack) {
  LayoutOptions options;
  options.id = options.extra = true;
  options.objects = ObjectForm::kStruct;
  options.arrays = ArrayForm::kFirst;
  options.misfit = OnMisfitValue::kNull;
  options.excess_digits = OnExcessDigits::kTruncate;
  options.exclude = {"a.y"};
  options.date_unit = DateUnit::kNano;
  const PageLayout layout =
      LayoutOf(R"({"a":{"properties":{"x":{"type":"date"},"y":{"type":"long"}}},
                   "c":{"type":"constant_keyword","value":"v\"1"}})",
               options)
          .ValueOrDie();
  const std::string json = layout.ToJson();
  const PageLayout back = PageLayout::FromJson(json).ValueOrDie();
  EXPECT_EQ(back.ToJson(), json);
  EXPECT_TRUE(back.Schema().ValueOrDie()->Equals(*layout.Schema().ValueOrDie(), true));
  EXPECT_THAT(back.left_out, ElementsAre("a.y"));
  EXPECT_FALSE(PageLayout::FromJson("{}").ok());
  EXPECT_FALSE(PageLayout::FromJson(R"({"columns":[{"path":"x","kind":99}],"left_out":[]})").ok());
}

}  // namespace
}  // namespace bulkhaul::search
