#include "plan/query_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "plan/job_file.h"

namespace bulkhaul {
namespace {

using testing::HasSubstr;
using Parameters = std::map<std::string, std::string>;

std::string Fill(TemplateLanguage language, const std::string& text, const Parameters& values) {
  const auto filled = FillTemplate({language, text}, values);
  return filled.ok() ? *filled : "error: " + filled.status().message();
}
std::string Text(const std::string& value) { return nlohmann::json(value).dump(); }

constexpr char kHostile[] = R"(x"}}, {"match_all": {}}] OR *:* '; drop table t; -- \)";

TEST(QueryTemplate, JsonKeepsItsShapeWhateverTheValueIs) {
  const std::string text =
      R"({"bool":{"filter":[{"term":{"a":"{{a}}"}},{"range":{"b":{"gte":"{{ b }}"}}}]}})";
  EXPECT_EQ(Fill(TemplateLanguage::kJson, text, {{"a", Text("x")}, {"b", "5"}}),
            R"({"bool":{"filter":[{"term":{"a":"x"}},{"range":{"b":{"gte":5}}}]}})");
  const auto hostile = nlohmann::json::parse(
      Fill(TemplateLanguage::kJson, text, {{"a", Text(kHostile)}, {"b", "true"}}));
  EXPECT_EQ(hostile["/bool/filter/0/term/a"_json_pointer], kHostile);
  EXPECT_EQ(hostile["/bool/filter"_json_pointer].size(), 2u);
  EXPECT_EQ(Fill(TemplateLanguage::kJson, R"({"terms":{"{{field}}":"{{list}}"}})",
                 {{"field", Text("f")}, {"list", R"(["a",2])"}}),
            R"({"terms":{"f":["a",2]}})");
  EXPECT_EQ(Fill(TemplateLanguage::kJson, R"({"prefix":{"a":"v{{n}}-{{s}}"}})",
                 {{"n", "18446744073709551615"}, {"s", Text("q")}}),
            R"({"prefix":{"a":"v18446744073709551615-q"}})");
  EXPECT_THAT(Fill(TemplateLanguage::kJson, R"({"prefix":{"a":"v{{n}}"}})", {{"n", "[1]"}}),
              HasSubstr("cannot stand inside of a text"));
  EXPECT_THAT(Fill(TemplateLanguage::kJson, R"({"term":{"a":{{n}}}})", {{"n", "1"}}),
              HasSubstr("placeholders stand in quotes"));
}

