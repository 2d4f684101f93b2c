#include "wire/json/mapping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bulkhaul::search {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

IndexMapping Parse(std::string_view mappings, const std::string& index = "logs") {
  return ParseMappings("{\"" + index + "\":{\"mappings\":" + std::string(mappings) + "}}")
      .ValueOrDie()
      .at(0);
}

std::vector<std::string> Paths(const IndexMapping& mapping) {
  std::vector<std::string> paths;
  for (const MappedField& field : mapping.fields) paths.push_back(field.path);
  return paths;
}

// The one field `f` of two indices with these definitions.
MergedField MergeTwo(const std::string& left, const std::string& right) {
  const std::vector<IndexMapping> mappings = {Parse("{\"properties\":{\"f\":" + left + "}}", "a"),
                                              Parse("{\"properties\":{\"f\":" + right + "}}", "b")};
  return *MergeMappings(mappings).Find("f");
}
MergedField MergeTypes(const std::string& left, const std::string& right) {
  return MergeTwo("{\"type\":\"" + left + "\"}", "{\"type\":\"" + right + "\"}");
}

TEST(ParseMappings, ReadsObjectsFieldsAndTheirParameters) {
  const IndexMapping mapping = Parse(R"({"dynamic":"strict","properties":{
    "@timestamp":{"type":"date","format":"epoch_second||yyyy"},
    "http":{"properties":{"method":{"type":"keyword"},"deep":{"type":"object","properties":{
      "x":{"type":"long"}}}}},
    "message":{"type":"text","fields":{"keyword":{"type":"keyword","ignore_above":256}}},
    "data_stream":{"type":"constant_keyword","value":"logs"},
    "flag.with.dots":{"type":"boolean"}}})");
  EXPECT_THAT(Paths(mapping),
              ElementsAre("@timestamp", "http", "http.method", "http.deep", "http.deep.x",
                          "message", "data_stream", "flag.with.dots"));
  EXPECT_EQ(mapping.fields[0].format, "epoch_second||yyyy");
  EXPECT_TRUE(mapping.fields[1].is_object);
  EXPECT_EQ(mapping.fields[4].type, "long");
  EXPECT_THAT(mapping.fields[5].multi_fields, ElementsAre("message.keyword"));
  EXPECT_EQ(mapping.fields[6].constant, "logs");
}

TEST(ParseMappings, ReadsNestedFieldsAndKeepsDisabledObjectsWhole) {
  const IndexMapping mapping = Parse(R"({"properties":{
    "comments":{"type":"nested","properties":{"author":{"type":"keyword"}}},
    "raw":{"type":"object","enabled":false},
    "labels":{"type":"flattened"}, "flat":{"type":"flat_object"}}})");
  EXPECT_THAT(Paths(mapping), ElementsAre("comments", "comments.author", "raw", "labels", "flat"));
  for (const MappedField& field : mapping.fields) EXPECT_FALSE(field.is_object) << field.path;
}

TEST(ParseMappings, ReadsAliasesAsTheirTargets) {
  const IndexMapping mapping = Parse(R"({"properties":{
    "when":{"type":"alias","path":"event.created"},
    "event":{"properties":{"created":{"type":"date_nanos","format":"epoch_millis"}}}}})");
  EXPECT_EQ(mapping.fields[0].type, "date_nanos");
  EXPECT_EQ(mapping.fields[0].format, "epoch_millis");
  EXPECT_TRUE(mapping.fields[0].from_fields());
  EXPECT_FALSE(mapping.fields[2].from_fields());
}

TEST(ParseMappings, ReadsRuntimeAndDerivedFields) {
  for (const std::string section : {"runtime", "derived"}) {
    const IndexMapping mapping =
        Parse("{\"" + section + R"js(":{"day":{"type":"keyword","script":{"source":"emit('x')"}}},
              "properties":{"day":{"type":"long"},"b":{"type":"long"}}})js");
    EXPECT_THAT(Paths(mapping), ElementsAre("b", "day")) << section;
    EXPECT_EQ(mapping.fields[1].type, "keyword");
    EXPECT_TRUE(mapping.fields[1].computed);
  }
}

// As the Elasticsearch guide has it, "Map a runtime field": {"type": "composite", "fields": …}.
TEST(ParseMappings, CompositeRuntimeFieldsAreTheFieldsInThem) {
  const IndexMapping mapping = Parse(R"js({"runtime":{"http":{"type":"composite",
    "script":{"source":"emit(grok('%{COMMONAPACHELOG}').extract(doc['m'].value))"},
    "fields":{"clientip":{"type":"ip"},"response":{"type":"long"}}}}})js");
  EXPECT_THAT(Paths(mapping), ElementsAre("http.clientip", "http.response"));
  EXPECT_EQ(mapping.fields[1].type, "long");
  EXPECT_TRUE(mapping.fields[1].computed);
}

TEST(ParseMappings, DerivedObjectsAreTextOfAScript) {
  const IndexMapping mapping = Parse(R"({"derived":{"o":{"type":"object"},"d":{"type":"date"}},
                                         "runtime":{"r":{"type":"date"}}})");
  ASSERT_EQ(mapping.fields.size(), 3u);
  EXPECT_FALSE(mapping.fields[0].derived);
  EXPECT_TRUE(mapping.fields[1].derived && mapping.fields[2].derived);
  EXPECT_EQ(mapping.fields[1].type, "derived object");
  EXPECT_FALSE(MergeMappings(std::vector{mapping}).Find("o")->field.is_object);
}

