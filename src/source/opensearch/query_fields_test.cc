#include "source/opensearch/query_fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bulkhaul::opensearch {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(FieldsOfText, AreWhatStandsBeforeAColon) {
  EXPECT_THAT(FieldsOfText("lvl:ERROR AND -http.path:p AND (user-agent: x OR +@timestamp:>1)"),
              ElementsAre("@timestamp", "http.path", "lvl", "user-agent"));
  EXPECT_THAT(FieldsOfText("a:[2024-03-01T00:00 TO now] b:{x:1 TO *} \"c:1\" d:\"e:\\\"f:1\""),
              ElementsAre("a", "b", "d"));
  EXPECT_THAT(FieldsOfText("path:/x y:z/ plain words:"), ElementsAre("path", "words"));
}

TEST(FieldsOfText, LeavesOutWhatIsNotCertain) {
  EXPECT_THAT(FieldsOfText("_exists_:a _id:1 ht*:x a\\:b:c plain \"quoted\" time:12:30"),
              ElementsAre("time"));
  EXPECT_THAT(FieldsOfText(""), IsEmpty());
  EXPECT_THAT(FieldsOfText("\"open"), IsEmpty());
  EXPECT_THAT(FieldsOfText("open\\"), IsEmpty());
}

TEST(FieldsOfQuery, WalksTheClausesThatNameFields) {
  EXPECT_THAT(FieldsOfQuery(R"({"bool":{
      "filter":[{"term":{"a":1}},{"terms":{"b":[1],"boost":2}},{"exists":{"field":"c"}}],
      "must_not":{"range":{"d":{"gte":1}}},
      "should":[{"query_string":{"query":"e:1","default_field":"f"}},
                {"multi_match":{"query":"x:1","fields":["g^2","h*"]}},
                {"nested":{"path":"n","query":{"match":{"n.i":"x"}}}},
                {"constant_score":{"filter":{"wildcard":{"j":"*"}}}}]}})"),
              ElementsAre("a", "b", "c", "d", "e", "f", "g", "j", "n.i"));
  EXPECT_THAT(FieldsOfQuery(R"({"script":{"script":{"source":"a"}}})"), IsEmpty());
  EXPECT_THAT(FieldsOfQuery(R"({"term":{"_id":1}})"), IsEmpty());
  EXPECT_THAT(FieldsOfQuery(""), IsEmpty());
}

}  // namespace
}  // namespace bulkhaul::opensearch