TEST(QueryTemplate, LuceneValuesAreQuoted) {
  const auto fill = [](const std::string& text, const std::string& value) {
    return Fill(TemplateLanguage::kLucene, text, {{"v", value}});
  };
  EXPECT_EQ(fill("a:{{v}} AND b:1", Text("x y")), R"(a:"x y" AND b:1)");
  EXPECT_EQ(fill("a:{{v}}", Text(R"(x" OR *:* \)")), R"(a:"x\" OR *:* \\")");
  EXPECT_EQ(fill(R"(a:"pre {{v}}")", Text(R"(x" OR *:* \)")), R"(a:"pre x\" OR *:* \\")");
  EXPECT_EQ(fill(R"(a:\"{{v}})", Text("x")), R"(a:\""x")");
  EXPECT_EQ(fill("a:>{{v}}", "5"), "a:>5");
  EXPECT_EQ(fill("a:[{{v}} TO *]", "-5"), R"(a:["-5" TO *])");
  EXPECT_EQ(fill("a:{{v}}", R"(["x",1])"), R"(a:("x" OR 1))");
  EXPECT_THAT(fill("a:/x{{v}}/", Text("y")), HasSubstr("regular expression"));
  EXPECT_THAT(fill("a:{{v}}", "[]"), HasSubstr("empty list"));
  EXPECT_THAT(fill("a:{{v}}", "null"), HasSubstr("null"));
}

TEST(QueryTemplate, SqlValuesAreLiterals) {
  const auto fill = [](const std::string& text, const std::string& value) {
    return Fill(TemplateLanguage::kSql, text, {{"v", value}});
  };
  EXPECT_EQ(fill("select * from t where a = {{v}}", Text("it's; --")),
            "select * from t where a = 'it''s; --'");
  EXPECT_EQ(fill("select 1 -{{v}}", "-5"), "select 1 -(-5)");
  EXPECT_EQ(fill("a in ({{v}})", R"(["x",2,null,true])"), "a in ('x', 2, NULL, TRUE)");
  EXPECT_EQ(fill("a = {{v}}::date /* it's */ -- don't\n and \"o'd\" = $x$'$x$", Text("b")),
            "a = 'b'::date /* it's */ -- don't\n and \"o'd\" = $x$'$x$");
  for (const char* text : {"a = '{{v}}'", "a = \"{{v}}\"", "-- {{v}}\n", "/* {{v}} */",
                           "$$ {{v}} $$", "$tag$ {{v}} $tag$", R"(E'it\'s {{v}}')", "`{{v}}`",
                           "a = e{{v}}", "a = U&{{v}}", "a = {{v}}'x'", "a = 'x'{{v}}"}) {
    EXPECT_THAT(fill(text, Text("x")), HasSubstr("error: ")) << text;
  }
  EXPECT_THAT(fill("a = {{v}}", Text("back\\slash")), HasSubstr("backslash"));
  EXPECT_THAT(fill("a in ({{v}})", "[]"), HasSubstr("empty list"));
}

TEST(QueryTemplate, NamesAreCheckedBothWays) {
  const std::string text = R"({"term":{"level":"{{level}}"}})";
  EXPECT_THAT(Fill(TemplateLanguage::kJson, text, {{"levle", Text("x")}}),
              HasSubstr("'level' is not given; is 'levle' meant?"));
  EXPECT_THAT(Fill(TemplateLanguage::kJson, text, {{"level", "1"}, {"levels", "1"}}),
              HasSubstr("has no parameter 'levels'; did you mean 'level'?"));
  EXPECT_THAT(Fill(TemplateLanguage::kLucene, "a:{{ b c }}", {}), HasSubstr("no placeholder"));
  EXPECT_THAT(Fill(TemplateLanguage::kLucene, "a:{{b", {}), HasSubstr("no placeholder"));
}

std::string JobText(const std::string& queries) {
  return R"(
source: opensearch://h/logs-*
destination: ./out
queries:
)" + queries +
         R"(
templates:
  by_level: '{"bool": {"filter": [{"term": {"level": "{{level}}"}}, {"term": {"service": "{{service}}"}}]}}'
  as_map: {terms: {level: "{{levels}}"}}
  slow: {q: "latency_ms:>{{limit}} AND service:{{service}}"}
  days: {sql: "select * from t where day >= {{from}}"}
)";
}

Result<JobSpec> Parse(const std::string& queries) {
  return ParseJobFile(JobText(queries), DocumentFormat::kYaml,
                      {"job.yaml", ".", [](const std::string& name) {
                         return name == "SERVICE" ? std::optional<std::string>("a\"pi")
                                                  : std::nullopt;
                       }});
}

TEST(QueryTemplate, InAJobFile) {
  const auto job = Parse(R"(
  - {name: errors, template: by_level, parameters: {level: ERROR, service: "${SERVICE}"}, fields: [a]}
  - {name: some, template: as_map, parameters: {levels: [ERROR, WARN]}}
  - {name: slow, template: slow, parameters: {limit: 500, service: api}}
  - {name: days, template: days, parameters: {from: "2024-01-01"}}
)")
                       .ValueOrDie();
  ASSERT_EQ(job.queries.size(), 4u);
  EXPECT_EQ(job.queries[0].sql,
            R"({"bool":{"filter":[{"term":{"level":"ERROR"}},{"term":{"service":"a\"pi"}}]}})");
  EXPECT_TRUE(job.queries[0].options.Has("fields"));
  EXPECT_EQ(job.queries[1].sql, R"({"terms":{"level":["ERROR","WARN"]}})");
  EXPECT_EQ(job.queries[2].sql, R"(latency_ms:>500 AND service:"api")");
  EXPECT_EQ(job.queries[3].sql, "select * from t where day >= '2024-01-01'");
}

TEST(QueryTemplate, MistakesInAJobFileSayWhere) {
  const std::pair<const char*, const char*> mistakes[] = {
      {"- {name: a, template: by_levl}",
       "job.yaml:5:23: there is no template 'by_levl'; did you "
       "mean 'by_level'?"},
      {"- {name: a, template: by_level, parameters: {level: x}}", "'service' is not given"},
      {"- {name: a, template: slow, sql: x}", "not both"},
      {"- {name: a}", "needs the key sql, or template"},
      {"- {name: a, sql: x, parameters: {b: 1}}", "belong to a template"},
      {"- {name: a, template: slow, parameters: {limit: {a: 1}, service: x}}",
       "must be a value or a list"},
      {"- {name: a, template: slow, parameters: [1]}", "must be a map"},
  };
  for (const auto& [query, said] : mistakes) {
    const auto job = Parse(query);
    ASSERT_FALSE(job.ok()) << query;
    EXPECT_THAT(job.status().message(), HasSubstr(said));
  }
  const auto plain =
      ParseJobFile("templates: {a: 'level:{{x}}'}", DocumentFormat::kYaml, {"job.yaml", "."});
  EXPECT_THAT(plain.status().message(), HasSubstr("write {q: …} for Lucene text"));
}

}  // namespace
}  // namespace bulkhaul