TEST(ParseMappings, SaysWhichFieldsDocumentsThemselvesDoNotHave) {
  const auto apart = [](const std::string& outer, const std::string& inner) {
    const IndexMapping mapping = Parse(R"({"properties":{"n":{"type":"nested",)" + outer +
                                       R"("properties":{"t":{"type":"date"},
                 "m":{"type":"nested",)" +
                                       inner + R"("properties":{"u":{"type":"date"}}}}},
                 "o":{"properties":{"t":{"type":"date"}}}}})");
    std::string paths;
    for (const MappedField& field : mapping.fields) {
      if (field.in_nested) paths += field.path + " ";
    }
    return paths;
  };
  EXPECT_EQ(apart("", ""), "n.t n.m n.m.u ");
  EXPECT_EQ(apart(R"("include_in_root":true,)", ""), "n.m.u ");
  EXPECT_EQ(apart("", R"("include_in_root":"true",)"), "n.t n.m ");
  EXPECT_EQ(apart("", R"("include_in_parent":true,)"), "n.t n.m n.m.u ");
  EXPECT_EQ(apart(R"("include_in_parent":true,)", R"("include_in_parent":true,)"), "");
}

TEST(ParseMappings, SaysWhatSourceKeeps) {
  EXPECT_FALSE(Parse(R"({"_source":{"enabled":false}})").source_enabled);
  EXPECT_FALSE(Parse(R"({"_source":{"mode":"disabled"}})").source_enabled);
  const IndexMapping mapping = Parse(R"({"_source":{"excludes":["secret.*"],"includes":"a"}})");
  EXPECT_TRUE(mapping.source_enabled);
  EXPECT_THAT(mapping.source_excludes, ElementsAre("secret.*"));
  EXPECT_THAT(mapping.source_includes, ElementsAre("a"));
}

TEST(ParseMappings, AnswersWhatIsNoMapping) {
  for (const std::string text :
       {"", "<html>", "[]", R"({"a":1})", R"({"a":{"mappings":{"properties":{"f":"long"}}}})",
        R"({"error":{"type":"index_not_found_exception"},"status":404})"}) {
    const auto result = ParseMappings(text);
    ASSERT_FALSE(result.ok()) << text;
    EXPECT_EQ(KindOf(result.status()), ErrorKind::kPermanent) << text;
  }
}

TEST(MergeMappings, WidensNumbers) {
  EXPECT_EQ(MergeTypes("byte", "long").field.type, "long");
  EXPECT_EQ(MergeTypes("integer", "short").field.type, "integer");
  EXPECT_EQ(MergeTypes("long", "unsigned_long").field.type, "mixed integers");
  EXPECT_EQ(MergeTypes("half_float", "float").field.type, "float");
  EXPECT_EQ(MergeTypes("scaled_float", "float").field.type, "double");
  EXPECT_EQ(MergeTypes("long", "float").field.type, "double");
  EXPECT_EQ(MergeTypes("unsigned_long", "double").field.type, "double");
}

TEST(MergeMappings, WidensTextDatesAndTrees) {
  EXPECT_EQ(MergeTypes("keyword", "text").field.type, "text");
  EXPECT_EQ(MergeTypes("ip", "keyword").conflict, "");
  EXPECT_EQ(MergeTypes("nested", "flattened").field.type, "json");
  EXPECT_EQ(
      MergeTwo("{\"properties\":{\"x\":{\"type\":\"long\"}}}", "{\"type\":\"nested\"}").field.type,
      "json");
  const MergedField date =
      MergeTwo(R"({"type":"date","format":"epoch_second"})", R"({"type":"date_nanos"})");
  EXPECT_EQ(date.field.type, "date_nanos");
  EXPECT_EQ(date.field.format, "epoch_second||strict_date_optional_time||epoch_millis");
}

TEST(MergeMappings, WideningDoesNotDependOnTheOrder) {
  const std::vector<std::string> types = {
      "byte",   "short",        "integer",   "long",   "unsigned_long", "half_float",  "float",
      "double", "scaled_float", "keyword",   "text",   "wildcard",      "ip",          "boolean",
      "date",   "date_nanos",   "geo_point", "binary", "nested",        "dense_vector"};
  for (const std::string& left : types) {
    for (const std::string& right : types) {
      const MergedField one = MergeTypes(left, right), other = MergeTypes(right, left);
      EXPECT_EQ(one.conflict.empty(), other.conflict.empty()) << left << " " << right;
      EXPECT_TRUE(!one.conflict.empty() || one.field.type == other.field.type)
          << left << " " << right;
    }
  }
}

TEST(MergeMappings, NamesBothIndicesOfAConflict) {
  const MergedField field = MergeTypes("keyword", "boolean");
  EXPECT_THAT(field.conflict, HasSubstr("'f' is keyword in index 'a' and boolean in index 'b'"));
  EXPECT_NE(MergeTypes("date", "long").conflict, "");
  EXPECT_NE(MergeTwo("{\"properties\":{}}", "{\"type\":\"keyword\"}").conflict, "");
}

TEST(MergeMappings, KeepsConstantsByIndex) {
  std::vector<IndexMapping> mappings;
  for (const std::string index : {"a", "b", "c"}) {
    mappings.push_back(
        Parse(R"({"properties":{"f":{"type":"constant_keyword","value":"logs"}}})", index));
  }
  const MergedMapping merged = MergeMappings(mappings);
  EXPECT_EQ(merged.Find("f")->constants.size(), 3u);
  EXPECT_EQ(merged.Find("f")->constants.at("b"), "logs");
  EXPECT_EQ(merged.Find("g"), nullptr);
}

}  // namespace
}  // namespace bulkhaul::search
